"""`c2f_zoo.checks`: what passes, and what the messages say."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from c2f_zoo import checks

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("value", [3, 3.0, np.int64(3), np.float32(3)])
def test_whole_numbers_become_int(value):
    assert type(checks.whole("n", value, 1, 3)) is int


@pytest.mark.parametrize("value", [2.5, True, "3", None, float("nan"), float("inf"), 0, 4, [3], 3j])
def test_what_is_not_a_whole_number_in_the_range_is_refused(value):
    with pytest.raises(ValueError, match=r"^n must be an integer >= 1 and <= 3\. Received: "):
        checks.whole("n", value, 1, 3)


@pytest.mark.parametrize("value", [0, 1.5, float("nan"), "a", None, False])
def test_what_is_not_a_number_in_the_range_is_refused(value):
    with pytest.raises(ValueError, match=r"^x must be a number > 0 and <= 1\. Received: "):
        checks.number("x", value, above=0, most=1)


def test_numbers_become_float():
    assert checks.number("x", np.float32(0.5), below=1) == 0.5
    assert type(checks.number("x", 1)) is float


def test_each_of_several_values_is_checked():
    assert checks.several("n", np.array([1, 2]), checks.whole, least=1) == (1, 2)
    with pytest.raises(ValueError, match=r"^each of n must be an integer >= 1\. Received: 0$"):
        checks.several("n", [1, 0], checks.whole, least=1)


@pytest.mark.parametrize("value", [(), 3, None])
def test_what_is_no_sequence_of_values_is_refused(value):
    message = rf"^n must be a sequence of one value or more\. Received: {re.escape(repr(value))}$"
    with pytest.raises(ValueError, match=message):
        checks.several("n", value, checks.whole)


@pytest.mark.parametrize("value", [8, (8,), (8, 8, 8), (8, 7.5), "88", None, (8, 4)])
def test_what_is_not_a_pair_of_whole_numbers_is_refused(value):
    with pytest.raises(ValueError, match=r"^size must be two integers >= 8\. Received: "):
        checks.whole_pair("size", value, least=8)


def test_a_pair_of_whole_numbers_passes():
    assert checks.whole_pair("size", np.array([8, 9])) == (8, 9)


@pytest.mark.parametrize("value", [(2, 1), (1, 2, 3), -1, "12", None, (0, float("inf"))])
def test_what_is_not_a_range_is_refused(value):
    with pytest.raises(ValueError, match=r"^r must be .* >= 0\. Received: "):
        checks.interval("r", value, least=0)
    with pytest.raises(ValueError, match=r"^r must be .* >= 0\. Received: "):
        checks.whole_interval("r", value, least=0)


def test_one_number_stands_for_a_range():
    assert checks.interval("r", 2) == (2.0, 2.0)
    assert checks.whole_interval("r", [1, 4]) == (1, 4)


def test_a_choice_that_is_unknown_is_refused_with_the_nearest_name():
    message = "mode must be one of 'single', 'multi'. Did you mean 'single'? Received: 'singel'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        checks.one_of("mode", "singel", ("single", "multi"))
    for value in ([], np.zeros(2), None):
        with pytest.raises(ValueError, match="Received: "):
            checks.one_of("mode", value, {"single": 1})


@pytest.mark.parametrize("array", [np.zeros((2, 3)), np.zeros((1, 2, 3, 5)), 3])
def test_a_wrong_shape_is_refused(array):
    with pytest.raises(ValueError, match=r"^flow must have the shape \(B, H, W, 2\)\. Received: "):
        checks.shape("flow", array, "(B, H, W, 2)", (None, None, None, 2))


def test_unknown_lengths_and_several_allowed_ones_pass():
    class Symbolic:
        shape = (None, 4, None, 3)

    assert checks.shape("x", Symbolic(), "(B, H, W, 1 or 3)", (None, 4, 5, (1, 3)))


def test_a_weight_of_pixels_broadcasts_against_a_map():
    for shape, expected in (((2,), (2, 1, 1, 1)), ((2, 4, 5), (2, 4, 5, 1))):
        assert checks.pixel_weight(np.ones(shape)).shape == expected
    assert checks.pixel_weight(np.ones((2, 4, 5, 1))).shape == (2, 4, 5, 1)


def test_a_symbol_fits_any_length_and_is_not_searched_for():
    class Symbol:
        def __eq__(self, other):
            raise AssertionError("compared")

        __hash__ = None

    traced = SimpleNamespace(shape=(Symbol(), 4, 3))
    assert checks.shape("x", traced, "(B, H, 3)", (checks.SOME, 4, 3)) is traced


@pytest.mark.parametrize("shape", [(), (2, 4), (2, 4, 5, 2), (2, 4, 5, 1, 1)])
def test_a_weight_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"^sample_weight must .* Received: shape \("):
        checks.pixel_weight(np.ones(shape))
