"""A policy with a hand, picture by picture; random weights, whose answers only have to fit."""

import dataclasses
import math

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='networks')

from gaze_robot.camera import CameraModel  # noqa: E402
from gaze_robot.config import GazeConfig  # noqa: E402
from gaze_robot.errors import CheckpointError, CommandError, ConfigError  # noqa: E402
from gaze_robot.foveation import FoveationPattern, Foveator  # noqa: E402
from gaze_robot.geometry import direction_from_pan_tilt  # noqa: E402
from gaze_robot.hand_eye import HandEye, Looking, save_hand_eye  # noqa: E402
from gaze_robot.hand_pipeline import HandPipeline  # noqa: E402
from gaze_robot.loading import load_pipeline  # noqa: E402
from gaze_robot.pipeline import GazePipeline  # noqa: E402
from gaze_robot.policy.glances import vector_size  # noqa: E402
from gaze_robot.policy.hand import HandConfig, HandNetwork  # noqa: E402
from gaze_robot.policy.looking import LookingPolicy  # noqa: E402
from gaze_robot.types import Frame, PanTiltLimits, PanTiltState  # noqa: E402

PATTERN = FoveationPattern((15.0, 40.0, 90.0), (32, 32, 32), 8)
JOINTS = ('x', 'y', 'grip')
TASKS = {'press the red button': [1.0, 0.0], 'press the blue button': [0.0, 1.0]}
CAMERA = CameraModel.from_hfov(160, 120, math.pi / 2)
HERE = np.array([0.1, -0.2, 0.3])
POSE = PanTiltState(0.2, -0.1)


def hand_eye(seed=0, eye=True, actions=JOINTS):
    torch.manual_seed(seed)
    config = HandConfig(len(JOINTS), 2, len(actions), chunk=6, width=32, hidden=32)
    looking = LookingPolicy(config.tokens, config.patch, vector_size(PATTERN, len(JOINTS), 2))
    return HandEye(HandNetwork(config).eval(), looking.eval() if eye else None, PATTERN, JOINTS,
                   actions, 30.0, {'tasks': TASKS})


def frame(stamp_s=1.0, seed=0):
    image = np.random.default_rng(seed).integers(0, 256, (120, 160, 3), np.uint8)
    return Frame(image, stamp_s, CAMERA)


@pytest.fixture
def pipeline():
    return HandPipeline(hand_eye(), config=GazeConfig(task='press the red button'))


def test_it_says_what_hand_and_eye_say(pipeline):
    """By another way: foveate, ask the networks, add what is relative."""
    looking = Looking(hand_eye())
    foveator = Foveator(PATTERN, CAMERA)
    for step in range(3):
        picture = frame(1 + step / 30, step)
        result = pipeline.step(picture, POSE, HERE)
        intent = looking.step(foveator(picture.image).levels, HERE, np.array([0.2, -0.1]),
                              np.array([1.0, 0.0]))
        np.testing.assert_allclose(result.actions.positions, HERE + intent.actions, rtol=1e-6)
        assert (result.actions.names, result.actions.period_s) == (JOINTS, 1 / 30)
        command = np.array([result.command.pan_rad, result.command.tilt_rad])
        np.testing.assert_allclose(command, np.array([0.2, -0.1]) + intent.move_rad, atol=1e-6)


def test_a_waiting_hand_is_commanded_to_stay():
    """A new hand attends to everything alike, so to nothing for sure: it waits, and the ensemble
    adds nothing of what was begun.
    """
    waiting = HandPipeline(dataclasses.replace(hand_eye(), waits=True), config=GazeConfig(
        task='press the red button', action_ensemble=True))
    first = waiting.step(frame(), POSE, HERE)
    np.testing.assert_allclose(first.actions.positions, np.tile(HERE, (6, 1)), atol=1e-6)
    moved = waiting.step(frame(1.03), POSE, HERE + 0.2)
    np.testing.assert_allclose(moved.actions.positions, np.tile(HERE, (6, 1)), atol=1e-6)
    waiting.prompt('press the red button')
    anew = waiting.step(frame(1.07), POSE, HERE + 0.2)
    np.testing.assert_allclose(anew.actions.positions, np.tile(HERE + 0.2, (6, 1)), atol=1e-6)


def test_the_task_decides(pipeline):
    red = pipeline.step(frame(), POSE, HERE)
    pipeline.prompt('press the blue button')
    blue = pipeline.step(frame(), POSE, HERE)
    assert not np.allclose(red.actions.positions, blue.actions.positions)


def test_without_a_task_nothing_moves():
    idle = HandPipeline(hand_eye())
    result = idle.step(frame(), POSE)
    assert (result.mode, result.actions, result.target) == ('idle', None, None)
    assert (result.command.pan_rad, result.command.tilt_rad) == pytest.approx((0.2, -0.1))


def test_an_empty_prompt_ends_the_task(pipeline):
    pipeline.prompt(' ')
    assert pipeline.step(frame(), POSE, HERE).mode == 'idle'


def test_unknown_tasks_are_refused_with_known_ones(pipeline):
    with pytest.raises(CommandError, match='press the red button'):
        pipeline.prompt('make coffee')
    stopped = pipeline.step(frame(), POSE, HERE)         # who says 'stop' wants it to stop
    assert (stopped.mode, stopped.actions) == ('idle', None)


@pytest.mark.parametrize('gap_s, anew', [(1.5, False), (3.0, True), (600.0, True), (-1.5, True)])
def test_after_a_gap_it_begins_where_the_arm_is_then(gap_s, anew):
    waiting = HandPipeline(dataclasses.replace(hand_eye(), waits=True), config=GazeConfig(
        task='press the red button'))
    waiting.step(frame(100.0), POSE, HERE)
    if gap_s > 2:                                        # pictures alone are no glances
        with pytest.raises(CommandError, match='joints'):
            waiting.step(frame(101.5), POSE)
    later = waiting.step(frame(100.0 + gap_s), POSE, HERE + 0.7)
    np.testing.assert_allclose(later.actions.positions, np.tile(HERE + 0.7 * anew, (6, 1)),
                               atol=1e-6)


def test_joints_that_cannot_be_are_refused_before_they_are_remembered(pipeline):
    before = pipeline.step(frame(), POSE, HERE)
    pipeline.prompt('press the red button')
    with pytest.raises(CommandError, match='units and order'):
        pipeline.step(frame(), POSE, np.array([0.1, 1e20, 0.3]))
    after = pipeline.step(frame(), POSE, HERE)
    np.testing.assert_array_equal(after.actions.positions, before.actions.positions)


@pytest.mark.parametrize('bounds', ['wide', {}, [[0.0]], [[math.nan, 0.0], [1.0, 1.0]],
                                    [[5.0, 5.0], [6.0, 6.0]]])
def test_bounds_that_no_eye_can_keep_to_are_refused(bounds):
    both = hand_eye()
    with pytest.raises(CheckpointError, match='look'):
        HandPipeline(dataclasses.replace(both, meta={**both.meta, 'looked_within_rad': bounds}))


def test_a_task_needs_the_joints(pipeline):
    with pytest.raises(CommandError, match='x, y, grip'):
        pipeline.step(frame(), POSE)
    with pytest.raises(CommandError, match='finite'):
        pipeline.step(frame(), POSE, np.array([0.0, math.nan, 0.0]))


def test_commands_stay_inside_the_limits():
    limits = PanTiltLimits((-0.05, -0.02), (0.05, 0.02))
    held = HandPipeline(hand_eye(), limits, GazeConfig(task='press the red button'))
    for step in range(30):
        command = held.step(frame(1 + step / 30, step), PanTiltState(0.0, 0.0), HERE).command
        assert abs(command.pan_rad) <= 0.05 + 1e-9
        assert abs(command.tilt_rad) <= 0.02 + 1e-9


def test_the_eye_stays_where_it_has_learned_to_look():
    both = hand_eye()
    narrow = dataclasses.replace(both, meta={**both.meta, 'looked_within_rad': [
        [-0.03, -0.01], [0.03, 0.01]]})
    held = HandPipeline(narrow, config=GazeConfig(task='press the red button'))
    for step in range(30):
        command = held.step(frame(1 + step / 30, step), PanTiltState(0.0, 0.0), HERE).command
        assert abs(command.pan_rad) <= 0.03 + 1e-9
        assert abs(command.tilt_rad) <= 0.01 + 1e-9
    upside_down = dataclasses.replace(both, meta={**both.meta, 'looked_within_rad': [
        [0.3, -0.1], [-0.3, 0.1]]})
    with pytest.raises(CheckpointError, match='looked_within_rad'):
        HandPipeline(upside_down)


def test_look_at_takes_the_eye_and_leaves_the_hand(pipeline):
    wanted = direction_from_pan_tilt(0.5, 0.1)
    pipeline.look_at(wanted, 1.0)
    result = pipeline.step(frame(), POSE, HERE)
    assert (result.command.pan_rad, result.command.tilt_rad) == pytest.approx((0.5, 0.1))
    assert result.target.source == 'look_at'
    assert result.actions is not None
    pipeline.look_at(None)
    assert pipeline.step(frame(1.1), POSE, HERE).target.source == 'hand'


def test_what_the_hand_attends_to_is_the_target(pipeline):
    result = pipeline.step(frame(), POSE, HERE)
    assert [heat.shape for heat in result.heatmaps] == [(4, 4)] * 3
    assert 0 < sum(heat.sum() for heat in result.heatmaps) <= 1 + 1e-5   # the rest: nothing
    level, row, column = max(
        ((level, *np.unravel_index(heat.argmax(), heat.shape))
         for level, heat in enumerate(result.heatmaps)),
        key=lambda place: result.heatmaps[place[0]][place[1:]])
    half = math.tan(math.radians(PATTERN.fov_deg[level]) / 2)
    right, down = ((index + 0.5) / 4 * 2 - 1 for index in (column, row))
    expected = direction_from_pan_tilt(0.2 - math.atan(right * half),
                                       -0.1 + math.atan(down * half))
    np.testing.assert_allclose(result.target.direction, expected, atol=1e-9)


def test_ensembles_smooth_what_is_said_of_the_same_moment():
    plain, smooth = (HandPipeline(hand_eye(), config=GazeConfig(
        task='press the red button', action_ensemble=ensemble)) for ensemble in (False, True))
    jumps = {}
    for name, made in (('plain', plain), ('smooth', smooth)):
        first = [made.step(frame(1 + step / 30, step), POSE, HERE).actions.positions[0]
                 for step in range(12)]
        jumps[name] = np.abs(np.diff(first[6:], axis=0)).mean()   # all six chunks are there
    assert jumps['smooth'] < 0.6 * jumps['plain']


def test_a_new_task_forgets_the_glances(pipeline):
    fresh = pipeline.step(frame(1.0, 5), POSE, HERE)
    for step in range(5):
        pipeline.step(frame(1 + step / 30, step), POSE, HERE)
    pipeline.prompt('press the red button')
    again = pipeline.step(frame(2.0, 5), POSE, HERE)
    assert again.command.pan_rad == pytest.approx(fresh.command.pan_rad, abs=1e-6)


@pytest.mark.parametrize('both, config, error, text', [
    ({'eye': False}, {}, CheckpointError, 'no eye'),
    ({'actions': ('u', 'v', 'w')}, {}, CheckpointError, 'relative to the last action'),
    ({}, {'eye': 'picture'}, ConfigError, 'set eye to head'),
    ({}, {'debug_explain': 'relevance'}, ConfigError, 'debug_explain'),
    ({}, {'task': 'make coffee'}, CommandError, 'knows no task')])
def test_what_does_not_go_together_is_refused(both, config, error, text):
    with pytest.raises(error, match=text):
        HandPipeline(hand_eye(**both), config=GazeConfig(**config))


def test_a_folder_says_which_pipeline_runs_it(tmp_path):
    save_hand_eye(tmp_path / 'run' / 'policy', hand_eye())
    config = GazeConfig(model_path=str(tmp_path / 'run'), task='press the blue button')
    made = load_pipeline(config)
    assert isinstance(made, HandPipeline)
    assert made.joint_names == JOINTS
    made.warm_up()
    np.testing.assert_allclose(made.task, [0.0, 1.0])
    assert isinstance(load_pipeline(GazeConfig(model_runtime='torch')), GazePipeline)
    with pytest.raises(ConfigError, match='no hand to do it'):
        load_pipeline(dataclasses.replace(config, model_path=''))


def test_words_need_a_text_encoder():
    searching = GazePipeline.from_checkpoint(config=GazeConfig(model_runtime='torch'))
    with pytest.raises(CommandError, match='text encoder'):
        searching.prompt('the red cup')
    searching.prompt('')
