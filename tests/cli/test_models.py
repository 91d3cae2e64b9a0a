"""Which models the command line uses: licences that have to be accepted by name, and second opinions."""

import re
from pathlib import Path

import pytest
from PIL import Image

from photio_prep import settings
from tests.support.commands import Command, forget
from tests.support.photos import saved

MUG = Path(__file__).parents[2] / "fixtures" / "photos" / "mug.jpg"


@pytest.mark.parametrize(
    "verb", [("models", "pull", "bria-rmbg", "--offline"), ("prepare", "a.png", "--model", "bria-rmbg")]
)
def test_a_licence_that_forbids_commercial_use_is_accepted_by_its_name(
    verb: tuple[str, ...], command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path / "m"))
    saved(Path("a.png"), Image.new("RGB", (90, 70)))
    for words in ((), ("--accept-licence", "u2netp")):
        refused = command(*verb, *words)
        assert (refused.code, refused.out) == (2, "")
        assert "--accept-licence bria-rmbg" in refused.err
    accepted = command(*verb, "--accept-licence", "bria-rmbg")
    assert (accepted.code, accepted.out) == (11, "")  # only not there
    assert "--accept-licence" not in accepted.err


@pytest.mark.model
def test_a_second_opinion_needs_a_second_model(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = settings.models_folder() / "u2netp.onnx"
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path / "m"))
    forget()
    said = command("prepare", MUG, "--second-opinion")
    assert (said.code, said.out) == (11, "")
    assert "models pull" in said.err
    assert command("prepare", MUG).code == 0


@pytest.mark.soak
@pytest.mark.isnet
def test_a_second_opinion_is_a_figure_of_the_order(command: Command) -> None:
    said = command("prepare", MUG, "--model", "u2netp", "--second-opinion")
    assert said.code == 0
    found = re.search(r'"agreement": ([0-9.]+)', next(said.paths[0].glob("gate-*.json")).read_text())
    assert found
    assert float(found[1]) > 0.95
