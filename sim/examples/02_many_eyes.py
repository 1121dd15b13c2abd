"""Many eyes in one process, each in an episode of its own: how fast is this machine?

python sim/examples/02_many_eyes.py [eyes] [steps]
"""

import sys
import time

import gymnasium

from gaze_robot.foveation import FoveationPattern
import gaze_robot_sim.envs  # noqa: F401    registers the environments


def main(eyes: int = 64, steps: int = 100) -> None:
    pattern = FoveationPattern((22.6, 43.6, 90.0), (32, 32, 32), 8)       # small: quick
    env = gymnasium.make_vec('gaze_robot/Search-v0', num_envs=eyes, pattern=pattern, scenes=4)
    env.action_space.seed(0)
    env.reset(seed=0)
    actions = [env.action_space.sample() for _ in range(steps)]
    began, total = time.perf_counter(), 0.0
    for action in actions:
        observation, rewards, _, _, info = env.step(action)               # a row for every eye
        total += float(rewards.sum())
    took = time.perf_counter() - began
    print(f'{eyes} eyes, {steps} steps each: {eyes * steps / took:.0f} steps per second, '
          f'mean reward {total / eyes / steps:.4f}')
    env.close()


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
