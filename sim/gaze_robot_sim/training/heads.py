"""Train the head for people on the frozen tokens of a policy's encoder.

Only drawn figures are shown (`crowds`), so it learns those and whatever real people share with
them. Nothing else of the policy changes: search and eye answer as before, bit for bit.
"""

import dataclasses
from dataclasses import dataclass
import itertools
import json
import math
from pathlib import Path
import pickle
import time
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from gaze_robot.checkpoint import load_policy, save_policy
from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.gaze_target.salience import cell_features
from gaze_robot.perception import PerceptionNetwork
from gaze_robot_sim.training.crowds import Crowds, UNJUDGED
from gaze_robot_sim.training.origin import origin

_UNSEEN = 1_000_003
"""Added to the seed for rooms and figures that training never shows."""

_RARE = math.log(0.01 / 0.99)
"""Where the untrained head starts: a head in one of a hundred cells."""


@dataclass(frozen=True)
class TrainHeadsConfig:
    """Training of the people source, from nothing."""

    policy: str = ''
    """Folder of the checkpoint to add the head to; empty: the shipped one."""

    out: str = 'runs/heads'
    """Run directory; the checkpoint with the head is in its policy/."""

    seed: int = 0
    """Seed of rooms, figures, weights and order."""

    resume: bool = False
    """Go on from the run directory's last epoch."""

    views: int = 8000
    """Glances to learn from."""

    epochs: int = 16
    """How often each is shown."""

    exam: int = 800
    """Glances at unseen rooms to score it on."""

    batch: int = 64
    learning_rate: float = 4e-3

    def __post_init__(self) -> None:
        if min(self.views, self.epochs, self.exam, self.batch) < 1:
            raise ConfigError('views, epochs, exam and batch are at least 1')


Seen = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""tokens (B, N, D) and features (B, L, F, C, C) float16, valid and label (B, L, C, C)."""


def see(network: PerceptionNetwork, seed: int, views: int, name: str) -> Seen:
    """What the frozen network makes of so many glances: encoded once, shown in every epoch."""
    loader = DataLoader(Crowds(network.pattern, seed), batch_size=min(50, views))
    rows: list[Seen] = []
    bar = tqdm(total=views, desc=name, unit='view', mininterval=1)
    for batch in itertools.islice(loader, math.ceil(views / min(50, views))):
        levels = [batch[f'level{i}'] for i in range(network.pattern.levels)]
        with torch.no_grad():
            rows.append((network.encode(levels).half(), _small(cell_features(levels)),
                         batch['valid'], batch['label']))
        bar.update(len(batch['valid']))
    bar.close()
    tokens, features, valid, label = (torch.cat(part)[:views] for part in zip(*rows))
    return tokens, features, valid, label


def _small(features: torch.Tensor) -> torch.Tensor:
    return features.clamp(-6e4, 6e4).half()


def answers(network: PerceptionNetwork, seen: Seen, batch: int = 64) -> np.ndarray:
    """Probabilities (B, L, C, C) of the head for glances already seen."""
    assert network.people is not None
    network.people.eval()
    with torch.no_grad():
        return torch.cat([network.people(tokens.float(), features.float(), valid).sigmoid()
                          for tokens, features, valid in zip(
                              *(part.split(batch) for part in seen[:3]))]).numpy()


def scores(probability: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """How well heads are told from the rest.

    Returns:
        auc: per level, over all judged cells of all glances; precision and recall of cells at 1/2;
        peak_on_head: share of glances with a head in view whose most probable cell, of all levels,
        is on one; chance: the same for a cell at random. None where there is nothing to count.
    """
    areas = [auc(probability[:, level], label[:, level]) for level in range(label.shape[1])]
    result: dict[str, Any] = {'auc': {
        str(level): None if math.isnan(area) else round(area, 4)
        for level, area in enumerate(areas)}}
    told, here, judged = probability > 0.5, label == 1, label != UNJUDGED
    result['precision'] = round(float(here[told & judged].mean()), 4) if (
        told & judged).any() else None
    result['recall'] = round(float(told[here].mean()), 4) if here.any() else None
    some = here.any(axis=(1, 2, 3))
    masked = np.where(judged, probability, -1.0).reshape(len(label), -1)
    peak = masked.argmax(axis=1)
    hit = here.reshape(len(label), -1)[np.arange(len(label)), peak]
    result['peak_on_head'] = round(float(hit[some].mean()), 4) if some.any() else None
    result['chance'] = round(float(here[some].sum() / judged[some].sum()), 4) if (
        some.any()) else None
    return result


def auc(probability: np.ndarray, label: np.ndarray) -> float:
    """How often a cell with a head gets more than one without, ties half (Mann-Whitney)."""
    yes, no = probability[label == 1], np.sort(probability[label == 0])
    if not len(yes) or not len(no):
        return math.nan
    below = np.searchsorted(no, yes, 'left') + np.searchsorted(no, yes, 'right')
    return float(below.mean() / (2 * len(no)))


class PeopleTrainer:
    """The loop: progress, TensorBoard, a checkpoint to resume from."""

    def __init__(self, config: TrainHeadsConfig, network: PerceptionNetwork,
                 weights_sha256: str = '') -> None:
        """Make or resume a run; `weights_sha256` is that of the policy the network is of."""
        self.weights_sha256 = weights_sha256
        self.config, self.network, self.out = config, network, Path(config.out)
        torch.manual_seed(config.seed)
        self.head = network.add_people()
        torch.nn.init.constant_(self.head.judge[-1].get_parameter('bias'), _RARE)
        self.optimizer = torch.optim.AdamW(self.head.parameters(), lr=config.learning_rate,
                                           weight_decay=0.01)
        self.epoch = 0
        if config.resume:
            self._resume()

    def run(self) -> dict[str, Any]:
        """Train to the end; returns the scores on unseen rooms."""
        config = self.config
        unseen = see(self.network, config.seed + _UNSEEN, config.exam, 'exam')
        result = scores(answers(self.network, unseen), unseen[3].numpy())
        if self.epoch >= config.epochs:
            return result
        shown = see(self.network, config.seed, config.views, 'views')
        log = SummaryWriter(str(self.out / 'tb'))
        bar = tqdm(range(self.epoch, config.epochs), desc='people', unit='epoch')
        for epoch in bar:
            loss = self._learn(shown, epoch)
            self.epoch = epoch + 1
            result = scores(answers(self.network, unseen), unseen[3].numpy())
            bar.set_postfix(loss=f'{loss:.4f}', peak=f'{result["peak_on_head"] or 0.0:.2f}')
            log.add_scalar('people/loss', loss, self.epoch)
            for name in ('precision', 'recall', 'peak_on_head'):
                log.add_scalar(f'people/{name}', result[name] or 0.0, self.epoch)
            for level, value in result['auc'].items():
                log.add_scalar(f'people/auc/{level}', value or 0.0, self.epoch)
            self._save()
        log.close()
        return result

    def _learn(self, shown: Seen, epoch: int) -> float:
        config, total = self.config, 0.0
        order = torch.randperm(config.views, generator=torch.Generator().manual_seed(
            config.seed * 1000 + epoch)).split(config.batch)
        self.head.train()
        for step, rows in enumerate(order):
            done = (epoch + step / len(order)) / config.epochs
            for group in self.optimizer.param_groups:
                group['lr'] = config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
            tokens, features, valid, label = (part[rows] for part in shown)
            logits = self.head(tokens.float(), features.float(), valid)
            judged = label != UNJUDGED
            loss = F.binary_cross_entropy_with_logits(logits[judged], label[judged].float())
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += float(loss.detach()) / len(order)
        return total

    def _save(self) -> None:
        part = self.out / 'last.part'
        torch.save({'head': self.head.state_dict(), 'optimizer': self.optimizer.state_dict(),
                    'epoch': self.epoch,
                    'weights_sha256': self.weights_sha256}, part)
        part.replace(self.out / 'last.pt')

    def _resume(self) -> None:
        path = self.out / 'last.pt'
        if not path.is_file():
            return
        try:
            state = torch.load(path, weights_only=True)
            given = state.get('weights_sha256', self.weights_sha256)
            if given != self.weights_sha256:
                raise CheckpointError(
                    f'cannot resume from {path}: it was trained on another policy (weights '
                    f'{str(given)[:12]}, not {self.weights_sha256[:12]}); give that one with '
                    '--policy, or another --out')
            self.head.load_state_dict(state['head'])
            self.optimizer.load_state_dict(state['optimizer'])
            self.epoch = int(state['epoch'])
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError,
                pickle.UnpicklingError, EOFError) as error:
            raise CheckpointError(
                f'cannot resume from {path}: it is damaged or of another network '
                f'({type(error).__name__}); delete it to start over') from error


def train_heads(config: TrainHeadsConfig) -> dict[str, Any]:
    """Add a head for people to a policy; returns what result.json holds.

    Raises:
        CheckpointError: the run directory holds a run and `resume` is not set, or the policy
            cannot be read.
    """
    out, start = Path(config.out), time.monotonic()
    if (out / 'config.json').exists() and not config.resume:
        raise CheckpointError(f'{out} holds a run already; pass --resume to go on with it, or '
                              'choose another --out')
    policy = load_policy(config.policy)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'config.json').write_text(json.dumps(dataclasses.asdict(config), indent=2))
    found = PeopleTrainer(config, policy.perception,
                          str(policy.meta.get('weights_sha256', ''))).run()
    save_policy(out / 'policy', dataclasses.replace(policy, meta={
        **policy.meta, 'people': {**origin('train heads', config), 'unseen': found}}))
    result = {'out': str(out), 'policy': str(out / 'policy'), 'seed': config.seed,
              'minutes': round((time.monotonic() - start) / 60, 2), 'unseen': found}
    (out / 'result.json').write_text(json.dumps(result, indent=2))
    return result
