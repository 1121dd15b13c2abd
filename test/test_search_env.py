"""Search-v0: what gymnasium and stable-baselines3 promise about it, and the truth in it."""

import dataclasses
import math
import warnings

import gymnasium
from gymnasium.utils.env_checker import check_env
import numpy as np
import pytest
import stable_baselines3.common.env_checker
import torch

from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CommandError, ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.perception import PerceptionNetwork
from gaze_robot.policy.actions import MOVES
from gaze_robot.policy.observation import vector_size
from gaze_robot.types import Exemplar, PanTiltLimits
from gaze_robot_sim.envs.rewards import Outcome, reward, TERMS
from gaze_robot_sim.envs.search import SearchBatch, SearchConfig, SearchEnv
from gaze_robot_sim.envs.vec import SearchVecEnv
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import SearchTarget

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
NAME = 'gaze_robot/Search-v0'                           # registered by importing the package
SHORT = SearchConfig(episode_s=0.2)                     # six steps
STILL = dataclasses.replace(SHORT, scene_uses=10 ** 9)


class NoiseWorld:
    """Another picture of noise for every scene; anything in it may be the target."""

    name = 'noise'

    def __init__(self, seed=0):
        self.next_scene(np.random.default_rng(seed))

    def panorama(self, t_s=0.0):
        return self._panorama

    def next_scene(self, rng):
        self._panorama = Panorama(rng.integers(0, 256, (64, 128, 3), dtype=np.uint8))

    def sample_target(self, rng, t_s=0.0):
        direction = direction_from_pan_tilt(rng.uniform(-3, 3), rng.uniform(-0.5, 0.5))
        width = math.radians(10)
        return SearchTarget(direction, width,
                            Exemplar(self._panorama.patch(direction, width, 32), width), 'noise')

    def close(self):
        pass


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return PerceptionNetwork(PATTERN, EncoderConfig(16, 1, 2, 2, 8)).eval()


def env_of(network, config=SHORT, seed=0, **options):
    return SearchEnv([NoiseWorld(seed)], network, config, **options)


def batch_of(network, eyes, config=STILL, seed=0, worlds=1):
    return SearchBatch(eyes, [NoiseWorld(i) for i in range(worlds)], network, config, seed)


def assert_same(first, second, **tolerance):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], **tolerance)


# --- the contracts of others


@pytest.mark.parametrize('discrete', [True, False])
def test_gymnasium_finds_nothing_to_complain_about(network, discrete):
    config = dataclasses.replace(SHORT, discrete=discrete)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        # Unbounded observations are meant: tokens have no known range.
        warnings.filterwarnings('ignore', message=r'.*Box observation space m\w+ value is -?inf')
        env = gymnasium.make(NAME, worlds=[NoiseWorld()], network=network, config=config,
                             render_mode='rgb_array')
        check_env(env.unwrapped)


@pytest.mark.parametrize('discrete', [True, False])
def test_stable_baselines3_finds_nothing_to_complain_about(network, discrete):
    config = dataclasses.replace(SHORT, discrete=discrete)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        # Tokens are rows of features; the policy is our own, as the warning asks.
        warnings.filterwarnings('ignore', message=r'.*tokens has an unconventional shape')
        stable_baselines3.common.env_checker.check_env(env_of(network, config))


def test_environment_is_registered_by_name(network):
    env = gymnasium.make(NAME, worlds=[NoiseWorld()], network=network, config=SHORT)
    observation, _ = env.reset(seed=3)
    assert env.observation_space.contains(observation)
    assert isinstance(env.unwrapped, SearchEnv)


# --- spaces


@pytest.mark.parametrize('discrete', [True, False])
def test_observations_and_actions_are_in_their_spaces(network, discrete):
    env = env_of(network, dataclasses.replace(SHORT, discrete=discrete))
    env.action_space.seed(0)
    observation, info = env.reset(seed=1)
    assert observation['tokens'].shape == (12, 16)
    assert observation['vector'].shape == (vector_size(PATTERN),)
    for _ in range(20):
        assert env.observation_space.contains(observation)
        assert all(np.isfinite(value).all() for value in observation.values())
        assert all(math.isfinite(value) for value in info.values())
        observation, _, _, truncated, info = env.step(env.action_space.sample())
        if truncated:
            observation, info = env.reset()


def test_random_actions_reach_every_quadrant(network):
    """From one pose in the middle: up, down, left and right of it, and the limits in the end."""
    batch = batch_of(network, 64)
    batch.start(range(64))
    batch.pose[:] = 0.0
    rng = np.random.default_rng(0)
    for _ in range(60):
        batch.step(rng.integers(len(MOVES), size=64))
    side = np.sign(batch.pose)
    counts = {(pan, tilt): int(((side[:, 0] == pan) & (side[:, 1] == tilt)).sum())
              for pan in (-1, 1) for tilt in (-1, 1)}
    assert min(counts.values()) >= 6
    assert np.degrees(np.abs(batch.pose)).max() > 30


@pytest.mark.parametrize('action, side', [(1, (1, 0)), (3, (0, 1)), (5, (-1, 0)), (7, (0, -1))])
def test_moves_turn_the_head_the_way_they_say(network, action, side):
    batch = batch_of(network, 1)
    batch.start([0])
    batch.pose[:] = 0.1
    for _ in range(3):
        batch.step(np.array([action]))
    moved = batch.pose[0] - 0.1
    np.testing.assert_array_equal(np.sign(np.where(np.abs(moved) < 1e-9, 0, moved)), side)


def test_the_head_never_leaves_its_limits_nor_jumps(network):
    limits = PanTiltLimits((-0.5, -0.2), (0.4, 0.3), (2.0, 1.0))
    batch = batch_of(network, 8, dataclasses.replace(STILL, limits=limits, max_start_deg=180))
    batch.start(range(8))
    for step in range(60):
        before = batch.pose.copy()
        batch.step(np.full(8, 1 + step // 8 % 8))
        assert (batch.pose >= np.array(limits.min_position) - 1e-9).all()
        assert (batch.pose <= np.array(limits.max_position) + 1e-9).all()
        assert (np.abs(batch.pose - before) * 30 <= np.array(limits.max_velocity) + 1e-6).all()
    assert np.abs(batch.speed).max() <= 2.0 + 1e-9


@pytest.mark.parametrize('action', [25, -1, 3.7])
def test_actions_that_do_not_exist_are_refused(network, action):
    env = env_of(network)
    env.reset(seed=0)
    with pytest.raises(CommandError):
        env.step(action)


def test_every_eye_needs_its_action(network):
    batch = batch_of(network, 3)
    batch.start(range(3))
    with pytest.raises(CommandError, match='3 eyes need as many actions, got 2'):
        batch.step(np.zeros(2, int))


# --- determinism


def play(env, seed, steps=9):
    observation, info = env.reset(seed=seed)
    rows = [observation], [info['error_rad']]
    for step in range(steps):
        observation, value, _, truncated, info = env.step((7 * step + seed) % 25)
        rows[0].append(observation)
        rows[1].extend([value, info['error_rad']])
        if truncated:
            observation, _ = env.reset()
            rows[0].append(observation)
    return rows


def test_a_seed_decides_everything(network):
    """Whatever the environment did before, and whichever scene its world began with."""
    used, fresh = env_of(network, seed=1), env_of(network, seed=2)
    play(used, 99, 25)
    first, second = play(used, 5), play(fresh, 5)
    np.testing.assert_allclose(first[1], second[1])
    for one, two in zip(first[0], second[0]):
        assert_same(one, two, atol=1e-6)
    other = play(fresh, 6)
    assert np.abs(np.array(other[1]) - first[1]).max() > 0.01


def test_episodes_differ(network):
    env = env_of(network)
    env.reset(seed=0)
    starts = {round(float(env.reset()[1]['error_rad']), 6) for _ in range(10)}
    assert len(starts) == 10


@pytest.mark.parametrize('randomise', [False, True])
def test_an_eye_in_a_batch_lives_as_it_would_alone(network, randomise):
    config = dataclasses.replace(STILL, randomise=randomise, delay_steps=1)
    many, alone = batch_of(network, 3, config), batch_of(network, 1, config)
    many.start(range(3))
    alone.start([0])
    assert_same({k: v[0] for k, v in many.look().items()},
                {k: v[0] for k, v in alone.look().items()}, atol=1e-5)
    for step in range(8):
        actions = np.array([step * 5 % 25, 3, 20])
        value, _ = many.step(actions)
        own, _ = alone.step(actions[:1])
        assert value[0] == pytest.approx(own[0])
        np.testing.assert_allclose(many.pose[0], alone.pose[0])
        assert_same({k: v[0] for k, v in many.look().items()},
                    {k: v[0] for k, v in alone.look().items()}, atol=1e-5)
    assert np.abs(many.pose[0] - many.pose[1]).max() > 1e-3


def test_some_eyes_looking_twice_do_not_disturb_the_others(network):
    batch, other = batch_of(network, 3), batch_of(network, 3)
    for one in (batch, other):
        one.start(range(3))
    batch.look()
    batch.look([1])
    other.look()
    for one in (batch, other):
        one.step(np.array([1, 2, 3]))
    first, second = batch.look(), other.look()
    for eye in (0, 2):
        assert_same({k: v[eye] for k, v in first.items()},
                    {k: v[eye] for k, v in second.items()}, atol=1e-6)


# --- truth


def test_reward_is_the_sum_of_its_terms(network):
    env = env_of(network)
    env.reset(seed=0)
    names = {f'reward/{name}' for name in SHORT.rewards}
    for action in range(25):
        _, value, terminated, truncated, info = env.step(action)
        assert {name for name in info if name.startswith('reward/')} == names
        assert value == pytest.approx(sum(info[name] for name in names))
        assert isinstance(value, float)
        assert terminated is False
        if truncated:
            env.reset()


def test_error_is_the_angle_to_the_target(network):
    batch = batch_of(network, 5)
    batch.start(range(5))
    for eye, error in enumerate(batch.error_rad()):
        ahead = direction_from_pan_tilt(*batch.pose[eye])
        expected = math.acos(float(np.clip(ahead @ batch.target[eye].direction, -1, 1)))
        assert error == pytest.approx(expected, abs=1e-6)


def test_looking_at_the_target_pays_and_turning_away_costs(network):
    batch = batch_of(network, 1)
    batch.start([0])
    pan, tilt = (float(v) for v in (math.atan2(*batch.target[0].direction[[1, 0]]),
                                    -math.asin(batch.target[0].direction[2])))
    values = []
    for away in (0.0, 0.5):
        batch.pose[:], batch.speed[:] = (pan - away if pan > 0 else pan + away, tilt), 0.0
        values.append(batch.step(np.array([0]))[0][0])
    assert values[0] > 3 * abs(values[1])


def test_episodes_are_truncated_after_their_time(network):
    env = env_of(network)
    for _ in range(3):
        env.reset()
        ends = [env.step(0)[3] for _ in range(6)]
        assert ends == [False] * 5 + [True]


@pytest.mark.parametrize('max_start_deg', [20.0, 60.0, 90.0])
def test_starts_are_as_near_as_asked_and_as_far(network, max_start_deg):
    batch = batch_of(network, 40, dataclasses.replace(STILL, max_start_deg=max_start_deg))
    batch.start(range(40))
    error = np.degrees(batch.error_rad())
    assert error.max() <= max_start_deg + 1e-6
    assert error.max() > 0.8 * max_start_deg
    low, high = np.array(STILL.limits.min_position), np.array(STILL.limits.max_position)
    assert (batch.pose >= low).all()
    assert (batch.pose <= high).all()


def test_scenes_are_replaced_as_often_as_asked(network):
    seen = {}
    for uses in (1, 10 ** 9):
        batch = batch_of(network, 1, dataclasses.replace(STILL, scene_uses=uses))
        seen[uses] = set()
        for _ in range(6):
            batch.start([0])
            seen[uses].add(id(batch.scenes()[0][0]))
    assert len(seen[10 ** 9]) == 1
    assert len(seen[1]) > 1


def test_actions_arrive_late_by_the_delay(network):
    """The path of a delayed head is that of an immediate one, some steps later."""
    paths = []
    for delay in (0, 2):
        batch = batch_of(network, 1, dataclasses.replace(STILL, delay_steps=delay))
        batch.start([0])
        batch.pose[:] = 0.0
        for waiting in batch._pending[0]:
            waiting[:] = 0.0
        rows = []
        for _ in range(12):
            batch.step(np.array([1]) if len(rows) == 0 else np.array([0]))
            rows.append(batch.pose[0, 0])
        paths.append(rows)
    assert paths[0][0] > 0
    assert paths[1][:2] == pytest.approx([0.0, 0.0])
    assert paths[1][2] == pytest.approx(paths[0][0])


def test_render_shows_the_levels_side_by_side_in_one_size(network):
    env = env_of(network, render_mode='rgb_array')
    assert env.render() is None
    env.reset(seed=0)
    picture = env.render()
    assert picture.dtype == np.uint8
    assert picture.shape == (32, 96, 3)
    for level in (0, 1):                                    # of 16 samples, each twice
        np.testing.assert_array_equal(picture[::2, 32 * level:32 * (level + 1):2],
                                      env.batch.views[level][0])
    np.testing.assert_array_equal(picture[:, 64:], env.batch.views[2][0])
    assert env_of(network).render() is None


# --- rewards


def outcome(error_deg, before_deg=None, speed=0.0):
    error = np.radians(np.atleast_1d(np.asarray(error_deg, float)))
    before = error if before_deg is None else np.radians(np.atleast_1d(float(before_deg)))
    return Outcome(error, before, np.full(len(error), speed))


@pytest.mark.parametrize('term, given, expected', [
    ('near', outcome([0, 45, 90]), [1, 0.5, 0]), ('approach', outcome(4, 10), [1.0]),
    ('approach', outcome(10, 4), [-1.0]), ('on_target', outcome([0, 4.9, 5.1]), [1, 1, 0]),
    ('centred', outcome([0, 2.5, 5, 50]), [1, 0.5, 0, 0]),
    ('unsteady', outcome([1, 20], speed=0.5), [-0.5, 0]),
    ('unsteady', outcome([1], speed=9.0), [-1.0])], ids=lambda v: v if isinstance(v, str) else '')
def test_terms_have_the_values_their_names_promise(term, given, expected):
    value, parts = reward(given, {term: 1.0})
    np.testing.assert_allclose(value, expected, atol=1e-9)
    assert parts.keys() == {f'reward/{term}'}
    half, _ = reward(given, {term: 0.5})
    np.testing.assert_allclose(half, value / 2)


def test_unknown_terms_are_named():
    with pytest.raises(ConfigError, match=r"no such reward terms: \['centerd'\].*'centred'"):
        reward(outcome([1.0]), {'near': 1.0, 'centerd': 1.0})


def test_no_terms_no_reward():
    value, parts = reward(outcome([1.0, 2.0]), {})
    np.testing.assert_array_equal(value, [0, 0])
    assert parts == {}


def test_default_scales_name_existing_terms():
    assert SearchConfig().rewards.keys() <= TERMS.keys()


# --- many eyes for stable-baselines3


def test_vector_environment_restarts_by_itself_and_reports_episodes(network):
    env = SearchVecEnv(batch_of(network, 3), stagger=False)
    observation = env.reset()
    assert observation['tokens'].shape == (3, 12, 16)
    total, parts = np.zeros(3), np.zeros(3)
    for step in range(18):
        before = [target.direction.copy() for target in env.batch.target]
        observation, value, done, infos = env.step(np.array([step % 25, 3, 0]))
        assert value.dtype == np.float32
        assert value.shape == done.shape == (3,)
        total += value
        for eye, info in enumerate(infos):
            assert done[eye] == (step % 6 == 5)
            if not done[eye]:
                assert info == {}
                continue
            last = info['terminal_observation']
            assert last['vector'].shape == observation['vector'][eye].shape
            assert np.abs(last['vector'] - observation['vector'][eye]).max() > 1e-3
            assert info['TimeLimit.truncated'] is True
            assert info['episode']['l'] == 6
            assert info['episode']['r'] == pytest.approx(total[eye], abs=1e-4)
            parts[eye] = sum(value for name, value in info['episode'].items()
                             if name.startswith('reward/'))
            assert parts[eye] == pytest.approx(total[eye], abs=1e-4)
            assert math.isfinite(info['final_error_rad'])
            assert (env.batch.target[eye].direction != before[eye]).any()
            assert env.batch.steps[eye] == 0
            total[eye] = 0.0


def test_last_observation_of_an_episode_is_the_one_of_a_batch_that_goes_on(network):
    env = SearchVecEnv(batch_of(network, 2), stagger=False)
    plain = batch_of(network, 2)
    env.reset()
    plain.start(range(2))
    plain.look()
    for step in range(6):
        observation, _, done, infos = env.step(np.array([step, 2 * step]))
        plain.step(np.array([step, 2 * step]))
        going_on = plain.look()
    assert done.all()
    for eye in range(2):
        assert_same(infos[eye]['terminal_observation'],
                    {name: rows[eye] for name, rows in going_on.items()}, atol=1e-6)


def test_staggered_episodes_do_not_end_together(network):
    env = SearchVecEnv(batch_of(network, 6))
    env.reset()
    ended = np.stack([env.step(np.zeros(6, int))[2] for _ in range(12)])
    assert ended.sum(axis=1).max() == 1
    np.testing.assert_array_equal(ended.sum(axis=0), 2)


def test_vector_environment_keeps_stable_baselines3s_contract(network):
    env = SearchVecEnv(batch_of(network, 2))
    assert env.num_envs == 2
    assert env.get_attr('render_mode') == [None, None]
    assert env.env_is_wrapped(gymnasium.Wrapper, [1]) == [False]
    assert env.seed(3) == [3, 3]
    first = env.reset()
    env.step(np.zeros(2, int))
    env.seed(3)
    assert_same(env.reset(), first, atol=1e-6)
    assert len(env.env_method('error_rad')[0]) == 2
    env.close()


def test_default_environment_searches_procedural_rooms(network):
    env = SearchEnv(network=network, config=SHORT)
    assert env.batch.worlds[0].name == 'procedural'
    observation, info = env.reset(seed=0)
    assert 0 <= info['error_rad'] <= math.pi / 2 + 1e-6
    assert env.observation_space.contains(observation)
