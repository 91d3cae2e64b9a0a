"""The bench of finals: its ideal is exact, its changes are the planted ones, and no drift is none."""

from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from bench import answers, finals
from bench.redraw import PlantedChanges
from photio_prep.final.crop import crop


def test_a_drift_changes_only_what_it_plants():
    merged = asdict(finals.merge_changes(answers.HARSHNESS["typical"], answers.DRIFTS["grown right"][1], 5))
    base = asdict(answers.HARSHNESS["typical"])
    assert {name for name in base if merged[name] != base[name]} == {"grow", "grow_side", "seed"}
    assert all(len({str(change) for change in amounts}) == 3 for amounts in answers.DRIFTS.values())


def test_a_mixture_is_the_same_for_the_same_seed_and_grows_with_the_strength():
    planted = [answers.plant_redraw(name, np.random.default_rng(1)) for name in ("typical", "typical", "strong")]
    assert planted[0] == planted[1]
    assert abs(planted[2].move[0]) > abs(planted[0].move[0])


@pytest.mark.soak
def test_a_paste_over_the_ideal_scene_is_nearly_the_ideal():
    subject = answers._fixture("vase")
    redrawn = subject.answer("plain", PlantedChanges(grow=4))
    ideal, placement = subject.ideal(redrawn.scene), subject.order.placement
    frame = crop(redrawn.scene, placement, placement.source).convert("RGB")
    assert answers.composite(subject.truth, frame).tobytes() == ideal.tobytes()
    pasted = finals.pastes(subject, frame)
    errors = {name: np.abs(np.asarray(picture, float) - np.asarray(ideal)).mean() for name, picture in pasted.items()}
    assert errors["naive"] < errors["feather"] < 1


@pytest.mark.soak
def test_growth_leaves_a_ghost_around_every_paste():
    subject = answers._fixture("vase")
    row, pictures = finals.measure_final(subject, "plain", "grown", "strong", PlantedChanges(grow=5, seed=2))
    kind, _ = finals.measure_final(subject, "plain", "unchanged", "mild", PlantedChanges(seed=2))
    assert all(isinstance(picture, Image.Image) for picture in pictures)
    assert row.rim["naive"] > 2 * kind.rim["naive"]
    assert row.score > 1 >= kind.score
