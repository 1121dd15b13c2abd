"""Train the two networks that know drawn figures: `gaze-robot train figures`.

The simulator's pictures only: what they learn is for its figures and for nobody else.
"""

import dataclasses
from dataclasses import dataclass
import itertools
import json
import math
from pathlib import Path
import time
from typing import Any

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.people.figure_heads import FigureFinder
from gaze_robot.people.figure_net import FaceNet, FigureNet, normal, SceneNet, STRIDE
from gaze_robot.people.figure_weights import save_figures
from gaze_robot_sim.training.figure_pictures import figure_pictures, FigurePicture, labels
from gaze_robot_sim.training.origin import origin

_UNSEEN = 1_000_003
"""Added to the seed for rooms, figures and things that training never shows."""

_WINDOW = 20
"""Cells across the square of a picture that is shown at once: the network is the same anywhere."""

_BATCH = {'scene': 16, 'face': 64}
_RATE = 2e-3


@dataclass(frozen=True)
class TrainFiguresConfig:
    """Train what finds drawn figures, their gaze and the things they may look at."""

    out: str = 'runs/figures'
    """Run directory; the weights are in its figures/."""

    seed: int = 0
    """Seed of rooms, figures, weights and order."""

    samples: int = 9000
    """Pictures to learn from."""

    scene_epochs: int = 10
    """How often each picture is shown to the network that finds heads and things."""

    face_epochs: int = 20
    """How often each head is shown to the one that says where its owner looks."""

    exam: int = 400
    """Pictures of unseen rooms and figures to score both on."""

    def __post_init__(self) -> None:
        counts = self.samples, self.scene_epochs, self.face_epochs, self.exam
        if min(counts) < 1 or self.seed < 0:
            raise ConfigError('samples, epochs and exam are at least 1, the seed at least 0, got '
                              f'{counts} and {self.seed}')


def train_figures(config: TrainFiguresConfig) -> dict[str, Any]:
    """Draw, train, score; returns what result.json holds.

    Raises:
        CheckpointError: the run directory holds a run.
    """
    out, start = Path(config.out), time.monotonic()
    if (out / 'config.json').exists():
        raise CheckpointError(f'{out} holds a run already; choose another --out')
    out.mkdir(parents=True, exist_ok=True)
    (out / 'config.json').write_text(json.dumps(dataclasses.asdict(config), indent=2))
    torch.manual_seed(config.seed)
    shown = drawn(config.seed, config.samples, 'pictures')
    exam = drawn(config.seed + _UNSEEN, config.exam, 'exam')
    network, rng = FigureNet(), np.random.default_rng([config.seed, 29])
    log = SummaryWriter(str(out / 'tb'))
    faces = (np.concatenate([one.crops for one in shown if len(one.crops)]),
             np.concatenate([one.gazes for one in shown if len(one.crops)]))
    _learn(network.face, lambda rows: face_loss(network.face, *faces, rows, rng), len(faces[0]),
           config.face_epochs, _BATCH['face'], log, 'face')
    windows = [labels(one) for one in shown]
    _learn(network.scene, lambda rows: scene_loss(network.scene, shown, windows, rows, rng),
           len(shown), config.scene_epochs, _BATCH['scene'], log, 'scene')
    log.close()
    found = scores(network.eval(), exam)
    save_figures(out / 'figures', network, {**origin('train figures', config), 'unseen': found})
    result = {'out': str(out), 'seed': config.seed, 'unseen': found,
              'minutes': round((time.monotonic() - start) / 60, 2)}
    (out / 'result.json').write_text(json.dumps(result, indent=2))
    return result


def drawn(seed: int, count: int, name: str) -> list[FigurePicture]:
    """So many pictures of one seed."""
    return list(tqdm(itertools.islice(figure_pictures(seed), count), total=count, desc=name,
                     unit='picture', mininterval=2))


def face_loss(face: FaceNet, crops: np.ndarray, gazes: np.ndarray, rows: np.ndarray,
              rng: np.random.Generator) -> torch.Tensor:
    """Mean negative log-likelihood of gazes under von Mises-Fisher distributions, half mirrored.

    Density on the sphere: kappa / (4 pi sinh kappa) exp(kappa cos) (Fisher 1953).
    """
    mirrored = rng.random(len(rows)) < 0.5
    seen = np.where(mirrored[:, None, None, None], crops[rows][:, :, ::-1], crops[rows])
    truth = gazes[rows] * np.where(mirrored[:, None], (-1.0, 1.0, 1.0), 1.0)
    mean, kappa = face(normal(torch.from_numpy(seen)))
    cosine = (mean * torch.from_numpy(truth).float()).sum(dim=1)
    scale = kappa.log() - kappa - torch.log1p(-torch.exp(-2 * kappa))
    return -(scale + kappa * cosine).mean()


def scene_loss(scene: SceneNet, pictures: list[FigurePicture],
               wanted: list[tuple[np.ndarray, np.ndarray, np.ndarray]], rows: np.ndarray,
               rng: np.random.Generator) -> torch.Tensor:
    """Focal loss of heads and things (Zhou et al. 2019) and L1 of their sizes, in windows."""
    seen, parts = [], []
    for row in rows:
        image, (heat, weight, sizes) = pictures[row].image, wanted[row]
        top = int(rng.integers(max(1, heat.shape[1] - _WINDOW + 1)))
        left = int(rng.integers(max(1, heat.shape[2] - _WINDOW + 1)))
        cut = (slice(None), slice(top, top + _WINDOW), slice(left, left + _WINDOW))
        part = np.concatenate([heat[cut], weight[cut], sizes[cut]])
        window = image[top * STRIDE:(top + _WINDOW) * STRIDE,
                       left * STRIDE:(left + _WINDOW) * STRIDE]
        if rng.random() < 0.5:
            window, part = window[:, ::-1], part[:, :, ::-1].copy()
            part[[4, 8]] *= -1                                             # both x
        seen.append(window)
        parts.append(part)
    target = torch.from_numpy(np.stack(parts))
    out = scene(normal(torch.from_numpy(np.stack(seen))))
    heat, weight, sizes = target[:, :2], target[:, 2:4], target[:, 4:]
    logits = out[:, [0, 5]]
    p = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    there = heat > 0.999
    focal = torch.where(there, -(1 - p) ** 2 * p.log(),
                        -(1 - heat) ** 4 * p ** 2 * (1 - p).log()) * weight
    told = out[:, [1, 2, 3, 4, 6, 7, 8]]
    known = ~sizes.isnan()
    wrong = (told - sizes.nan_to_num()).abs()[known].sum() / known.sum().clamp_min(1)
    return focal.sum() / there.sum().clamp_min(1) + wrong


def scores(network: FigureNet, exam: list[FigurePicture]) -> dict[str, float]:
    """How well both do on pictures they have not seen.

    Returns:
        head_recall, head_precision, thing_recall, thing_precision: a box counts if its middle
        lies in the true one, and the other way round; gaze_median_deg, gaze_mean_deg, and
        gaze_within: share of gazes whose error is below what the network itself gives as the
        width of two of three cases.
    """
    finder = FigureFinder(network)
    hits = {'head': [0, 0, 0], 'thing': [0, 0, 0]}
    for picture in exam:
        height, width = picture.image.shape[:2]
        sight = finder.look(picture.image)
        for kind, boxes, truth in (('head', [head.box for head in sight.heads], picture.heads),
                                   ('thing', sight.things, picture.things)):
            told = np.array(boxes).reshape(-1, 4) * (width, height, width, height)
            ignored = picture.unsure if kind == 'head' else np.zeros((0, 4))
            told = np.array([box for box in told if not any(
                _agree(box, other) for other in ignored)]).reshape(-1, 4)
            hits[kind][0] += sum(any(_agree(box, other) for other in told) for box in truth)
            hits[kind][1] += len(truth)
            hits[kind][2] += sum(not any(_agree(box, other) for other in truth) for box in told)
    crops = np.concatenate([one.crops for one in exam if len(one.crops)])
    gazes = np.concatenate([one.gazes for one in exam if len(one.crops)])
    with torch.inference_mode():
        mean, kappa = network.face(normal(torch.from_numpy(crops)))
    error = np.degrees(np.arccos(np.clip((mean.numpy() * gazes).sum(axis=1), -1, 1)))
    width_deg = np.degrees(1 / np.sqrt(kappa.numpy()))
    out = {f'{kind}_recall': found / max(1, there) for kind, (found, there, _) in hits.items()}
    out |= {f'{kind}_precision': found / max(1, found + wrong)
            for kind, (found, _, wrong) in hits.items()}
    out |= {'gaze_median_deg': float(np.median(error)), 'gaze_mean_deg': float(error.mean()),
            'gaze_within': float((error < 1.52 * width_deg).mean())}
    return {name: round(value, 4) for name, value in out.items()}


def _agree(one: np.ndarray, other: np.ndarray) -> bool:
    for first, second in ((one, other), (other, one)):
        x, y = (first[0] + first[2]) / 2, (first[1] + first[3]) / 2
        if not (second[0] <= x <= second[2] and second[1] <= y <= second[3]):
            return False
    return True


def _learn(network: torch.nn.Module, loss_of: Any, count: int, epochs: int, batch: int,
           log: SummaryWriter, name: str) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.01)
    bar = tqdm(range(epochs), desc=name, unit='epoch')
    for epoch in bar:
        network.train()
        order = np.random.default_rng([epoch, count]).permutation(count)
        steps, total = max(1, count // batch), 0.0
        for step in range(steps):
            done = (epoch + step / steps) / epochs
            for group in optimizer.param_groups:
                group['lr'] = _RATE * 0.5 * (1 + math.cos(math.pi * done))
            loss = loss_of(order[step * batch:(step + 1) * batch])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            total += float(loss.detach()) / steps
        bar.set_postfix(loss=f'{total:.3f}')
        log.add_scalar(f'{name}/loss', total, epoch + 1)
    network.eval()
