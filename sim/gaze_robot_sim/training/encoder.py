"""Pretrain the encoder and the search head on exemplar matching in procedural rooms.

Every sample is a glance at a room and a picture of something in it (or in another room), turned,
scaled and recoloured; the label is the cell it is in, per level, or "not in view". No photograph
and no download is used.
"""

from collections.abc import Iterator
from dataclasses import dataclass
import math
import time

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, get_worker_info, IterableDataset

from gaze_robot.camera import CameraModel
from gaze_robot.encoder import EncoderConfig
from gaze_robot.foveation import FILL, FoveationPattern, Foveator
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
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.rooms import make_room

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


def camera_mask(rng: np.random.Generator, pattern: FoveationPattern) -> tuple[np.ndarray, ...]:
    """Which samples of each level a random camera shows, as the foveator would say."""
    width, height, hfov_deg = 640, 480, 90.0
    if rng.random() < 0.4:
        hfov_deg = rng.uniform(60, 110)
        height = int(rng.choice([480, 360]))
    camera = CameraModel.from_hfov(width, height, math.radians(hfov_deg))
    return Foveator(pattern, camera)(np.zeros((height, width, 3), np.uint8)).valid


def sample_exemplar(rng: np.random.Generator, panorama: Panorama, direction: np.ndarray,
                    width_rad: float) -> Exemplar:
    """The patch there, turned, scaled and recoloured."""
    scale, roll = rng.uniform(0.85, 1.15), math.radians(rng.uniform(-10, 10))
    side = int(rng.integers(20, 64))
    patch = panorama.patch(direction, width_rad / scale, side, roll).astype(np.float32)
    patch = patch * rng.uniform(0.8, 1.2) + rng.uniform(-15, 15)
    return Exemplar(np.clip(patch, 0, 255).astype(np.uint8), width_rad)


class Glances(IterableDataset):
    """Endless stream of training samples; rooms are replaced as it goes."""

    def __init__(self, pattern: FoveationPattern, seed: int, rooms: int = 8, uses: int = 48
                 ) -> None:
        self.pattern, self.seed, self.rooms, self.uses = pattern, seed, rooms, uses

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        cv2.setNumThreads(1)
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
            exemplar = sample_exemplar(rng, panorama, direction, width)
            if exemplar.image.mean(axis=2).std() >= 12:
                break
        return np.asarray(direction), width, exemplar

    def _gaze(self, rng: np.random.Generator, pan: float, tilt: float) -> tuple[float, float]:
        kind = rng.random()
        if kind < 0.12:
            return rng.uniform(-math.pi, math.pi), rng.uniform(-TILT_LIMIT, TILT_LIMIT)
        spread = 0.17 if kind < 0.5 else 0.36 if kind < 0.75 else 0.8
        return (pan + rng.uniform(-spread, spread) / max(0.5, math.cos(tilt)),
                float(np.clip(tilt + rng.uniform(-spread, spread), -TILT_LIMIT, TILT_LIMIT)))

    def _sample(self, rng: np.random.Generator, panorama: Panorama, objects: list
                ) -> dict[str, np.ndarray]:
        direction, width, exemplar = self._thing(rng, panorama, objects)
        pan, tilt = self._gaze(rng, *(float(a) for a in pan_tilt_from_direction(direction)))
        levels = panorama.levels(pan, tilt, self.pattern)
        masks = camera_mask(rng, self.pattern)
        for level, mask in zip(levels, masks):
            level[~mask] = FILL
        if rng.random() < 0.5:
            noise = rng.normal(0, rng.uniform(0, 5), (2, 64, 64, 3))
            levels = [np.clip(lv + noise[i % 2][:lv.shape[0], :lv.shape[1]], 0, 255).astype(
                np.uint8) if lv.shape[0] <= 64 else lv for i, lv in enumerate(levels)]
        valid = valid_cells(masks)
        templates = make_templates(exemplar, self.pattern)
        sample = {f'level{i}': level for i, level in enumerate(levels)}
        sample.update(
            valid=valid, evidence=correlate(levels, templates), exemplar=square(exemplar),
            width=np.float32(square_width_rad(exemplar)), size=size_in_cells(width, self.pattern),
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
    """Cross entropy over cells and "not in view", (scalar), and log-probabilities (B, L, C*C+1)."""
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


def main() -> None:  # replaced by the command line
    import sys
    minutes = float(sys.argv[1])
    pattern = FoveationPattern()
    config = TrainEncoderConfig()
    torch.manual_seed(config.seed)
    torch.set_num_threads(1)
    network = PerceptionNetwork(pattern, EncoderConfig())
    loader = iter(DataLoader(Glances(pattern, config.seed), batch_size=config.batch, num_workers=1,
                             prefetch_factor=4))
    test = [next(iter(DataLoader(Glances(pattern, 999, rooms=24, uses=8), batch_size=512)))]
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate,
                                  weight_decay=0.01)
    start, seen = time.time(), 0
    total = minutes * 60
    last = 0.0
    while time.time() - start < total:
        frac = (time.time() - start) / total
        for group in optimizer.param_groups:
            group['lr'] = config.learning_rate * min(1, frac * 20) * 0.5 * (
                1 + math.cos(math.pi * frac))
        batch = next(loader)
        loss, log_p = matching_loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        seen += config.batch
        if time.time() - last > 15:
            last = time.time()
            network.eval()
            with torch.inference_mode():
                tl, tp = matching_loss(network, test[0])
            network.train()
            print(f'{time.time()-start:.0f}s {seen} train {loss.item():.3f} test {tl.item():.3f}',
                  {k: round(v, 3) for k, v in matching_scores(tp, test[0]['label']).items()},
                  flush=True)
    torch.save(network.state_dict(), sys.argv[2])


if __name__ == '__main__':
    main()
