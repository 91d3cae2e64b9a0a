"""The files of a run: whose final is whose, before anything is paid for."""

from pathlib import Path

import pytest

from photio_prep.batch.finals import RunFiles
from photio_prep.errors import OutputExists
from photio_prep.final.options import FinishOptions, OutputOptions
from photio_prep.orders.preflight import Preflight
from photio_prep.pipeline import prepare
from photio_prep.quality import Level
from tests.support.photos import SCENE, photo, saved


def test_two_photos_of_one_batch_never_share_a_final_and_one_may_come_again(tmp_path: Path) -> None:
    files, preflight = RunFiles(FinishOptions(), OutputOptions(tmp_path / "out")), Preflight(Level.OFF)
    path = saved(tmp_path / "a.png", photo(cut_out=True))
    first = prepare(path, description=SCENE, orders=tmp_path / "orders", output="a")
    files.check(first, preflight)
    files.check(first, preflight)  # prepared again by a worker that was lost
    saved(path, photo(shade=150, cut_out=True))
    changed = prepare(path, description=SCENE, orders=tmp_path / "orders", output="a")
    with pytest.raises(OutputExists, match=r"is that of .*a\.png too"):
        files.check(changed, preflight)
    files.start_batch()
    files.check(changed, preflight)
