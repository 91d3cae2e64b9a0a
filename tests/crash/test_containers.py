"""Two PID namespaces, and a new host name per run, over one folder: real processes, charges counted by a server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photio_prep.orders import claims
from photio_prep.orders.claims import Claim
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.state import State
from tests.support import batches
from tests.support.commands import KEY, Said
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok

if TYPE_CHECKING:
    from tests.support.hostile_exchange import Behaviour, Exchange


def _unshared(*flags: str) -> list[str]:
    return ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *flags]


def _may_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_unshared("--uts"), "true"], capture_output=True, check=False).returncode == 0


# In CI, where it is permitted, a namespace that cannot be had is a failure.
pytestmark = pytest.mark.skipif(
    not os.environ.get("CI") and not _may_unshare(), reason="a PID namespace of its own is not permitted here"
)


class Gate:
    """A server's answer that waits until it is let go, and knows how many requests have come whole."""

    def __init__(self) -> None:
        self.arrived, self.open = threading.Event(), threading.Event()

    def __call__(self, n: int, exchange: Exchange) -> Behaviour:
        _ = exchange.request
        self.arrived.set()
        assert self.open.wait(60)
        return ok()


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home").mkdir()
    batches.surroundings(monkeypatch, tmp_path / "home")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return tmp_path / "out"


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def contained(*arguments: object, host: str = "") -> subprocess.Popen[str]:
    """The command in a container: PID namespace, /proc and, with `host`, a host name of its own."""
    naming = ["sh", "-c", f'hostname {host} && exec "$@"', "sh"] if host else []
    command = [*_unshared("--uts"), *naming, sys.executable, "-m", "photio_prep", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> Said:
    out, err = process.communicate(timeout=120)
    return Said(process.returncode, out, err)


def generate(out: Path, url: str, host: str = "") -> subprocess.Popen[str]:
    return contained("generate", out, "--api-url", url, "--yes", host=host)


def test_a_payer_in_another_container_of_the_same_host_name_is_never_called_dead(out: Path, gate: Gate):
    with HostileServer(gate) as server:
        (folder,) = batches.planned(out, server.url, 1)
        first = generate(out, server.url)
        assert gate.arrived.wait(60)
        second = ended(generate(out, server.url))
        assert second.code == 8, second
        assert "--as retry" in second.err  # the way out, where that container has ended
        assert ended(contained("status", out)).lines[0].startswith("claimed")
        gate.open.set()
        assert ended(first).code == 0
        third = ended(generate(out, server.url))
        assert third.code == 0, third
        told = ended(contained("status", out))
        assert "Paid calls: 1, perhaps billed: 0" in told.err
        assert server.charges == 1
    assert OrderFolder(folder).state is State.ANSWERED


@pytest.mark.soak
def test_the_answer_of_a_payer_that_was_given_up_is_used_and_nothing_is_paid_again(out: Path, gate: Gate):
    """The user's word was wrong: the payer lived. Its answer comes before the second call, which then is not made."""
    with HostileServer(gate) as server:
        (folder,) = batches.planned(out, server.url, 1)
        first = generate(out, server.url)
        assert gate.arrived.wait(60)
        assert ended(contained("resolve", folder, "--as", "retry")).code == 0
        assert OrderFolder(folder).state is State.PLANNED
        gate.open.set()
        assert ended(first).code == 0
        assert OrderFolder(folder).state is State.ANSWERED
        again = ended(generate(out, server.url))
        assert again.code == 0, again
        assert server.charges == 1
    assert OrderFolder(folder).lost_attempts == 0


@pytest.mark.soak
def test_both_answers_are_kept_and_both_calls_counted_where_the_user_paid_again_meanwhile(out: Path, gate: Gate):
    other = Gate()
    with HostileServer(lambda n, exchange: (gate if n == 1 else other)(n, exchange)) as server:
        (folder,) = batches.planned(out, server.url, 1)
        first = generate(out, server.url)
        assert gate.arrived.wait(60)
        assert ended(contained("resolve", folder, "--as", "retry")).code == 0
        second = generate(out, server.url)
        assert other.arrived.wait(60)
        gate.open.set()
        assert ended(first).code == 0
        assert (folder / "attempt-1" / "answer.raw").exists()
        assert not (folder / "answer.raw").exists()  # that is the second one's
        other.open.set()
        assert ended(second).code == 0
        told = ended(contained("status", out))
        assert "Paid calls: 2, perhaps billed: 0" in told.err, told.err
        assert server.charges == 2


@pytest.mark.soak
def test_a_call_killed_in_a_container_is_resolved_from_one_with_another_host_name_and_stays_counted(
    out: Path, gate: Gate
):
    with HostileServer(gate) as server:
        (folder,) = batches.planned(out, server.url, 1)
        first = generate(out, server.url, host="run-1")
        assert gate.arrived.wait(60)
        first.kill()
        ended(first)
        second = ended(generate(out, server.url, host="run-2"))
        assert second.code == 8, second
        command = f"photio-prep resolve {folder} --as retry"
        assert command in second.err
        assert ended(contained(*command.split()[1:], host="run-3")).code == 0
        gate.open.set()
        third = ended(generate(out, server.url, host="run-4"))
        assert third.code == 0, third
        told = ended(contained("status", out, host="run-5"))
        assert "Paid calls: 1, perhaps billed: 1" in told.err, told.err
        server.settle()
        assert server.charges == 2  # the second one by the user's word


def test_a_call_of_another_machine_can_be_given_up_and_stays_counted(out: Path):
    with HostileServer(ok()) as server:
        (folder,) = batches.planned(out, server.url, 1)
        claim = {"host": "gone", "boot": "x", "pid": 7, "started": "1", "time": "2026-01-01"}  # as of version 0.1
        (folder / "claim.json").write_text(json.dumps(claim))
        assert ended(contained("resolve", folder, "--as", "lost")).code == 0
        assert ended(generate(out, server.url)).code in (3, 4)
        assert server.charges == 0
        assert "perhaps billed: 1" in ended(contained("status", out)).err


def test_a_process_that_lives_here_is_not_given_up(out: Path, gate: Gate):
    with HostileServer(gate) as server:
        (folder,) = batches.planned(out, server.url, 1)
        command = [sys.executable, "-m", "photio_prep", "generate", str(out), "--api-url", server.url, "--yes"]
        first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert gate.arrived.wait(60)
        resolving = [sys.executable, "-m", "photio_prep", "resolve", str(folder), "--as", "retry"]
        refused = subprocess.run(resolving, capture_output=True, text=True, check=False)
        assert refused.returncode == 2
        assert f"process {first.pid} of this machine" in refused.stderr
        gate.open.set()
        assert ended(first).code == 0
        assert server.charges == 1


def test_temporary_files_of_a_process_in_another_container_are_left_alone(tmp_path: Path):
    making = (
        "import sys; from pathlib import Path; from photio_prep.system import files;"
        "files.temporary_path(Path(sys.argv[1]) / 'x').write_bytes(b'half'); print(flush=True); input()"
    )
    sweeping = (
        "import sys, pathlib; from photio_prep.system import files; files.remove_stale(pathlib.Path(sys.argv[1]))"
    )
    start = [*_unshared(), sys.executable, "-c"]
    with subprocess.Popen([*start, making, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        maker.stdout.readline()
        subprocess.run([*start, sweeping, tmp_path], check=True)
        assert len(list(tmp_path.iterdir())) == 1
        maker.communicate(b"\n")


def test_where_proc_shows_another_namespace_nothing_is_called_dead(tmp_path: Path):
    """A container whose /proc is that of the machine around it (no --mount-proc) sees foreign numbers."""
    claiming = (
        "import sys; from pathlib import Path; from photio_prep.orders import claims; claims.claim(Path(sys.argv[1]))"
    )
    asking = (
        "import sys; from pathlib import Path; from photio_prep.orders import claims;"
        "claim = claims.read_claim(Path(sys.argv[1])); print(claims.claim_owner(claim))"
    )
    path = tmp_path / "claim.json"
    script = f'"{sys.executable}" -c "{claiming}" {path} & wait; "{sys.executable}" -c "{asking}" {path}'
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "sh", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "elsewhere"


def test_a_claim_says_its_namespace(tmp_path: Path):
    claim = claims.claim(tmp_path / "claim.json")
    assert isinstance(claim, Claim)
    assert claim.namespace == str(Path("/proc/self/ns/pid").readlink())
    assert claim.id


def test_key_reaches_no_file(out: Path):
    with HostileServer(ok()) as server:
        batches.planned(out, server.url, 1)
        assert ended(generate(out, server.url, host="h")).code == 0
    assert all(KEY.encode() not in path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert len(find_orders(out)) == 1
