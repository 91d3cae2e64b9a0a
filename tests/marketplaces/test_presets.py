"""The catalogue of marketplaces, and the verb that shows it."""

from pathlib import Path

import pytest

from photio_prep.errors import UsageError
from photio_prep.geometry import Size
from photio_prep.intake.own_files import is_final_name
from photio_prep.marketplaces import check, presets
from photio_prep.marketplaces.presets import Preset
from tests.support import photos
from tests.support.commands import Command

PRESET_NAMES = tuple(each.name for each in presets.all_presets())
ASKED_FOR = {"amazon-main", "amazon-secondary", "ebay", "google", "shopify", "walmart", "etsy", "instagram"}


def test_the_marketplaces_that_were_asked_for_are_there():
    assert {each.name for each in presets.all_presets()} >= ASKED_FOR | {"instagram-portrait"}
    assert list(PRESET_NAMES) == sorted(PRESET_NAMES)


@pytest.mark.parametrize("preset", presets.all_presets(), ids=lambda each: each.name)
def test_each_rule_has_a_source_with_a_date_and_is_one_that_is_checked(preset: Preset):
    assert {"format", "weight"} <= {each.name for each in preset.rules}
    for rule in preset.rules:
        assert rule.source.title
        assert rule.source.how in ("own page", "quoted", "ours")
        assert rule.source.read.year >= 2026
        assert rule.source.url.startswith("https://")
        known = {"format": rule.any, "background": rule.any == ("white",), "generated": rule.any}
        numbers = [each for each in (rule.least, rule.most, rule.good) if each is not None]
        assert known.get(rule.name) or (numbers and rule.name in check._WORDS), rule
        assert numbers == sorted(numbers) or rule.good is not None


@pytest.mark.parametrize("preset", presets.all_presets(), ids=lambda each: each.name)
def test_what_is_made_where_the_photo_has_the_pixels_keeps_the_rules_on_sizes(preset: Preset):
    size = preset.size
    assert preset.least(size) <= 1
    ratio = preset.rule("ratio")
    if ratio and ratio.least and ratio.most:
        assert ratio.least <= size.width / size.height <= ratio.most
    longest = preset.rule("longest")
    if longest:
        assert max(size) <= (longest.most or 10**6)
        assert max(size) >= (longest.good or 0)
    assert preset.white == (preset.rule("background") is not None) == (preset.aim > 0)
    fill = preset.rule("fill")
    if preset.white and fill:
        assert preset.aim > (fill.least or 0)


def test_main_pictures_on_white_are_packshots_and_amazon_allows_no_generated_scene():
    assert {each.name for each in presets.all_presets() if each.white} == {"amazon-main", "tiktok-shop", "walmart"}
    rule = presets.find_preset("amazon-main").rule("generated")
    assert rule is not None
    assert rule.any == ("forbidden",)


def test_names():
    assert [each.name for each in presets.find_presets(["ebay", "etsy", "ebay"])] == ["ebay", "etsy"]
    with pytest.raises(UsageError, match=r"no preset 'nope'.*amazon-main"):
        presets.find_preset("nope")
    assert presets.find_presets(["eBay", "ebay", "Amazon-Main"]) == presets.find_presets(["ebay", "amazon-main"])
    with pytest.raises(UsageError, match=r"there is no preset 'etsi'\. Did you mean etsy"):
        presets.find_preset("etsi")


def test_how_far_a_picture_must_be_enlarged():
    walmart, instagram = presets.find_preset("walmart"), presets.find_preset("instagram")
    assert walmart.least(Size(750, 1500)) == 2
    assert instagram.least(Size(160, 900)) == 2  # its width counts
    assert presets.find_preset("pinterest").least(Size(10, 10)) == 0


def test_the_verb_lists_shows_and_refuses(command: Command):
    listed = command("presets", "list")
    assert (listed.code, command("presets").out) == (0, listed.out)
    assert [line.split()[0] for line in listed.lines] == list(PRESET_NAMES)
    assert [each["preset"] for each in command("presets", "--json").facts] == list(PRESET_NAMES)
    shown = command("presets", "show", "amazon-main")
    assert (shown.code, command("presets", "amazon-main").out) == (0, shown.out)
    for told in ("at least 85%", "at most 10,000,000 bytes", "G1881", "2026-11-22", "quoted"):
        assert told in shown.out
    (facts,) = command("presets", "walmart", "--json").facts
    assert {"rule": "weight", "most": 5_000_000, "how": "own page"}.items() <= facts["rules"][1].items()
    refused = command("presets", "show", "nope")
    assert refused.code == 2
    assert "no preset 'nope'" in refused.err


def test_the_verb_checks_any_file(command: Command):
    photos.saved(Path("dark.jpg"), photos.photo((1200, 1200)))
    said = command("presets", "check", "dark.jpg", "--preset", "ebay", "--preset", "amazon-main")
    assert said.code == 3
    assert [line.split()[:2] for line in said.lines] == [["ok", "ebay"], ["NO", "amazon-main"]]
    assert "its background is not white paper" in said.err
    good = command("presets", "check", "dark.jpg", "--preset", "ebay", "--json")
    assert good.code == 0
    assert good.facts[0]["ok"]
    assert good.facts[0]["size"] == [1200, 1200]
    assert command("presets", "check", "missing.jpg", "--preset", "ebay").code == 2
    assert command("presets", "check", "dark.jpg").code == 2


def test_the_intake_knows_the_names_of_our_own_outputs():
    assert all(is_final_name(f"shoe-photio-{name}") for name in PRESET_NAMES)
    assert not is_final_name("shoe-photio-blue")
