"""An episode is refused unless it fits together; chunks, worked out by hand."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.errors import DemoError
from gaze_robot_sim.demos.episode import Episode
from gaze_robot_sim.scenes.procedural import ProceduralWorld


class Timed:
    """A scene that lasts so long; nobody looks at it here."""

    def __init__(self, duration_s):
        self.name, self.duration_s = 'timed', duration_s


@pytest.fixture
def episode():
    """Four steps of two joints at 10 Hz; actions lead the joints by 1."""
    joints = np.array([[0, 10], [1, 20], [2, 30], [3, 40]], np.float32)
    return Episode('four', Timed(0.0), np.ones(3, np.float32), 'pick it up', ('a', 'b'), joints,
                   joints + 1, ('a', 'b'), 10.0)


def test_a_chunk_is_relative_to_the_joints_where_actions_are_about_them(episode):
    relative, own = episode.chunk(2, 3)
    # Actions 2 and 3 are (3, 31), (4, 41); joints at 2 are (2, 30).
    np.testing.assert_array_equal(relative, [[1, 1], [2, 11], [2, 11]])
    assert own.tolist() == [True, True, False]
    assert relative.dtype == np.float32


def test_a_chunk_is_relative_to_the_first_action_where_they_are_about_something_else(episode):
    other = dataclasses.replace(episode, action_names=('x', 'y'))
    relative, own = other.chunk(1, 2)
    np.testing.assert_array_equal(relative, [[0, 0], [1, 10]])
    assert own.all()


@settings(max_examples=50, deadline=None)
@given(steps=st.integers(2, 20), length=st.integers(1, 40), data=st.data())
def test_adding_the_reference_to_a_chunk_gives_the_actions_back(steps, length, data):
    step = data.draw(st.integers(0, steps - 1))
    values = np.random.default_rng(steps).integers(-99, 99, (steps, 3)).astype(np.float32)
    episode = Episode('e', Timed(0.0), np.zeros(1, np.float32), 'x', ('a', 'b', 'c'), values[::-1],
                      values, ('a', 'b', 'c'), 30.0)
    relative, own = episode.chunk(step, length)
    back = relative + episode.reference(step)
    for k in range(length):
        assert own[k] == (step + k < steps)
        assert back[k].tolist() == values[min(step + k, steps - 1)].tolist()


def test_steps_have_times(episode):
    assert [episode.time_of(k) for k in (0, 1, 3)] == [0.0, 0.1, 0.3]
    assert episode.steps == 4
    assert episode.duration_s == 0.4
    for step in (-1, 4):
        with pytest.raises(DemoError, match='steps 0 to 3'):
            episode.time_of(step)
    with pytest.raises(DemoError, match='steps 0 to 3'):
        episode.chunk(4, 1)
    with pytest.raises(DemoError, match='at least 1'):
        episode.chunk(0, 0)


def _nan(values, where):
    values = values.copy()
    values[where] = np.nan
    return values


@pytest.mark.parametrize('change,complaint', [
    (lambda e: {'joints': _nan(e.joints, (2, 1))}, 'joints at step 2: 1 numbers are not finite'),
    (lambda e: {'actions': _nan(e.actions, (0, 0)) + np.inf}, 'actions at step 0'),
    (lambda e: {'task': _nan(e.task, 1)}, 'four: task: 1 numbers'),
    (lambda e: {'joints': e.joints[:3]}, 'got 3 and 4'),
    (lambda e: {'joints': e.joints[:1], 'actions': e.actions[:1]}, 'at least 2'),
    (lambda e: {'joints': e.joints[:, :1]}, r'\(steps, 2\).*got shape \(4, 1\)'),
    (lambda e: {'joints': e.joints.astype(float)}, 'float32, got float64'),
    (lambda e: {'action_names': ('a', 'a')}, 'the same name'),
    (lambda e: {'action_names': ()}, 'column for each'),
    (lambda e: {'rate_hz': 0.0}, 'a rate is above 0'),
    (lambda e: {'rate_hz': float('nan')}, 'a rate is above 0'),
    (lambda e: {'task': np.zeros((0,), np.float32)}, 'the task is'),
    (lambda e: {'instruction': ''}, 'a name and an instruction'),
    (lambda e: {'scene': Timed(0.2)}, '0.40 s, what was seen only 0.20 s: a rate is wrong'),
], ids=lambda value: value if isinstance(value, str) else '')
def test_what_does_not_fit_is_refused_and_named(episode, change, complaint):
    with pytest.raises(DemoError, match=complaint):
        dataclasses.replace(episode, **change(episode))


def test_scenes_that_last_long_enough_are_taken(episode):
    # The last step is at 0.3 s; three frames of 0.1 s end there.
    assert dataclasses.replace(episode, scene=Timed(0.3)).steps == 4
    assert dataclasses.replace(episode, scene=ProceduralWorld(0).scene(0)).scene.duration_s == 0.0
