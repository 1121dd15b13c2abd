"""Train stable-baselines3's PPO to search, without glue.

    python sim/examples/03_train_with_sb3.py [steps]

The default only shows that it runs; a policy that finds things takes some millions of steps. The
one that this package ships is trained otherwise (`gaze-robot train search`): on what its
perception makes of the view, which learns much faster than on samples.
"""

import sys

from stable_baselines3 import PPO
import torch

from gaze_robot.foveation import FoveationPattern
from gaze_robot_sim.envs.making import make_batch
from gaze_robot_sim.envs.search import SearchBatch
from gaze_robot_sim.envs.vec import GazeVecEnv
from gaze_robot_sim.training.extractor import PatchExtractor


def main(steps: int = 2048, eyes: int = 16) -> None:
    torch.set_num_threads(1)
    pattern = FoveationPattern((22.6, 43.6, 90.0), (32, 32, 32), 8)
    options = {'episode_s': 1.0, 'scenes': 4}
    env = GazeVecEnv(make_batch(SearchBatch, eyes, pattern=pattern, options=options))
    # Below 36 samples stable-baselines3's own network for pictures cannot be used; with the
    # default pattern leave policy_kwargs out, or keep them: they are quicker.
    model = PPO('MultiInputPolicy', env, n_steps=64, batch_size=256, n_epochs=2, seed=0,
                policy_kwargs={'features_extractor_class': PatchExtractor})
    model.learn(steps)
    score = sum(episode['r'] for episode in model.ep_info_buffer) / len(model.ep_info_buffer)
    print(f'{model.num_timesteps} steps; mean return of the last episodes {score:.2f}')
    env.close()


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
