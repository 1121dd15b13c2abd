"""The made-up workspace: what its arm demonstrates, and what of it can be seen with which eye."""

import math

import numpy as np
import pytest

from gaze_robot.errors import ConfigError, DemoError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import angle_between, pan_tilt_from_direction
from gaze_robot_sim.bcrl import things
from gaze_robot_sim.bcrl.batch import PATTERN
from gaze_robot_sim.bcrl.plays import Play, Recorded, Scale
from gaze_robot_sim.bcrl.studio import UNIFORM
from gaze_robot_sim.bcrl.workspace import (
    _heading,
    SPEED_M_S,
    Workspace,
    WorkspaceConfig,
    WRIST_RAD_S,
)
from gaze_robot_sim.render import Panorama, render_levels
from gaze_robot_sim.scenes.overlay import draw_on_panorama, Sprite


@pytest.fixture(scope='module')
def plays():
    return [Workspace(3).play(index) for index in range(12)]


def test_equal_numbers_give_equal_demonstrations():
    first, again, other = (Workspace(3).play(4), Workspace(3).play(4), Workspace(3).play(5))
    np.testing.assert_array_equal(first.episode.joints, again.episode.joints)
    np.testing.assert_array_equal(first.episode.scene.panorama().image,
                                  again.episode.scene.panorama().image)
    assert not np.array_equal(first.episode.joints, other.episode.joints)


def test_the_hand_is_driven_towards_what_matters(plays):
    """After one second it is SPEED further along the direction, whatever the step size."""
    for play in plays:
        joints = play.episode.joints
        moved = joints[30, :3] - joints[0, :3]
        assert np.linalg.norm(moved) == pytest.approx(SPEED_M_S, rel=1e-4)
        assert angle_between(moved, play.aim[0]) < 1e-3


def test_the_wrist_turns_at_one_of_the_coded_rates(plays):
    rates = {round(float(play.episode.joints[30, 3] - play.episode.joints[0, 3]) / WRIST_RAD_S, 3)
             for play in plays}
    assert rates <= {round(code, 3) for code in things.CODES}
    assert len(rates) > 1


def test_two_things_change_over_half_way_and_the_gripper_tells(plays):
    two = [play for play in plays if play.hand_over is not None]
    assert 0 < len(two) < len(plays)
    for play in two:
        assert play.hand_over == 60
        assert 'place it on' in play.episode.instruction
        assert not np.allclose(play.aim[59], play.aim[60])
        gripper = play.episode.joints[:, 4]
        assert gripper[:60].max() == 0
        assert gripper[60:].min() == 1
        assert set(play.ends[:60]) == {60}
        assert set(play.ends[60:]) == {120}


def test_where_the_hand_is_driven_tells_what_it_goes_to(plays):
    """From the joints alone; a demonstration that drives elsewhere says so."""
    for play in plays:
        np.testing.assert_allclose(play.goal, play.aim, atol=1e-4)
    joints = np.zeros((3, 5), np.float32)
    joints[1:, 1], joints[2, 2] = 0.1, 0.2
    np.testing.assert_allclose(_heading(joints), [[0, 1, 0], [0, 0, 1]], atol=1e-6)


def test_the_task_names_what_the_arm_goes_for():
    config = WorkspaceConfig(look_alikes=1.0, two=0.0)
    for index in range(5):
        play = Workspace(1, config).play(index)
        named = play.episode.task[:things.TASK_SIZE]
        colour, shape = (int(np.nonzero(part)[0][0]) for part in np.split(named, [6]))
        assert play.episode.instruction == f'pick the {things.name_of(colour, shape)}'
        assert not play.episode.task[things.TASK_SIZE:].any()


def test_things_are_apart_and_within_reach():
    config = WorkspaceConfig(things=6)
    workspace = Workspace(0, config)
    for index in range(5):
        placed = workspace._things(np.random.default_rng(index))
        assert len({thing.name for thing in placed}) == 6
        for number, thing in enumerate(placed):
            pan, tilt = pan_tilt_from_direction(thing.direction)
            assert abs(math.degrees(pan)) <= config.pan_deg
            assert abs(math.degrees(tilt)) <= config.tilt_deg
            for other in placed[:number]:
                assert math.degrees(angle_between(thing.direction, other.direction)) > \
                    config.apart_deg


def views_of(code, poses):
    """The middle of a thing with a code, on the fovea and as a uniform eye sees it."""
    image = np.full((512, 1024, 3), 110, np.uint8)
    draw_on_panorama(image, [Sprite(things.picture(0, 0, code, 13.0), np.array([1.0, 0, 0]),
                                    math.radians(13.0))])
    panorama = Panorama(image, brief=True)
    fovea, _, _ = render_levels([panorama] * len(poses), np.array(poses), PATTERN, 0)
    uniform, = render_levels([panorama] * len(poses), np.array(poses), UNIFORM, 0)
    return fovea[:, 11:21, 11:21].astype(float), uniform[:, 27:29, 27:29].astype(float)


def told_apart(views):
    """Share of views (codes, poses, ...) whose nearest view from another pose is of their code,
    by the histogram of their colours: where in the lattice a view falls does not matter.
    """
    flat = [np.sort(code.reshape(len(code), -1, 3), axis=1).reshape(len(code), -1)
            for code in views]
    right = []
    for code, rows in enumerate(flat):
        for number, row in enumerate(rows):
            away = [np.linalg.norm(np.delete(other, number, axis=0) - row, axis=1).min()
                    for other in flat]
            right.append(int(np.argmin(away)) == code)
    return float(np.mean(right))


def test_only_the_fovea_can_tell_the_codes_apart():
    poses = np.radians(np.random.default_rng(0).uniform(-0.7, 0.7, (8, 2)))
    seen = [views_of(code, poses) for code in range(4)]
    assert told_apart([fovea for fovea, _ in seen]) == 1.0
    # Noise of one grey level: what is left of the lattice in larger samples is less than that.
    noise = np.random.default_rng(1)
    assert told_apart([uniform + noise.normal(0, 2, uniform.shape) for _, uniform in seen]) < 0.7
    means = np.stack([uniform.mean(axis=(0, 1, 2)) for _, uniform in seen])
    assert np.ptp(means, axis=0).max() < 3                      # grey levels between the codes


def test_dots_average_to_one_grey_whatever_the_code():
    for code in range(4):
        picture = things.picture(0, 0, code, 13.0)
        steps = (np.arange(128) + 0.5) / 64 - 1
        middle = np.hypot(*np.meshgrid(steps, steps)) < 0.35
        assert picture[middle, :3].mean(axis=0) == pytest.approx([127.5] * 3, abs=6)


@pytest.mark.parametrize('wrong', [{'things': 1}, {'look_alikes': 1.5}, {'seconds': 0.01},
                                   {'apart_deg': 5.0}, {'pan_deg': 0.0}])
def test_impossible_workspaces_are_refused(wrong):
    with pytest.raises(ConfigError):
        WorkspaceConfig(**wrong)


def test_plays_that_end_too_early_are_refused(plays):
    with pytest.raises(DemoError, match='ends'):
        Play(plays[0].episode, np.zeros(120, int))
    with pytest.raises(DemoError, match='aim'):
        Play(plays[0].episode, np.full(120, 120), aim=np.zeros((3, 3)))
    with pytest.raises(DemoError, match='goal'):
        Play(plays[0].episode, np.full(120, 120), goal=np.zeros((3, 3)))


def test_recordings_are_of_one_robot(plays):
    with pytest.raises(DemoError, match='no demonstrations'):
        Recorded([])
    assert Recorded([play.episode for play in plays]).play(2).hand_over is None


def test_scale_is_that_of_the_relative_actions(plays):
    """By hand: the spread of all relative actions that count, and 1 for the gripper."""
    one = plays[:1]
    scale = Scale.of(one, 2)
    rows = []
    for step in range(120):
        chunk, real = one[0].episode.chunk(step, 2)
        rows += [row for ahead, (row, own) in enumerate(zip(chunk, real))
                 if own and step + ahead < one[0].ends[step]]
    np.testing.assert_allclose(scale.action_spread[:4], np.std(rows, axis=0)[:4], rtol=1e-3)
    assert scale.action_spread[4] == 1.0


def test_actions_of_one_unit_can_share_their_spread():
    rng = np.random.default_rng(0)
    moves = rng.normal(0.0, [0.5, 0.1, 0.03], (4000, 3))
    own, shared = Scale.over(moves, moves), Scale.over(moves, moves, together=(0, 1))
    np.testing.assert_allclose(own.action_spread, [0.5, 0.1, 0.03], rtol=0.1)
    np.testing.assert_allclose(shared.action_spread, [0.3, 0.3, 0.03], rtol=0.1)
    np.testing.assert_array_equal(own.joint_spread, shared.joint_spread)


def test_a_uniform_eye_has_as_many_tokens():
    assert PATTERN.tokens == 48
    assert UNIFORM.tokens == 49
    assert isinstance(UNIFORM, FoveationPattern)
