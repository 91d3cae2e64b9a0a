"""Limits hold at their value and not one above; what photio.toml says of them is checked like anything else."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from photio_prep import settings
from photio_prep.errors import UsageError
from photio_prep.imaging.limits import DEFAULT_LIMITS, RANGES, Limits
from tests.support import commands
from tests.support.photos import saved


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Writes photio.toml where the settings look for it."""
    path = tmp_path / "photio.toml"
    monkeypatch.setattr(settings, "config_file", lambda: path)

    def write(text: str) -> None:
        path.write_text(text)
        settings._file.cache_clear()

    write("")
    yield write
    settings._file.cache_clear()


def limits_of(name: str, value: Any) -> Limits:
    return Limits(**{name: value})


def test_without_a_word_the_limits_are_the_usual_ones(written: Any) -> None:
    assert settings.limits() == DEFAULT_LIMITS == Limits()
    written("[limits]\n")
    assert settings.limits() == DEFAULT_LIMITS


@pytest.mark.parametrize("name", RANGES)
def test_each_limit_is_read_at_both_ends_of_its_range_and_not_beyond(written: Any, name: str) -> None:
    low, high = RANGES[name][:2]
    step = 0.05 if name == "seconds" else 1
    for value in (low, high):
        written(f"[limits]\n{name} = {value}")
        assert getattr(settings.limits(), name) == value
        assert getattr(limits_of(name, value), name) == value
    for wrong in (low - step, high + step):
        written(f"[limits]\n{name} = {wrong}")
        with pytest.raises(UsageError, match=rf"photio\.toml: \[limits\]: {name} = .*Give a (whole )?number from"):
            settings.limits()
        with pytest.raises(UsageError, match=name):
            limits_of(name, wrong)


@pytest.mark.parametrize("text", ["pixels = nan", "pixels = inf", "pixels = 1.5", "pixels = true", 'pixels = "50"'])
def test_i71_what_is_no_number_is_refused_with_the_range(written: Any, text: str) -> None:
    written(f"[limits]\n{text}")
    with pytest.raises(UsageError, match=r"pixels = .*Give a whole number from 1 to 178,000,000"):
        settings.limits()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[limits]\npixel = 5", "unknown setting 'pixel'.*Known: file_bytes, pixels"),
        ('[limits]\nisolate = "never"', "Choose one of: odd, all, none"),
        ("limits = 5", r"Give a table: \[limits\]"),
    ],
)
def test_i71_what_cannot_be_meant(written: Any, text: str, says: str) -> None:
    written(text)
    with pytest.raises(UsageError, match=says):
        settings.limits()


def test_every_limit_has_a_range() -> None:
    assert {each.name for each in fields(Limits)} == {*RANGES, "isolate"}
    assert all(low < high < math.inf for low, high, *_ in RANGES.values())
    for name, (low, high, *_) in RANGES.items():
        assert low <= getattr(DEFAULT_LIMITS, name) <= high


@pytest.mark.soak
def test_the_command_line_obeys_the_limits_of_the_settings(tmp_path: Path) -> None:
    saved(tmp_path / "a.png")
    home = tmp_path / "home" / "photio-prep"
    home.mkdir(parents=True)
    (home / "photio.toml").write_text("[limits]\npixels = 6299\n")
    surroundings: dict[str, Any] = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    done = commands.alone("prepare", tmp_path / "a.png", "-o", tmp_path / "out", **surroundings)
    assert done.code == 3
    assert "the limit is 0" in done.err
    (home / "photio.toml").write_text("[limits]\npixels = 6300\n")
    assert commands.alone("prepare", tmp_path / "a.png", "-o", tmp_path / "out", **surroundings).code == 0
    (home / "photio.toml").write_text("[limits]\npixels = 0\n")
    assert commands.alone("prepare", tmp_path / "a.png", "-o", tmp_path / "out", **surroundings).code == 2
    (home / "photio.toml").write_text("[limits]\nfile_bytes = 10\n")
    done = commands.alone("prepare", tmp_path / "a.png", "-o", tmp_path / "out", **surroundings)
    assert done.code == 3


@pytest.mark.soak
def test_frame_on_the_command_line(tmp_path: Path) -> None:
    from PIL import Image

    frames = [Image.new("RGBA", (64, 48)), Image.new("RGBA", (64, 48))]
    frames[1].paste("red", (10, 10, 50, 40))
    saved(tmp_path / "a.png", frames[0], save_all=True, append_images=frames[1:])
    surroundings: dict[str, Any] = {"XDG_CONFIG_HOME": str(tmp_path)}
    done = commands.alone("prepare", tmp_path / "a.png", "-o", tmp_path / "out", **surroundings)
    assert done.code == 3
    assert "Choose one with --page 0 to --page 1" in done.err
    done = commands.alone("prepare", tmp_path / "a.png", "-o", tmp_path / "out", "--frame", 1, **surroundings)
    assert done.code == 0, done.err
    done = commands.alone("prepare", tmp_path / "a.png", "-o", tmp_path / "out", "--frame", 2, **surroundings)
    assert done.code == 3
    assert "no frame 2" in done.err
    assert commands.alone("prepare", tmp_path / "a.png", "--frame", -1, **surroundings).code == 2
