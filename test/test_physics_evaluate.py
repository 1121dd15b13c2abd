"""Hands that learn and work in a workspace, and the table about them; tiny ones."""

import json

import numpy as np
import pytest

pytest.importorskip('mujoco', reason='needs mujoco')
pytest.importorskip('mink', reason='needs mink')
torch = pytest.importorskip('torch', reason='needs torch')

from gaze_robot import cli  # noqa: E402
from gaze_robot.errors import CheckpointError, ConfigError  # noqa: E402
from gaze_robot.geometry import angle_between, direction_from_pan_tilt  # noqa: E402
from gaze_robot.hand_eye import HandEye, load_hand_eye, save_hand_eye  # noqa: E402
from gaze_robot.policy.glances import vector_size  # noqa: E402
from gaze_robot.policy.hand import turned  # noqa: E402
from gaze_robot.policy.looking import LookingPolicy  # noqa: E402
from gaze_robot_sim.physics import closed_loop, evaluate  # noqa: E402
from gaze_robot_sim.physics.closed_loop import Episode, HandAtWork  # noqa: E402
from gaze_robot_sim.physics.conditions import (  # noqa: E402
    condition_of,
    CONDITIONS,
    oracle_gaze,
    PATCH,
)
from gaze_robot_sim.physics.expert import Expert  # noqa: E402
from gaze_robot_sim.physics.hands import train_workspace, TrainWorkspaceConfig  # noqa: E402
from gaze_robot_sim.physics.shown import scale_of, show  # noqa: E402
from gaze_robot_sim.physics.views import can_draw, Painter  # noqa: E402
from gaze_robot_sim.physics.world import PhysicsConfig, PhysicsWorld  # noqa: E402

if can_draw():
    pytest.skip(can_draw(), allow_module_level=True)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """A folder with a hand for `oracle`, for `wrist`, and one with an untrained eye."""
    out = tmp_path_factory.mktemp('runs')
    for name in ('oracle', 'wrist'):
        train_workspace(TrainWorkspaceConfig('press', name, str(out), episodes=2, updates=10,
                                             batch=16, device='cpu'))
    both = load_hand_eye(out / 'oracle')
    eye = LookingPolicy(both.pattern.tokens, both.hand.config.patch, vector_size(
        both.pattern, both.hand.config.joints, both.hand.config.task))
    save_hand_eye(out / 'learned', HandEye(both.hand, eye, both.pattern, both.joint_names,
                                           both.action_names, both.rate_hz, {}))
    return out


def test_training_says_what_it_was_for(runs):
    both = load_hand_eye(runs / 'wrist')
    assert (both.meta['condition'], both.meta['workspace']) == ('wrist', 'press')
    assert both.hand.config.levels == condition_of('wrist').levels
    assert both.joint_names[-1] == 'gripper'


def test_a_hand_learns_what_the_expert_does():
    shown = [show('press', 1, index, condition_of('oracle'), 0.0, PhysicsConfig())
             for index in range(2)]
    scale = scale_of(shown, 30)
    assert all(one.succeeded for one in shown)
    for one in shown:
        relative, real = one.chunks(30)
        step = len(one.joints) // 2
        np.testing.assert_allclose(relative[step, 0], one.actions[step] - one.joints[step])
        np.testing.assert_allclose(relative[step, 1], one.actions[step + 1] - one.joints[step])
        assert real[step].sum() == min(30, len(one.joints) - step)
    assert (scale.action_spread[:-1] > 0).all()
    assert scale.action_spread[-1] == scale.joint_spread[-1] == 1.0     # a gripper kept closed
    few = show('press', 1, 0, condition_of('oracle'), 0.0, PhysicsConfig(), every=4)
    relative, real = shown[0].chunks(30)
    assert len(few.view) == len(few.gaze) == -(-len(shown[0].joints) // 4)
    for found, wanted in zip((*few.chunks(30), few.view), (relative, real, shown[0].view)):
        np.testing.assert_array_equal(found, wanted[::4])


def test_hands_of_cameras_learn_the_goal_of_the_part_that_they_are_at():
    shown = show('bucket', 2, 0, condition_of('wide'), 0.0, PhysicsConfig())
    world = PhysicsWorld('bucket', 2, 0)
    goals = shown.goals[:, 0]
    thing, place = (point / np.linalg.norm(point) for point in (
        world.position('thing') - world.eye, world.task.place(world) - world.eye))
    assert np.degrees(angle_between(goals[0], thing)) < 4
    last = goals[np.isfinite(goals).all(axis=1)][-1]
    assert np.degrees(angle_between(last, place)) < 7


@pytest.mark.parametrize('name', ['oracle', 'wide', 'exo', 'wrist', 'exo_wrist'])
def test_where_the_arm_goes_is_told_as_each_camera_sees_it(name):
    """Take the button away: the samples that change are in or beside the token that the frames
    say shows it. The arm is nearly there, so that the camera on its hand sees the button.
    """
    world, condition = PhysicsWorld('press', 3, 0), condition_of(name)
    painter, expert = Painter(world), Expert(world)
    while np.linalg.norm(world.tip[:2] - world.position('button0')[:2]) > 0.08:
        world.step(expert.act(), world.aim())
    gaze = world.gaze if condition.turns else np.zeros(2)
    rays = turned(torch.from_numpy(direction_from_pan_tilt(*condition.places.T)),
                  torch.from_numpy(gaze)[None])[0].numpy()
    before, frames = condition.look(painter), condition.frames(world)
    body = world.model.body('button0')
    world.model.geom_rgba[body.geomadr[0]:body.geomadr[0] + body.geomnum[0], 3] = 0.0
    first = 0
    for was, now, (origin, frame) in zip(before, condition.look(painter), frames):
        rows, columns = np.nonzero(np.abs(was.astype(int) - now).sum(axis=2) > 40)
        assert len(rows)
        down, across = was.shape[0] // PATCH, was.shape[1] // PATCH
        away = frame @ (world.position('button0') - origin)
        part = rays[first:first + down * across] @ away
        row, column = divmod(int(part.argmax()), across)
        assert abs(rows.mean() / PATCH - 0.5 - row) <= 1.0
        assert abs(columns.mean() / PATCH - 0.5 - column) <= 1.0
        first += down * across
    painter.close()


def test_an_expert_pushed_too_hard_fails_and_does_no_harm():
    shown = show('read', 3, 1, condition_of('wrist'), 0.05)
    assert not shown.succeeded
    assert np.isfinite(shown.actions).all()


def test_the_command_writes_every_key_of_the_table(runs, tmp_path):
    path, picture = tmp_path / 'press.json', tmp_path / 'press.png'
    assert cli.main([
        'eval', 'workspace', '--task', 'press', '--policies', str(runs), '--n', '1', '--seeds',
        '1', '--expert-n', '3', '--time-limit-s', '1', '--picture', str(picture), '--videos',
        str(tmp_path / 'films'), '--json', str(path)]) == 0
    result = json.loads(path.read_text())
    assert set(result['conditions']) == set(CONDITIONS) == {
        'learned', 'oracle', 'wide', 'exo', 'wrist', 'exo_wrist'}
    for name, row in result['conditions'].items():
        assert (row is None) == (name not in ('learned', 'oracle', 'wrist'))
        if row:
            assert {'success_rate', 'ci_low', 'ci_high', 'median_time_s'} <= set(row)
            assert row['ci_low'] <= row['success_rate'] <= row['ci_high']
            assert sum(row['outcomes'].values()) == 1
    assert result['expert_success_rate'] == 1.0
    assert result['dynamics'] == 'head'              # as over ROS
    assert 'gaze_switch_fraction' in result
    assert max(row['median_time_s'] or 0 for row in result['conditions'].values() if row) <= 1
    assert picture.stat().st_size > 1000
    assert {film.name for film in (tmp_path / 'films').iterdir()} == {
        'press_learned.webm', 'press_oracle.webm', 'press_wrist.webm'}


@pytest.mark.parametrize('option', ['--picture', '--videos'])
def test_what_cannot_be_written_is_told_before_the_work(option, runs, tmp_path, capsys,
                                                        monkeypatch):
    monkeypatch.setattr(evaluate, 'workers', lambda _: pytest.fail('worked before checking'))
    (tmp_path / 'file').touch()
    assert cli.main(['eval', 'workspace', '--policies', str(runs), option,
                     str(tmp_path / 'file' / 'x.png')]) == 2
    assert f'{option} {tmp_path}' in capsys.readouterr().err


def test_the_expert_lives_through_the_episodes_of_the_hands(monkeypatch):
    found = evaluate.evaluate_workspace(evaluate.EvalWorkspaceConfig(
        'shelf', n=1, seeds=1, expert_n=2, time_limit_s=0.1))
    assert found['expert_outcomes'] == {'timeout': 2}           # as little time as hands have
    seen = []
    monkeypatch.setattr(evaluate, '_expert', lambda config, which: seen.append(which) or 'wrong')
    evaluate.evaluate_workspace(evaluate.EvalWorkspaceConfig('shelf', n=2, seeds=2, expert_n=5))
    first = evaluate.EXAM + 1
    assert seen == [(first, 0), (first, 1), (first + 1, 0), (first + 1, 1), (first + 2, 0)]


@pytest.mark.slow
def test_several_processes_find_the_same(runs):
    found = [evaluate.evaluate_workspace(evaluate.EvalWorkspaceConfig(
        'press', str(runs), n=2, seeds=1, expert_n=2, time_limit_s=1.5, jobs=jobs))[
            'conditions']['oracle'] for jobs in (1, 2)]
    assert found[0] == found[1]


def test_figures_by_hand():
    episodes = [Episode('success', 2.0, 0, 0, 0.5, 4.0, True),
                Episode('success', 4.0, 1, 2, 1.0, 6.0, False),
                Episode('timeout', 8.0), Episode('dropped', 3.0, switched=True)]
    row = evaluate.figures(episodes)
    assert (row['success_rate'], row['median_time_s'], row['collisions']) == (0.5, 3.0, 0.5)
    assert row['outcomes'] == {'success': 2, 'timeout': 1, 'dropped': 1}
    # Wilson's interval of 2 in 4, from its table: 15.0 to 85.0 %.
    assert (row['ci_low'], row['ci_high']) == pytest.approx((0.150, 0.850), abs=1e-3)
    assert evaluate.switch_fraction(episodes) == 0.5
    assert evaluate.switch_fraction([Episode('timeout')]) is None


@pytest.mark.parametrize('place_at, away, switched, switch_s', [
    (40, 0.5, True, 10 / 30), (70, 0.5, False, 40 / 30), (None, 0.5, False, None),
    (40, 0.15, None, 10 / 30)])
def test_gaze_leads_the_hand_or_does_not(place_at, away, switched, switch_s):
    """100 steps, a touch at step 10, the hand-over at 30; the hand is near the place from 60."""
    track, found = closed_loop._GazeTrack(PhysicsWorld('bucket', 0, 0)), Episode()
    for step in range(100):
        at_place = place_at is not None and step >= place_at
        thing, place = (1.0, 0.1) if at_place else (0.05, 2.5)
        track.rows.append((0.0, thing, place, int(step >= 30 or step == 10),
                           0.1 if step >= 60 else away))
    track.judge(found)
    assert found.switched is switched
    assert found.switch_s == (None if switch_s is None else pytest.approx(switch_s))


def test_the_oracle_looks_at_what_matters():
    world = PhysicsWorld('read', 0, 0)
    for _ in range(30):
        world.step(world.joints(), oracle_gaze(world, None))
    np.testing.assert_allclose(world.gaze, world.aim(), atol=1e-3)


def test_a_fixed_camera_never_turns_and_says_nothing_about_gaze(runs):
    world = PhysicsWorld('press', 3, 0, PhysicsConfig(time_limit_s=0.3))
    before, painter = world.gaze.copy(), Painter(world)
    found = HandAtWork(load_hand_eye(runs / 'wrist'), condition_of('wrist')).live(world, painter)
    painter.close()
    np.testing.assert_array_equal(world.gaze, before)
    assert (found.outcome, found.on_aim, found.switched) == ('timeout', None, None)
    row = evaluate.figures([found, found])
    assert row['on_aim'] is row['gaze_error_deg'] is None


def test_hands_for_something_else_are_refused(runs, tmp_path):
    with pytest.raises(CheckpointError, match='pictures'):
        HandAtWork(load_hand_eye(runs / 'oracle'), condition_of('wide'))
    with pytest.raises(CheckpointError, match='no eye'):
        HandAtWork(load_hand_eye(runs / 'oracle'), condition_of('learned'))
    with pytest.raises(CheckpointError, match='workspace press, not wipe'):
        evaluate.evaluate_workspace(evaluate.EvalWorkspaceConfig('wipe', str(runs)))
    for folder in (tmp_path, tmp_path / 'not_there'):
        with pytest.raises(CheckpointError, match='none of learned'):
            evaluate.evaluate_workspace(evaluate.EvalWorkspaceConfig('press', str(folder)))
    for option in ({'picture': 'a.png'}, {'videos': str(tmp_path)}):
        with pytest.raises(ConfigError, match='no hand ships for shelf'):
            evaluate.evaluate_workspace(evaluate.EvalWorkspaceConfig('shelf', **option))
    for bad in ({'task': 'juggle'}, {'n': 0}, {'picture': 'a.jpg'}, {'dynamics': 'quick'}):
        with pytest.raises(ConfigError):
            evaluate.EvalWorkspaceConfig(**bad)
    for bad in ({'condition': 'learned'}, {'task': 'juggle'}, {'updates': 0}):
        with pytest.raises(ConfigError):
            TrainWorkspaceConfig(**bad)
