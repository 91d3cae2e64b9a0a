"""The order folder on a real disk: what lies in it, what it says, and that nothing changed is believed."""

import io
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from photio_prep.api import wire
from photio_prep.errors import StorageFailed, UsageError
from photio_prep.geometry import Size, place
from photio_prep.orders import claims, store
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.marks import Marks
from photio_prep.orders.origin import Origin
from photio_prep.orders.recovery import resolve_unknown
from photio_prep.orders.revise import continue_as
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from tests.support.photos import order, request


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def placed(root: Path, **what: object) -> Order:
    return store.write_order(order(**what), root)  # type: ignore[arg-type]


def at(found: Order) -> Path:
    assert found.folder is not None
    return found.folder


# The folder.


def test_a_cutout_that_fills_its_canvas_is_the_canvas_s_png_and_another_has_its_own(tmp_path: Path):
    for side, same in ((48, True), (40, False)):
        made = order()
        picture = made.canvas.image if same else made.canvas.image.resize((side, 32))
        folder = at(store.write_order(replace(made, cutout=picture, endpoint=f"https://{side}.example"), tmp_path))
        with Image.open(folder / "cutout.png") as kept:
            assert kept.convert("RGBA").tobytes() == picture.tobytes()
        assert ((folder / "cutout.png").read_bytes() == made.canvas.png) is same


def test_the_folder_of_an_order_holds_what_the_product_promises(tmp_path: Path):
    made = placed(tmp_path)
    folder = at(made)
    assert folder == tmp_path / made.key[:32]
    assert [name.partition("-")[0] for name in names(folder)] == ["canvas.png", "cutout.png", "order.json", "photo"]
    assert (folder / "canvas.png").read_bytes() == made.canvas.png
    with Image.open(folder / "cutout.png") as cutout:
        assert (cutout.mode, cutout.size) == ("RGBA", (48, 32))
    plan = json.loads((folder / "order.json").read_text())
    assert plan["key"] == made.key
    assert plan["canvas"] == {
        "sha256": sha256(made.canvas.png).hexdigest(),
        "bytes": len(made.canvas.png),
        "size": [48, 32],
    }
    assert plan["sandbox"] is False
    assert names(tmp_path) == [folder.name]  # nothing half-written beside it


def test_an_order_is_read_back_as_it_was_written(tmp_path: Path):
    made = placed(tmp_path, negative_prompt="ü\n\u2028", description="on märble 木", seed=4_294_967_296)
    back = store.load_order(at(made))
    assert back.request == made.request
    assert (back.key, back.endpoint, back.origin, back.model) == (made.key, made.endpoint, made.origin, made.model)
    assert back.placement == made.placement
    assert wire.encode_request(back.request) == wire.encode_request(made.request)


@pytest.mark.parametrize(
    "other",
    [
        order(seed=8),
        order(description="in a forest"),
        order(negative_prompt=""),
        order(shade=221),
        order(endpoint="https://api.example/y"),
        order(endpoint=store.SANDBOX),
        order((32, 48)),
        order(image_url="https://example.com/a.png"),
    ],
    ids=["seed", "description", "empty negative", "pixels", "endpoint", "sandbox", "size", "url"],
)
def test_everything_that_is_asked_is_in_the_key(other: Order):
    assert other.key != order().key


def test_who_the_photo_was_is_not_in_the_key():
    assert order(source="b.png").key == order().key


def test_the_key_is_the_same_tomorrow():
    """A changed key would pay for finished orders again."""
    fixed = replace(request(), canvas=replace(request().canvas, png=b"fixed bytes"))
    assert wire.order_key(fixed, "https://api.example/x") == _KEY_OF_FIXED


_KEY_OF_FIXED = "f6f1dfd6d47a546e725aa51f1eaacff31fd0f6d0f84c4d4a5bbe5a827e935185"


def test_writing_it_again_changes_nothing(tmp_path: Path):
    folder = at(placed(tmp_path))
    before = {path: (path.stat().st_ino, path.read_bytes()) for path in folder.iterdir()}
    assert at(placed(tmp_path)) == folder
    assert {path: (path.stat().st_ino, path.read_bytes()) for path in folder.iterdir()} == before


def test_another_photo_of_the_same_order_joins_it(tmp_path: Path):
    first, second = placed(tmp_path, source="a.png"), placed(tmp_path, source="b.png")
    assert at(first) == at(second)
    assert {each.source for each in OrderFolder(at(first)).photos()} == {"a.png", "b.png"}
    assert store.load_order(at(first), origin=second.origin).origin.source == "b.png"


def test_many_threads_write_the_same_order_once(tmp_path: Path):
    start = threading.Barrier(8)
    faults: list[BaseException] = []

    def contend(number: int) -> None:
        start.wait()
        try:
            placed(tmp_path, source=f"{number}.png")
        except BaseException as error:  # noqa: BLE001
            faults.append(error)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert faults == []
    (folder,) = tmp_path.iterdir()
    assert len(OrderFolder(folder).photos()) == 8


def test_a_name_that_is_no_utf_8_is_kept(tmp_path: Path):
    made = placed(tmp_path, source=os.fsdecode(b"caf\xe9.png"))
    assert os.fsencode(store.load_order(at(made)).origin.source) == b"caf\xe9.png"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailed):
        placed(tmp_path / "file")


# What is damaged is refused, by name.


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("canvas.png", lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])),
        ("canvas.png", lambda raw: raw[:-20]),
        ("canvas.png", lambda raw: b""),
        ("order.json", lambda raw: raw.replace(b"marble", b"wooden")),
        ("order.json", lambda raw: raw.replace(b'"seed": 7', b'"seed": 8')),
        ("order.json", lambda raw: raw.replace(b"api.example", b"api.evil.example")),
        ("order.json", lambda raw: raw[: len(raw) // 2]),
        ("order.json", lambda raw: b""),
        ("order.json", lambda raw: b"[]"),
        ("order.json", lambda raw: b"null"),
        ("order.json", lambda raw: b"{}"),
        ("order.json", lambda raw: b"\xff\xfe"),
        ("order.json", lambda raw: raw.replace(b'"schema": 1', b'"schema": 2')),
        ("order.json", lambda raw: raw.replace(b'"schema": 1', b'"schema": "x"')),
        ("photo", lambda raw: b"{"),
        ("photo", lambda raw: b"[1]"),
        ("photo", lambda raw: raw.replace(b'"placement"', b'"misplaced"')),
    ],
)
def test_a_changed_order_is_refused_and_named(tmp_path: Path, name: str, damage):
    folder = at(placed(tmp_path))
    (path,) = folder.glob(f"{name}*")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StorageFailed) as caught:
        store.load_order(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["canvas.png", "photo"])
def test_an_order_with_a_file_missing_is_refused(tmp_path: Path, name: str):
    folder = at(placed(tmp_path))
    next(folder.glob(f"{name}*")).unlink()
    with pytest.raises(StorageFailed):
        store.load_order(folder)


def test_a_newer_schema_says_what_to_do(tmp_path: Path):
    folder = at(placed(tmp_path))
    path = folder / "order.json"
    path.write_bytes(path.read_bytes().replace(b'"schema": 1', b'"schema": 99'))
    with pytest.raises(StorageFailed, match=r"schema 99, this version reads 1.*version of photio-prep"):
        store.load_order(folder)


def test_a_folder_that_was_renamed_to_another_order_is_refused(tmp_path: Path):
    folder = at(placed(tmp_path))
    moved = folder.rename(tmp_path / ("0" * 32))
    with pytest.raises(StorageFailed):
        store.load_order(moved)


def test_what_is_no_order_is_a_mistake_of_the_user(tmp_path: Path):
    with pytest.raises(UsageError, match="not an order folder"):
        store.load_order(tmp_path)


# States.


def test_how_far_an_order_got(tmp_path: Path):
    made = placed(tmp_path)
    folder = at(made)
    assert OrderFolder(folder).state is State.PLANNED
    claims.claim(folder / "claim.json")
    assert OrderFolder(folder).state is State.CLAIMED
    (folder / "answer.part").write_bytes(b"{")
    assert OrderFolder(folder).state is State.CLAIMED
    (folder / "answer.raw").write_bytes(b"{}")
    assert OrderFolder(folder).state is State.ANSWERED
    Marks(folder, made.origin).mark_finished(tmp_path / "final.png", b"12")
    assert OrderFolder(folder).state is State.FINISHED
    placed(tmp_path, source="b.png")  # another photo wants it, too
    assert OrderFolder(folder).state is State.ANSWERED


def test_a_claim_of_a_dead_process_without_an_answer_is_unknown(tmp_path: Path):
    folder = at(placed(tmp_path))
    claiming = (
        "import sys; from pathlib import Path; from photio_prep.orders import claims; claims.claim(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", claiming, folder / "claim.json"], check=True)
    assert OrderFolder(folder).state is State.UNKNOWN
    (folder / "answer.raw").write_bytes(b"{}")
    assert OrderFolder(folder).state is State.ANSWERED


@pytest.mark.parametrize("ended", [State.UNKNOWN, State.REJECTED, State.PAID_UNUSABLE])
def test_an_outcome_speaks_for_itself(tmp_path: Path, ended: State):
    folder = at(placed(tmp_path))
    OrderFolder(folder).write_outcome(ended, "because")
    assert OrderFolder(folder).state is ended
    outcome = OrderFolder(folder).outcome
    assert outcome is not None
    assert outcome["why"] == "because"


def test_the_mark_of_a_final_tells_its_digest(tmp_path: Path):
    made = placed(tmp_path)
    Marks(at(made), made.origin).mark_finished(tmp_path / "x.png", b"12")
    mark = Marks(at(made), made.origin).final()
    assert mark is not None
    assert (mark["path"], mark["bytes"]) == (str(tmp_path / "x.png"), 2)
    assert mark["sha256"] == sha256(b"12").hexdigest()
    assert Marks(at(made), replace(made.origin, source="other")).final() is None


# Resolving.


def unknown(root: Path) -> Path:
    folder = at(placed(root))
    claims.claim(folder / "claim.json")
    (folder / "answer.part").write_bytes(b"half")
    OrderFolder(folder).write_outcome(State.UNKNOWN, "lost")
    return folder


def test_retry_sets_aside_what_was_left_and_plans_again(tmp_path: Path):
    folder = unknown(tmp_path)
    resolve_unknown(folder, retry=True)
    assert OrderFolder(folder).state is State.PLANNED
    assert names(folder / "attempt-1") == ["answer.part", "claim.json", "outcome.json"]
    assert OrderFolder(folder).lost_attempts == 1
    assert OrderFolder(folder).count_calls(State.PLANNED) == (0, 1)
    claims.claim(folder / "claim.json")
    OrderFolder(folder).write_outcome(State.UNKNOWN, "lost again")
    assert OrderFolder(folder).count_calls(State.UNKNOWN) == (0, 2)
    assert OrderFolder(folder).count_calls(State.ANSWERED) == (1, 1)
    resolve_unknown(folder, retry=True)
    assert OrderFolder(folder).lost_attempts == 2


def test_lost_gives_up_and_stays_unknown(tmp_path: Path):
    folder = unknown(tmp_path)
    resolve_unknown(folder, retry=False)
    assert OrderFolder(folder).state is State.UNKNOWN
    outcome = OrderFolder(folder).outcome
    assert outcome is not None
    assert (outcome["resolved"], outcome["why"]) == ("lost", "lost")
    assert (folder / "claim.json").exists()
    resolve_unknown(folder, retry=True)  # a change of mind
    assert OrderFolder(folder).state is State.PLANNED


@pytest.mark.parametrize("retry", [True, False])
def test_only_what_is_unknown_can_be_resolved(tmp_path: Path, retry: bool):
    folder = at(placed(tmp_path))
    with pytest.raises(UsageError, match="it is planned"):
        resolve_unknown(folder, retry=retry)
    claims.claim(folder / "claim.json")
    with pytest.raises(UsageError, match="it is claimed"):
        resolve_unknown(folder, retry=retry)
    (folder / "answer.raw").write_bytes(b"{}")
    with pytest.raises(UsageError, match="it is answered"):
        resolve_unknown(folder, retry=retry)


# Going on as another order.


def test_an_order_goes_on_beside_the_old_one_with_every_photo_and_the_cutout(tmp_path: Path):
    old = placed(tmp_path, source="a.png")
    other_way = place(Size(480, 320), Size(48, 32))
    sibling = replace(
        order(source="b.png"), request=replace(old.request, canvas=replace(old.canvas, placement=other_way))
    )
    store.write_order(sibling, tmp_path)
    back = store.load_order(at(old))
    new = continue_as(back, replace(back, request=replace(back.request, seed=99), folder=None))
    assert at(new).parent == tmp_path
    assert at(new) != at(old)
    assert (at(new) / "cutout.png").read_bytes() == (at(old) / "cutout.png").read_bytes()
    assert (at(new) / "canvas.png").read_bytes() == (at(old) / "canvas.png").read_bytes()
    ways = {each.source: store.load_order(at(new), origin=each).placement for each in OrderFolder(at(new)).photos()}
    assert ways == {"a.png": old.placement, "b.png": other_way}
    assert OrderFolder(at(old)).successor == at(new)
    assert OrderFolder(at(new)).successor == at(new)


def test_an_order_that_was_paid_itself_is_not_followed(tmp_path: Path):
    old = placed(tmp_path)
    continue_as(old, replace(old, request=replace(old.request, seed=99), folder=None))
    claims.claim(at(old) / "claim.json")
    assert OrderFolder(at(old)).successor == at(old)


@pytest.mark.parametrize("facts", [{"as": "../../elsewhere"}, {"as": "nothing"}, {}, {"as": 7}])
def test_a_pointer_to_nowhere_is_not_followed(tmp_path: Path, facts: dict[str, object]):
    folder = at(placed(tmp_path / "orders"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "order.json").write_text("{}")
    (folder / "continued.json").write_text(json.dumps(facts))
    assert OrderFolder(folder).successor == folder


def test_orders_below_an_output_folder(tmp_path: Path):
    first, second = placed(tmp_path / "orders", seed=1), placed(tmp_path / "orders", seed=2)
    (tmp_path / "orders" / ".half-written.part").mkdir()
    (tmp_path / "orders" / "notes.txt").write_text("x")
    both = sorted([at(first), at(second)])
    assert find_orders(tmp_path) == both
    assert find_orders(tmp_path / "orders") == both
    assert find_orders(at(first)) == [at(first)]
    assert find_orders(tmp_path / "nowhere") == []


def test_the_sandbox_s_orders_are_marked(tmp_path: Path):
    made = placed(tmp_path, endpoint=store.SANDBOX)
    assert made.sandbox
    assert json.loads((at(made) / "order.json").read_text())["sandbox"] is True
    assert not order().sandbox


def test_an_origin_holds_no_pixels():
    assert "image" not in repr(Origin("a", "b", "PNG"))
    assert io.BytesIO(order().canvas.png).read(4) == b"\x89PNG"
