"""The workspaces as gymnasium environments."""

import gymnasium
from gymnasium.utils.env_checker import check_env
import numpy as np
import pytest

pytest.importorskip('mujoco', reason='needs mujoco')
pytest.importorskip('mink', reason='needs mink')

from gaze_robot.errors import CommandError, ConfigError
import gaze_robot_sim.physics
from gaze_robot_sim.physics.views import can_draw

if can_draw():
    pytest.skip(can_draw(), allow_module_level=True)

IDS = [f'gaze_workspace/{task}-v0' for task in gaze_robot_sim.physics.TASKS]


def same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.mark.parametrize('name', IDS[:2])
def test_gymnasium_has_no_remarks(name):
    env = gymnasium.make(name, render_mode='rgb_array')
    check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize('name', IDS)
def test_the_expert_earns_the_reward_with_normalised_actions(name):
    env = gymnasium.make(name).unwrapped
    env.reset(seed=11)
    total, over, ended = 0.0, False, False
    while not (over or ended):
        action = env.expert()
        assert env.action_space.contains(action)
        observation, reward, over, ended, info = env.step(action)
        total += reward
    env.close()
    assert (total, over, ended, info['outcome']) == (1.0, True, False, 'success')
    gaze_error = np.degrees(np.linalg.norm(observation['pan_tilt'] - info['aim']))
    assert gaze_error < 10 or name.endswith(('Bucket-v0', 'Shelf-v0', 'Read-v0'))


def test_a_seed_decides_everything():
    envs = [gymnasium.make(IDS[0]).unwrapped for _ in range(2)]
    first, second = (env.reset(seed=3)[0] for env in envs)
    same(first, second)
    for _ in range(5):
        action = envs[0].action_space.sample()
        first, second = (env.step(action)[0] for env in envs)
        same(first, second)
    assert not np.array_equal(envs[0].reset(seed=4)[0]['level_2'], first['level_2'])
    for env in envs:
        env.close()


def test_an_episode_that_takes_too_long_is_truncated():
    env = gymnasium.make(IDS[0], time_limit_s=0.1).unwrapped
    env.reset(seed=0)
    rest = {'hand': env.expert()['hand'] * 0, 'eye': np.zeros(2, np.float32)}
    results = [env.step(rest)[2:4] for _ in range(3)]
    env.close()
    assert results == [(False, False), (False, False), (False, True)]


def test_what_cannot_be_done_is_refused_with_advice():
    with pytest.raises(ConfigError, match='option'):
        gymnasium.make(IDS[0], gravity=3.0)
    with pytest.raises(ConfigError, match='render mode'):
        gaze_robot_sim.physics.envs.WorkspaceEnv('press', render_mode='ansi')
    env = gymnasium.make(IDS[0]).unwrapped
    with pytest.raises(CommandError, match='reset'):
        env.step(env.action_space.sample())
    env.reset(seed=0)
    with pytest.raises(CommandError, match='finite'):
        env.step({'hand': np.full(7, np.nan), 'eye': np.zeros(2)})
    env.close()


def test_physics_that_diverges_ends_an_episode_without_nan():
    env = gymnasium.make(IDS[0]).unwrapped
    observation, info = env.reset(seed=3)
    env._world.data.qvel[:] = 1e9
    after, reward, over, ended, told = env.step(env.action_space.sample())
    assert (reward, over, ended, told['outcome']) == (0.0, True, False, 'diverged')
    assert env.observation_space.contains(after)
    same(observation, after)
    np.testing.assert_array_equal(told['aim'], info['aim'])
    env.close()


def test_a_hand_of_other_joints_and_a_closed_environment_are_refused():
    env = gymnasium.make(IDS[0]).unwrapped
    env.reset(seed=3)
    action = env.action_space.sample()
    with pytest.raises(CommandError, match=r'hand has 7 numbers \(yaw, .*got \(6,\)'):
        env.step({**action, 'hand': action['hand'][:6]})
    env.close()
    with pytest.raises(CommandError, match='call reset'):
        env.step(action)
    env.reset(seed=3)
    assert env.observation_space.contains(env.step(action)[0])
    env.close()
