"""Sandbox: start, answer, stop."""

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
from photio_prep.sandbox import answer_picture, contract, fault_player
from photio_prep.sandbox.call_log import Call, CallLog, digest, fingerprint
from photio_prep.sandbox.contract import SceneRequest
from photio_prep.sandbox.faults import FAULTS, FaultPlan, parse_faults
from photio_prep.sandbox.http import Server
from photio_prep.sandbox.redraw import KIND, PlantedChanges

logger = logging.getLogger("photio_prep.sandbox")

AnswerFormat = Literal["PNG", "JPEG", "WEBP"]


class Sandbox:
    """A local stand-in for the Instant API. UsageError for an option that is out of range.

    Args:
        port: Where to listen on 127.0.0.1; 0 lets the system choose.
        latency: Seconds before each answer.
        faults: Which calls misbehave, as a plan or as its text (`429:3,drop:1`).
        identity: Answer with the colours that were sent, without a scene.
        changes: Changes to plant in every answer, for a harsh redraw (see `redraw`); the default is kind.
        http_status_always_200: Put errors in the JSON only.
        answer_format: Encoding of the picture in the answer.
        data_url: Put `data:image/...;base64,` before the picture.
        url_image: The PNG that stands in for any image URL; nothing is ever fetched.
        retry_after: Seconds that planted 429 and 503 ask for.
        on_call: Called with each call as it is logged, in the thread that serves it.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        latency: float = 0.0,
        faults: FaultPlan | str | None = None,
        identity: bool = False,
        changes: PlantedChanges = KIND,
        http_status_always_200: bool = False,
        answer_format: AnswerFormat = "PNG",
        data_url: bool = False,
        url_image: bytes | None = None,
        retry_after: int = 2,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        if not 0 <= port <= 65_535:
            raise UsageError(f"{port} is not a port", "Choose 1024 to 65535, or 0 for any free one", subject="--port")
        if not 0 <= latency <= 3_600:  # also refuses NaN
            raise UsageError(f"{latency} is not a latency", "Give seconds, 0 to 3600", subject="--latency")
        if answer_format not in get_args(AnswerFormat):
            raise UsageError(f"answers cannot be {answer_format!r}", "Choose PNG, JPEG or WEBP")
        self.http_status_always_200 = http_status_always_200
        self.url = ""
        self._port = port
        self._latency = latency
        self._faults = faults if isinstance(faults, FaultPlan) else parse_faults(faults)
        self._identity = identity
        self._changes = changes
        self._format = answer_format
        self._data_url = data_url
        self._url_image = url_image
        self._retry_after = retry_after
        self._call_log = CallLog(on_call)
        self._lock = Lock()
        self._first_answer: bytes | None = None
        self._stopping = Event()
        self._server: Server | None = None
        self._thread: Thread | None = None

    def start(self) -> Self:
        """Listen on loopback, and set `url` to the full URL of the endpoint; UsageError if the port is taken."""
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
        """Close the port and all connections, and wait for them. A second call does nothing."""
        self._stopping.set()
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            server.close_connections()
            server.server_close()
            self._thread.join()

    def wait(self, seconds: float) -> bool:
        """Sleep until the sandbox is stopped, or for `seconds`; return whether it was stopped."""
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
        return self._call_log.arrived

    @property
    def charges(self) -> int:
        """Calls that may have been billed. A call counts when the last byte of a valid request has arrived."""
        return self._call_log.charges

    @property
    def log(self) -> tuple[Call, ...]:
        """All calls, in the order in which they were read."""
        return tuple(self._call_log.calls.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Details of requests that the API would accept, but a careful client would not send."""
        return tuple(self._call_log.warnings)

    def count_call(self) -> tuple[int, str | None]:
        """Return the number of a new call, from 1, and its fault."""
        number = self._call_log.next_number()
        return number, self._faults.at(number)

    def log_failure(self, number: int, path: str, key: str, body: bytes, status: int) -> None:
        """Log a call that was refused, broke off (`status` 0), or could not be painted (500)."""
        if not self._call_log.set_status(number, status):
            self._call_log.add(Call(number, path, fingerprint(key), digest(body), status))

    def play_early_fault(self, number: int, path: str, key: str, fault: str, connection: socket.socket) -> None:
        """Log a call and play its fault before its body is read."""
        self._call_log.add(Call(number, path, fingerprint(key), "", 0, fault=fault))
        context = fault_player.FaultContext(connection, self._stopping, self.url, "", 0, _refuse_answer, _refuse_answer)
        fault_player.play(fault, context)

    def answer(self, number: int, path: str, key: str, body: bytes, connection: socket.socket) -> None:
        """Count a valid call, then answer it or play its fault; ContractError if it is not valid, or not painted."""
        request = contract.read_request(body, url_image=self._url_image)
        fault = self._faults.at(number)
        call = Call(
            number=number,
            path=path,
            key_fingerprint=fingerprint(key),
            digest=digest(body),
            status=fault_player.fault_status(fault) if fault else 200,
            charged=FAULTS[fault].charged if fault else True,
            fault=fault,
            description=request.description,
            negative_prompt=request.negative_prompt,
            seed=request.seed,
            canvas=digest(request.png),
        )
        self._call_log.add(call, request.warnings)
        self._stopping.wait(self._latency)
        if fault is None:
            connection.sendall(fault_player.encode_response(200, self._encode_answer(request)))
            return
        fault_player.play(
            fault,
            fault_player.FaultContext(
                connection=connection,
                stopping=self._stopping,
                url=self.url,
                key=key,
                retry_after=self._retry_after,
                picture=lambda: self._paint(request),
                answer=lambda: self._encode_answer(request, fault),
            ),
        )

    def _paint(self, request: SceneRequest, *, identity: bool = False) -> Image.Image:
        if identity or self._identity:
            return request.picture.convert("RGB")  # whatever its alpha
        seed = random.SystemRandom().randint(1, contract.MAX_SEED - 1) if request.seed in (None, -1) else request.seed
        return answer_picture.paint_answer(request, seed or 1, self._changes)

    def _encode_answer(self, request: SceneRequest, fault: str | None = None) -> bytes:
        """JSON of the answer."""
        with self._lock:
            if fault == "sameanswer" and self._first_answer is not None:
                return self._first_answer
        try:
            answer = self._encode(self._paint(request, identity=fault == "identity"))
        except Exception as error:  # any failure of painting is a server error, as at the vendor
            logger.exception("the scene could not be painted")
            raise contract.ContractError(500, f"the scene could not be painted: {type(error).__name__}") from error
        with self._lock:
            self._first_answer = self._first_answer or answer
        return answer

    def _encode(self, picture: Image.Image) -> bytes:
        buffer = io.BytesIO()
        options: dict[str, int] = {"compress_level": 1} if self._format == "PNG" else {"quality": 95}
        picture.save(buffer, self._format, **options)
        text = base64.b64encode(buffer.getvalue()).decode()
        prefix = f"data:image/{self._format.lower()};base64," if self._data_url else ""
        return fault_player.encode_json(200, prefix + text)


def _refuse_answer() -> NoReturn:
    raise AssertionError("this fault needs no answer")


def serve(
    port: int = 0,
    *,
    latency: float = 0.0,
    faults: FaultPlan | str | None = None,
    on_ready: Callable[[str], None],
    on_call: Callable[[Call], None] | None = None,
) -> Sandbox:
    """Run a Sandbox of these options until KeyboardInterrupt; return it stopped, with its counts.

    `on_ready` is called with the URL of the endpoint once it listens.
    """
    with Sandbox(port=port, latency=latency, faults=faults, on_call=on_call) as sandbox:
        try:
            on_ready(sandbox.url)
            while not sandbox.wait(3_600):
                pass
        except KeyboardInterrupt:
            logger.debug("stopped by the user")
    return sandbox
