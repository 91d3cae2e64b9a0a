"""Every way to pay refuses what the others refuse: one output folder with an order of each kind, charges counted."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photio_prep import InstantClient, pipeline, run_many
from photio_prep.batch.run_many import Job
from photio_prep.errors import PhotioError, UsageError
from photio_prep.orders import store
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.payment import pay
from photio_prep.orders.preflight import Preflight
from photio_prep.orders.recovery import resolve_unknown
from photio_prep.orders.state import State
from photio_prep.quality import Level
from photio_prep.types import Canvas
from tests.support.commands import KEY
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.photos import SCENE, cutout, saved
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from collections.abc import Callable

    from photio_prep.orders.store import Order
    from tests.support.commands import Command

    # Inputs, the server's address, whether to pay again for other bytes -> the exit code of each photo by its stem.
    Way = Callable[[Command, str, bool], dict[str, int]]

OUT = Path("photio-out")
# What each order must end with: its exit code, 0 where it is paid for.
EXPECTED = {"older": 3, "stopped": 3, "claimed": 8, "unknown": 4, "lost": 4, "unusable": 10, "fine": 0}


def client(url: str) -> InstantClient:
    return InstantClient(KEY, api_url=url)


def prepared(url: str) -> dict[str, Order]:
    """An order of each kind in one output folder; of "older", one with other bytes is paid for."""
    made = {}
    for number, name in enumerate(EXPECTED):
        # The gate stops a product of 46 pixels; the others are large enough.
        size = (90, 70) if name == "stopped" else (1200, 900)
        source = saved(Path(f"in/{name}.png"), cutout(size, shade=120 + 10 * number))
        made[name] = pipeline.prepare(source, description=SCENE, endpoint=url, orders=OUT / "orders", output=name)
    canvas = Canvas(made["older"].canvas.png + b"older", made["older"].placement)
    older = replace(made["older"], request=replace(made["older"].request, canvas=canvas), folder=None)
    pay(store.write_order(older, OUT / "orders"), client(url), Preflight(Level.OFF))
    claim = {"host": "another-machine", "boot": "x", "pid": 7, "started": "1", "time": "2026-11-27T00:00:00+00:00"}
    (folder_of(made["claimed"]) / "claim.json").write_text(json.dumps(claim))
    OrderFolder(folder_of(made["unknown"])).write_outcome(State.UNKNOWN, "no whole answer came")
    OrderFolder(folder_of(made["lost"])).write_outcome(State.UNKNOWN, "no whole answer came")
    resolve_unknown(folder_of(made["lost"]), retry=False)
    OrderFolder(folder_of(made["unusable"])).write_outcome(State.PAID_UNUSABLE, "no picture")
    return made


def folder_of(order: Order) -> Path:
    assert order.folder is not None
    return order.folder


def codes(lines: list[dict[str, object]]) -> dict[str, int]:
    """The exit code of each photo, by the JSON lines of a command."""
    ended: dict[str, int] = {}
    for line in lines:
        error = line.get("error")
        code = error["exit_code"] if isinstance(error, dict) else 0
        assert isinstance(code, int)
        stem = Path(str(line["source"])).stem
        ended[stem] = max(code, ended.get(stem, 0))
    return ended


def cli_run(command: Command, url: str, again: bool, *engine: str) -> dict[str, int]:
    more = ["--again"] if again else []
    said = command("run", "in", "-d", SCENE, "--api-url", url, "--gate", "warn", "--json", "--yes", *more, *engine)
    return codes(said.facts)


def ray_run(command: Command, url: str, again: bool) -> dict[str, int]:
    return cli_run(command, url, again, "--engine", "ray")


def cli_generate(command: Command, url: str, again: bool) -> dict[str, int]:
    ended: dict[str, int] = {}
    for folder in find_orders(OUT):
        more = ["--again"] if again else []
        said = command("generate", folder, "--api-url", url, "--gate", "warn", "--yes", *more)
        (origin,) = OrderFolder(folder).photos()
        ended[Path(origin.source).stem] = max(said.code, ended.get(Path(origin.source).stem, 0))
    return ended


def code_of(work: Callable[[], object]) -> int:
    try:
        work()
    except PhotioError as error:
        return error.exit_code
    return 0


def library_run(_: Command, url: str, again: bool) -> dict[str, int]:
    options = {"client": client(url), "orders": OUT / "orders", "gate": "warn", "pay_again": again}
    return {
        name: code_of(lambda: pipeline.run(f"in/{name}.png", SCENE, output=name, **options))  # type: ignore[arg-type]  # noqa: B023
        for name in EXPECTED
    }


def library_generate(_: Command, url: str, again: bool) -> dict[str, int]:
    ended = {}
    for name in EXPECTED:
        order = pipeline.prepare(f"in/{name}.png", description=SCENE, endpoint=url, orders=OUT / "orders", output=name)
        pay_again = again
        ended[name] = code_of(
            lambda: pipeline.generate(order, client=client(url), gate="warn", pay_again=pay_again)  # noqa: B023
        )
    return ended


def library_run_many(_: Command, url: str, again: bool) -> dict[str, int]:
    photos = [Job(source=f"in/{name}.png", output=name) for name in EXPECTED]
    outcomes = run_many(photos, SCENE, client=client(url), orders=OUT / "orders", gate="warn", pay_again=again)
    ended = {}
    for outcome in outcomes:
        assert outcome.order is not None
        ended[outcome.order.origin.output] = outcome.error.exit_code if outcome.error else 0
    return ended


def bare_pay(_: Command, url: str, again: bool) -> dict[str, int]:
    """What everything else stands on: without a word of the user it refuses whatever may be refused."""
    ended = {}
    for name in EXPECTED:
        order = pipeline.prepare(f"in/{name}.png", description=SCENE, endpoint=url, orders=OUT / "orders", output=name)
        preflight = Preflight(pay_again=True) if again else None
        ended[name] = code_of(lambda: pay(order, client(url), preflight))  # noqa: B023
    return ended


WAYS: dict[str, Way] = {
    "run": cli_run,
    "generate": cli_generate,
    "library run": library_run,
    "library generate": library_generate,
    "run_many": library_run_many,
    "pay": bare_pay,
}


@sampled("way", WAYS, 2)
def test_every_way_refuses_what_the_others_refuse(keyed: Command, way: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHOTIO_GATE", "warn")
    with HostileServer(ok()) as server:
        walk(keyed, WAYS[way], server)


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra ray is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
def test_ray_refuses_what_the_others_refuse(keyed: Command):
    with HostileServer(ok()) as server:
        walk(keyed, ray_run, server)


def walk(command: Command, way: Way, server: HostileServer) -> None:
    prepared(server.url)
    assert server.charges == 1  # the older bytes
    assert way(command, server.url, False) == EXPECTED
    assert server.charges == 2  # the fine one
    assert way(command, server.url, False) == EXPECTED
    assert server.charges == 2
    # The user's word: only what was refused for that is paid for now.
    assert way(command, server.url, True) == {**EXPECTED, "older": 0}
    assert server.charges == 3
    assert server.charged_twice() == {}


def test_no_way_pays_without_a_scene(keyed: Command):
    saved(Path("in/a.png"), cutout((1200, 900)))
    with HostileServer(ok()) as server:
        assert keyed("run", "in", "--api-url", server.url).code == 2
        assert keyed("prepare", "in", "--api-url", server.url).code == 0
        assert keyed("generate", "photio-out", "--api-url", server.url).code == 2
        for orders_ in (None, OUT / "orders"):
            with pytest.raises(UsageError, match="no scene description"):
                pipeline.run("in/a.png", " ", client=client(server.url), orders=orders_)
            order = pipeline.prepare("in/a.png", endpoint=server.url, orders=orders_)
            with pytest.raises(UsageError, match="no scene description"):
                pipeline.generate(order, client=client(server.url))
            with pytest.raises(UsageError, match="no scene description"):
                pay(order, client(server.url))
            (outcome,) = run_many(["in/a.png"], client=client(server.url), orders=orders_)
            assert isinstance(outcome.error, UsageError)
        assert server.connections == 0


def test_an_order_by_url_is_said_to_be_one_before_it_is_paid_for(keyed: Command):
    saved(Path("in/a.png"), cutout((1200, 900)))
    with HostileServer(ok()) as server:
        order = pipeline.prepare("in/a.png", description=SCENE, endpoint=server.url, size="Square")
        request = replace(order.request, image_url="https://user:s3cret@shop.example/other.png?sig=s3cret")
        made = store.write_order(replace(order, request=request), OUT / "orders")
        said = keyed("generate", "photio-out", "--api-url", server.url, "--max-calls", "0")
        note = "what is sent and paid for is the picture at https://***@shop.example/other.png?***, not canvas.png"
        assert note in said.err
        assert server.connections == 0
        assert note in keyed("status", "photio-out").out
        (line,) = keyed("status", "photio-out", "--json").facts
        assert line["image_url"] == "https://***@shop.example/other.png?***"
        assert keyed("review", "photio-out").code == 0
        page = Path("photio-out/review.html").read_text()
        assert "https://***@shop.example/other.png?***" in page
        assert "s3cret" not in said.err + page
        paid = keyed("generate", "photio-out", "--api-url", server.url)
        assert paid.code == 0, paid.err
        assert note in paid.err
        assert json.loads(server.requests[0].body)["product_image"] == request.image_url
        assert OrderFolder(folder_of(made)).state is State.ANSWERED
