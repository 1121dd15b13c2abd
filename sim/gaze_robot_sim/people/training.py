"""`gaze-robot train people`: learn where people look, from made-up pictures or a data set.

A run directory holds config.json, result.json, last.pt (to resume from), tb/ (TensorBoard),
policy/ (what `people --model` takes) and looks.png: unseen pictures, and where the network says
that people look in them.
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

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.people.attention_read import AttentionGaze, AttentionReader, save_reader
from gaze_robot_sim.people.cast import Cast, CastConfig
from gaze_robot_sim.people.lessons import face_loss, people_loss
from gaze_robot_sim.people.pictures import make_scene, Scene
from gaze_robot_sim.people.scores import Example, inout_ap, judge, mean_of
from gaze_robot_sim.people.stream import FACES, PeopleStream
from gaze_robot_sim.training.origin import origin

UNSEEN = 1_000_003
"""Added to the seed for people and rooms that training never shows."""

_LOOKS = 20
"""Steps between entries of TensorBoard."""


@dataclass(frozen=True)
class TrainPeopleConfig:
    """Learning where people look, from nothing."""

    out: str = 'runs/people'
    """Run directory."""

    seed: int = 0
    """Seed of people, rooms, weights and order."""

    resume: bool = False
    """Go on from the run directory's last checkpoint."""

    faces: int = 120_000
    """Faces alone to learn from first: which way they look."""

    pictures: int = 60_000
    """Pictures to learn from after that."""

    exam: int = 200
    """Unseen pictures to score it on."""

    exams: int = 10
    """How often it is scored, and a checkpoint written."""

    batch: int = 24
    learning_rate: float = 2e-3

    threads: int = 1
    """Cores for the network; pictures are made beside it by one process."""

    def __post_init__(self) -> None:
        if self.faces < 0 or min(self.pictures, self.exam, self.exams, self.batch, self.threads) < 1 or (
                self.seed < 0):
            raise ConfigError('pictures, exam, exams, batch and threads are at least 1, faces '
                              'and seed not negative')
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f'learning_rate is above 0 and finite, got {self.learning_rate}')


class PeopleTrainer:
    """The loop: progress, TensorBoard, a checkpoint to resume from."""

    def __init__(self, config: TrainPeopleConfig, cast: CastConfig = CastConfig()) -> None:
        """Make or resume a run; `cast`: how many people, things and rooms there are at a time."""
        self.config, self.out, self.cast = config, Path(config.out), cast
        torch.manual_seed(config.seed)
        self.reader = AttentionReader()
        self.optimizer = torch.optim.AdamW(self.reader.parameters(), lr=config.learning_rate,
                                           weight_decay=0.02)
        self.faces = config.faces // FACES
        self.steps = self.faces + max(1, config.pictures // config.batch)
        self.step, self.seconds = 0, 0.0
        if config.resume:
            self._resume()

    def run(self) -> dict[str, Any]:
        """Train to the end; returns the scores on unseen pictures."""
        config = self.config
        torch.set_num_threads(config.threads)
        cv2.setNumThreads(1)                                 # a fork of its threads would hang
        unseen = self._unseen()
        log = SummaryWriter(str(self.out / 'tb'))
        loader = DataLoader(PeopleStream(config.seed + 7919 * self.step, config.batch,
                                         self.reader.config.side,
                                         max(0, self.faces - self.step), self.cast),
                            batch_size=None, num_workers=1, prefetch_factor=6)
        start = time.monotonic() - self.seconds
        found: dict[str, float | None] = {}
        bar = tqdm(total=self.steps, initial=self.step, desc='people', unit='batch', mininterval=2)
        for batch in itertools.islice(loader, self.steps - self.step):
            parts = self._learn(batch)
            self.step += 1
            bar.update()
            if self.step % _LOOKS == 0:
                for name, value in parts.items():
                    log.add_scalar(f'loss/{name}', value, self.step)
            if self.step % math.ceil(self.steps / config.exams) == 0 or self.step == self.steps:
                self.seconds = time.monotonic() - start
                found = self._test(unseen)
                bar.set_postfix({name: f'{value:.3f}' for name, value in found.items()
                                 if value is not None})
                for name, value in found.items():
                    if value is not None:
                        log.add_scalar(f'unseen/{name}', value, self.step)
                self._save()
        bar.close()
        log.close()
        return found or self._test(unseen)

    def _learn(self, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        alone = 'pictures' not in batch
        done = self.step / self.faces if alone else (self.step - self.faces) / (
            self.steps - self.faces)
        for group in self.optimizer.param_groups:            # short warm-up, cosine to zero
            group['lr'] = self.config.learning_rate * min(1.0, done * 20 + 0.02) * 0.5 * (
                1 + math.cos(math.pi * done))
        self.reader.train()
        with torch.autocast('cpu', dtype=torch.bfloat16):    # 1.4 times as quick
            loss, parts = (face_loss if alone else people_loss)(self.reader, batch)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.reader.parameters(), 1.0)
        self.optimizer.step()
        return parts

    def _unseen(self) -> list[Scene]:
        rng = np.random.default_rng(self.config.seed + UNSEEN)
        cast = Cast(rng, dataclasses.replace(self.cast, busts=min(self.cast.busts, 800),
                                             wholes=min(self.cast.wholes, 240),
                                             views=min(self.cast.views, 60)))
        return [make_scene(rng, cast) for _ in range(self.config.exam)]

    def _test(self, unseen: list[Scene]) -> dict[str, float | None]:
        model = AttentionGaze(self.reader)
        rows = judge(model, map(example_of, unseen))
        self.reader.requires_grad_(True)
        return {'auc': mean_of(rows, 'auc'), 'mean_l2': mean_of(rows, 'l2'),
                'inout_ap': inout_ap(rows)}

    def _save(self) -> None:
        part = self.out / 'last.part'
        torch.save({'reader': self.reader.state_dict(), 'optimizer': self.optimizer.state_dict(),
                    'step': self.step, 'seconds': self.seconds}, part)
        part.replace(self.out / 'last.pt')

    def _resume(self) -> None:
        path = self.out / 'last.pt'
        if not path.is_file():
            return
        try:
            state = torch.load(path, weights_only=True)
            self.reader.load_state_dict(state['reader'])
            self.optimizer.load_state_dict(state['optimizer'])
            self.step, self.seconds = int(state['step']), float(state['seconds'])
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError,
                pickle.UnpicklingError, EOFError) as error:
            raise CheckpointError(
                f'cannot resume from {path}: it is damaged or of another network '
                f'({type(error).__name__}); delete it to start over') from error


def example_of(scene: Scene) -> Example:
    """A made-up picture, to be judged by."""
    places = [place[None] if here else np.zeros((0, 2))
              for place, here in zip(scene.target, scene.inside)]
    return Example(scene.image, scene.records(), places, scene.inside.astype(float))


def train_people(config: TrainPeopleConfig) -> dict[str, Any]:
    """Train, resume or finish a run; returns what result.json holds.

    Raises:
        CheckpointError: the run directory holds a run and `resume` is not set, or what it holds
            cannot be resumed.
    """
    out = Path(config.out)
    if (out / 'config.json').exists() and not config.resume:
        raise CheckpointError(f'{out} holds a run already; pass --resume to go on with it, or '
                              'choose another --out')
    out.mkdir(parents=True, exist_ok=True)
    (out / 'config.json').write_text(json.dumps(dataclasses.asdict(config), indent=2) + '\n')
    trainer = PeopleTrainer(config)
    found = trainer.run()
    minutes = round(trainer.seconds / 60, 2)
    save_reader(out / 'policy', trainer.reader, {
        **origin('train people', config), 'minutes': minutes, 'unseen': found})
    result = {'out': str(out), 'policy': str(out / 'policy'), 'seed': config.seed,
              'pictures': config.pictures, 'minutes': minutes, 'unseen': found}
    (out / 'result.json').write_text(json.dumps(result, indent=2) + '\n')
    return result
