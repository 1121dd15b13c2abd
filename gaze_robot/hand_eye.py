"""Hand and eye together, as BC-RL trains them and a robot runs them; and their checkpoint.

A checkpoint is a folder of meta.json and weights.safetensors, loaded strictly; nothing in it is
executed.

N tokens   J joints   G task   K chunk   A actions
"""

from collections.abc import Mapping, Sequence
import dataclasses
from dataclasses import dataclass
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open, SafetensorError
from safetensors.torch import load_file, save_file
import torch

from gaze_robot import __version__
from gaze_robot.checkpoint import fill, META, sha256, WEIGHTS
from gaze_robot.errors import CheckpointError, CommandError, ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.policy.actions import MAX_STEP_RAD
from gaze_robot.policy.glances import Glances, vector_size
from gaze_robot.policy.hand import cut, HandConfig, HandNetwork
from gaze_robot.policy.looking import LookingPolicy
from gaze_robot.policy.recall import Recall
from gaze_robot.policy.search_memory import END_RAD
from gaze_robot.policy.tasks import check_tasks
from gaze_robot.schema import from_mapping
from gaze_robot.shipped import shipped

FORMAT = 4
KIND = 'bcrl'
SURE = 0.6
"""A hand that waits for its eye acts on what has this share of its attention, ..."""
NEAR_RAD = math.radians(10.0)
"""... no further than this from the gaze. Of episodes of pressing a named button in which the hand
did not wait, one in four ended at a look-alike in the corner of the eye."""
_ONE = np.zeros(1, int)
_FARTHEST = 1e4
"""Joints further from their mean, in those of training's spreads, are no joints of this hand."""
SHIPPED = shipped()[KIND]
"""The default weights, part of the package."""


@dataclass(frozen=True, eq=False)
class HandEye:
    """A hand, the eye that looks for it, and what their numbers mean."""

    hand: HandNetwork
    eye: LookingPolicy | None
    """None: a hand that goes with a gaze scripted by somebody else."""

    pattern: FoveationPattern
    joint_names: tuple[str, ...]
    action_names: tuple[str, ...]
    """Where they equal `joint_names`, actions are relative to the joints, else to the action
    now."""

    rate_hz: float
    """Glances, and actions of a chunk, per second."""

    meta: Mapping[str, Any]
    """Origin: seed, command, commit, metrics; `tasks` names what the task's numbers mean,
    `looked_within_rad` the least and the greatest (pan, tilt) of the training, base frame."""

    waits: bool = False
    """Whether the hand stays where it is until the eye has found what the hand looks for, and has
    come near it; a hand that foresees, until it is sure where to go."""

    recalls: bool = False
    """Whether the eye looks around first, and then, as where its task comes to another phase,
    looks through what it saw before. Until it is at what that shows, the hand acts on that."""

    def __post_init__(self) -> None:
        config = self.hand.config
        if self.recalls and config.foresees:
            raise ConfigError('an eye that is led by what its hand foresees does not recall')
        if self.waits and (self.eye is None or self.joint_names != self.action_names):
            raise ConfigError('a hand waits for an eye of its own, and stays at joints that its '
                              'actions command; this one lacks one or the other')
        if (len(self.joint_names), len(self.action_names)) != (config.joints, config.actions):
            raise ConfigError(f'the hand has {config.joints} joints and {config.actions} actions, '
                              f'their names are {self.joint_names} and {self.action_names}')


@dataclass(frozen=True, eq=False)
class Intent:
    """What hand and eye want after one glance."""

    move_rad: np.ndarray
    """(2,) turn of (pan, tilt) from the gaze that was given, left and down positive, at most 10
    degrees each; zero without an eye."""

    actions: np.ndarray
    """(K, A) float32, relative: add them to the joints now (or to the action now)."""

    attention: np.ndarray
    """(N,) float32, sums to at most 1: what lacks went to nothing."""

    waits: bool = False
    """Whether `actions` keep the hand where it is, see `HandEye.waits`."""


class Looking:
    """Runs a hand and its eye, glance by glance; remembers the last ten."""

    def __init__(self, both: HandEye, ends: tuple[float, float] = (-END_RAD, END_RAD)) -> None:
        """Take a checkpoint.

        Args:
            ends: least and greatest pan that the eye can look along.
        """
        self.both = both
        config = both.hand.config
        self._glances = Glances(1, both.pattern, config.joints, config.task, config.phase, ends,
                                config.shapes, config.foresees, both.recalls)
        self._recall = Recall(1, config) if both.recalls else None
        self._told: np.ndarray | None = None
        """(A,) absolute, where the hand was last told to go."""
        self._stays: np.ndarray | None = None
        """(A,) absolute, where it waits; None: it does not."""

    def reset(self) -> None:
        """Forget what was seen: a new task begins."""
        self._glances.reset(_ONE)
        if self._recall:
            self._recall.reset(_ONE)
        self._told = self._stays = None

    def taken_over(self, told: np.ndarray) -> None:
        """Somebody else moves the hand: where it waited is of the past.

        Args:
            told: (A,) absolute, where the hand was told to go instead.
        """
        self._told, self._stays = (told if self.both.waits else None), None

    def step(self, levels: Sequence[np.ndarray], joints: np.ndarray, gaze_rad: np.ndarray,
             task: np.ndarray) -> Intent:
        """Take in one glance.

        Args:
            levels: one (window, window, 3) uint8 RGB per level of `pattern`, sharpest first; 128
                where the camera does not see.
            joints: (J,) where the hand is, in the order of `joint_names`.
            gaze_rad: (2,) pan and tilt at the stamp of the picture, base frame.
            task: (G,) embedding of the task.

        Raises:
            CommandError: a shape does not fit, or a number is not finite.
        """
        hand, eye, config = self.both.hand, self.both.eye, self.both.hand.config
        rows = []
        for name, value, size in (('joints', joints, config.joints), ('gaze_rad', gaze_rad, 2),
                                  ('task', task, config.task)):
            row = np.asarray(value, np.float32)
            if row.shape != (size,) or not np.isfinite(row).all():
                raise CommandError(f'{name} are {size} finite numbers, got {value}')
            rows.append(row[None])
        far = np.abs((rows[0] - hand.joint_mean.numpy()) / hand.joint_spread.numpy()).max()
        if far > _FARTHEST:
            raise CommandError(f'joints are {far:.0f} times as far from their mean as those that '
                               f'this hand learned from: {joints}; look at their units and order')
        sizes = tuple(level.shape[:2] for level in levels)
        if sizes != config.levels:
            raise CommandError(f'this hand sees levels of {config.levels} samples, got {sizes}')
        view = torch.from_numpy(cut([level[None] for level in levels], config.patch))
        now, gaze, named = rows
        with torch.inference_mode():
            said = hand(view, *map(torch.from_numpy, (now, gaze, named)))
        if self._recall:
            self._recall.take(hand, self._glances, _ONE, view.numpy(), gaze, now, named)
        attention = said.attention.numpy()
        scaled = (now - hand.joint_mean.numpy()) / hand.joint_spread.numpy()
        told = None if said.told is None else said.told.numpy()
        foreseen = None if said.foreseen is None else said.foreseen.numpy()
        vector = self._glances.observe(attention, gaze, scaled, named, _ONE, told, foreseen)
        move = np.zeros(2) if eye is None else (
            eye.act(view, torch.from_numpy(vector))[0].numpy().astype(float) * MAX_STEP_RAD)
        chunk, around, onwards = said.chunk, *self._glances.around(_ONE, gaze.astype(float))
        if around[0]:
            move = onwards[0]
        if self._recall:
            chunk = self._recall.act(hand, self._glances, _ONE, gaze, now, named, chunk)
        actions = (chunk * hand.action_spread)[0].numpy()
        if self.both.waits and not self._found(attention, gaze, told):
            return Intent(move, np.tile(self._stay(now[0]), (config.chunk, 1)), attention[0], True)
        self._told, self._stays = now[0] + actions[0] if self.both.waits else None, None
        return Intent(move, actions, attention[0])

    def _found(self, attention: np.ndarray, gaze: np.ndarray, told: np.ndarray | None) -> bool:
        """Whether a hand that waits acts on this glance."""
        place, (share,) = self._glances.reader.focus(attention)
        seen = bool(np.linalg.norm(place) <= NEAR_RAD and (told is None or told.all()))
        if not self.both.hand.config.foresees:
            return seen and share >= SURE
        # At what tells where to go, or where that has led the eye; but not in between.
        there = seen and share >= SURE / 2 and self._glances.search.at(_ONE, gaze + place)[0]
        return bool(there or self._glances.reads[0])

    def _stay(self, joints: np.ndarray) -> np.ndarray:
        """(A,) relative: back to where the waiting began, and what is held is held as firmly."""
        if self._stays is None:
            self._stays = joints.copy()
            if self._told is not None:
                phase = list(self.both.hand.config.phase)
                self._stays[phase] = self._told[phase]
        return self._stays - joints


def save_hand_eye(path: str | Path, both: HandEye) -> None:
    """Write a checkpoint; the folder appears whole or not at all."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    tensors = {f'hand.{name}': tensor for name, tensor in both.hand.state_dict().items()}
    if both.eye is not None:
        tensors.update({f'eye.{name}': tensor for name, tensor in both.eye.state_dict().items()})
    model = {'kind': KIND, 'pattern': dataclasses.asdict(both.pattern),
             'hand': dataclasses.asdict(both.hand.config), 'eye': both.eye is not None,
             'joint_names': both.joint_names, 'action_names': both.action_names,
             'rate_hz': both.rate_hz, 'waits': both.waits, 'recalls': both.recalls}
    model = json.loads(json.dumps(model))                   # tuples become lists, as when read
    part = path / (WEIGHTS + '.part')
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
              part, metadata={'model': json.dumps(model)})
    meta = {**both.meta, 'format': FORMAT, 'gaze_robot_version': __version__,
            'weights_sha256': sha256(part), **model}
    text = path / (META + '.part')
    text.write_text(json.dumps(meta, indent=2) + '\n')
    part.chmod(0o644)                                       # safetensors writes for the owner only
    part.replace(path / WEIGHTS)
    text.replace(path / META)


def load_hand_eye(path: str | Path = '', device: str = 'cpu') -> HandEye:
    """Read a checkpoint; '' is the one shipped with the package, a run directory its policy.

    Raises:
        CheckpointError: missing, altered, of another kind or format, or with keys that do not fit.
    """
    path = Path(path) if path else SHIPPED
    if (path / 'policy' / META).is_file():
        path = path / 'policy'
    meta = _read_meta(path)
    try:
        with safe_open(path / WEIGHTS, 'pt') as file:
            written = json.loads((file.metadata() or {}).get('model', '{}'))
        tensors = load_file(path / WEIGHTS, device=device)
        wrong = [name for name, value in written.items() if meta.get(name) != value]
        if wrong or not written:
            raise CheckpointError(f'{path / META} was changed: {", ".join(wrong) or "everything"} '
                                  f'differs from what {WEIGHTS} was written with')
        pattern = from_mapping(FoveationPattern, meta['pattern'])
        config = HandConfig(**meta['hand'])
        hand, eye = HandNetwork(config), None
        if meta['eye']:
            eye = LookingPolicy(config.tokens, config.patch,
                                vector_size(pattern, config.joints, config.task))
        both = HandEye(hand.to(device).eval(), eye and eye.to(device).eval(), pattern,
                       tuple(meta['joint_names']), tuple(meta['action_names']),
                       float(meta['rate_hz']), meta, bool(meta['waits']),
                       bool(meta.get('recalls', False)))
        check_tasks(meta.get('tasks', {}), config.task)
    except (ConfigError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f'{path} cannot be read: {error}') from error
    fill(hand, hand.state_dict(), tensors, 'hand.', path)
    if eye is not None:
        fill(eye, eye.state_dict(), tensors, 'eye.', path)
    return both


def _read_meta(path: Path) -> dict[str, Any]:
    for name in (META, WEIGHTS):
        if not (path / name).is_file():
            raise CheckpointError(f'no {name} in {path}: not a checkpoint folder; train one with '
                                  '`gaze-robot train bcrl --out DIR`')
    try:
        meta = json.loads((path / META).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f'{path / META} is not JSON: {error}') from error
    if not isinstance(meta, dict) or meta.get('kind') != KIND or meta.get('format') != FORMAT:
        raise CheckpointError(f'{path} holds no hand and eye of format {FORMAT}; train one with '
                              '`gaze-robot train bcrl --out DIR`')
    if sha256(path / WEIGHTS) != meta.get('weights_sha256'):
        raise CheckpointError(f'{path / WEIGHTS} does not match its {META}: a damaged or partial '
                              'copy; fetch or train it again')
    return meta
