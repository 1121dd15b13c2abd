"""The supervised half of BC-RL: the hand learns what the demonstrations do, from what eyes saw."""

from collections.abc import Callable
import math

import numpy as np
import torch
from torch.nn import functional

from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.policy.glances import SURE_OF_END, sureness
from gaze_robot.policy.hand import chunk_error, HandConfig, HandNetwork, HandOutput, turned
from gaze_robot_sim.bcrl.plays import Scale
from gaze_robot_sim.bcrl.replay import Replay

_DECAY = 0.1
"""Of weights, against learning by heart what cannot be seen."""
PHASE_NOISE = 0.5
"""Of the joints that tell the phase, over their spread."""


_GOAL = 0.5
"""Weight of `goal_loss` beside the error of the actions."""
_PLACE = 5.0
"""Weight of `place_loss`, per radian."""
_LEAST = 1e-4
"""Attention below this counts as this."""
_RIGHT_RAD = math.radians(8.0)
"""A thing is attended to this near to where the hand will be; things are further apart."""
_FORESIGHT_RATE, _FORESIGHT_DECAY = 1e-3, 0.3
"""Of learning to foresee."""
_HEEDED = 0.3
"""Share of attention from which the hand is said to attend to something."""


def goal_loss(attention: torch.Tensor, seen: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """How little of its attention the hand has on where it will be when this part of its task is
    done, which demonstrations of an arm whose kinematics are known tell; on nothing, while that is
    out of view. Negative logarithm, mean ().

    The actions teach this, too, but a hand that is sure of a wrong thing hardly learns another
    from them, nor from the distance to that place: gradients vanish. Named buttons near the gaze
    had 0.62 of the attention after 1,066 updates, and 0.29 after 2,400 by that distance.

    Args:
        attention: (B, N).
        seen: (B, N) bool: which tokens show that place.
        known: (B,) bool: whether the place is known.
    """
    on = (attention * seen).sum(dim=1) + (1.0 - attention.sum(dim=1)) * ~seen.any(dim=1)
    return -(on.clamp(min=_LEAST).log() * known).sum() / known.sum().clamp(min=1)


def verdict_loss(said: HandOutput, right: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Whether the hand tells the thing that it will go to from what it takes for it: mean binary
    cross-entropy (), over glances at which it attends to something, and sees it sharply.

    Args:
        right: (B,) bool: whether what is attended to is that thing.
        known: see `goal_loss`.
    """
    assert said.verdict is not None
    assert said.told is not None
    verdict = said.verdict.float()
    # What the verdict itself took away counts as attended to.
    heeded = (said.attention.sum(dim=1) > _HEEDED * verdict.sigmoid()) & known & said.told
    loss = functional.binary_cross_entropy_with_logits(verdict, right.float(),
                                                       reduction='none')
    return (loss * heeded).sum() / heeded.sum().clamp(min=1)


def place_loss(said: HandOutput, goal: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """How far, radians, beside where it will go the hand takes it to be, where it attends most to
    a token that shows that: mean (). Not of cameras in different frames, which no one ray joins.

    Args:
        goal: (B, N, 3) unit vectors, base frame, as each token sees it.
        seen: see `goal_loss`; of rows whose goal is not known, none.
    """
    rows = torch.arange(len(goal), device=goal.device)
    away = (functional.normalize(said.ray.float(), dim=1) - goal[rows, said.peak]).norm(dim=1)
    on = seen[rows, said.peak] & (goal == goal[:, :1]).all(dim=2).all(dim=1)
    return (away * on).sum() / on.sum().clamp(min=1)


def make_hand(config: HandConfig, scale: Scale, places: np.ndarray) -> HandNetwork:
    """An untrained hand, from torch's current random state, that knows its robot and its eye.

    Args:
        places: (N, 2) radians (pan, tilt) of each token's centre from the gaze.
    """
    hand = HandNetwork(config).eval()
    hand.rays.copy_(torch.from_numpy(direction_from_pan_tilt(*places.T)))
    for name in ('joint_mean', 'joint_spread', 'action_spread'):
        getattr(hand, name).copy_(torch.from_numpy(getattr(scale, name)))
    return hand


class HandLearner:
    """Improves a hand on batches of a replay: L1 on relative actions."""

    def __init__(self, hand: HandNetwork, learning_rate: float, batch: int,
                 joint_noise: float) -> None:
        """Take a hand.

        Args:
            joint_noise: put on joints, over their spread: with joints as they are the hand knows
                every episode of its replay by heart, and need not look.
        """
        self.hand, self.learning_rate, self.batch = hand, learning_rate, batch
        self.noise = np.full(hand.config.joints, joint_noise, np.float32)
        self.noise[list(hand.config.phase)] = min(joint_noise, PHASE_NOISE)
        self.optimizer = torch.optim.AdamW(hand.parameters(), learning_rate, weight_decay=_DECAY)
        self._reach = hand.reach()
        self._level = torch.repeat_interleave(torch.tensor(hand.config.tokens_per_level)).to(
            hand.rays.device)
        self.before_step: Callable[[], object] = lambda: None
        """Called between gradients and step: where processes average theirs."""

    def learn(self, replay: Replay, rng: np.random.Generator, updates: int, left: float) -> float:
        """Make some updates; the mean loss.

        Args:
            left: share of the training that is still to come, 1 to 0: the rate of learning falls
                with it to a twentieth.
        """
        for group in self.optimizer.param_groups:
            group['lr'] = self.learning_rate * (0.05 + 0.95 * left)
        losses = []
        self.hand.train()
        for _ in range(updates):
            rows = replay.sample(rng, self.batch)
            noise = rng.standard_normal(rows['joints'].shape, np.float32) * self.noise
            device = self.hand.rays.device
            rows = {name: values.to(device) for name, values in rows.items()}
            joints = rows['joints'] + torch.from_numpy(noise).to(device) * self.hand.joint_spread
            # Half as many bits are half the time, and the hand learns as well.
            with torch.autocast(device.type, torch.bfloat16):
                said = self.hand(rows['view'], joints, rows['gaze'], rows['task'])
            loss = chunk_error(said.chunk.float(), rows['chunk'], rows['real']).mean()
            known = rows['goal'].isfinite().flatten(1).all(dim=1)
            if known.any():
                goal = rows['goal'].nan_to_num()[:, self._level]                    # (B, N, 3)
                alike = (turned(self.hand.rays, rows['gaze']) * goal).sum(dim=2)
                seen = alike > self._reach.cos()
                loss = loss + _GOAL * goal_loss(said.attention.float(), seen, known)
                if self.hand.config.fine:
                    loss = loss + _PLACE * place_loss(said, goal, seen & known[:, None])
                if said.verdict is not None:
                    right = (functional.normalize(said.ray.detach().float(), dim=1) * goal[
                        torch.arange(len(goal), device=device), said.peak]
                             ).sum(dim=1) > math.cos(_RIGHT_RAD)
                    loss = loss + verdict_loss(said, right, known)
            self.optimizer.zero_grad()
            loss.backward()
            self.before_step()
            self.optimizer.step()
            losses.append(loss.detach())
        self.hand.eval()
        return float(torch.stack(losses).mean()) if losses else 0.0

    def foresee(self, fresh: Replay, rng: np.random.Generator, updates: int
                ) -> float | None:
        """Learn to say where parts of the task end, and nothing else.

        Args:
            fresh: glances that the hand has not learned from.

        Returns:
            The mean tilt, radians, of gazes at what makes the hand sure though it attends to
            nothing there, such as signs; None: there are none.
        """
        head, rows, known, heed = self.hand.foresee, fresh.state(), [], []
        assert head is not None
        taken = head.register_forward_pre_hook(lambda _, given: known.append(given[0].clone()))
        fields, device = ('view', 'joints', 'gaze', 'task'), self.hand.rays.device
        with torch.no_grad():
            for first in range(0, fresh.size, self.batch):
                heed.append(self.hand(*(
                    torch.from_numpy(rows[name][first:first + self.batch]).to(device)
                    for name in fields)).attention.sum(dim=1).cpu().numpy())
        taken.remove()
        goal, given = torch.from_numpy(rows['goal'][:, 0]).to(device), torch.cat(known)
        told = goal.isfinite().all(dim=1)
        goal, features = goal[told], given[told]
        optimizer = torch.optim.AdamW(head.parameters(), _FORESIGHT_RATE,
                                      weight_decay=_FORESIGHT_DECAY)
        for _ in range(updates if len(goal) else 0):
            drawn = torch.from_numpy(rng.integers(len(goal), size=self.batch)).to(device)
            loss = (head(features[drawn]) - goal[drawn]).square().sum(dim=1).mean()
            optimizer.zero_grad()
            loss.backward()
            self.before_step()
            optimizer.step()
        with torch.no_grad():
            tells = (sureness(head(given).cpu().numpy()) >= SURE_OF_END) & (
                np.concatenate(heed) < _HEEDED)
        tilts = rows['gaze'][tells, 1]
        return float(tilts.mean()) if len(tilts) else None
