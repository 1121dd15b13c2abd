"""What every registered environment promises, whichever task it is."""

import math
import pickle
import warnings

import cv2
import gymnasium
from gymnasium.utils.env_checker import check_env
import numpy as np
import pytest
from stable_baselines3 import PPO
import stable_baselines3.common.env_checker

from gaze_robot.errors import CommandError, ConfigError, GazeRobotError, WorldError
from gaze_robot.foveation import FoveationPattern
import gaze_robot_sim.envs  # noqa: F401 - registers the environments
from gaze_robot_sim.envs.making import make_batch
from gaze_robot_sim.envs.vec import GazeVecEnv
from gaze_robot_sim.scenes.procedural import ProceduralWorld

IDS = sorted(name for name in gymnasium.registry if name.startswith('gaze_robot/'))
PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 16), (8, 8, 8))
ROOMS = ProceduralWorld(3, count=3, width=256)
SMALL = {'world': ROOMS, 'pattern': PATTERN}
LIVELY = {**SMALL, 'dynamics': 'random', 'pause_steps': 2, 'episode_s': 0.3}      # 11 steps
every_id = pytest.mark.parametrize('name', IDS)
both_actions = pytest.mark.parametrize('discrete', [True, False], ids=['discrete', 'continuous'])


def test_the_registry_is_not_empty():
    assert {'gaze_robot/Search-v0', 'gaze_robot/Track-v0', 'gaze_robot/Orient-v0',
            'gaze_robot/Follow-v0'} <= set(IDS)


def make(name, **options):
    return gymnasium.make(name, **{**SMALL, **options})


def vec_env(name, eyes, **options):
    options = {**SMALL, **options}
    world, pattern = options.pop('world'), options.pop('pattern')
    kind = gymnasium.make(name, world=world, pattern=pattern).unwrapped.Batch
    return GazeVecEnv(make_batch(kind, eyes, world, pattern, options=options))


def same(first, second):
    """Whether two observations or infos are equal, entry by entry."""
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def same_infos(first, second):
    """The same of a vector environment's infos, with the last observations of ended episodes."""
    assert first.keys() == second.keys()
    for name in first:
        if name == 'final_obs':
            for one, two in zip(first[name], second[name]):
                assert (one is None) == (two is None)
                if one is not None:
                    same(one, two)
        elif isinstance(first[name], dict):
            same(first[name], second[name])
        else:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def actions_for(space, steps, seed=0):
    space.seed(seed)
    return [space.sample() for _ in range(steps)]


# --- the checkers of others


@every_id
@both_actions
def test_gymnasium_has_no_remarks(name, discrete):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        check_env(make(name, discrete=discrete).unwrapped, skip_render_check=True)


@every_id
@both_actions
def test_stable_baselines3_has_no_remarks(name, discrete):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        # Of 36 pixels at least, as its convolutions want them.
        pattern = FoveationPattern((20.0, 90.0), (48, 48), (8, 8))
        stable_baselines3.common.env_checker.check_env(
            make(name, discrete=discrete, pattern=pattern).unwrapped)


# --- what is declared is what comes


@every_id
@both_actions
def test_everything_has_its_declared_shape_and_type_and_is_finite(name, discrete):
    env = make(name, **{**LIVELY, 'discrete': discrete})
    observation, info = env.reset(seed=1)
    expected = {'pan_tilt', 'speed', *(f'level_{level}' for level in range(3))}
    assert expected <= observation.keys() == env.observation_space.spaces.keys()
    for action in actions_for(env.action_space, 30):
        for key, space in env.observation_space.spaces.items():
            assert observation[key].shape == space.shape
            assert observation[key].dtype == space.dtype
            assert np.isfinite(observation[key]).all()
            assert space.contains(observation[key])
        assert all(np.isfinite(value).all() for value in info.values())
        observation, reward, terminated, truncated, info = env.step(action)
        assert type(reward) is float
        assert math.isfinite(reward)
        assert reward == pytest.approx(sum(value for key, value in info.items()
                                           if key.startswith('reward/')))
        assert (type(terminated), type(truncated)) == (bool, bool)
        if terminated or truncated:
            observation, info = env.reset()


@every_id
def test_levels_are_pictures_that_change_as_the_eye_turns(name):
    env = make(name, dynamics='off')
    first, _ = env.reset(seed=2, options={'pose': (0.3, 0.1)})
    second = env.step(1)[0]
    for level in range(3):
        assert first[f'level_{level}'].std() > 3
        assert np.abs(first[f'level_{level}'].astype(int) - second[f'level_{level}']).max() > 10
    assert np.degrees(second['pan_tilt'] - first['pan_tilt']) == pytest.approx([10, 0], abs=1e-3)


@every_id
@both_actions
def test_random_actions_reach_every_quadrant(name, discrete):
    eyes = 32
    batch = vec_env(name, eyes, discrete=discrete, dynamics='off', episode_s=9.0).batch
    batch.start(range(eyes), {'pose': (0.0, 0.0)})
    batch.look()
    sampled = actions_for(gymnasium.vector.utils.batch_space(batch.action_space, eyes), 40)
    for action in sampled:
        batch.step(action)
        batch.reported[:] = batch.pose                  # as a glance would, but quicker
    pan, tilt = np.sign(batch.pose).T
    for across in (-1, 1):
        for along in (-1, 1):
            assert ((pan == across) & (tilt == along)).sum() >= 3
    assert np.degrees(np.abs(batch.pose)).max() > 25


# --- seeds, copies, many eyes


def play(env, actions, seed=None):
    """Everything that an environment says, restarted where episodes end."""
    said = [env.reset(seed=seed)] if seed is not None else []
    for action in actions:
        said.append(env.step(action))
        if said[-1][3]:
            said.append(env.reset())
    return said


def same_history(first, second):
    assert len(first) == len(second)
    for one, two in zip(first, second):
        same(one[0], two[0])
        same(one[-1], two[-1])
        assert one[1:-1] == two[1:-1]


@every_id
@both_actions
def test_a_seed_decides_everything(name, discrete):
    env = make(name, **{**LIVELY, 'discrete': discrete})
    actions = actions_for(env.action_space, 25)
    first = play(env, actions, 5)
    same_history(first, play(env, actions, 5))
    fresh = make(name, **{**LIVELY, 'discrete': discrete, 'world': ProceduralWorld(
        3, count=3, width=256)})
    same_history(first, play(fresh, actions, 5))
    other = play(env, actions, 6)
    assert np.abs(other[0][0]['level_2'].astype(int) - first[0][0]['level_2']).max() > 10


def copied(env):
    return pickle.loads(pickle.dumps(env))                          # noqa: S301 (our own bytes)


@every_id
def test_a_copy_goes_on_from_the_middle_of_an_episode(name):
    env = make(name, **LIVELY)
    actions = actions_for(env.action_space, 30)
    play(env, actions[:5], 4)
    copy = copied(env)
    same_history(play(env, actions[5:]), play(copy, actions[5:]))


@every_id
def test_a_copy_of_many_eyes_goes_on_from_the_middle_of_an_episode(name):
    env = gymnasium.make_vec(name, num_envs=3, threads=2, **LIVELY)
    env.reset(seed=4)
    actions = actions_for(env.action_space, 20)
    for action in actions[:5]:
        env.step(action)
    copy = copied(env)
    ended = False
    for action in actions[5:]:
        first, second = env.step(action), copy.step(action)
        for one, two in zip(first, second):
            if isinstance(one, dict):
                same_infos(one, two)
            else:
                np.testing.assert_array_equal(one, two)
        ended |= 'final_obs' in first[-1]
    assert ended, 'no episode ended: longer or shorter ones are needed'
    env.close()
    copy.close()


@every_id
@both_actions
def test_many_eyes_live_as_single_ones_would(name, discrete):
    """One by one, in gymnasium's vector and in stable-baselines3's: equal to the last bit."""
    options, eyes, seed = {**LIVELY, 'discrete': discrete}, 3, 11
    vector = gymnasium.make_vec(name, num_envs=eyes, threads=2, **options)
    vec = vec_env(name, eyes, **options)
    singles = [make(name, **options) for _ in range(eyes)]
    begun = [env.reset(seed=seed + eye) for eye, env in enumerate(singles)]
    vec.seed(seed)
    observation, infos = vector.reset(seed=seed)
    same(observation, vec.reset())
    for eye, (own, info) in enumerate(begun):
        same({key: rows[eye] for key, rows in observation.items()}, own)
        same({key: infos[key][eye] for key in info}, info)
    ended = 0
    for actions in actions_for(vector.action_space, 26):
        observation, reward, _, truncated, infos = vector.step(actions)
        seen, gained, done, said = vec.step(actions)
        same(observation, seen)
        np.testing.assert_array_equal(gained, reward.astype(np.float32))
        np.testing.assert_array_equal(done, truncated)
        for eye, env in enumerate(singles):
            own, value, _, over, info = env.step(actions[eye])
            assert (value, over) == (reward[eye], truncated[eye])
            same({key: said[eye][key] for key in info}, info)
            if over:
                ended += 1
                same(infos['final_obs'][eye], own)
                same(said[eye]['terminal_observation'], own)
                same({key: infos['final_info'][key][eye] for key in info}, info)
                own, info = env.reset()
            same({key: rows[eye] for key, rows in observation.items()}, own)
            same({key: infos[key][eye] for key in info}, info)
    assert ended == 2 * eyes
    vector.close()


# --- what is refused


@every_id
@pytest.mark.parametrize('discrete, action', [
    (False, np.array([math.nan, 0.0])), (False, np.array([0.0, math.inf])),
    (False, np.zeros(3)), (False, np.zeros(())), (True, 25), (True, -1), (True, 3.7),
    (True, np.array([1, 2]))], ids=str)
def test_actions_that_do_not_exist_are_refused(name, discrete, action):
    env = make(name, discrete=discrete, disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(CommandError, match='action'):
        env.step(action)
    env.step(0 if discrete else np.zeros(2))                        # and nothing is broken


@every_id
def test_every_eye_needs_its_action(name):
    vector, vec = gymnasium.make_vec(name, num_envs=3, **SMALL), vec_env(name, 3)
    for env in (vector, vec):
        env.reset()
        for wrong in (np.zeros(2, int), np.zeros((3, 2), int), np.zeros(0, int)):
            with pytest.raises(CommandError, match='action'):
                env.step(wrong)
    vector.close()


@every_id
@pytest.mark.parametrize('wrong, says', [
    ({'sampels': 1}, "'sampels'.*did you mean 'samples'"), ({'rewards': {'nera': 1.0}}, 'nera'),
    ({'dynamics': 'of'}, 'of'), ({'rate_hz': 0}, 'rate_hz'), ({'rate_hz': math.nan}, 'rate_hz'),
    ({'episode_s': 'long'}, 'episode_s|wrong type'), ({'pause_steps': -1}, 'pause_steps'),
    ({'render_mode': 'ascii'}, 'ascii'), ({'config': 3}, 'config')], ids=str)
def test_settings_that_do_not_exist_are_refused(name, wrong, says):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')                 # gymnasium's own remark on render modes
        with pytest.raises(ConfigError, match=says):
            make(name, **wrong)
        with pytest.raises(ConfigError, match=says):
            gymnasium.make_vec(name, num_envs=2, **SMALL, **wrong)


@every_id
def test_worlds_that_are_not_there_are_refused(name, tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'damaged.mp4').write_bytes(b'no video')
    cv2.imwrite(str(tmp_path / 'photo.png'), np.zeros((300, 400, 3), np.uint8))
    for world, says in (('nowhere.jpg', 'no world'), ('empty', 'holds no picture'),
                        ('damaged.mp4', 'damaged.mp4'), ('photo.png', 'twice as wide')):
        with pytest.raises(WorldError, match=says):
            make(name, world=str(tmp_path / world)).reset()


@every_id
def test_reset_options_that_do_not_exist_are_refused(name):
    env = make(name)
    with pytest.raises(ConfigError, match='scenes.*known: pose, scene'):
        env.reset(options={'scenes': 1})
    vector = gymnasium.make_vec(name, num_envs=2, **SMALL)
    with pytest.raises(ConfigError, match='scenes.*known: pose, scene'):
        vector.reset(options={'scenes': 1})


@every_id
def test_steps_before_the_first_reset_are_refused(name):
    vector = gymnasium.make_vec(name, num_envs=2, **SMALL)
    for env, action in ((make(name).unwrapped, 0), (vector, np.zeros(2, int))):
        with pytest.raises(GazeRobotError, match='reset'):
            env.step(action)


# --- learning without glue


@every_id
def test_ppo_learns_in_three_lines(name):
    env = gymnasium.make(name)
    model = PPO('MultiInputPolicy', env, n_steps=8, batch_size=8, n_epochs=1, seed=0)
    model.learn(16)
    assert model.num_timesteps == 16


@every_id
def test_ppo_learns_from_many_eyes(name):
    pattern = FoveationPattern((20.0, 90.0), (48, 48), (8, 8))
    env = vec_env(name, 4, pattern=pattern, discrete=False, episode_s=0.1)
    model = PPO('MultiInputPolicy', env, n_steps=4, batch_size=8, n_epochs=1, seed=0)
    model.learn(32)
    assert model.num_timesteps == 32
    assert len(model.ep_info_buffer) >= 4
