"""The tree of errors: codes, messages of three parts, and which code speaks for several."""

import itertools
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photio_prep import errors
from photio_prep.errors import NoProduct, OutcomeUnknown, PhotioError, PhotoRefused, worst_exit_code

CODES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 130, 143)


def every(kind: type[PhotioError] = PhotioError) -> list[type[PhotioError]]:
    return [kind, *(below for each in kind.__subclasses__() for below in every(each))]


def test_every_branch_of_the_tree_has_a_code_of_its_own() -> None:
    codes = [each.exit_code for each in PhotioError.__subclasses__() if each.__module__ == errors.__name__]
    assert sorted(codes) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 130]


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = re.findall(r"^ +[│├└─ ]*(\w+) +(\d+)  ", errors.__doc__ or "", re.MULTILINE)
    ours = [each for each in every()[1:] if each.__module__ == errors.__name__]
    assert sorted(drawn) == sorted((each.__name__, str(each.exit_code)) for each in ours)


def test_what_is_below_a_refused_photo_never_was_billed() -> None:
    assert {each.__name__ for each in every(PhotoRefused)} >= {"NoProduct", "OutputExists", "Rejected"}
    assert {each.exit_code for each in every(PhotoRefused)} == {3}


def test_a_message_has_three_parts() -> None:
    error = PhotoRefused("the file is empty", "Copy it again", subject="a.jpg")
    assert str(error) == "a.jpg: the file is empty. Copy it again"
    assert str(PhotoRefused("it is empty", "Copy it")) == "it is empty. Copy it"
    assert str(PhotoRefused("it is empty", subject="a.jpg")) == "a.jpg: it is empty"


def test_an_error_is_told_once_what_it_is_about() -> None:
    error = NoProduct("nothing found")
    assert error.about("first.jpg") is error
    assert error.about("second.jpg").subject == "first.jpg"


@pytest.mark.parametrize(
    ("codes", "speaks"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 3], 3),
        ([3, 9], 9),
        ([9, 6, 3], 6),
        ([6, 5], 5),
        ([5, 7], 7),
        ([7, 10], 10),
        ([10, 4, 0], 4),
        ([4, 130], 130),
    ],
)
def test_the_worst_code_speaks(codes: list[int], speaks: int) -> None:
    assert worst_exit_code(codes) == speaks


def test_the_promised_order_of_codes() -> None:
    for more, less in itertools.pairwise([4, 10, 7, 5, 6, 9, 3, 0]):
        assert worst_exit_code([less, more]) == worst_exit_code([more, less]) == more


@given(st.lists(st.sampled_from(CODES), min_size=1))
def test_a_batch_in_which_anything_failed_never_ends_with_zero(codes: list[int]) -> None:
    assert worst_exit_code(codes) in codes
    assert (worst_exit_code(codes) == 0) == (set(codes) == {0})


def test_every_error_of_ours_can_speak_for_a_batch() -> None:
    for each in every()[1:]:
        assert worst_exit_code([0, each.exit_code]) == each.exit_code


def test_an_unknown_outcome_is_no_refusal() -> None:
    assert not issubclass(OutcomeUnknown, PhotoRefused)


@pytest.mark.parametrize("kind", every())
def test_an_error_survives_the_way_between_processes(kind: type[PhotioError]):
    error = kind("found", "fix", subject="shoe.jpg")
    error.exit_code = 143
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.exit_code) == (kind, str(error), 143)
