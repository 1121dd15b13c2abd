"""Scores of tasks: by hand on small arrays, and what the players really reach."""

import json
import math

import cv2
import numpy as np
import pytest

from gaze_robot import cli
from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.policy.actions import MOVES
from gaze_robot_sim.envs.orient import OrientBatch, OrientConfig
from gaze_robot_sim.envs.search import SearchBatch, SearchConfig
from gaze_robot_sim.evaluate_tasks import (
    acquisitions,
    EvalFollowConfig,
    EvalOrientConfig,
    EvalTaskConfig,
    EvalTrackConfig,
    evaluate_task,
    median,
    reached_soon,
    resampled,
    run,
    score,
    steps_needed,
)
from gaze_robot_sim.oracles import act, Oracle, random_policy, stay
from gaze_robot_sim.scenes.procedural import ProceduralWorld

TINY = FoveationPattern((30.0,), (8,), (8,))
CONFIGS = {'track': EvalTrackConfig, 'orient': EvalOrientConfig, 'follow': EvalFollowConfig}


@pytest.fixture(scope='module')
def rooms():
    return ProceduralWorld(7, 2)


def log_of(error_deg, **rows):
    error = np.atleast_2d(np.asarray(error_deg, float))
    nothing = np.zeros(error.shape, bool)
    return {'error_deg': error, 'present': ~nothing, 'hidden': nothing, 'onset': nothing,
            'lost': nothing, 'reward': np.zeros(error.shape),
            **{name: np.atleast_2d(row) for name, row in rows.items()}}


# --- scores


def test_score_counts_only_time_with_a_target():
    found = score(log_of([[9, 9, 4, 5, 6, 1, 1, 1]],
                         present=np.array([0, 1, 1, 1, 1, 1, 0, 0], bool),
                         hidden=np.array([0, 0, 0, 0, 1, 1, 1, 0], bool),
                         lost=np.array([0, 1, 0, 0, 0, 0, 0, 0], bool),
                         reward=np.full(8, 0.5)), rate_hz=10)
    assert found['on_target'] == pytest.approx(3 / 5)          # 5.0 still counts
    assert found['ceiling'] == pytest.approx(4 / 5)
    assert found['of_ceiling'] == pytest.approx(3 / 4)
    assert found['hidden'] == pytest.approx(2 / 5)
    assert found['on_target_hidden'] == pytest.approx(1 / 2)
    assert found['median_error_deg'] == 5
    assert found['reward_per_s'] == pytest.approx(5.0)


def test_score_of_nothing_is_valid_json():
    found = score(log_of([[9, 9]], present=np.zeros(2, bool)), rate_hz=10)
    assert found['on_target'] is None
    assert found['of_ceiling'] is None
    assert found['median_acquire_s'] is None
    assert found['onsets'] == 0
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize('near, present, onset, expected', [
    ('000001111111', '111111111111', '100000000000', [0.5]),
    ('000000000000', '111111111111', '100000000000', [math.inf]),
    ('100000011111', '111111111111', '100000100000', [0.0, 0.1]),
    ('000001111111', '111110000000', '100000000000', [math.inf]),     # gone when it gets there
    ('111111111111', '111111111111', '100000000010', [0.0]),          # too late to count
    ('000000011111', '111111111111', '001000000000', [0.5]),
    ('111111111111', '111111111111', '000000000000', [])], ids=str)
def test_times_until_a_target_is_reached(near, present, onset, expected):
    rows = (np.array(list(row), int).astype(bool) for row in (near, present, onset))
    np.testing.assert_allclose(acquisitions(*rows, 10.0), expected)


def test_median_of_those_who_mostly_never_arrive_is_none():
    assert median(np.array([1.0, math.inf, math.inf])) is None
    assert median(np.array([1.0, 2.0, math.inf])) == 2.0
    assert median(np.array([])) is None


def test_intervals_cover_the_truth_as_often_as_they_say():
    """Means of 40 normal numbers, whose true mean is 0."""
    rng, covered = np.random.default_rng(0), []
    for _ in range(200):
        values = rng.normal(size=40)
        middle, low, high = resampled(lambda rows, v=values: float(v[rows].mean()), 40, 200)
        assert low < middle < high
        covered.append(low <= 0 <= high)
    assert 0.88 <= np.mean(covered) <= 0.98


def test_intervals_are_about_whole_episodes():
    """Steps of one episode are alike: 4 episodes tell little, however long they are."""
    near = np.repeat([[True], [False], [True], [False]], 1000, axis=1)
    found = score(log_of(np.where(near, 1.0, 50.0)), 30.0)
    assert found['on_target'] == 0.5
    assert found['on_target_low'] == 0.0
    assert found['on_target_high'] == 1.0


# --- what is possible


@pytest.mark.parametrize('turn_deg, dynamics, expected_s', [
    (40.0, 'head', None), (90.0, 'head', None), (8.0, 'head', None), (40.0, 'off', 1 / 30)])
def test_ceiling_is_the_closed_form_of_the_heads_motion(rooms, turn_deg, dynamics, expected_s):
    """Speed up at 30 rad/s^2 to 3.14 rad/s, cruise, slow down: when 5 degrees are left."""
    batch = OrientBatch(2, [rooms], TINY, OrientConfig(dynamics=dynamics))
    batch.start(range(2), {'pose': (0.2, 0.0)})
    batch.aim[:] = direction_from_pan_tilt(0.2 + math.radians(turn_deg), 0.0)
    if expected_s is None:
        times = np.linspace(0, 2, 20001)
        whole, fast, strong = math.radians(turn_deg), 3.14, 30.0
        peak = min(fast, math.sqrt(whole * strong))
        ramp = peak / strong
        cruise = whole / peak - ramp
        speed = np.clip(np.minimum(times, 2 * ramp + cruise - times) * strong, 0, peak)
        gone = np.cumsum(speed) * (times[1] - times[0])
        expected_s = times[np.argmax(gone >= whole - math.radians(5.0))]
    needed = steps_needed(batch, np.array([True, False]))
    # So many steps end too far away; the next one does not.
    assert needed[0] == math.ceil(expected_s * 30 - 1e-3) - 1
    assert needed[1] == 0
    np.testing.assert_array_equal(batch.pose, [[0.2, 0.0]] * 2)


def test_no_player_reaches_more_than_the_ceiling_and_the_oracle_nearly_does(rooms):
    batch = OrientBatch(10, [rooms], TINY, OrientConfig(discrete=False, episode_s=6.0))
    log = run(batch, Oracle(), 10)
    found = score(log, 30.0)
    assert 0.9 < found['of_ceiling'] <= 1.0
    assert not (log['lost'] & log['present'] & (log['error_deg'] <= 5)).any()
    assert found['acquired'] == 1.0
    assert 0.1 < found['median_acquire_s'] < 0.4


def test_runs_are_as_long_as_episodes_and_as_many_as_asked(rooms):
    batch = OrientBatch(3, [rooms], TINY, OrientConfig(episode_s=0.4, pause_steps=2))
    log = run(batch, stay, 7)
    assert {rows.shape for rows in log.values()} == {(7, 14)}
    assert len(np.unique(log['error_deg'][:, 0])) == 7 or not log['error_deg'][:, 0].any()


# --- players


def test_random_player_uses_every_move_and_repeats_by_seed(rooms):
    batch = SearchBatch(500, [rooms], TINY, SearchConfig())
    moves = random_policy(3)({}, batch)
    assert set(moves) == set(range(len(MOVES)))
    np.testing.assert_array_equal(random_policy(3)({}, batch), moves)
    free = SearchBatch(500, [rooms], TINY, SearchConfig(discrete=False))
    moves = random_policy(3)({}, free)
    assert moves.shape == (500, 2)
    assert -1 <= moves.min() < -0.95
    assert 0.95 < moves.max() <= 1


def test_resting_moves_nothing(rooms):
    for discrete in (True, False):
        batch = SearchBatch(2, [rooms], TINY, SearchConfig(discrete=discrete))
        batch.start(range(2))
        batch.look()
        before = batch.pose.copy()
        batch.step(stay({}, batch))
        np.testing.assert_array_equal(batch.pose, before)


def test_actions_are_towards_what_is_wanted(rooms):
    free = SearchBatch(2, [rooms], TINY, SearchConfig(discrete=False))
    np.testing.assert_allclose(act(free, np.radians([[5.0, -2.5], [50.0, -20.0]])),
                               [[0.5, -0.25], [1.0, -1.0]])
    batch = SearchBatch(2, [rooms], TINY, SearchConfig())
    moves = np.degrees(MOVES[act(batch, np.radians([[2.8, 0.1], [0.0, -50.0]]))])
    np.testing.assert_allclose(moves, [[3, 0], [0, -10]], atol=1e-6)


@pytest.mark.parametrize('across_stop', [0.0, 1.0])
def test_oracle_finds_what_is_searched_also_the_long_way_round(rooms, across_stop):
    config = SearchConfig(episode_s=4.0, max_start_deg=60.0, across_stop=across_stop)
    batch = SearchBatch(8, [rooms], TINY, config)
    log = run(batch, Oracle(), 8)
    assert (log['error_deg'][:, -15:] < 1.5).all()


# --- the whole evaluation


@pytest.mark.parametrize('task', CONFIGS)
def test_evaluation_shows_the_gap(task):
    result = evaluate_task(CONFIGS[task](n=3, seconds=2.0))
    assert result['n'] == 3
    assert result['oracle']['of_ceiling'] > 0.8
    for name in ('random', 'stay'):
        assert result[name]['on_target'] < 0.5 * result['oracle']['on_target']
    again = evaluate_task(CONFIGS[task](n=3, seconds=2.0))
    assert again == result
    json.dumps(result, allow_nan=False)


def test_evaluation_over_a_folder_of_pictures_from_the_command_line(tmp_path, capsys):
    picture = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), cv2.resize(picture, (256, 128)))
    path = tmp_path / 'result.json'
    assert cli.main(['eval', 'follow', '--worlds', str(tmp_path / 'a.png'), '--n', '2',
                     '--seconds', '1', '--dynamics', 'off', '--json', str(path)]) == 0
    result = json.loads(path.read_text())
    assert result['dynamics'] == 'off'
    shown = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert {'oracle.on_target', 'random.on_target', 'stay.on_target'} <= shown


def test_reaching_soon_means_staying_and_within_the_time():
    def soon(steps, near):
        row = np.zeros(100, bool)
        row[steps] = near
        return reached_soon(row, np.ones(100, bool), 30.0)
    assert soon(slice(58, 70), True)
    assert not soon(slice(62, 100), True)                    # after 2 s
    assert not soon(slice(20, 24), True)                     # passing by
    assert not reached_soon(np.ones(100, bool), np.zeros(100, bool), 30.0)


def test_the_robot_follows_what_others_only_meet_by_chance():
    """Its own pictures, its own pipeline; smoke, of few episodes."""
    pytest.importorskip('norfair', reason="pip install -e '.[people]'")
    result = evaluate_task(EvalFollowConfig(n=4, seconds=3.0, seed=3))
    assert result['robot']['within_2s'] >= 0.5
    assert result['robot']['on_target'] > 2 * result['random']['on_target']


@pytest.mark.parametrize('task', ['track', 'orient'])
def test_help_says_that_nothing_is_learned_yet(task, capsys):
    with pytest.raises(SystemExit):
        cli.main(['eval', task, '--help'])
    assert 'no learned policy yet' in ' '.join(capsys.readouterr().out.split())


@pytest.mark.parametrize('fields, told', [
    ({'n': 0}, 'n must be at least 1'), ({'seconds': math.nan}, 'seconds'),
    ({'seed': -1}, 'seed'), ({'dynamics': 'heads'}, "no dynamics 'heads'; known: off, head")],
    ids=str)
def test_evaluations_that_cannot_be_are_refused(fields, told):
    with pytest.raises(ConfigError, match=told):
        EvalTaskConfig(**fields)


def test_worlds_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(WorldError, match='there is no world'):
        evaluate_task(EvalTrackConfig(worlds=str(tmp_path / 'nothing.png')))
