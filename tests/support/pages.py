"""What the tests of the review page share: a batch with everything in it that can go wrong, and a real Chromium.

Takes folders; gives batches, and pages of a browser that note every request, message, error and dialog.
Touches those folders, and starts the browser.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from photio_prep import pipeline
from photio_prep.api.client import InstantClient
from photio_prep.errors import PhotioError
from photio_prep.final import writer
from photio_prep.orders import store
from photio_prep.orders.folder import find_orders
from photio_prep.orders.store import SANDBOX, Order
from tests.support.commands import KEY
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok, verbatim
from tests.support.hostile_faults import close_after_reading, status
from tests.support.photos import SCENE, cutout, saved

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page, Request

EVIL_TEXT = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028\u202egpj.exe"
EVIL_NAMES = (
    '"><script>alert(1)</script>.png',  # a folder called `"><script>alert(1)<`, and in it `script>.png`
    "x</script><script>alert(2)/y.png",
    "'onerror='alert(3)' #50%25?x=1&y;.png",
    "evil\u202egnp.scr\u2028 \u0007.png",
    "javascript:alert(4).png",
    "{{data}} ${alert(5)} `x`.png",
    os.fsdecode(b"no utf-8 \xff\xfe.png"),
)


def make_batch(place: Path) -> Path:
    """The output folder of orders in every state, of photos with evil names, beside the folder of the photos.

    1 finished, 1 answered, 1 unknown, 1 rejected and 1 unusable with evil words of the server, 1 finished by the
    sandbox, 1 damaged; the evil names are planned.
    """
    out = place / "out"
    here = Path.cwd()
    os.chdir(place)  # photos are named as the user stands to them
    try:
        for number, name in enumerate(EVIL_NAMES):
            _prepared(Path("in") / name, (120 + number, 90), out, number)
        endings = {
            "finished": ok(),
            "answered": ok(),
            "unknown": close_after_reading(),
            "rejected": status(422, f'{{"message": "{EVIL_TEXT}"}}'.encode()),
            "unusable": verbatim("unusable", b'{"status_code": 200, "body": "bm8="}'),
            "sandbox": ok(),
        }
        for number, (name, ending) in enumerate(endings.items(), 20):
            with HostileServer(ending) as server:
                endpoint = SANDBOX if name == "sandbox" else server.url
                size = (90 + number, 160)
                order = _prepared(Path("in/plain") / f"{name}.jpg", size, out, number, endpoint=endpoint)
                try:
                    pipeline.generate(
                        order, client=InstantClient(KEY, api_url=server.url, endpoint=endpoint), gate="off"
                    )
                except PhotioError:
                    assert name in ("unknown", "rejected", "unusable")
            if name in ("finished", "sandbox"):
                writer.place_final(order, Path("out"))
            if name == "finished" and order.folder:
                saved(order.folder / "drift.png", cutout((300, 100)))
                (order.folder / "drift.json").write_text(json.dumps({"score": 1.5, "sentence": EVIL_TEXT}))
        damaged = _prepared(Path("in/damaged.png"), (99, 99), out, 30)
        assert damaged.folder
        (damaged.folder / "order.json").write_text('{"schema": 1}')
    finally:
        os.chdir(here)
    return out


def _prepared(
    photo: Path, size: tuple[int, int], out: Path, seed: int, endpoint: str = "https://api.example/v1"
) -> Order:
    return pipeline.prepare(
        saved(photo, cutout(size).convert("RGB")),
        description=f"{SCENE} {EVIL_TEXT}",
        seed=seed + 1,
        endpoint=endpoint,
        orders=out / "orders",
        mask=cutout(size).getchannel("A"),
        output=photo.with_suffix("").name if "<" not in str(photo) else f"evil-{seed}",
    )


def keys(out: Path) -> dict[str, str]:
    """The full key of each order that can be read, by the last part of its photo's name."""
    found = {}
    for folder in find_orders(out):
        try:
            order = store.load_order(folder)
        except PhotioError:
            continue
        found[Path(order.origin.source).name] = order.key
    return found


# --- the browser -----------------------------------------------------------------------------------------------------


def chromium() -> str:
    """Debian's Chromium; where there is none, CI fails and everybody else skips."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        why = "there is no Chromium: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """A real headless Chromium."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # In a container of root's, Chromium has no sandbox of its own.
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield started
        started.close()


@dataclass
class Seen:
    """A page that is open, and everything that it did which it should not."""

    page: Page
    requests: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def name(self) -> str:
        """Of the photo that is looked at."""
        return self.text("#name")

    def choose(self, name: str) -> None:
        """Look at the first photo whose name ends with `name`, and leave the keys to the list."""
        self.page.fill("#search", name)
        self.page.locator(".row").first.click()
        self.page.fill("#search", "")
        self.press("Escape")
        assert self.name.endswith(name)

    def pictures(self) -> list[dict[str, Any]]:
        """What each picture on the stage shows, once all have arrived or failed."""
        self.page.wait_for_function("() => [...document.querySelectorAll('#stage img')].every((each) => each.complete)")
        seen = "{src: each.src, width: each.naturalWidth, height: each.naturalHeight}"
        code = f"[...document.querySelectorAll('#stage img')].map((each) => ({seen}))"
        found: list[dict[str, Any]] = self.page.evaluate(code)
        return found


@contextmanager
def opened(chrome: Browser, place: Path, **options: Any) -> Iterator[Seen]:
    """The page at `place`, from file://, at 1440x900 unless `options` of a context say otherwise.

    Raises:
        AssertionError: It said, asked or failed something by its end.
    """
    context = chrome.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
    seen = Seen(context.new_page())

    def requested(request: Request) -> None:
        seen.requests.append(request.url)
        if not request.url.startswith(("file:///", "data:image/", "blob:")):
            seen.wrong.append(f"request {request.url}")

    def spoke(dialog: Dialog) -> None:
        seen.wrong.append(f"dialog {dialog.message}")
        dialog.dismiss()

    seen.page.on("request", requested)
    seen.page.on("requestfailed", lambda request: seen.wrong.append(f"failed {request.url}"))
    seen.page.on("console", lambda message: seen.wrong.append(f"{message.type}: {message.text}"))
    seen.page.on("pageerror", lambda error: seen.wrong.append(f"error {error}"))
    seen.page.on("dialog", spoke)
    seen.page.goto(place.resolve().as_uri())
    try:
        yield seen
    finally:
        context.close()
    assert seen.wrong == []
