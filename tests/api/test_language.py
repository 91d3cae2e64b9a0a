"""Scenes in other languages are warned about; English ones with foreign names are not."""

from pathlib import Path

import pytest

from photio_prep.api.language import guess_language
from photio_prep.api.request import description_warnings

HERE = Path(__file__).parent
ENGLISH = [line for line in (HERE / "scenes_english.txt").read_text("utf-8").splitlines() if not line.startswith("#")]


def foreign(name: str) -> list[tuple[str, str]]:
    lines = (HERE / name).read_text("utf-8").splitlines()
    return [(line.partition("\t")[0], line.partition("\t")[2]) for line in lines if not line.startswith("#")]


def test_two_hundred_english_scenes_with_foreign_names_are_not_warned_about() -> None:
    assert len(ENGLISH) >= 200
    assert [scene for scene in ENGLISH if guess_language(scene) is not None] == []


def test_scenes_of_eight_languages_are_named() -> None:
    named = {"German", "French", "Spanish", "Italian", "Polish", "Dutch", "Turkish", "Portuguese"}
    scenes = [(language, scene) for language, scene in foreign("scenes_foreign.txt") if language in named]
    assert len(scenes) == 80
    assert [(language, scene) for language, scene in scenes if guess_language(scene) != language] == []


@pytest.mark.parametrize(
    ("name", "share"),
    [("scenes_foreign.txt", 0.95), ("scenes_foreign_held_out.txt", 0.9), ("scenes_foreign_last.txt", 0.8)],
)
def test_most_foreign_scenes_are_warned_about(name: str, share: float) -> None:
    scenes = foreign(name)
    assert sum(guess_language(scene) is not None for _, scene in scenes) >= share * len(scenes)


def test_the_warning_names_the_language() -> None:
    (warning,) = description_warnings("auf einem Marmortisch")
    assert warning == "the description does not look like English (German?); the API expects English"
