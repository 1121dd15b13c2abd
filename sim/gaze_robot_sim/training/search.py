"""Train an eye to search: pretrain perception, then the policy with stable-baselines3's PPO.

A run directory holds everything: config.json, encoder/ (pretraining), checkpoints/ (PPO, to resume
from), tb/ (TensorBoard), policy/ (what the robot loads), curve.png and result.json.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import dataclasses
from dataclasses import dataclass
import json
from pathlib import Path
import time
from typing import Any, Literal
import warnings
import zipfile

import cv2
import gymnasium
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
import torch
from tqdm import TqdmExperimentalWarning

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.backbones.backbone import BackboneConfig, load_backbone
from gaze_robot.checkpoint import load_policy, Policy, save_policy
from gaze_robot.errors import CheckpointError
from gaze_robot.perception import PerceptionNetwork
from gaze_robot.policy.network import EyePolicy, EyeTrunk
from gaze_robot_sim.cores import available_cores
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.envs.search import SearchConfig
from gaze_robot_sim.envs.seeing import SeeingBatch
from gaze_robot_sim.envs.vec import GazeVecEnv
from gaze_robot_sim.evaluate import learned, run_episodes, score
from gaze_robot_sim.rule import SearchRule
from gaze_robot_sim.scenes.procedural import ProceduralWorld
from gaze_robot_sim.training.encoder import EncoderTrainer, TrainEncoderConfig
from gaze_robot_sim.training.origin import option, origin
from gaze_robot_sim.training.warm_start import warm_start

_FIGURES = ('steps', 'n', 'success_rate', 'median_error_deg', 'median_time_s')

_UNSEEN = 1_000_003
"""Added to the seed for rooms the training never shows."""

_KEPT_BYTES = 32 << 20
"""Per world of the training, which opens many: a few rooms each."""

_TRAINING = EyeDynamics(latency_s=(0.0, 1 / 30), sensor_noise=(0.0, 6.0))
"""What the policy shall cope with."""

_UNREADABLE = (ValueError, KeyError, EOFError, OSError, RuntimeError, zipfile.BadZipFile)
"""What a damaged checkpoint raises."""


@dataclass(frozen=True)
class TrainSearchConfig:
    """Training of a searching eye, from nothing."""

    out: str = 'runs/search'
    """Run directory."""

    seed: int = 0
    """Seed of rooms, weights and exploration."""

    resume: bool = False
    """Go on from the run directory's last good checkpoint."""

    encoder: str = ''
    """Checkpoint folder whose perception to use; empty: pretrain one first."""

    encoder_samples: int = 120_000
    """Glances to pretrain perception on."""

    front_end: Literal['pyramid', 'rings', 'log_polar'] = 'pyramid'
    """How the eye's samples become tokens; with `encoder` it is that one's."""

    backbone: str = ''
    """Pretrained backbone that reads the tokens, frozen, of `gaze-robot weights list`; empty: a
    small encoder of this package, which learns too. With `encoder` it is that one's."""

    backbone_layers: tuple[int, ...] = (-1,)
    """Blocks of the backbone whose tokens are used, side by side; -1 is the last. Each takes some
    3 GB of memory, of a backbone 384 wide, while `warm_start` is as it is."""

    pictures: str = ''
    """Folder of equirectangular pictures of your own to pretrain perception on as well."""

    pictures_share: float = 0.5
    """Part of the rooms of that pretraining that are such pictures, 0 to 1."""

    warm_start: int = 8_192
    """Steps of imitating a hand-written rule before PPO; 0: none."""

    steps: int = 4_096
    """Steps of PPO, of all eyes together."""

    eyes: int = 64
    """Eyes simulated at once."""

    rooms: int = 32
    """Rooms at once; all give way to new ones after 8 episodes of an eye."""

    continuous: bool = False
    """Continuous moves of up to 10 degrees per axis in place of the 25 discrete ones."""

    learning_rate: float = 2e-4
    """At the start; falls linearly to a tenth."""

    eval_every: int = 12
    """Rollouts between evaluations on unseen rooms."""

    eval_episodes: int = 64
    """Episodes of an evaluation."""


def _sizes(space: gymnasium.spaces.Dict) -> tuple[int, int, int]:
    """Number of tokens, their width, length of the vector."""
    tokens, vector = space['tokens'].shape, space['vector'].shape
    assert tokens is not None
    assert vector is not None
    return tokens[0], tokens[1], vector[0]


class _Trunk(BaseFeaturesExtractor):
    """The robot's own trunk as stable-baselines3's features extractor."""

    def __init__(self, space: gymnasium.spaces.Dict) -> None:
        trunk = EyeTrunk(*_sizes(space))
        super().__init__(space, trunk.features)
        self.trunk = trunk

    def forward(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.trunk(observation['tokens'], observation['vector'])


def eye_of(model: PPO, perception: PerceptionNetwork) -> EyePolicy:
    """The actor of a PPO model as the network the robot runs."""
    space = model.observation_space
    assert isinstance(space, gymnasium.spaces.Dict)
    eye = EyePolicy(*_sizes(space), isinstance(model.action_space, gymnasium.spaces.Discrete))
    eye.trunk.load_state_dict(model.policy.features_extractor.trunk.state_dict())
    eye.actor.load_state_dict(model.policy.action_net.state_dict())
    return eye.eval()


class _Keeper(BaseCallback):
    """Evaluates on unseen rooms, logs, and keeps checkpoints."""

    def __init__(self, config: TrainSearchConfig, out: Path, perception: PerceptionNetwork,
                 unseen: SeeingBatch, curve: list[dict[str, float]], began: float) -> None:
        super().__init__()
        self.began = began
        self.config, self.out, self.perception = config, out, perception
        self.unseen, self.curve = unseen, curve
        self.rollouts = 0
        self.origin = origin('train search', config)
        self.seconds = curve[-1]['seconds'] if curve else 0.0

    def _on_training_start(self) -> None:
        self.start = self.began - self.seconds
        if not self.curve or self.curve[-1]['steps'] != self.num_timesteps:
            self.keep()                                  # what the warm start alone is worth

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        # Here and not at a rollout's end, where PPO has yet to learn from it.
        if self.rollouts and self.rollouts % self.config.eval_every == 0:
            self.keep()

    def _on_rollout_end(self) -> None:
        self.rollouts += 1

    def _on_training_end(self) -> None:
        self.keep()

    def keep(self) -> None:
        """Score the policy as it is now, and save it."""
        self.unseen.reseed(self.config.seed + _UNSEEN)
        episodes = run_episodes(self.unseen, learned(eye_of(self.model, self.perception)),
                                self.config.eval_episodes)
        scores = score(episodes['error_deg'], self.unseen.config.rate_hz)
        self.seconds = time.monotonic() - self.start
        self.curve.append({'steps': float(self.num_timesteps), 'seconds': self.seconds, **scores})
        if best(self.curve) is self.curve[-1]:
            save_policy(self.out / 'policy', Policy(
                self.perception, eye_of(self.model, self.perception),
                {**self.origin, 'validation': self.curve[-1]}))
        for name, value in scores.items():
            if value is not None:
                self.logger.record(f'unseen/{name}', value)
        for info in self.model.ep_info_buffer or ():
            for name in info:
                if name.startswith('reward/'):
                    self.logger.record_mean(name, info[name])
        checkpoint = self.out / 'checkpoints' / f'{self.num_timesteps:09d}.zip'
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        self.model.save(checkpoint.with_suffix('.part.zip'))
        checkpoint.with_suffix('.part.zip').replace(checkpoint)
        (self.out / 'curve.json').write_text(json.dumps(self.curve))
        for old in sorted(checkpoint.parent.glob('0*[0-9].zip'))[:-3]:
            old.unlink()


def best(curve: list[dict[str, float]]) -> dict[str, float]:
    """The row with the most searches found; of equals, the most precise one.

    The start does not compete: what is kept has been through PPO.
    """
    trained = [row for row in curve if row['steps'] > 0] or curve
    return max(trained, key=lambda row: (row['success_rate'], -row['median_error_deg']))


def _sight(front_end: str, backbone: str, layers: tuple[int, ...]) -> str:
    """The options that say how the eye sees."""
    options = [('front_end', front_end), *([('backbone', backbone), ('backbone_layers', layers)]
                                           if backbone else [])]
    return ' '.join(option(name, value) for name, value in options)


def _last_good(out: Path, load: Callable[[Path], PPO]) -> tuple[PPO | None, list[str]]:
    """The newest checkpoint that loads, and the names of newer ones that did not."""
    refused: list[str] = []
    for path in sorted((out / 'checkpoints').glob('0*[0-9].zip'), reverse=True):
        try:
            return load(path), refused
        except _UNREADABLE as error:
            refused.append(f'{path.name}: {error}')
    return None, refused


def _perception(config: TrainSearchConfig, out: Path) -> tuple[PerceptionNetwork, dict[str, Any]]:
    """Pretrained perception: given, already here, or made now."""
    given = config.encoder or (str(out / 'encoder' / 'policy') if config.resume and (
        out / 'encoder' / 'policy' / 'meta.json').is_file() else '')
    if given:
        policy = load_policy(given)
        encoder = policy.perception.encoder.config
        begun = _sight(policy.perception.front_end.name, *(
            (encoder.name, encoder.layers) if isinstance(encoder, BackboneConfig) else ('', ())))
        if not config.encoder and begun != _sight(config.front_end, config.backbone,
                                                  config.backbone_layers):
            raise CheckpointError(f'{out} was begun with {begun}; resume it with that, or choose '
                                  'another --out')
        return policy.perception, dict(policy.meta.get('metrics', {}))
    network, scores = EncoderTrainer(TrainEncoderConfig(
        config.encoder_samples, seed=config.seed, out=str(out / 'encoder'), resume=config.resume,
        front_end=config.front_end, backbone=config.backbone,
        backbone_layers=config.backbone_layers, pictures=config.pictures,
        pictures_share=config.pictures_share)).run()
    save_policy(out / 'encoder' / 'policy', Policy(network, None, {
        'seed': config.seed, 'metrics': scores}))
    return network, scores


def train_search(config: TrainSearchConfig) -> dict[str, Any]:
    """Train, resume or finish a run; returns what result.json holds.

    `out`/policy is at any time the best of the evaluations so far.

    Raises:
        CheckpointError: the run directory is not empty and `resume` is not set, or nothing in it
            can be resumed from, or the backbone is not in the weight store.
        ConfigError: there is no such backbone, or no such layer of it.
    """
    out = Path(config.out)
    if (out / 'config.json').exists() and not config.resume:
        raise CheckpointError(f'{out} holds a run already; pass --resume to go on with it, or '
                              'choose another --out')
    if config.backbone and not config.encoder:            # refused before anything is written
        load_backbone(BackboneConfig(config.backbone, layers=config.backbone_layers), 1.0)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'config.json').write_text(json.dumps(dataclasses.asdict(config), indent=2))
    keep_large_blocks()
    cv2.setNumThreads(1)                                # one thread per eye, not per picture
    torch.manual_seed(config.seed)
    perception, pretraining = _perception(config, out)
    torch.set_num_threads(available_cores())
    with ThreadPoolExecutor(available_cores()) as pool:
        model, curve = _train_eye(config, out, perception, pool)
    kept = best(curve)
    result = {'out': str(out), 'seed': config.seed, 'steps': int(model.num_timesteps),
              'minutes': {'encoder': pretraining.get('minutes'),
                          'policy': round(curve[-1]['seconds'] / 60, 2)},
              'encoder': pretraining, 'policy': str(out / 'policy'),
              # Rooms no training step saw, but the choice of the checkpoint did: measure with
              # `eval search` and another seed.
              'start': {name: curve[0][name] for name in _FIGURES},
              'validation': {name: kept[name] for name in _FIGURES}}
    draw_curve(curve, out / 'curve.png')
    (out / 'result.json').write_text(json.dumps(result, indent=2))
    return result


def _train_eye(config: TrainSearchConfig, out: Path, perception: PerceptionNetwork,
               pool: ThreadPoolExecutor) -> tuple[PPO, list[dict[str, float]]]:
    began = time.monotonic()
    task = SearchConfig(discrete=not config.continuous, random_cameras=True, scenes=1,
                        scene_uses=8, across_stop=0.3, dynamics=_TRAINING)
    rooms = [ProceduralWorld(int(seed), kept_bytes=_KEPT_BYTES) for seed in np.random.default_rng(
        config.seed).integers(1 << 31, size=config.rooms)]
    env = GazeVecEnv(SeeingBatch(config.eyes, rooms, perception, task, config.seed, pool.map),
                     stagger=True)
    exam = dataclasses.replace(task, random_cameras=False, dynamics='head', scene_uses=0,
                               scenes=min(16, config.eval_episodes), across_stop=0.0)
    unseen = SeeingBatch(min(64, config.eval_episodes), [ProceduralWorld(config.seed + _UNSEEN)],
                         perception, exam, 0, pool.map)
    model = None
    if config.resume:
        model, refused = _last_good(out, lambda path: PPO.load(path, env=env))
        for text in refused:
            warnings.warn(f'checkpoint passed over: {text}', stacklevel=2)
        if model is None and refused:
            raise CheckpointError(f'no checkpoint in {out / "checkpoints"} can be read; delete '
                                  'that folder to train the policy from its start')
    if model is None:
        model = PPO('MultiInputPolicy', env, n_steps=32, batch_size=512, n_epochs=4,
                    learning_rate=lambda left: config.learning_rate * (0.1 + 0.9 * left),
                    gamma=0.98, gae_lambda=0.92, clip_range=0.15, target_kl=0.04,
                    ent_coef=0.0 if config.warm_start else 0.01, seed=config.seed,
                    tensorboard_log=str(out / 'tb'), policy_kwargs={
                        'features_extractor_class': _Trunk, 'net_arch': [],
                        'share_features_extractor': False,
                        'normalize_images': False})
        if config.warm_start:
            warm_start(model, env, SearchRule(), config.warm_start, config.seed)
    curve = _curve_until(out, model.num_timesteps)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', TqdmExperimentalWarning)    # the bar's, about itself
        model.learn(max(0, config.steps - model.num_timesteps), reset_num_timesteps=False,
                    callback=_Keeper(config, out, perception, unseen, curve, began),
                    tb_log_name='eye', progress_bar=True)
    return model, curve


def _curve_until(out: Path, steps: int) -> list[dict[str, float]]:
    path = out / 'curve.json'
    if steps == 0 or not path.is_file():
        return []
    return [row for row in json.loads(path.read_text()) if row['steps'] <= steps]


def draw_curve(curve: list[dict[str, float]], path: Path) -> None:
    """Success and error on unseen rooms against minutes of training, as a picture."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure, left = pyplot.subplots(figsize=(7, 4))
    minutes = [row['seconds'] / 60 for row in curve]
    left.plot(minutes, [100 * row['success_rate'] for row in curve], 'o-', color='tab:blue')
    left.set(xlabel='minutes of policy training', ylabel='found and held in unseen rooms, %',
             ylim=(0, 100))
    right = left.twinx()
    right.plot(minutes, [row['median_error_deg'] for row in curve], 's--', color='tab:red')
    right.set(ylabel='median final error, degrees', yscale='log')
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
