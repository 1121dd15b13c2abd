"""Instructions to the numbers that a hand is told."""

import numpy as np
import pytest

from gaze_robot.errors import CommandError
from gaze_robot.policy.tasks import embedding_of

PARTS = ('pick red', 'pick blue', 'pick disc', 'place on red', 'place on blue', 'place on disc')
RECORDED = {'open the drawer': [0.5, -1.0], 'close it': [2.0, 0.0]}


@pytest.mark.parametrize('text, numbers', [
    ('pick red', '100000'), ('pick the red disc', '101000'), ('Pick the BLUE disc', '011000'),
    ('pick the red disc and place it on the blue disc', '101011'),
    ('pick red, place on red', '100100'), ('place on the disc', '000001')])
def test_words_set_their_numbers(text, numbers):
    np.testing.assert_array_equal(embedding_of(text, PARTS), [float(digit) for digit in numbers])


@pytest.mark.parametrize('text, wrong', [
    ('pick the green disc', 'green'), ('red', 'red'), ('pick', 'cannot be told'),
    ('make coffee', 'make'), ('pick the red disc and place', 'place'),
    ('pick the red disc and place blue', 'blue'), ('', 'cannot be told')])
def test_what_cannot_be_told_is_refused_with_the_word(text, wrong):
    with pytest.raises(CommandError, match=wrong):
        embedding_of(text, PARTS)


def test_recorded_instructions_are_taken_word_for_word():
    np.testing.assert_array_equal(embedding_of('open the drawer', RECORDED), [0.5, -1.0])
    with pytest.raises(CommandError, match="'open the drawer', 'close it'"):
        embedding_of('open drawer', RECORDED)


def test_a_policy_without_names_says_so():
    with pytest.raises(CommandError, match='without names'):
        embedding_of('pick red', {})
