"""The sandbox itself: what it counts, what it answers, how it starts and stops."""

import base64
import io
import logging
import random
import socket
from collections.abc import Callable
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Literal, NoReturn, Self, get_args

from PIL import Image

from photio_prep.errors import UsageError
from photio_prep.sandbox import contract, mischief, scene
from photio_prep.sandbox.contract import Asked
from photio_prep.sandbox.faults import FAULTS, FaultPlan, parse_faults
from photio_prep.sandbox.ledger import Call, Ledger, digest, fingerprint
from photio_prep.sandbox.product import Drift
from photio_prep.sandbox.wire import Server

logger = logging.getLogger("photio_prep.sandbox")

AnswerFormat = Literal["PNG", "JPEG", "WEBP"]
_NO_DRIFT = Drift()


class Sandbox:
    """A local stand-in for the Instant API.

    Args:
        port: Where to listen on 127.0.0.1; 0 lets the system choose.
        latency: Seconds before each answer.
        faults: Which calls misbehave, as a plan or as its text (`429:3,drop:1`).
        identity: Answer with the very colours that were sent instead of a scene.
        drift: Changes to plant in the product of every answer.
        http_status_always_200: Put errors in the JSON only.
        answer_format: Encoding of the picture in the answer.
        data_url: Put `data:image/...;base64,` before the picture.
        url_image: The PNG that stands in for any image URL; nothing is ever fetched.
        retry_after: Seconds that planted 429 and 503 ask for.
        on_call: Told of each call as it is recorded, from the thread that serves it.

    Raises:
        UsageError: An option that cannot be meant.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        latency: float = 0.0,
        faults: FaultPlan | str | None = None,
        identity: bool = False,
        drift: Drift = _NO_DRIFT,
        http_status_always_200: bool = False,
        answer_format: AnswerFormat = "PNG",
        data_url: bool = False,
        url_image: bytes | None = None,
        retry_after: int = 2,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        if not 0 <= port <= 65_535:
            raise UsageError(f"{port} is no port", "Choose 1024 to 65535, or 0 for any free one", subject="--port")
        if not 0 <= latency <= 3_600:  # also refuses NaN
            raise UsageError(f"{latency} is no latency", "Give seconds, 0 to 3600", subject="--latency")
        if answer_format not in get_args(AnswerFormat):
            raise UsageError(f"answers cannot be {answer_format!r}", "Choose PNG, JPEG or WEBP")
        self.http_status_always_200 = http_status_always_200
        self.url = ""
        self._port = port
        self._latency = latency
        self._faults = faults if isinstance(faults, FaultPlan) else parse_faults(faults)
        self._identity = identity
        self._drift = drift
        self._format = answer_format
        self._data_url = data_url
        self._url_image = url_image
        self._retry_after = retry_after
        self._ledger = Ledger(on_call)
        self._lock = Lock()
        self._first_answer: bytes | None = None
        self._stopping = Event()
        self._server: Server | None = None
        self._thread: Thread | None = None

    def start(self) -> Self:
        """Listens; from now on `url` is the full URL of the endpoint.

        Raises:
            UsageError: The port is taken or not allowed.
        """
        try:
            self._server = Server(self._port, self)
        except OSError as error:
            raise UsageError(
                f"port {self._port} cannot be used: {error.strerror}", "Choose another", subject="--port"
            ) from error
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{contract.PATH}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), name="photio-sandbox", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            self._server.server_close()
            raise UsageError(f"it needs a thread ({error})", "Raise the limit on threads", subject="sandbox") from None
        return self

    def stop(self) -> None:
        """Closes the port and every connection, and waits for them; may be called twice."""
        self._stopping.set()
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            server.end()
            server.server_close()
            self._thread.join()

    def wait(self, seconds: float) -> bool:
        """Sleeps until the sandbox is stopped, or for `seconds`; gives whether it was stopped."""
        return self._stopping.wait(seconds)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def calls(self) -> int:
        """Requests that have arrived, refused ones included."""
        return self._ledger.arrived

    @property
    def charges(self) -> int:
        """Calls that a vendor may have billed: counted when the last byte of a valid request has arrived."""
        return self._ledger.charges

    @property
    def log(self) -> tuple[Call, ...]:
        """Every call, in the order in which they were read."""
        return self._ledger.calls

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the API would have accepted, but a careful client would not send."""
        return self._ledger.warnings

    def arrived(self) -> tuple[int, str | None]:
        """Number of a new call, from 1, and the fault that it meets."""
        number = self._ledger.number()
        return number, self._faults.at(number)

    def refused(self, number: int, path: str, key: str, body: bytes, status: int) -> None:
        """Records a call that broke the contract, never arrived whole (`status` 0), or could not be painted (500)."""
        if not self._ledger.amend(number, status):
            self._ledger.record(Call(number, path, fingerprint(key), digest(body), status))

    def broken(self, number: int, path: str, key: str, fault: str, connection: socket.socket) -> None:
        """Records and plays a fault that comes before the body is read."""
        self._ledger.record(Call(number, path, fingerprint(key), "", 0, fault=fault))
        mischief.play(fault, mischief.Stage(connection, self._stopping, self.url, "", 0, _nothing, _nothing))

    def complete(self, number: int, path: str, key: str, body: bytes, connection: socket.socket) -> None:
        """Counts a valid call, then answers it or misbehaves.

        Raises:
            ContractError: The request is not valid, or the scene could not be painted.
        """
        asked = contract.read_request(body, url_image=self._url_image)
        fault = self._faults.at(number)
        call = Call(
            number=number,
            path=path,
            key_seen=fingerprint(key),
            digest=digest(body),
            status=mischief.status_of(fault) if fault else 200,
            charged=FAULTS[fault].charged if fault else True,
            fault=fault,
            description=asked.description,
            negative_prompt=asked.negative_prompt,
            seed=asked.seed,
            canvas=digest(asked.png),
        )
        self._ledger.record(call, asked.warnings)
        self._stopping.wait(self._latency)
        if fault is None:
            connection.sendall(mischief.whole(200, self._answer(asked)))
            return
        mischief.play(
            fault,
            mischief.Stage(
                connection=connection,
                stopping=self._stopping,
                url=self.url,
                key=key,
                retry_after=self._retry_after,
                picture=lambda: self._picture(asked),
                answer=lambda: self._answer(asked, fault),
            ),
        )

    def _picture(self, asked: Asked, *, identity: bool = False) -> Image.Image:
        if identity or self._identity:
            return scene.identity(asked)
        seed = random.SystemRandom().randint(1, contract.MAX_SEED - 1) if asked.seed in (None, -1) else asked.seed
        return scene.paint(asked, seed or 1, self._drift)

    def _answer(self, asked: Asked, fault: str | None = None) -> bytes:
        """The whole JSON answer."""
        with self._lock:
            if fault == "sameanswer" and self._first_answer is not None:
                return self._first_answer
        try:
            answer = self._encoded(self._picture(asked, identity=fault == "identity"))
        except Exception as error:  # whatever goes wrong in painting is the server's fault, as at the vendor's
            logger.exception("the scene could not be painted")
            raise contract.ContractError(500, f"the scene could not be painted: {type(error).__name__}") from error
        with self._lock:
            self._first_answer = self._first_answer or answer
        return answer

    def _encoded(self, picture: Image.Image) -> bytes:
        buffer = io.BytesIO()
        options: dict[str, int] = {"compress_level": 1} if self._format == "PNG" else {"quality": 95}
        picture.save(buffer, self._format, **options)
        text = base64.b64encode(buffer.getvalue()).decode()
        prefix = f"data:image/{self._format.lower()};base64," if self._data_url else ""
        return mischief.json_answer(200, prefix + text)


def _nothing() -> NoReturn:
    raise AssertionError("this fault needs no answer")


def serve(
    port: int = 0,
    *,
    latency: float = 0.0,
    faults: FaultPlan | str | None = None,
    on_ready: Callable[[str], None],
    on_call: Callable[[Call], None] | None = None,
) -> Sandbox:
    """Runs a sandbox until KeyboardInterrupt; gives it back stopped, with its counts.

    Args:
        port: Where to listen on 127.0.0.1; 0 lets the system choose.
        latency: Seconds before each answer.
        faults: Which calls misbehave.
        on_ready: Told the URL of the endpoint once it listens.
        on_call: Told of each call.

    Raises:
        UsageError: An option that cannot be meant, or a port that is taken.
    """
    with Sandbox(port=port, latency=latency, faults=faults, on_call=on_call) as sandbox:
        try:
            on_ready(sandbox.url)
            while not sandbox.wait(3_600):
                pass
        except KeyboardInterrupt:
            logger.debug("stopped by the user")
    return sandbox
