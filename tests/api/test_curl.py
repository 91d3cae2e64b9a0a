"""--print-curl: the printed pipeline, run for real by a shell, sends what `generate` sends."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from photio_prep import prepare
from photio_prep.api.wire import encode_request, format_curl
from photio_prep.errors import UsageError
from photio_prep.orders import claims, store
from photio_prep.orders.folder import OrderFolder
from tests.support import photos
from tests.support.commands import KEY, Command, bare_surroundings, forget, here
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.hostile_exchange import Behaviour, Exchange
from tests.support.sampling import sampled

SHELLS = [each for each in ("sh", "bash", "dash", "zsh") if shutil.which(each)]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Command]:
    bare_surroundings(monkeypatch, tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    yield here(capsys, monkeypatch)
    forget()


def command_lines() -> Iterator[bytes]:
    """What `ps` shows of every process of this machine."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield each.read_bytes()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc here")
@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
@pytest.mark.parametrize("shell", SHELLS)
def test_the_printed_pipeline_sends_what_generate_sends(command: Command, monkeypatch: pytest.MonkeyPatch, shell: str):
    scene = 'on a baker\'s "old" table, 100 % linen, $HOME `id` \\n %s, märchenhaft 木'
    photos.saved(Path("it's a shoe.png"))
    lines: list[bytes] = []
    answer = ok()

    def act(exchange: Exchange) -> None:
        lines.extend(command_lines())  # everybody on the way is still alive: the answer is awaited
        answer.act(exchange)

    with HostileServer(Behaviour("looks at ps", act)) as server:
        made = command(
            "prepare",
            "it's a shoe.png",
            "-d",
            scene,
            "--negative-prompt",
            "a 'b' \"c\"",
            "--api-url",
            server.url,
            "-o",
            "o ut'put",
        )
        printed = command("generate", made.paths[0], "--print-curl", "--api-url", server.url)
        assert (printed.code, len(printed.lines)) == (0, 1)
        assert server.connections == 0
        assert OrderFolder(made.paths[0]).state == "planned"
        done = subprocess.run(
            [shell, "-c", printed.lines[0]],
            env={"PATH": os.environ["PATH"], "PHOTIO_API_KEY": KEY},
            capture_output=True,
            check=True,
        )
        assert any(line.startswith(b"curl\0") for line in lines)
        assert not [line for line in lines if KEY.encode() in line]
        monkeypatch.setenv("PHOTIO_API_KEY", KEY)
        assert command("generate", made.paths[0], "--api-url", server.url).code == 0
        by_hand, by_us = server.requests
    assert by_hand.body == by_us.body
    assert (by_hand.method, by_hand.target) == (by_us.method, by_us.target)
    for name in ("X-Photio-Key", "Content-Type", "Content-Length"):
        assert by_hand.header(name) == by_us.header(name)
    assert done.stdout.startswith(b'{"status_code": 200')


def test_the_key_is_never_printed(command: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    order = command("prepare", photos.saved(Path("a.png")), "-d", photos.SCENE).paths[0]
    printed = command("generate", order, "--print-curl")
    assert KEY not in printed.out + printed.err
    assert '"$PHOTIO_API_KEY"' in printed.out
    assert "https://api.photio.io/v1/inference/instant" in printed.out


def test_no_key_is_needed_to_print(command: Command):
    order = command("prepare", photos.saved(Path("a.png")), "-d", photos.SCENE).paths[0]
    assert command("generate", order, "--print-curl").code == 0


def test_without_a_scene_there_is_nothing_to_print(command: Command, tmp_path: Path):
    order = command("prepare", photos.saved(Path("a.png"))).paths[0]
    assert command("generate", order, "--print-curl").code == 2
    with pytest.raises(UsageError, match="description"):
        format_curl(photos.order(description="").request, "https://api.example/x", tmp_path / "canvas.png")


def test_printing_writes_nothing_and_prints_an_order_once(command: Command):
    order = command("prepare", photos.saved(Path("a.png"))).paths[0]
    before = sorted(Path("photio-out").rglob("*"))
    printed = command("generate", order, order, "--print-curl", "-d", photos.SCENE)
    assert (printed.code, len(printed.lines)) == (0, 1)
    assert sorted(Path("photio-out").rglob("*")) == before
    assert command("generate", order, "--print-curl", "--sandbox", "-d", photos.SCENE).code == 2


def ended(folder: Path, how: str) -> None:
    """What lies in the folder of an order that got further."""
    if how == "answered":
        (folder / "answer.raw").write_bytes(b"paid")
    elif how == "claimed":
        assert claims.claim(folder / "claim.json")
    else:
        facts = {"state": "paid_unusable" if how == "paid unusable" else "unknown", "why": "it hung up"}
        lost = {"resolved": "lost"} if how == "given up" else {}
        (folder / "outcome.json").write_text(json.dumps({**facts, **lost}))


def written(out: Path) -> dict[Path, bytes]:
    return {each: each.read_bytes() for each in out.rglob("*") if each.is_file()}


@pytest.mark.parametrize("how", ["answered", "claimed", "unknown", "given up", "paid unusable"])
@sampled("again", [(), ("-d", photos.SCENE)], 1)
def test_what_may_be_paid_for_already_is_left_out_and_named(command: Command, how: str, again: tuple[str, ...]):
    """Its command, pasted, would pay a second time; also where the order is reached from another one by its words."""
    saved = photos.saved(Path("a.png"))
    done = command("prepare", saved, "-d", photos.SCENE).paths[0]
    other = command("prepare", photos.saved(Path("b.png"), photos.cutout((70, 90))), "-d", photos.SCENE).paths[0]
    if again:
        first = command("prepare", saved).paths[0]
        named = [first, other]
    else:
        named = [done, other]
    ended(done, how)
    before = written(Path("photio-out"))
    printed = command("generate", *named, "--print-curl", *again)
    assert (printed.code, len(printed.lines)) == (0, 1)
    assert other.name in printed.out
    assert f"left out: {done}: it is {how}" in printed.err
    assert written(Path("photio-out")) == before


def test_what_generate_refuses_is_not_printed_either(command: Command, monkeypatch: pytest.MonkeyPatch):
    small = command("prepare", photos.saved(Path("a.png")), "-d", photos.SCENE).paths[0]
    stopped = command("generate", small, "--print-curl", "--gate", "warn")
    assert (stopped.code, stopped.out) == (3, "")
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    with HostileServer(ok()) as server:
        for size in ((90, 70), (90, 71)):  # as if the same photo came out as other bytes in an older version
            order = prepare(photos.encoded(photos.cutout(size)), description=photos.SCENE, endpoint=server.url)
            origin = replace(order.origin, source="c.png", digest="0" * 64, options="")
            folder = store.write_order(replace(order, origin=origin), Path("two/orders")).folder
            assert folder
            if size == (90, 70):
                assert command("generate", folder, "--api-url", server.url).code == 0
        before = command("generate", folder, "--print-curl", "--api-url", server.url)
        assert (before.code, before.out) == (3, "")
        assert "already paid for" in before.err
        assert len(command("generate", folder, "--print-curl", "--again", "--api-url", server.url).lines) == 1
        assert server.charges == 1


def test_a_picture_by_its_url_is_sent_as_generate_sends_it(tmp_path: Path):
    order = photos.order(image_url="https://shop.example/it's.png")
    printed = format_curl(order.request, "https://api.example/x", tmp_path / "canvas.png").partition(" | {")[0]
    done = subprocess.run(["sh", "-c", printed], capture_output=True, check=True)
    assert done.stdout == encode_request(order.request)
