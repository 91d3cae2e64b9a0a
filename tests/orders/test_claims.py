"""Who is paying: claims made by real processes that live, die, or belong to another machine."""

import json
import os
import platform
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from photio_prep.errors import StorageFailed
from photio_prep.orders import claims
from photio_prep.system import processes
from tests.support.sampling import sampled

CLAIMING = (
    "import sys; from pathlib import Path; from photio_prep.orders import claims; claims.claim(Path(sys.argv[1]))"
)


def test_a_claim_says_who_and_when(tmp_path: Path):
    mine = claims.claim(tmp_path / "claim.json")
    assert mine is not None
    assert (mine.host, mine.pid, mine.boot) == (platform.node(), os.getpid(), processes.boot_id())
    assert mine.started == processes.start_time(os.getpid())
    assert mine.time.endswith("+00:00")
    assert claims.read_claim(tmp_path / "claim.json") == mine
    assert claims.claim_owner(mine) == "ours"


def test_only_the_first_of_many_claims_holds(tmp_path: Path):
    start = threading.Barrier(16)
    won: list[claims.Claim | None] = []

    def contend() -> None:
        start.wait()
        won.append(claims.claim(tmp_path / "claim.json"))

    threads = [threading.Thread(target=contend) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(each is not None for each in won) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["claim.json"]  # nothing half-written is left


def test_only_one_of_several_processes_claims(tmp_path: Path):
    told = CLAIMING.replace("claims.claim(", "print(claims.claim(").replace("[1]))", "[1])) is not None)")
    racers = [
        subprocess.Popen([sys.executable, "-c", told, str(tmp_path / "claim.json")], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    assert sorted(each.communicate()[0] for each in racers) == [b"False\n", b"False\n", b"True\n"]


def test_a_claim_whose_maker_died_is_dead(tmp_path: Path):
    subprocess.run([sys.executable, "-c", CLAIMING, tmp_path / "claim.json"], check=True)
    found = claims.read_claim(tmp_path / "claim.json")
    assert found is not None
    assert found.pid != os.getpid()
    assert claims.claim_owner(found) == "dead"


def test_a_claim_whose_maker_lives_is_alive(tmp_path: Path):
    waiting = CLAIMING + "; print('claimed', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", waiting, tmp_path / "claim.json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"claimed\n"
        found = claims.read_claim(tmp_path / "claim.json")
        assert found is not None
        assert claims.claim_owner(found) == "alive"
        assert claims.claim(tmp_path / "claim.json") is None
        other.communicate(b"\n")
    assert claims.claim_owner(found) == "dead"


@pytest.mark.parametrize(
    ("change", "holder"),
    [
        ({}, "ours"),
        ({"host": "some-other-machine"}, "elsewhere"),
        ({"host": "some-other-machine", "boot": "x", "pid": 1}, "elsewhere"),
        ({"started": "1"}, "dead"),  # our number, but another process: the number was used again
        ({"boot": "another boot"}, "dead"),
        ({"pid": 2**31 - 1}, "dead"),
        ({"pid": 1, "started": "never"}, "dead"),
    ],
)
def test_who_holds_a_claim(tmp_path: Path, change: dict[str, str | int], holder: str):
    mine = claims.claim(tmp_path / "claim.json")
    assert mine is not None
    changed = replace(mine, **change)  # type: ignore[arg-type]
    (tmp_path / "claim.json").write_text(json.dumps(asdict(changed)))
    found = claims.read_claim(tmp_path / "claim.json")
    assert found == changed
    assert claims.claim_owner(found) == holder


@sampled("raw", [b"", b"{", b"[]", b"null", b'{"pid": 1}', b"\xff", b'{"host": "h", "extra": 1}'], 2)
def test_a_claim_that_a_crash_left_half_is_that_of_a_dead_process(tmp_path: Path, raw: bytes):
    (tmp_path / "claim.json").write_bytes(raw)
    found = claims.read_claim(tmp_path / "claim.json")
    assert found is not None  # never taken for no claim: somebody may have paid
    assert claims.claim_owner(found) == "dead"
    assert claims.claim(tmp_path / "claim.json") is None


def test_no_claim_is_none(tmp_path: Path):
    assert claims.read_claim(tmp_path / "claim.json") is None


def test_a_claim_that_cannot_be_read_stops_everything(tmp_path: Path):
    (tmp_path / "claim.json").mkdir()
    with pytest.raises(StorageFailed, match="cannot be read"):
        claims.read_claim(tmp_path / "claim.json")


def test_a_claim_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailed, match="cannot be written"):
        claims.claim(tmp_path / "file" / "claim.json")
