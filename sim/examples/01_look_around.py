"""One eye in a made-up room: look around at random for a second, and save what it is like.

python sim/examples/01_look_around.py [picture.png]
"""

import sys

import cv2
import gymnasium

import gaze_robot_sim.envs  # noqa: F401    registers the environments


def main(path: str = 'look_around.png') -> None:
    env = gymnasium.make('gaze_robot/Search-v0', render_mode='rgb_array', episode_s=1.0)
    env.action_space.seed(0)
    observation, info = env.reset(seed=0)
    for name, value in observation.items():
        print(f'{name:<15}{value.shape!s:<15}{value.dtype}')
    total, over = 0.0, False
    while not over:
        observation, reward, _, over, info = env.step(env.action_space.sample())
        total += reward
    print(f'sum of rewards {total:.2f}; the target is {info["error_rad"]:.2f} rad away')
    cv2.imwrite(path, cv2.cvtColor(env.render(), cv2.COLOR_RGB2BGR))
    print(f'the last moment: {path}')
    env.close()


if __name__ == '__main__':
    main(*sys.argv[1:])
