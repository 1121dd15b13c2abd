"""Search-v0 and what all tasks share: the truth in it, its time, its seeds."""

import dataclasses
import math
import pickle

import gymnasium
import numpy as np
import pytest
import torch

from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CommandError, ConfigError, WorldError
from gaze_robot.foveation import FILL, FoveationPattern
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.perception import PerceptionNetwork
from gaze_robot.policy.actions import MOVES
from gaze_robot.policy.observation import vector_size
from gaze_robot.types import Exemplar, PanTiltLimits
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.envs.config import EyeConfig
from gaze_robot_sim.envs.rewards import Outcome, reward, TERMS
from gaze_robot_sim.envs.search import SearchBatch, SearchConfig, SearchEnv
from gaze_robot_sim.envs.seeing import SeeingBatch
from gaze_robot_sim.envs.vec import GazeVecEnv
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import SearchTarget

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
SHORT = SearchConfig(episode_s=0.2)                     # six steps


class NoiseScene:
    """A picture of noise, turned with time if it has a duration; anything may be the target."""

    def __init__(self, seed, duration_s=0.0):
        self.name, self.duration_s = f'noise {seed}', duration_s
        self.image = np.random.default_rng(seed).integers(0, 256, (64, 128, 3), dtype=np.uint8)
        self._panorama = Panorama(self.image)

    def panorama(self, t_s=0.0):
        if not self.duration_s:
            return self._panorama
        return Panorama(np.roll(self.image, int(t_s * 30 + 1e-6), axis=1))

    def sample_target(self, rng, t_s=0.0):
        direction = direction_from_pan_tilt(rng.uniform(-3, 3), rng.uniform(-0.5, 0.5))
        width = math.radians(10)
        return SearchTarget(direction, width,
                            Exemplar(self._panorama.patch(direction, width, 32), width), 'noise')

    def sprites(self, t_s=0.0):
        return ()


class NoiseWorld:
    """Another picture of noise for every scene."""

    name = 'noise'

    def __init__(self, seed=0, count=None, duration_s=0.0):
        self.seed, self.count, self.duration_s = seed, count, duration_s
        self.closed = False

    def scene(self, index):
        return NoiseScene([self.seed, index if self.count is None else index % self.count],
                          self.duration_s)

    def close(self):
        self.closed = True


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return PerceptionNetwork(PATTERN, EncoderConfig(16, 1, 2, 2, 8)).eval()


def env_of(config=SHORT, seed=0, **options):
    return SearchEnv(NoiseWorld(seed), PATTERN, config, **options)


def batch_of(eyes, config=SHORT, seed=0, **world):
    return SearchBatch(eyes, [NoiseWorld(0, **world)], PATTERN, config, seed)


def turn_all(batch, pose):
    """Put every eye at a pose, at rest."""
    for eye in range(batch.eyes):
        batch.motion.start(eye, batch.random[eye], np.asarray(pose, float))
    batch.reported[:] = pose
    batch._before = batch.error_rad()


def assert_same(first, second, **tolerance):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], **tolerance)


# --- actions


def test_random_actions_reach_every_quadrant():
    """From one pose in the middle: up, down, left and right of it, and the limits in the end."""
    batch = batch_of(64)
    batch.start(range(64))
    turn_all(batch, (0.0, 0.0))
    rng = np.random.default_rng(0)
    for _ in range(60):
        batch.step(rng.integers(len(MOVES), size=64))
        batch.reported[:] = batch.pose
    side = np.sign(batch.pose)
    counts = {(pan, tilt): int(((side[:, 0] == pan) & (side[:, 1] == tilt)).sum())
              for pan in (-1, 1) for tilt in (-1, 1)}
    assert min(counts.values()) >= 6
    assert np.degrees(np.abs(batch.pose)).max() > 30


@pytest.mark.parametrize('action, side', [(1, (1, 0)), (3, (0, 1)), (5, (-1, 0)), (7, (0, -1))])
def test_moves_turn_the_head_the_way_they_say(action, side):
    batch = batch_of(1)
    batch.start([0])
    turn_all(batch, (0.1, 0.1))
    for _ in range(3):
        batch.step(np.array([action]))
    moved = batch.pose[0] - 0.1
    np.testing.assert_array_equal(np.sign(np.where(np.abs(moved) < 1e-9, 0, moved)), side)


def test_the_head_never_leaves_its_limits_nor_jumps():
    limits = PanTiltLimits((-0.5, -0.2), (0.4, 0.3), (2.0, 1.0))
    batch = batch_of(8, dataclasses.replace(SHORT, limits=limits, max_start_deg=180))
    batch.start(range(8))
    for step in range(60):
        before = batch.pose.copy()
        batch.step(np.full(8, 1 + step // 8 % 8))
        batch.reported[:] = batch.pose
        assert (batch.pose >= np.array(limits.min_position) - 1e-9).all()
        assert (batch.pose <= np.array(limits.max_position) + 1e-9).all()
        assert (np.abs(batch.pose - before) * 30 <= np.array(limits.max_velocity) + 1e-6).all()
    assert np.abs(batch.speed).max() <= 2.0 + 1e-9


@pytest.mark.parametrize('discrete, action', [
    (True, 25), (True, -1), (True, 3.7), (True, math.nan), (False, (math.nan, 0.0)),
    (False, (0.0, math.inf))])
def test_actions_that_do_not_exist_are_refused(discrete, action):
    env = env_of(discrete=discrete)
    env.reset(seed=0)
    with pytest.raises(CommandError):
        env.step(action)


def test_every_eye_needs_its_action():
    batch = batch_of(3)
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


def test_a_seed_decides_everything():
    """Whatever the environment did before."""
    used, fresh = env_of(), env_of()
    play(used, 99, 25)
    first, second = play(used, 5), play(fresh, 5)
    np.testing.assert_allclose(first[1], second[1])
    for one, two in zip(first[0], second[0]):
        assert_same(one, two, atol=1e-6)
    other = play(fresh, 6)
    assert np.abs(np.array(other[1]) - first[1]).max() > 0.01


def test_episodes_differ():
    env = env_of()
    env.reset(seed=0)
    starts = {round(float(env.reset()[1]['error_rad']), 6) for _ in range(10)}
    assert len(starts) == 10


@pytest.mark.parametrize('dynamics', ['off', 'head', 'typical', 'random'])
def test_an_eye_in_a_batch_lives_as_it_would_alone(dynamics):
    """To the last bit, through its restart."""
    config = dataclasses.replace(SHORT, dynamics=dynamics, random_cameras=True, pause_steps=1)
    many, alone = batch_of(3, config), batch_of(1, config)
    for batch in (many, alone):
        batch.start(range(batch.eyes))
    for step in range(16):
        first, second = many.look(), alone.look()
        assert_same({k: v[0] for k, v in first.items()}, {k: v[0] for k, v in second.items()},
                    atol=0)
        actions = np.array([step * 5 % 25, 3, 20])
        value, _ = many.step(actions)
        own, _ = alone.step(actions[:1])
        assert value[0] == own[0]
        np.testing.assert_array_equal(many.pose[0], alone.pose[0])
        if alone.finished[0]:
            many.start([0])
            alone.start([0])
    assert np.abs(many.pose[0] - many.pose[1]).max() > 1e-3


def test_some_eyes_looking_twice_do_not_disturb_the_others():
    batch, other = batch_of(3), batch_of(3)
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


def test_reward_is_the_sum_of_its_terms():
    env = env_of()
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


def test_error_is_the_angle_to_the_target():
    batch = batch_of(5)
    batch.start(range(5))
    for eye, error in enumerate(batch.error_rad()):
        ahead = direction_from_pan_tilt(*batch.pose[eye])
        expected = math.acos(float(np.clip(ahead @ batch.target[eye].direction, -1, 1)))
        assert error == pytest.approx(expected, abs=1e-6)


def test_looking_at_the_target_pays_and_turning_away_costs():
    batch = batch_of(1)
    batch.start([0])
    pan, tilt = (float(v) for v in (math.atan2(*batch.target[0].direction[[1, 0]]),
                                    -math.asin(batch.target[0].direction[2])))
    values = []
    for away in (0.0, 0.5):
        turn_all(batch, (pan - away if pan > 0 else pan + away, tilt))
        values.append(batch.step(np.array([0]))[0][0])
    assert values[0] > 3 * abs(values[1])


def test_episodes_are_truncated_after_their_time():
    env = env_of()
    for _ in range(3):
        env.reset()
        ends = [env.step(0)[3] for _ in range(6)]
        assert ends == [False] * 5 + [True]


@pytest.mark.parametrize('max_start_deg', [20.0, 60.0, 90.0])
def test_starts_are_as_near_as_asked_and_as_far(max_start_deg):
    batch = batch_of(40, dataclasses.replace(SHORT, max_start_deg=max_start_deg))
    batch.start(range(40))
    error = np.degrees(batch.error_rad())
    assert error.max() <= max_start_deg + 1e-6
    assert error.max() > 0.8 * max_start_deg
    low, high = np.array(SHORT.limits.min_position), np.array(SHORT.limits.max_position)
    assert (batch.pose >= low).all()
    assert (batch.pose <= high).all()


def test_scenes_come_from_a_window_that_moves_on():
    """`scenes` rooms at a time; after every `scene_uses` episodes one gives way to the next."""
    for uses, rooms in ((0, range(3)), (4, range(3 + 9))):
        batch = batch_of(1, dataclasses.replace(SHORT, scenes=3, scene_uses=uses))
        seen = []
        for _ in range(40):
            batch.start([0])
            seen.append(int(batch.scene[0].name.split()[-1].strip(']')))
        assert {0, 1, 2} < set(seen) | {3} <= set(rooms) | {3}
        assert max(seen) >= rooms[-1] - 2
        for episode, room in enumerate(seen):
            assert 0 <= room - (episode // uses if uses else 0) < 3


def test_a_folder_is_drawn_from_as_a_whole():
    batch = batch_of(1, dataclasses.replace(SHORT, scenes=1), count=5)
    seen = set()
    for _ in range(60):
        batch.start([0])
        seen.add(batch.scene[0].name)
    assert len(seen) == 5


def test_actions_arrive_late_by_the_latency():
    """The path of a late head is that of an immediate one, two steps later."""
    paths = []
    for latency in (0.0, 2 / 30):
        dynamics = EyeDynamics(latency_s=(latency, latency))
        batch = batch_of(1, dataclasses.replace(SHORT, dynamics=dynamics))
        batch.start([0])
        turn_all(batch, (0.0, 0.0))
        rows = []
        for step in range(12):
            batch.step(np.array([1 if step == 0 else 0]))
            rows.append(batch.pose[0, 0])
        paths.append(rows)
    assert paths[0][0] > 0
    assert paths[1][:2] == pytest.approx([0.0, 0.0])
    assert paths[1][2:] == pytest.approx(paths[0][:-2])


def test_the_world_waits_while_the_eye_may_already_move():
    config = dataclasses.replace(SHORT, pause_steps=4)
    batch = batch_of(1, config, duration_s=100.0)
    batch.start([0])
    began = batch.scene_time(0)
    times, views = [], []
    for _ in range(config.length):
        turn_all(batch, (0.0, 0.0))
        views.append(batch.look()['level_2'].copy())
        times.append(batch.scene_time(0) - began)
        batch.step(np.array([0]))
    assert config.length == 10
    assert batch.finished.all()
    assert times == pytest.approx([0, 0, 0, 0, 0, *(np.arange(1, 6) / 30)], abs=1e-9)
    for waiting in views[1:5]:
        np.testing.assert_array_equal(waiting, views[0])
    assert all((view != views[0]).any() for view in views[5:])


def test_dropped_pictures_repeat_the_last_one():
    dynamics = EyeDynamics(drop_rate=(0.5, 0.5))
    batch = batch_of(1, dataclasses.replace(SHORT, dynamics=dynamics, episode_s=3.0))
    batch.start([0])
    views = [batch.look()['level_0'].copy()]
    for _ in range(60):
        batch.step(np.array([1]))
        turn_all(batch, batch.pose[0])
        batch.retina.sensor.start(0, batch.random[0])
        views.append(batch.look()['level_0'].copy())
    same = np.mean([(one == two).all() for one, two in zip(views, views[1:])])
    assert 0.25 < same < 0.75


def test_what_the_camera_does_not_show_is_grey():
    batch = batch_of(2, dataclasses.replace(SHORT, hfov_deg=60.0, aspect=0.5))
    batch.start(range(2))
    views = batch.look()
    for level, mask in enumerate(PATTERN.inside_camera(60.0, 0.5)):
        assert (views[f'level_{level}'][:, ~mask] == FILL).all()
        assert views[f'level_{level}'][:, mask].std() > 15
    assert not PATTERN.inside_camera(60.0, 0.5)[2].all()


# --- what is asked for wrongly


@pytest.mark.parametrize('options, reason', [
    ({'dynamic': 'off'}, "no such option: 'dynamic'; did you mean 'dynamics'.*pause_steps"),
    ({'dynamics': 'ideal'}, "no dynamics 'ideal'; known: off, head, typical, random"),
    ({'rewards': {'nearer': 1.0}}, r"no such reward terms: \['nearer'\]"),
    ({'episode_s': -1.0}, 'episode_s must lie between'), ({'rate_hz': math.nan}, 'rate_hz must'),
    ({'rate_hz': '30'}, "rate_hz must lie between 1 and 1000, got '30'"),
    ({'scenes': 1.5}, 'scenes must be a whole number'),
    ({'discrete': 'no'}, 'discrete must be True'), ({'limits': None}, 'limits must be a'),
    ({'dynamics': 3}, 'dynamics must be an EyeDynamics or'),
    ({'rewards': {'near': math.nan}}, "scale of reward term 'near' must be a finite number"),
    ({'rewards': ['near']}, 'rewards must be a mapping'),
    ({'max_start_deg': 0.0}, 'max_start_deg'), ({'samples': 9}, 'samples must be a whole'),
    ({'config': EyeConfig()}, 'config must be a SearchConfig, got EyeConfig')])
def test_bad_options_are_refused_with_what_is_known(options, reason):
    with pytest.raises(ConfigError, match=reason):
        SearchEnv(NoiseWorld(), PATTERN, **options)


def test_bad_worlds_and_resets_are_refused():
    with pytest.raises(WorldError, match="there is no world 'nowhere.jpg'"):
        gymnasium.make('gaze_robot/Search-v0', world='nowhere.jpg')
    with pytest.raises(ConfigError, match=r"no such options: \['room'\]; known: pose, scene"):
        env_of().reset(options={'room': 3})
    for world in (3, None, [NoiseWorld(), 4]):
        with pytest.raises(ConfigError, match="a world is 'procedural', a path, or an open world"):
            SearchEnv(world)
    with pytest.raises(ConfigError, match='pattern must be a FoveationPattern'):
        SearchEnv(NoiseWorld(), [16, 16])
    for pose in ((50.0, 9.0), (0.0, math.nan), 'up', (0.0,)):
        with pytest.raises(ConfigError, match='pose must be'):
            env_of().reset(options={'pose': pose})
    for scene in ('a', None, 2.7, -1):
        with pytest.raises(ConfigError, match='scene must be a whole number'):
            env_of().reset(options={'scene': scene})
    with pytest.raises(CommandError, match=r'start\(\) comes before look\(\)'):
        batch_of(1).look()
    with pytest.raises(ConfigError, match='at least one eye'):
        batch_of(0)


def test_a_reset_may_say_where_to_begin():
    env = env_of()
    observation, _ = env.reset(seed=1, options={'scene': 7, 'pose': (0.3, -0.1)})
    np.testing.assert_allclose(observation['pan_tilt'], (0.3, -0.1), atol=1e-6)
    assert env.batch.scene[0].name == 'noise [0, 7]'


def test_closing_closes_only_worlds_that_the_environment_opened(monkeypatch):
    world, opened = NoiseWorld(), NoiseWorld()
    SearchEnv(world, PATTERN).close()
    assert not world.closed
    monkeypatch.setattr('gaze_robot_sim.envs.making.open_world', lambda spec: opened)
    SearchEnv([world, 'somewhere'], PATTERN).close()
    assert opened.closed
    assert not world.closed


def test_wide_margins_of_a_narrow_camera_are_grey():
    """Also where the camera shows less than one sample of a level."""
    batch = batch_of(1, dataclasses.replace(SHORT, hfov_deg=1.0))
    batch.start([0])
    assert (batch.look()['level_2'] == FILL).all()


def test_pictures_that_will_be_shown_again_are_nobody_elses():
    batch = batch_of(2, dataclasses.replace(SHORT, dynamics=EyeDynamics(drop_rate=(0.5, 0.5))))
    other = batch_of(2, batch.config)
    for one in (batch, other):
        one.start(range(2))
    for _ in range(12):
        first, second = batch.look(), other.look()
        assert_same(first, second, atol=0)
        first['level_0'][:] = 0
        for one in (batch, other):
            one.step(np.array([1, 2]))


def test_moments_that_show_nothing_give_way_to_others():
    class Fading(NoiseScene):
        asked = 0

        def sample_target(self, rng, t_s=0.0):
            Fading.asked += 1
            if Fading.asked % 4:
                raise WorldError(f'nothing at {t_s}')
            return super().sample_target(rng, t_s)
    world = NoiseWorld(duration_s=9.0)
    world.scene = lambda index: Fading(0, 9.0)
    batch = SearchBatch(3, [world], PATTERN, SHORT, 0)
    batch.start(range(3))
    assert Fading.asked == 12


def test_a_pickled_batch_is_small_and_goes_on():
    batch = batch_of(2, dataclasses.replace(SHORT, dynamics='random'))
    batch.start(range(2))
    batch.look()
    data = pickle.dumps(batch)
    assert len(data) < 200_000
    copy = pickle.loads(data)                               # noqa: S301
    for _ in range(3):
        for one in (batch, copy):
            one.step(np.array([3, 7]))
        assert_same(batch.look(), copy.look(), atol=0)


@pytest.mark.parametrize('seeds', [[1, 2], [1, 2, 3, 4], -1, [0, 1, -1], [0, 1, 1.5]], ids=str)
def test_seeds_are_one_whole_number_or_one_for_each_eye(seeds):
    with pytest.raises(ConfigError, match='a seed is a whole number of 0 or more, or a list of 3'):
        batch_of(3).reseed(seeds)


def test_without_a_seed_chance_decides():
    starts = set()
    for _ in range(3):
        batch = SearchBatch(2, [NoiseWorld()], PATTERN, SHORT)
        batch.start(range(2))
        starts |= set(batch.pose[:, 0].tolist())
    assert len(starts) == 6


# --- rewards


def outcome(error_deg, before_deg=None, speed=0.0):
    error = np.radians(np.atleast_1d(np.asarray(error_deg, float)))
    before = error if before_deg is None else np.radians(np.atleast_1d(float(before_deg)))
    return Outcome(error, before, np.full(len(error), speed), np.ones(len(error), bool))


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


def test_terms_about_a_target_are_nothing_while_there_is_none():
    absent = dataclasses.replace(outcome([1.0], 5.0, speed=2.0), present=np.zeros(1, bool))
    for term in TERMS.keys() - {'effort'}:
        assert reward(absent, {term: 1.0})[0][0] == 0
    assert reward(absent, {'effort': 1.0})[0][0] == -4.0


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


def test_vector_environment_restarts_by_itself_and_reports_episodes():
    env = GazeVecEnv(batch_of(3))
    observation = env.reset()
    assert observation['level_0'].shape == (3, 16, 16, 3)
    total = np.zeros(3)
    for step in range(18):
        before = [target.direction.copy() for target in env.batch.target]
        observation, value, done, infos = env.step(np.array([step % 25, 3, 0]))
        assert value.dtype == np.float32
        assert value.shape == done.shape == (3,)
        total += value
        for eye, info in enumerate(infos):
            assert sum(v for k, v in info.items() if k.startswith('reward/')) == pytest.approx(
                value[eye], abs=1e-5)
            assert done[eye] == (step % 6 == 5)
            if not done[eye]:
                assert 'episode' not in info
                continue
            last = info['terminal_observation']
            assert (last['level_0'] != observation['level_0'][eye]).any()
            assert info['TimeLimit.truncated'] is True
            assert info['episode']['l'] == 6
            assert info['episode']['r'] == pytest.approx(total[eye], abs=1e-4)
            parts = sum(v for name, v in info['episode'].items() if name.startswith('reward/'))
            assert parts == pytest.approx(total[eye], abs=1e-4)
            assert math.isfinite(info['error_rad'])
            assert (env.batch.target[eye].direction != before[eye]).any()
            assert env.batch.steps[eye] == 0
            total[eye] = 0.0


def test_last_observation_of_an_episode_is_the_one_of_a_batch_that_goes_on():
    env, plain = GazeVecEnv(batch_of(2)), batch_of(2)
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
                    {name: rows[eye] for name, rows in going_on.items()}, atol=0)


def test_staggered_episodes_do_not_end_together():
    env = GazeVecEnv(batch_of(6), stagger=True)
    env.reset()
    ended = np.stack([env.step(np.zeros(6, int))[2] for _ in range(12)])
    assert ended.sum(axis=1).max() == 1
    np.testing.assert_array_equal(ended.sum(axis=0), 2)


def test_vector_environment_keeps_stable_baselines3s_contract():
    env = GazeVecEnv(batch_of(2))
    assert env.num_envs == 2
    assert env.get_attr('render_mode') == [None, None]
    assert env.env_is_wrapped(gymnasium.Wrapper, [1]) == [False]
    assert env.seed(3) == [3, 4]
    first = env.reset()
    env.step(np.zeros(2, int))
    env.seed(3)
    assert_same(env.reset(), first, atol=0)
    assert len(env.env_method('error_rad')) == 2
    env.set_options({'pose': (0.2, 0.1)})
    np.testing.assert_allclose(env.reset()['pan_tilt'], [(0.2, 0.1)] * 2, atol=1e-6)
    assert [info['error_rad'] for info in env.reset_infos] == list(env.batch.error_rad())
    env.close()


# --- eyes that see through the robot's perception


def seeing(network, eyes, config=SHORT, seed=0):
    return SeeingBatch(eyes, [NoiseWorld()], network, config, seed)


def test_seeing_eyes_observe_what_the_policy_reads(network):
    batch = seeing(network, 2)
    batch.start(range(2))
    for _ in range(4):
        observation = batch.look()
        assert observation['tokens'].shape == (2, 12, 16)
        assert observation['vector'].shape == (2, vector_size(PATTERN))
        for eye in range(2):
            assert batch.observation_space.contains({k: v[eye] for k, v in observation.items()})
        assert all(np.isfinite(value).all() for value in observation.values())
        batch.step(np.array([1, 2]))


def test_seeing_eyes_encode_the_views_of_plain_ones(network):
    batch, plain = seeing(network, 2), batch_of(2)
    for one in (batch, plain):
        one.start(range(2))
    tokens, views = batch.look()['tokens'], plain.look()
    with torch.inference_mode():
        expected = network.encode([torch.from_numpy(views[f'level_{i}']) for i in range(3)])
    np.testing.assert_allclose(tokens, expected.numpy(), atol=1e-5)


def test_a_seeing_eye_among_many_sees_what_it_would_alone(network):
    config = dataclasses.replace(SHORT, dynamics='random', random_cameras=True)
    many, alone = seeing(network, 3, config), seeing(network, 1, config)
    for batch in (many, alone):
        batch.start(range(batch.eyes))
    for step in range(8):
        assert_same({k: v[0] for k, v in many.look().items()},
                    {k: v[0] for k, v in alone.look().items()}, atol=1e-5)
        many.step(np.array([step, 3, 20]))
        alone.step(np.array([step]))


def test_default_environment_searches_procedural_rooms():
    env = SearchEnv(config=SHORT)
    assert env.batch.worlds[0].name == 'procedural'
    observation, info = env.reset(seed=0)
    assert 0 <= info['error_rad'] <= math.pi / 2 + 1e-6
    assert env.observation_space.contains(observation)
