"""Sandbox: start, answer, stop."""

import base64
import io
import logging
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Literal, Self, get_args

from PIL import Image

from photio_prep.errors import UsageError
from photio_prep.sandbox import contract
from photio_prep.sandbox.answer_picture import paint_answer
from photio_prep.sandbox.call_log import Call, CallLog, digest, fingerprint
from photio_prep.sandbox.contract import ContractError, SceneRequest
from photio_prep.sandbox.faults import BEFORE_THE_BODY, FAULTS, HONEST, FaultContext, FaultPlan, parse_faults
from photio_prep.sandbox.http import Exchange, Server, encode_json

logger = logging.getLogger("photio_prep.sandbox")

AnswerFormat = Literal["PNG", "JPEG", "WEBP"]


@dataclass(kw_only=True, eq=False, repr=False)
class Sandbox:
    """A local stand-in for the Instant API. UsageError for an option that is out of range.

    Args:
        port: Where to listen on 127.0.0.1; 0 lets the system choose.
        latency: Seconds before each answer.
        faults: Which calls misbehave, as a plan or as its text (`429:3,drop:1`).
        identity: Answer with the colours that were sent, without a scene.
        paint: Paints the answer (RGB of the canvas's size) to a request with a seed; the default redraws kindly.
        http_status_always_200: Put errors in the JSON only.
        answer_format: Encoding of the picture in the answer.
        data_url: Put `data:image/...;base64,` before the picture.
        url_image: The PNG that stands in for any image URL; nothing is ever fetched.
        retry_after: Seconds that planted 429 and 503 ask for.
        on_call: Called with each call as it is logged, in the thread that serves it.
    """

    port: int = 0
    latency: float = 0.0
    faults: FaultPlan | str | None = None
    identity: bool = False
    paint: Callable[[SceneRequest, int], Image.Image] = paint_answer
    http_status_always_200: bool = False
    answer_format: AnswerFormat = "PNG"
    data_url: bool = False
    url_image: bytes | None = None
    retry_after: int = 2
    on_call: Callable[[Call], None] | None = None

    def __post_init__(self) -> None:
        if type(self.port) is not int or not 0 <= self.port <= 65_535:
            fix = "Choose 1024 to 65535, or 0 for any free one"
            raise UsageError("the port is out of range", fix)
        number = isinstance(self.latency, (int, float)) and not isinstance(self.latency, bool)
        if not number or not 0 <= self.latency <= 3_600:  # also refuses NaN
            raise UsageError("the latency is out of range", "Give seconds, 0 to 3600")
        if self.answer_format not in get_args(AnswerFormat):
            raise UsageError(f"answers cannot be {self.answer_format!r}", "Choose PNG, JPEG or WEBP")
        self.url = ""
        self._plan = self.faults if isinstance(self.faults, FaultPlan) else parse_faults(self.faults)
        self._call_log = CallLog(self.on_call)
        self._lock = Lock()
        self._first_answer: bytes | None = None
        self._stopping = Event()
        self._server: Server | None = None
        self._thread: Thread | None = None

    def start(self) -> Self:
        """Listen on loopback, and set `url` to the full URL of the endpoint; UsageError if the port is taken."""
        try:
            self._server = Server(self.port, self._serve)
        except OSError as error:
            raise UsageError(
                f"port {self.port} cannot be used: {error.strerror}", "Choose another", subject="--port"
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

    def _serve(self, exchange: Exchange, refusal: ContractError | None) -> None:
        """Count a request, then answer it, play its fault or refuse it. A `refusal` is decided already."""
        number = self._call_log.next_number()
        key = "" if refusal else (exchange.headers.get(contract.KEY_HEADER) or "").strip()
        call, body = Call(number, exchange.path, fingerprint(key), "", 0), b""
        try:
            if refusal is not None:
                raise refusal
            if (fault := self._plan.at(number)) in BEFORE_THE_BODY:
                call = replace(call, fault=fault)
                self._call_log.add(call)
                FAULTS[fault].play(FaultContext(exchange.connection, self._stopping))
                return
            body = exchange.read_body()
            contract.check_head(exchange.path, key, exchange.headers.get("Content-Type"))
            self._answer(replace(call, fault=fault), key, body, exchange.connection)
        except ContractError as error:
            self._call_log.add_failure(replace(call, digest=digest(body), status=error.status))
            exchange.refuse(error, 200 if self.http_status_always_200 else error.status)
        except OSError:
            self._call_log.add_failure(call)

    def _answer(self, call: Call, key: str, body: bytes, connection: socket.socket) -> None:
        """Count a valid call, then answer it or play its fault; ContractError if it is not valid, or not painted."""
        request = contract.read_request(body, url_image=self.url_image)
        fault = FAULTS[call.fault] if call.fault else HONEST
        call = replace(
            call,
            digest=digest(body),
            status=fault.status,
            charged=fault.charged,
            description=request.description,
            negative_prompt=request.negative_prompt,
            seed=request.seed,
            canvas=digest(request.png),
        )
        self._call_log.add(call, request.warnings)
        self._stopping.wait(self.latency)
        fault.play(
            FaultContext(
                connection,
                self._stopping,
                self.url,
                key,
                self.retry_after,
                picture=lambda: self._paint(request),
                answer=lambda: self._encode_answer(request, call.fault),
            )
        )

    def _paint(self, request: SceneRequest, *, identity: bool = False) -> Image.Image:
        if identity or self.identity:
            return request.picture.convert("RGB")  # whatever its alpha
        seed = random.SystemRandom().randint(1, contract.MAX_SEED - 1) if request.seed in (None, -1) else request.seed
        return self.paint(request, seed or 1)

    def _encode_answer(self, request: SceneRequest, fault: str | None = None) -> bytes:
        """JSON of the answer."""
        with self._lock:
            if fault == "sameanswer" and self._first_answer is not None:
                return self._first_answer
        try:
            picture, buffer = self._paint(request, identity=fault == "identity"), io.BytesIO()
            options: dict[str, int] = {"compress_level": 1} if self.answer_format == "PNG" else {"quality": 95}
            picture.save(buffer, self.answer_format, **options)
        except Exception as error:  # any failure of painting is a server error, as at the vendor
            logger.exception("the scene could not be painted")
            raise ContractError(500, f"the scene could not be painted: {type(error).__name__}") from error
        prefix = f"data:image/{self.answer_format.lower()};base64," if self.data_url else ""
        answer = encode_json(200, prefix + base64.b64encode(buffer.getvalue()).decode())
        with self._lock:
            self._first_answer = self._first_answer or answer
        return answer
