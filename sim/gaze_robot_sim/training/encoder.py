"""Pretrain the encoder and the search head on exemplar matching in procedural rooms.

Every sample is a glance at a room and a picture of something in it (or in another room), turned,
scaled and recoloured; the label is the cell it is in, per level, or "not in view". No photograph
and no download is used.
"""

from collections.abc import Iterator
from dataclasses import dataclass
import math
from pathlib import Path
import pickle
import time
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, get_worker_info, IterableDataset
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.checkpoint import Policy, save_policy
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CheckpointError
from gaze_robot.foveation import FILL, FoveationPattern
from gaze_robot.gaze_target.evidence import (
    CELLS,
    correlate,
    make_templates,
    square,
    square_width_rad,
)
from gaze_robot.geometry import direction_from_pan_tilt, optical_ray, pan_tilt_from_direction
from gaze_robot.perception import PerceptionNetwork, size_in_cells, valid_cells
from gaze_robot.types import Exemplar
from gaze_robot_sim.cameras import random_camera
from gaze_robot_sim.cores import available_cores
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.rooms import make_room
from gaze_robot_sim.scenes.targets import show_exemplar

TILT_LIMIT = 1.0


@dataclass(frozen=True)
class TrainEncoderConfig:
    """Pretraining of the encoder and the search head."""

    samples: int = 160_000
    """Glances to learn from."""

    batch: int = 64
    learning_rate: float = 2e-3
    seed: int = 0
    out: str = 'runs/encoder'
    """Run directory."""

    resume: bool = False
    """Go on from the run directory's last checkpoint."""

    exam: int = 384
    """Glances in unseen rooms to score it on."""


class Glances(IterableDataset):
    """Endless stream of training samples; rooms are replaced as it goes."""

    def __init__(self, pattern: FoveationPattern, seed: int, rooms: int = 8, uses: int = 96
                 ) -> None:
        self.pattern, self.seed, self.rooms, self.uses = pattern, seed, rooms, uses

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        cv2.setNumThreads(1)
        keep_large_blocks()
        info = get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        rooms = [self._room(rng) for _ in range(self.rooms)]
        while True:
            rooms[int(rng.integers(len(rooms)))] = self._room(rng)
            for _ in range(self.uses):
                yield self._sample(rng, *rooms[int(rng.integers(len(rooms)))])

    def _room(self, rng: np.random.Generator) -> tuple[Panorama, list]:
        room = make_room(rng)
        return Panorama(room.image), room.objects

    def _thing(self, rng: np.random.Generator, panorama: Panorama, objects: list
               ) -> tuple[np.ndarray, float, Exemplar]:
        """Something to look for: an object, or any patch with contrast."""
        for _ in range(20):
            if objects and rng.random() < 0.5:
                thing = objects[int(rng.integers(len(objects)))]
                direction, width = thing.direction, float(thing.width_rad)
            else:
                direction = direction_from_pan_tilt(rng.uniform(-math.pi, math.pi),
                                                    rng.uniform(-0.5, 0.5))
                width = math.radians(rng.uniform(6, 12))
            exemplar = show_exemplar(rng, panorama, np.asarray(direction), width)
            if exemplar.image.mean(axis=2).std() >= 12:
                break
        return np.asarray(direction), width, exemplar

    def _gaze(self, rng: np.random.Generator, pan: float, tilt: float) -> tuple[float, float]:
        kind = rng.random()
        if kind < 0.3:
            return rng.uniform(-math.pi, math.pi), rng.uniform(-TILT_LIMIT, TILT_LIMIT)
        spread = 0.08 if kind < 0.45 else 0.17 if kind < 0.6 else 0.36 if kind < 0.75 else 0.8
        return (pan + rng.uniform(-spread, spread) / max(0.5, math.cos(tilt)),
                float(np.clip(tilt + rng.uniform(-spread, spread), -TILT_LIMIT, TILT_LIMIT)))

    def _sample(self, rng: np.random.Generator, panorama: Panorama, objects: list
                ) -> dict[str, np.ndarray]:
        direction, width, exemplar = self._thing(rng, panorama, objects)
        pan, tilt = self._gaze(rng, *(float(a) for a in pan_tilt_from_direction(direction)))
        levels = panorama.levels(pan, tilt, self.pattern)
        masks = self.pattern.inside_camera(*random_camera(rng))
        for level, mask in zip(levels, masks):
            level[~mask] = FILL
        if rng.random() < 0.5:
            strength = rng.uniform(0, 5)
            levels = [np.clip(level + strength * rng.standard_normal(level.shape, np.float32),
                              0, 255).astype(np.uint8) for level in levels]
        valid = valid_cells(masks)
        templates = make_templates(exemplar, self.pattern)
        sample = {f'level{i}': level for i, level in enumerate(levels)}
        sample.update(
            valid=valid, evidence=correlate(levels, templates), exemplar=square(exemplar),
            width=np.array(square_width_rad(exemplar), np.float32),
            size=size_in_cells(width, self.pattern),
            label=label_cells(optical_ray(direction, pan, tilt), valid, self.pattern))
        return sample


def label_cells(ray: np.ndarray, valid: np.ndarray, pattern: FoveationPattern) -> np.ndarray:
    """Flat index of the cell that holds an optical ray, per level; CELLS ** 2 if none does."""
    labels = np.full(pattern.levels, CELLS * CELLS, np.int64)
    if ray[2] <= 0.01:
        return labels
    for level in range(pattern.levels):
        x, y = ((ray[:2] / ray[2] / pattern.half_tangent(level) + 1) / 2 * CELLS)
        if 0 <= x < CELLS and 0 <= y < CELLS and valid[level, int(y), int(x)]:
            labels[level] = int(y) * CELLS + int(x)
    return labels


def matching_loss(network: PerceptionNetwork, batch: dict[str, torch.Tensor]
                  ) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy over cells and "not in view", and log-probabilities (B, L, C * C + 1)."""
    levels = [batch[f'level{i}'] for i in range(network.pattern.levels)]
    log_p = network.search(
        network.encode(levels), network.encode_exemplar(batch['exemplar'], batch['width']),
        batch['evidence'], batch['valid'], batch['size'])
    loss = torch.nn.functional.nll_loss(log_p.flatten(0, 1), batch['label'].flatten())
    return loss, log_p


def matching_scores(log_p: torch.Tensor, label: torch.Tensor) -> dict[str, float]:
    """Share of right answers per level: in view within one cell, and absence told."""
    scores = {}
    guess = log_p.argmax(dim=2)
    cells = log_p.shape[2] - 1
    best = log_p[..., :-1].argmax(dim=2)
    for level in range(label.shape[1]):
        here = label[:, level] < cells
        g, t = best[:, level], label[:, level]
        near = ((g // CELLS - t // CELLS).abs() <= 1) & ((g % CELLS - t % CELLS).abs() <= 1)
        scores[f'place/{level}'] = float(near[here].float().mean())
        told = (guess[:, level] < cells) == here
        scores[f'presence/{level}'] = float(told.float().mean())
    return scores


class EncoderTrainer:
    """The pretraining loop: progress, TensorBoard, a checkpoint to resume from."""

    def __init__(self, config: TrainEncoderConfig, pattern: FoveationPattern | None = None,
                 encoder: EncoderConfig | None = None) -> None:
        self.config = config
        self.out = Path(config.out)
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self.pattern = FoveationPattern() if pattern is None else pattern
        self.network = PerceptionNetwork(self.pattern, EncoderConfig() if encoder is None
                                         else encoder)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=config.learning_rate,
                                           weight_decay=0.01)
        self.steps = max(1, config.samples // config.batch)
        self.step = 0
        self.seconds = 0.0
        if config.resume:
            self._resume()

    def run(self) -> tuple[PerceptionNetwork, dict[str, Any]]:
        """Train to the end; returns the network, in eval mode, and its scores on unseen rooms."""
        config = self.config
        torch.set_num_threads(max(1, available_cores() - 1))    # one core makes the glances
        exam = Glances(self.pattern, config.seed + 999_983, uses=8,
                       rooms=min(16, config.exam))
        unseen = next(iter(DataLoader(exam, batch_size=config.exam)))
        loader = iter(DataLoader(Glances(self.pattern, config.seed + 7919 * self.step),
                                 batch_size=config.batch, num_workers=1, prefetch_factor=4))
        log = SummaryWriter(str(self.out / 'tb'))
        scores: dict[str, Any] = {}
        bar = tqdm(total=self.steps, initial=self.step, desc='encoder', unit='batch',
                   mininterval=1)
        start = time.monotonic() - self.seconds
        while self.step < self.steps:
            loss = self._learn(next(loader))
            self.step += 1
            bar.update()
            if self.step % 100 == 0 or self.step == self.steps:
                self.seconds = time.monotonic() - start
                scores = self._test(unseen)
                bar.set_postfix(loss=f'{loss:.2f}', found=f'{scores["place/0"]:.2f}')
                for name, value in {'loss/train': loss, **scores}.items():
                    log.add_scalar(f'encoder/{name}', value, self.step * config.batch)
                self._save()
        bar.close()
        log.close()
        self.network.eval()
        return self.network, {'samples': self.steps * config.batch,
                              'minutes': round(self.seconds / 60, 2), **(scores
                                                                        or self._test(unseen))}

    def _learn(self, batch: dict[str, torch.Tensor]) -> float:
        done = self.step / self.steps
        for group in self.optimizer.param_groups:            # short warm-up, cosine to zero
            group['lr'] = self.config.learning_rate * min(1.0, (self.step + 1) / 50) * 0.5 * (
                1 + math.cos(math.pi * done))
        self.network.train()
        loss, _ = matching_loss(self.network, batch)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.detach())

    def _test(self, unseen: dict[str, torch.Tensor]) -> dict[str, float]:
        self.network.eval()
        with torch.inference_mode():
            loss, log_p = matching_loss(self.network, unseen)
        return {'loss/unseen': round(float(loss), 4), **{
            name: round(value, 4) for name, value in
            matching_scores(log_p, unseen['label']).items()}}

    def _save(self) -> None:
        part = self.out / 'last.part'
        torch.save({'network': self.network.state_dict(), 'step': self.step,
                    'optimizer': self.optimizer.state_dict(), 'seconds': self.seconds}, part)
        part.replace(self.out / 'last.pt')

    def _resume(self) -> None:
        path = self.out / 'last.pt'
        if not path.is_file():
            return
        try:
            state = torch.load(path, weights_only=True)
            self.network.load_state_dict(state['network'])
            self.optimizer.load_state_dict(state['optimizer'])
        except (RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError,
                EOFError) as error:
            raise CheckpointError(
                f'cannot resume from {path}: it is damaged or of another network '
                f'({type(error).__name__}); delete it to start over') from error
        self.step, self.seconds = int(state['step']), float(state['seconds'])


def train_encoder(config: TrainEncoderConfig) -> dict[str, Any]:
    """Pretrain, and leave a checkpoint folder (without an eye) in `config.out`/policy."""
    network, scores = EncoderTrainer(config).run()
    save_policy(Path(config.out) / 'policy', Policy(network, None, {
        'seed': config.seed, 'command': 'gaze-robot train encoder', 'metrics': scores}))
    return {'out': config.out, **scores}
