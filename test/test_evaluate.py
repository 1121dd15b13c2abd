"""Scores of searches: by hand on small arrays, and the baselines on real simulators."""

import dataclasses
import json
import math

import cv2
import numpy as np
import pytest
import torch

from gaze_robot.checkpoint import make_policy, Policy, save_policy
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CheckpointError, ConfigError, WorldError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot.perception import PerceptionNetwork
from gaze_robot.policy.actions import MOVES, STAY
from gaze_robot.policy.observation import Peak
from gaze_robot_sim.envs.search import SearchConfig
from gaze_robot_sim.envs.seeing import SeeingBatch
from gaze_robot_sim.evaluate import (
    EvalSearchConfig,
    evaluate_search,
    failures,
    learned,
    opened,
    random_policy,
    RasterScan,
    run_episodes,
    score,
    wilson,
)
from gaze_robot_sim.rule import nearest_move, SearchRule
from gaze_robot_sim.scenes.procedural import ProceduralWorld

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
ENCODER = EncoderConfig(16, 1, 2, 2, 8)


@pytest.fixture(scope='module')
def room():
    return ProceduralWorld(5)


def batch_of(room, eyes=4, **settings):
    torch.manual_seed(0)
    network = PerceptionNetwork(PATTERN, ENCODER).eval()
    return SeeingBatch(eyes, [room], network, SearchConfig(scenes=1, scene_uses=0, **settings))


# --- scores


ERRORS = np.array([
    [60, 40, 20, 4, 3, 3, 3],            # arrives after 3 steps and stays
    [60, 4, 20, 4, 3, 3, 3],             # passes by, comes back: after 3 as well
    [60, 40, 20, 9, 8, 4, 3],            # arrives after 5, holds two pictures only
    [60, 3, 3, 3, 3, 3, 6],              # leaves at the end
    [4, 4, 4, 4, 4, 4, 5],               # there from the start; 5.0 still counts
    [60, 60, 60, 60, 60, 60, 60]], float)


def test_score_counts_those_that_arrive_and_hold():
    found = score(ERRORS, rate_hz=10, hold_s=0.3)
    assert found['n'] == 6
    assert found['success_rate'] == pytest.approx(3 / 6)
    assert found['median_error_deg'] == pytest.approx((3 + 5) / 2)
    assert found['median_time_s'] == pytest.approx(0.3)          # of 0.3, 0.3 and 0.0
    assert score(ERRORS, rate_hz=10, hold_s=0.2)['success_rate'] == pytest.approx(4 / 6)
    assert score(ERRORS, 10, within_deg=6.5, hold_s=0.3)['success_rate'] == pytest.approx(4 / 6)


def test_no_success_has_no_time_and_is_valid_json():
    found = score(ERRORS[-1:], rate_hz=10)
    assert found['success_rate'] == 0
    assert found['median_time_s'] is None
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize('hits, n, low, high', [
    (8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0),
    (180, 200, 0.8506, 0.9343)])
def test_intervals_are_wilsons(hits, n, low, high):
    """Against values of R's binom.confint(method = 'wilson')."""
    assert wilson(hits, n) == pytest.approx((low, high), abs=2e-3)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    for share in (0.1, 0.5, 0.9):
        covered = [wilson(int(k), 50)[0] <= share <= wilson(int(k), 50)[1]
                   for k in rng.binomial(50, share, 2000)]
        assert 0.92 <= np.mean(covered) <= 0.98


def test_failures_are_told_apart_and_add_up():
    success = np.array([True, False, False, False, False])
    error = np.array([[50.0, 3.0, 2.0], [50.0, 30.0, 20.0], [50.0, 2.0, 30.0], [50.0, 40.0, 45.0],
                      [50.0, 8.0, 9.0]])
    sure = np.array([0.9, 0.9, 0.1, 0.2, 0.1])
    told = failures(error, sure, fovea_deg=22.6, success=success)
    assert told == {'held_the_wrong_place': 1, 'seen_sharply_but_left': 2,
                    'never_in_the_fovea': 1}
    assert sum(told.values()) == (~success).sum()


# --- moves


def test_every_move_is_nearest_to_itself():
    np.testing.assert_array_equal(nearest_move(MOVES), np.arange(25))


@pytest.mark.parametrize('towards_deg, expected_deg', [
    ((80, 0), (10, 0)), ((0, -25), (0, -10)), ((-30, 30), (-7.07, 7.07)), ((2.4, 0.1), (3, 0)),
    ((0.6, 0.0), (1, 0)), ((0.2, 0.1), (0, 0))], ids=str)
def test_nearest_move_is_the_nearest(towards_deg, expected_deg):
    index, = nearest_move(np.radians([towards_deg]))
    np.testing.assert_allclose(np.degrees(MOVES[index]), expected_deg, atol=0.01)


def test_no_displacement_is_staying():
    np.testing.assert_array_equal(nearest_move(np.zeros((2, 2))), [STAY, STAY])


# --- baselines


def blind(batch):
    """Perception that never sees anything: what exploration does by itself."""
    batch.peak = Peak(np.zeros((batch.eyes, 3)), np.zeros((batch.eyes, 3, 2)),
                      np.zeros((batch.eyes, 3)))


def test_raster_scan_covers_what_the_head_can_turn_to(room):
    """Every direction, 40 degrees above and below the horizon, was once in the fovea."""
    batch = batch_of(room, 2)
    batch.start(range(2))
    blind(batch)
    scan, visited = RasterScan(), []
    for _ in range(600):
        batch.step(scan({}, batch))
        batch.reported[:] = batch.pose
        visited.append(batch.pose[0].copy())
    gaze = direction_from_pan_tilt(*np.array(visited).T)
    for pan_deg in range(-175, 180, 10):
        for tilt_deg in range(-40, 41, 10):
            place = direction_from_pan_tilt(math.radians(pan_deg), math.radians(tilt_deg))
            nearest = np.degrees(np.min(angle_between(gaze, place[None])))
            assert nearest < 11.3 * 1.2, (pan_deg, tilt_deg)


def test_raster_scan_goes_to_what_the_fovea_recognises(room):
    batch = batch_of(room, 1)
    batch.start([0])
    blind(batch)
    batch.peak.nearby[0, 0] = 0.9
    batch.peak.offset_rad[0, 0] = np.radians([0.0, -3.0])
    np.testing.assert_allclose(np.degrees(MOVES[RasterScan()({}, batch)[0]]), [0, -3], atol=1e-6)


def test_random_policy_uses_every_move_and_repeats_by_seed(room):
    batch = batch_of(room, 500)
    first, second = random_policy(3), random_policy(3)
    moves = first({}, batch)
    assert set(moves) == set(range(25))
    np.testing.assert_array_equal(second({}, batch), moves)
    assert (random_policy(4)({}, batch) != moves).any()


def test_rule_makes_the_move_that_comes_nearest_to_its_goal(room):
    batch = batch_of(room, 3)
    batch.start(range(3))
    batch.look()
    batch.observer.goal[:] = np.radians([[3.2, 0.1], [0.0, 40.0], [0.1, 0.0]])
    moves = np.degrees(MOVES[SearchRule()({}, batch)])
    np.testing.assert_allclose(moves, [[3, 0], [0, 10], [0, 0]], atol=1e-6)


# --- episodes


def test_episodes_record_every_step_of_as_many_as_asked(room):
    batch = batch_of(room, 3, episode_s=0.2)
    run = run_episodes(batch, random_policy(0), 7)
    assert run['error_deg'].shape == (7, 1 + 6)
    assert run['sure'].shape == (7,)
    assert np.isfinite(run['error_deg']).all()
    assert ((run['sure'] >= 0) & (run['sure'] <= 1)).all()
    assert len(np.unique(run['error_deg'][:, 0])) == 7


def test_a_searcher_that_knows_the_answer_succeeds(room):
    """The score, the simulator and the moves agree: an oracle finds everything."""
    def oracle(_, batch):
        goal = np.stack([target.direction for target in batch.target])
        pan, tilt = np.arctan2(goal[:, 1], goal[:, 0]), -np.arcsin(goal[:, 2])
        return nearest_move(np.stack([pan, tilt], axis=1) - batch.pose)
    run = run_episodes(batch_of(room, 8, max_start_deg=60.0), oracle, 8)
    found = score(run['error_deg'], 30.0)
    assert found['success_rate'] == 1.0
    assert found['median_error_deg'] < 1.0
    assert found['median_time_s'] < 1.5
    staying = run_episodes(batch_of(room, 8), lambda _, batch: np.zeros(batch.eyes, int), 8)
    assert score(staying['error_deg'], 30.0)['success_rate'] < 0.5


def test_learned_policy_takes_the_most_probable_action(room):
    batch = batch_of(room, 3)
    torch.manual_seed(1)
    eye = make_policy(PATTERN, ENCODER).eye
    batch.start(range(3))
    observation = batch.look()
    with torch.no_grad():
        logits = eye.actor(eye.trunk(*(torch.from_numpy(observation[name])
                                       for name in ('tokens', 'vector')))).numpy()
    np.testing.assert_array_equal(learned(eye)(observation, batch), logits.argmax(axis=1))


# --- worlds and the whole evaluation


def test_worlds_of_a_folder_are_all_its_pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ('b.png', 'a.jpg'):
        picture = cv2.resize(rng.integers(0, 256, (32, 64, 3), dtype=np.uint8), (512, 256))
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / 'notes.txt').write_text('not a picture')
    with opened(str(tmp_path), 1, rooms=4) as worlds:
        scenes = [world.scene(index) for world in worlds for index in range(world.count)]
        assert [scene.name for scene in scenes] == ['a.jpg', 'b.png']


@pytest.mark.parametrize('name', ['nothing.png', 'nowhere'])
def test_worlds_that_are_not_there_are_refused(tmp_path, name):
    with pytest.raises(WorldError), opened(str(tmp_path / name), 1, 2):
        pass


def test_unseen_rooms_depend_on_the_seed():
    pictures = []
    for seed in (1, 1, 2):
        with opened('procedural', seed, rooms=1) as worlds:
            pictures.append(worlds[0].scene(0).panorama().image)
            assert worlds[0].count == 1
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()


@pytest.mark.parametrize('fields', [{'n': 0}, {'seed': -1}, {'seconds': -1.0},
                                    {'max_start_deg': 0.0}, {'max_start_deg': 181.0},
                                    {'seconds': math.nan}], ids=str)
def test_evaluations_that_cannot_be_are_refused(fields):
    with pytest.raises(ConfigError, match='n must be at least 1'):
        EvalSearchConfig(**fields)


def test_evaluation_reports_the_policy_beside_every_baseline(tmp_path):
    torch.manual_seed(0)
    save_policy(tmp_path / 'policy', make_policy(PATTERN, ENCODER))
    threads = torch.get_num_threads()
    config = EvalSearchConfig(n=2, policy=str(tmp_path / 'policy'), seconds=0.6)
    try:
        result = evaluate_search(config)
        alone = evaluate_search(dataclasses.replace(config, baselines=False))
    finally:
        torch.set_num_threads(threads)
    assert result['n'] == 2
    assert alone['baselines'].keys() == {'template_glance', 'template_full'}
    assert {**alone, 'baselines': 0} == {**result, 'baselines': 0}
    assert {'success_rate', 'median_error_deg', 'median_time_s'} <= result.keys()
    assert {'random', 'raster'} <= result['baselines'].keys()
    for row in result['baselines'].values():
        assert row['n'] == 2
        assert 0 <= row['success_rate'] <= 1
    failed = round(2 * (1 - result['success_rate']))
    assert sum(result['failures'].values()) == failed
    json.dumps(result, allow_nan=False)


def test_evaluation_of_an_encoder_alone_is_refused(tmp_path):
    save_policy(tmp_path, Policy(make_policy(PATTERN, ENCODER).perception, None, {}))
    with pytest.raises(CheckpointError, match='no eye'):
        evaluate_search(EvalSearchConfig(policy=str(tmp_path)))
