"""What gazes mean together: which thing, who looks at whom, what several look at, and over time.

All of it is one question asked of heatmaps: how much more likely is a place than chance says? A
heatmap of sum 1 times its number of cells is that density, 1 everywhere for who may look anywhere.
A thing that is looked at is looked at somewhere in its box, so its density is the box's mean, and
Bayes' rule compares things with each other and with everything that is not listed.

P people   S cells across a heatmap
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gaze_robot.people.records import Box, PersonGaze

UNLISTED = 8.0
"""What all that has no box counts, of one thing that has: a place must be so much more likely than
chance before its thing is more likely than none. Two standard deviations beside the middle of a
heatmap as Gaze-LLE is taught (3 of 64 cells) the density is 10."""

STRAYS = 0.3
"""Share of people in a group who look elsewhere than the others do."""

JOINT_PRIOR = 0.2
"""How often two people look at the same thing, before anything is seen."""

_FLOOR = 0.1
"""Of a heatmap's peak: what is below is the model's way of saying no and not a place."""


@dataclass(frozen=True)
class ObjectChoice:
    """Which of some things a person looks at."""

    index: int | None
    """Number of the most likely box; None: none of them."""

    probability: float
    """Of that one; of none of them if it is none."""

    shares: tuple[float, ...]
    """Of every box."""


@dataclass(frozen=True, eq=False)
class JointAttention:
    """A place at which several people look."""

    ids: tuple[int, ...]
    """Whose gazes meet there, two or more."""

    point: tuple[float, float]
    """(x, y), shares of the picture."""

    probability: float
    """Of these gazes having one target and not one each."""


def together(people: Sequence[PersonGaze], least: float = 0.5) -> dict[str, Any]:
    """Who looks at each other and what several look at, as JSON holds it.

    Returns:
        looking_at_each_other: ids and probability of pairs; joint_attention: ids, point (shares of
        the picture) and probability of groups; those of at least that probability.
    """
    mutual = mutual_gaze(people) if people else np.zeros((0, 0))
    pairs = [{'ids': [people[i].id, people[j].id], 'probability': float(mutual[i, j])}
             for i, j in np.argwhere(np.triu(mutual) >= least).tolist()]
    groups = [{'ids': list(group.ids), 'point': group.point, 'probability': group.probability}
              for group in joint_attention(people) if group.probability >= least]
    return {'looking_at_each_other': pairs, 'joint_attention': groups}


def density(person: PersonGaze) -> np.ndarray:
    """How much more likely than chance each place is, (S, S) of mean 1, without the own head."""
    heat = person.heatmap.astype(float)
    heat = np.maximum(heat - _FLOOR * heat.max(), 0)
    if person.head_box is not None:
        heat = heat * (1 - _covered(person.head_box, heat.shape))
    total = heat.sum()
    return heat * (heat.size / total) if total > 0 else np.ones_like(heat)


def gazed_object(person: PersonGaze, boxes: Sequence[Box], unlisted: float = UNLISTED
                 ) -> ObjectChoice:
    """Choose among candidate boxes, whoever found them; heads are things, too.

    Args:
        person: with a heatmap.
        boxes: shares of the picture; they may overlap, and the smaller one wins where both fit.
        unlisted: see `UNLISTED`; 0 where one of the boxes is surely looked at.
    """
    if not boxes:
        return ObjectChoice(None, 1.0, ())
    chances = density(person)
    worth = np.array([_box_mean(chances, box) for box in boxes])
    inside = 1.0 if person.in_frame is None else person.in_frame
    shares = inside * worth / max(worth.sum() + unlisted, 1e-12)
    best, none = int(shares.argmax()), float(1 - shares.sum())
    found = shares[best] >= none
    return ObjectChoice(best if found else None, float(max(shares[best], none)),
                        tuple(map(float, shares)))


def looks_at_heads(people: Sequence[PersonGaze], objects: Sequence[Box] = (),
                   unlisted: float = UNLISTED) -> np.ndarray:
    """Probability that the one of the row looks at the head of the one of the column, (P, P).

    Args:
        people: of one picture; who has no head box is looked at by nobody.
        objects: other things that may be looked at instead.
        unlisted: see `UNLISTED`.
    """
    out = np.zeros((len(people), len(people)))
    for row, person in enumerate(people):
        others = [(column, other.head_box) for column, other in enumerate(people)
                  if column != row and other.head_box is not None]
        shares = gazed_object(person, [*(box for _, box in others), *objects], unlisted).shares
        for (column, _), share in zip(others, shares):
            out[row, column] = share
    return out


def mutual_gaze(people: Sequence[PersonGaze], objects: Sequence[Box] = (),
                unlisted: float = UNLISTED) -> np.ndarray:
    """Probability of looking at each other, (P, P), symmetric: both of them do."""
    looks = looks_at_heads(people, objects, unlisted)
    return looks * looks.T


def attention_map(people: Sequence[PersonGaze], strays: float = STRAYS) -> np.ndarray:
    """One map of what all of them may look at together, (S, S) of sum 1.

    The product of the people's densities, each of whom strays with some probability: who looks
    elsewhere lowers a place by a factor of `strays` and no more, wherever else that is.

    Raises:
        ValueError: nobody is there, or heatmaps of several sizes.
    """
    likely = _likelihoods(people, strays)
    total = np.exp(np.log(likely).sum(axis=0) - np.log(likely).sum(axis=0).max())
    return total / total.sum()


def joint_attention(people: Sequence[PersonGaze], strays: float = STRAYS,
                    prior: float = JOINT_PRIOR) -> list[JointAttention]:
    """Groups that look at one thing together, the largest first; nobody is in two.

    Each is the peak of `attention_map` of those left, and those of them who are more likely to
    look there than to stray; its probability compares one common target with one each.
    """
    left, groups = list(people), []
    while len(left) >= 2:
        likely = _likelihoods(left, strays)
        common = np.log(likely).sum(axis=0)
        place = np.unravel_index(int(common.argmax()), common.shape)
        floor = np.array([_straying(person, strays) for person in left])
        joins = likely[:, place[0], place[1]] > 2 * floor
        if joins.sum() < 2:
            break
        members = [person for person, member in zip(left, joins) if member]
        # The mean over places of the product, against the product of means, which are 1.
        times = float(likely[joins].prod(axis=0).mean())
        odds = times * prior / (1 - prior)
        groups.append(JointAttention(
            tuple(person.id for person in members),
            ((float(place[1]) + 0.5) / common.shape[1], (float(place[0]) + 0.5) / common.shape[0]),
            odds / (1 + odds)))
        left = [person for person, member in zip(left, joins) if not member]
    return sorted(groups, key=lambda group: (-len(group.ids), -group.probability))


def shared_target(one: PersonGaze, other: PersonGaze, prior: float = JOINT_PRIOR) -> float:
    """Probability that two people look at the same thing, whatever the others do."""
    times = float(_likelihoods([one, other], STRAYS).prod(axis=0).mean())
    odds = times * prior / (1 - prior)
    return odds / (1 + odds)


def _likelihoods(people: Sequence[PersonGaze], strays: float) -> np.ndarray:
    """(P, S, S) of mean 1: each person's density, or anywhere if they stray."""
    if not people or len({person.heatmap.shape for person in people}) > 1:
        raise ValueError('one map needs people, and heatmaps of one size; got '
                         f'{[person.heatmap.shape for person in people]}')
    share = np.array([_straying(person, strays) for person in people])[:, None, None]
    return (1 - share) * np.stack([density(person) for person in people]) + share


def _straying(person: PersonGaze, strays: float) -> float:
    """Probability of somebody's target being none of the group's; never 0."""
    inside = 1.0 if person.in_frame is None else person.in_frame
    return max(1 - inside * (1 - strays), 1e-6)


def _covered(box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """Share of each cell that a box covers, (S, S) in [0, 1]."""
    across = _overlaps(box[0], box[2], shape[1])
    down = _overlaps(box[1], box[3], shape[0])
    return np.multiply.outer(down, across)


def _overlaps(low: float, high: float, cells: int) -> np.ndarray:
    edge = np.arange(cells + 1) / cells
    return np.maximum(np.minimum(edge[1:], high) - np.maximum(edge[:-1], low), 0) * cells


def _box_mean(chances: np.ndarray, box: Box) -> float:
    """Mean density of the part of a box inside the picture; at least a cell's worth of it."""
    covered = _covered(box, chances.shape)
    return float((chances * covered).sum() / max(covered.sum(), 1.0)) if covered.any() else 0.0
