"""A hand that learns from the expert alone: what it learns in which order, and its run directory.

That holds config.json, curve.json and curve.png, result.json, policy/ (the hand), tb/ and
checkpoints/; a resumed run goes on bit for bit.
"""

from collections.abc import Iterable, Mapping, Sequence
import copy
from dataclasses import replace
import functools
import json
from pathlib import Path
import time
from typing import Any, TYPE_CHECKING

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from gaze_robot.errors import CheckpointError
from gaze_robot.hand_eye import HandEye, save_hand_eye
from gaze_robot.policy.hand import chunk_error, HandNetwork
from gaze_robot_sim.bcrl import saving
from gaze_robot_sim.bcrl.hand_learner import HandLearner
from gaze_robot_sim.bcrl.plays import Scale
from gaze_robot_sim.bcrl.replay import Replay
from gaze_robot_sim.physics.shown import AGAIN, MOST, practise, ROUNDS, Shown
from gaze_robot_sim.training.origin import origin
from gaze_robot_sim.workers import Run

if TYPE_CHECKING:
    from gaze_robot_sim.physics.hands import TrainWorkspaceConfig

_PART = 100
"""Updates between two looks at the loss, and changes of the rate of learning."""


class Pupil:
    """Learns from demonstrations, then from rounds of practice, and keeps what it has reached."""

    def __init__(self, config: 'TrainWorkspaceConfig', both: HandEye, scale: Scale,
                 unseen: list[Shown], out: Path, begun_s: float) -> None:
        """Take a hand; `begin` or `restore` follows.

        Args:
            unseen: what it is measured on; may be none.
            out: where the run is kept.
            begun_s: when it began, or was gone on with, by `time.monotonic`.
        """
        self.config, self.both, self.scale, self.unseen = config, both, scale, unseen
        self.hand, self.out = both.hand, out
        self.learner = HandLearner(self.hand, config.learning_rate, config.batch,
                                   config.joint_noise)
        self.rng, self.replay = np.random.default_rng([config.seed, 7]), Replay(1)
        self.updates, self.practised = 0, 0
        self.success, self.loss = 0.0, 0.0
        self.curve: list[dict[str, float | None]] = []
        self._before_s, self._begun_s = 0.0, begun_s

    # --- what changes it

    def begin(self, shown: Sequence[Shown]) -> None:
        """Take demonstrations."""
        self.success = float(np.mean([one.succeeded for one in (*self.unseen, *shown)]))
        self.replay = Replay(sum(len(one.kept) for one in shown) + MOST * self.config.practice)
        self.take(shown)
        self.keep()

    def take(self, shown: Iterable[Shown]) -> None:
        """Remember what was shown."""
        for one in shown:
            self.replay.add(one.sight(self.scale, self.config.chunk), np.arange(len(one.kept)))

    def study(self, run: Run) -> None:
        """Learn what was shown; take turns with the expert, learn what it did then, and again."""
        config, end = self.config, 0
        log = SummaryWriter(str(self.out / 'tb'), purge_step=self.updates)
        for number, (updates, rate, rate_in_the_end) in enumerate(self._lessons()):
            if number > self.practised:
                self._practise(number - 1, run)
                self.practised = number
                self.keep()
            start, end = end, end + updates
            with tqdm(total=updates, initial=min(updates, self.updates - start), desc='learning',
                      unit='update') as bar:
                while self.updates < end:
                    done = (self.updates - start) / updates
                    part = min(_PART, end - self.updates, config.keep_every
                               - self.updates % config.keep_every)
                    self.loss = self.learner.learn(self.replay, self.rng, part,
                                                   rate + (rate_in_the_end - rate) * done)
                    self.updates += part
                    log.add_scalar('hand/loss', self.loss, self.updates)
                    if self.updates == end or self.updates % config.keep_every == 0:
                        self.keep()
                        if self.unseen:
                            log.add_scalar('unseen/loss', self.curve[-1]['loss_unseen'],
                                           self.updates)
                    bar.set_postfix(loss=f'{self.loss:.3f}')
                    bar.update(part)
        log.close()

    def _lessons(self) -> list[tuple[int, float, float]]:
        """Updates, and from and to which share of its greatest the rate of learning falls: of
        demonstrations, and of each round of practice.
        """
        again = [(self.config.practice_updates // ROUNDS, AGAIN * (1 - number / ROUNDS),
                  AGAIN * (1 - (number + 1) / ROUNDS)) for number in range(ROUNDS)]
        return [(self.config.updates, 1.0, 0.0), *(again if self.config.practice else [])]

    def _practise(self, number: int, run: Run) -> None:
        config = self.config
        episodes = np.array_split(np.arange(config.practice), ROUNDS)[number].tolist()
        at_work = replace(self.both, hand=copy.deepcopy(self.hand).cpu())
        self.take(run(functools.partial(practise, at_work, config.condition, config.task,
                                        config.seed), episodes, 'practice'))

    # --- as records

    def keep(self) -> None:
        """Measure on what was held out, and write."""
        if self.updates:
            self.curve = [row for row in self.curve if row['updates'] != self.updates]
            self.curve.append({'updates': self.updates, 'loss': self.loss, 'loss_unseen': loss_on(
                self.hand, self.scale, self.unseen) if self.unseen else None})
            (self.out / 'curve.json').write_text(json.dumps(self.curve) + '\n')
        saving.write(self.out / saving.CHECKPOINTS, self.updates + self.practised, {
            **{f'hand.{name}': value for name, value in self.hand.state_dict().items()},
            **saving.optimizer_tensors('adam.', self.learner.optimizer),
            f'random.{self._device.type}': self._mirrors().get_rng_state()},
            self.replay.state(), {
                'updates': self.updates, 'practised': self.practised, 'loss': self.loss,
                'success': self.success, 'curve': self.curve, 'seconds': self.seconds,
                'capacity': self.replay.capacity, 'following': self.replay.next,
                'random': self.rng.bit_generator.state})

    def restore(self, tensors: Mapping[str, torch.Tensor], replay: dict[str, np.ndarray],
                facts: Mapping[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises:
            CheckpointError: it is one of another version.
        """
        try:
            self.hand.load_state_dict({name[len('hand.'):]: value for name, value in
                                       tensors.items() if name.startswith('hand.')})
            saving.restore_optimizer('adam.', self.learner.optimizer, tensors)
            self.replay = Replay(facts['capacity'])
            self.replay.restore(replay, facts['following'])
            self.rng.bit_generator.state = facts['random']
            if f'random.{self._device.type}' in tensors:
                self._mirrors().set_rng_state(tensors[f'random.{self._device.type}'])
            self.updates, self.practised = facts['updates'], facts['practised']
            self.success, self.loss = facts['success'], facts['loss']
            self.curve, self._before_s = facts['curve'], facts['seconds']
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f'{self.out} is a run of another version: {error}; begin again '
                                  'in another --out') from error

    @property
    def _device(self) -> torch.device:
        return self.hand.rays.device

    def _mirrors(self) -> Any:
        """Where the stream is that decides which views the hand sees mirrored."""
        return torch.cuda if self._device.type == 'cuda' else torch.random

    @property
    def seconds(self) -> float:
        """Of the run so far, those before a resumption too."""
        return self._before_s + time.monotonic() - self._begun_s

    def finish(self) -> dict[str, Any]:
        """Write the hand, and what became of it; returns that."""
        figures = {'loss': self.loss, 'loss_unseen': self.curve[-1]['loss_unseen'],
                   'glances': self.replay.size, 'success_of_expert': self.success,
                   'minutes': round(self.seconds / 60, 2)}
        save_hand_eye(self.out / 'policy', replace(self.both, hand=self.hand.cpu(), meta={
            **origin('train workspace', self.config), 'condition': self.config.condition,
            'workspace': self.config.task, **figures}))
        draw_losses(self.curve, self.out / 'curve.png')
        result = {'out': str(self.out), 'policy': str(self.out / 'policy'),
                  'seed': self.config.seed, **figures}
        (self.out / 'result.json').write_text(json.dumps(result, indent=2) + '\n')
        return result


@torch.no_grad()
def loss_on(hand: HandNetwork, scale: Scale, shown: list[Shown]) -> float:
    """Of episodes that a hand has not learned from, the mean over their glances."""
    errors = []
    for one in shown:
        sight = one.sight(scale, hand.config.chunk)
        given = [torch.from_numpy(values).to(hand.rays.device) for values in (
            sight.view, sight.joints, sight.gaze, sight.task, sight.chunk, sight.real)]
        errors.append(chunk_error(hand(*given[:4]).chunk, *given[4:]))
    return float(torch.cat(errors).mean())


def draw_losses(curve: list[dict[str, float | None]], path: Path) -> None:
    """Losses against updates, as a picture: all terms where it learns, of actions alone on what
    was held out.
    """
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure, left = pyplot.subplots(figsize=(7, 4))
    right = left.twinx()
    for axis, name, text, line in ((left, 'loss', 'loss, all terms', 'o-'),
                                   (right, 'loss_unseen', 'of actions, held out', 's--')):
        rows = [row for row in curve if row[name] is not None]
        axis.plot([row['updates'] for row in rows], [row[name] for row in rows], line,
                  color='tab:red' if axis is right else 'tab:blue')
        axis.set(xlabel='updates', ylabel=text, ylim=(0, None))
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
