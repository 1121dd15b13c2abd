"""`gaze-robot train people`: learn where people look, from made-up pictures or a data set.

A run directory holds config.json, result.json, last.pt (to resume from), tb/ (TensorBoard),
policy/ (what `people --model` takes) and looks.png: unseen pictures, and where the network says
that people look in them.
"""

import dataclasses
from dataclasses import dataclass
import functools
import itertools
import json
import math
from pathlib import Path
import pickle
import time
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.people.attention_net import AttentionReader
from gaze_robot.people.attention_read import (
    AttentionGaze,
    load_reader,
    save_reader,
)
from gaze_robot.people.drawing import people_picture
from gaze_robot.people.records import people_of
from gaze_robot_sim.people.cast import CastConfig, USUAL
from gaze_robot_sim.people.datasets import open_data_set
from gaze_robot_sim.people.evaluate import CAST, example_of, looks, published, unseen_scenes
from gaze_robot_sim.people.lessons import face_loss, people_loss
from gaze_robot_sim.people.pictures import save_picture, Scene
from gaze_robot_sim.people.scores import Example, judge
from gaze_robot_sim.people.stream import DataSetStream, FACES, PeopleStream
from gaze_robot_sim.training.origin import origin

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

    data: str = 'synthetic'
    """What to learn from: 'synthetic', or the folder of GazeFollow, VideoAttentionTarget,
    ChildPlay or GOO-Real."""

    start: str = ''
    """Weights to begin with: 'attention' (those shipped) or a run of `train people`; empty: none.
    """

    faces: int = 94_208
    """Of synthetic: faces alone to learn from first: which way they look."""

    pictures: int = 120_000
    """Pictures to learn from after that."""

    exam: int = 120
    """Unseen pictures to score it on."""

    exams: int = 8
    """How often it is scored, and a checkpoint written."""

    batch: int = 24
    learning_rate: float = 2e-3

    threads: int = 1
    """Cores for the network; pictures are made beside it by one process."""

    def __post_init__(self) -> None:
        counts = self.pictures, self.exam, self.exams, self.batch, self.threads
        if min(counts) < 1 or min(self.faces, self.seed) < 0:
            raise ConfigError('pictures, exam, exams, batch and threads are at least 1, faces '
                              'and seed not negative')
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f'learning_rate is above 0 and finite, got {self.learning_rate}')


class PeopleTrainer:
    """The loop: progress, TensorBoard, a checkpoint to resume from."""

    def __init__(self, config: TrainPeopleConfig, cast: CastConfig = USUAL) -> None:
        """Make or resume a run; `cast`: how many people, things and rooms there are at a time.

        Raises:
            CheckpointError: what to start with or to resume from cannot be used.
            DemoError: the data set cannot be read.
        """
        self.config, self.out, self.cast = config, Path(config.out), cast
        torch.manual_seed(config.seed)
        self.reader = AttentionReader()
        if config.start:
            self.reader = load_reader(*([] if config.start == 'attention'
                                        else [Path(config.start)]))[0]
        made_up = config.data == 'synthetic'
        self.data = None if made_up else open_data_set(config.data, 'train')
        self.optimizer = torch.optim.AdamW(self.reader.parameters(), lr=config.learning_rate,
                                           weight_decay=0.02)
        self.faces = config.faces // FACES if made_up else 0
        self.steps = self.faces + max(1, config.pictures // config.batch)
        self.step, self.seconds = 0, 0.0
        if config.resume:
            self._resume()

    def run(self) -> dict[str, Any]:
        """Train to the end; returns the scores on unseen pictures."""
        config = self.config
        torch.set_num_threads(config.threads)
        cv2.setNumThreads(1)                                 # a fork of its threads would hang
        log = SummaryWriter(str(self.out / 'tb'))
        loader = DataLoader(self._stream(), batch_size=None, num_workers=1, prefetch_factor=6)
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
                found = self._test()
                told = {name: value for name, value in found.items() if value is not None}
                bar.set_postfix({name: f'{value:.3f}' for name, value in told.items()})
                for name, figure in told.items():
                    log.add_scalar(f'unseen/{name}', figure, self.step)
                self._save()
        bar.close()
        log.close()
        return found or self._test()

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
        if not math.isfinite(loss.detach()):
            raise ConfigError(f'learning went wrong at step {self.step}: --resume goes back to '
                              'the last checkpoint; take a smaller --learning-rate')
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.reader.parameters(), 1.0)
        self.optimizer.step()
        return parts

    def _stream(self) -> IterableDataset:
        seed, side = self.config.seed + 7919 * self.step, self.reader.config.side
        if self.data is not None:
            return DataSetStream(self.data, seed, self.config.batch, side)
        return PeopleStream(seed, self.config.batch, side, max(0, self.faces - self.step),
                            self.cast)

    @functools.cached_property
    def exam(self) -> tuple[list[Scene], list[Example]]:
        """Unseen pictures: made-up ones, or of the data set's val or test split."""
        if self.data is None:
            cast = CastConfig(*(min(own, few) for own, few in zip(
                dataclasses.astuple(self.cast), dataclasses.astuple(CAST))))
            scenes = unseen_scenes(self.config.seed, self.config.exam, cast, series=1)
            return scenes, [example_of(scene) for scene in scenes]
        split = 'val' if self.data.name in ('childplay', 'goo') else 'test'
        held = open_data_set(self.config.data, split)
        return [], list(held.examples(max(1, len(held.pictures) // self.config.exam)))

    def _test(self) -> dict[str, float | None]:
        model = AttentionGaze(self.reader)
        rows = judge(model, self.exam[1])
        self.reader.requires_grad_(True)
        name = self.data.name if self.data is not None else 'synthetic'
        return {key: value for key, value in published(name, rows).items()
                if not isinstance(value, dict)}

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


def train_people(config: TrainPeopleConfig, cast: CastConfig = USUAL) -> dict[str, Any]:
    """Train, resume or finish a run; returns what result.json holds.

    Args:
        config: what a user may choose.
        cast: how many people, things and rooms there are at a time.

    Raises:
        CheckpointError: the run directory holds a run and `resume` is not set, or see
            `PeopleTrainer`.
        DemoError: the data set cannot be read.
    """
    out = Path(config.out)
    if (out / 'config.json').exists() and not config.resume:
        raise CheckpointError(f'{out} holds a run already; pass --resume to go on with it, or '
                              'choose another --out')
    trainer = PeopleTrainer(config, cast)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'config.json').write_text(json.dumps(dataclasses.asdict(config), indent=2) + '\n')
    found = trainer.run()
    scenes, examples = trainer.exam
    model = AttentionGaze(trainer.reader)
    save_picture(out / 'looks.png', looks(model, scenes[:12]) if scenes else people_picture(
        examples[0].image, people_of(model(examples[0].image, examples[0].heads),
                                     examples[0].heads, model.source)))
    minutes = round(trainer.seconds / 60, 2)
    save_reader(out / 'policy', trainer.reader, {
        **origin('train people', config), 'minutes': minutes, 'unseen': found})
    result = {'out': str(out), 'policy': str(out / 'policy'), 'seed': config.seed,
              'pictures': config.pictures, 'minutes': minutes, 'unseen': found}
    (out / 'result.json').write_text(json.dumps(result, indent=2) + '\n')
    return result
