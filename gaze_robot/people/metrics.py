"""The published measures of gaze following, as their scripts define them: numpy in, numbers out.

Places are (x, y) as shares of the picture. A heatmap is (h, w), rows first. Where a script and its
paper differ, the script is followed, as published figures come from it:

    GazeFollow               Recasens et al. 2015; scripts of Gaze-LLE (Ryan et al. 2025)
    VideoAttentionTarget     Chong et al. 2020; scripts of Gaze-LLE
    GOO                      Tomas et al. 2021; their evaluation script

A predicted place is the corner of the heatmap's largest cell, column / w and row / h, not its
middle, and of several largest cells the first in reading order: so in all of these scripts.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike
import torch
from torch.nn import functional as F

from gaze_robot.geometry import angle_between
from gaze_robot.people.records import Box

VAT_SIDE, _VAT_SIGMA = 64, 3
_GOO_SIDE = 5
GOO_SHARES = (0.01, 0.03, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30)
"""Distances at which GOO's proximate accuracy is reported."""


def roc_auc(label: ArrayLike, score: ArrayLike) -> float:
    """Area under the receiver operating characteristic.

    Args:
        label: (N,) of 0 and 1.
        score: (N,).

    Returns:
        How often a 1 scores higher than a 0, ties counted half (Mann and Whitney 1947).

    Raises:
        ValueError: shapes differ, something is not finite, or only one kind of label is there.
    """
    labels, scores = _pair(label, score)
    yes, no = scores[labels], np.sort(scores[~labels])
    if not len(yes) or not len(no):
        raise ValueError(f'AUC needs both labels, got {len(yes)} of 1 and {len(no)} of 0')
    below = np.searchsorted(no, yes, 'left') + np.searchsorted(no, yes, 'right')
    return float(below.sum() / (2 * len(yes) * len(no)))


def average_precision(label: ArrayLike, score: ArrayLike) -> float:
    """Sum of precisions, each times the recall that its threshold adds.

    Args:
        label: (N,) of 0 and 1.
        score: (N,); equal ones share one threshold. There is no interpolation.

    Raises:
        ValueError: shapes differ, something is not finite, or there is no 1.
    """
    labels, scores = _pair(label, score)
    if not labels.any():
        raise ValueError('average precision needs at least one label of 1')
    order = np.argsort(-scores, kind='stable')
    labels, scores = labels[order], scores[order]
    last = np.append(scores[1:] != scores[:-1], True)           # of every group of equal scores
    hits, count = np.cumsum(labels)[last], np.arange(1, len(labels) + 1)[last]
    return float((np.diff(hits, prepend=0) * hits / count).sum() / labels.sum())


def predicted_place(heatmap: np.ndarray) -> tuple[float, float]:
    """(x, y) of the largest cell's corner; see the module."""
    row, column = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    return float(column) / heatmap.shape[1], float(row) / heatmap.shape[0]


def gazefollow_auc(heatmap: np.ndarray, places: ArrayLike, width: int, height: int) -> float:
    """AUC of a heatmap against all annotators' places at once.

    Args:
        heatmap: enlarged to the picture's own size, bilinearly.
        places: (K, 2), one per annotator; those with a negative x, which pad lists, are left out;
            two in one pixel count once.
        width, height: of the picture, pixels.

    Raises:
        ValueError: no place is left, or they fill the whole picture.
    """
    truth = np.zeros((height, width), bool)
    for x, y in _annotated(places):
        truth[min(int(y * height), height - 1), min(int(x * width), width - 1)] = True
    # By torch as in the script: OpenCV's rounding breaks ties otherwise (1e-4 of AUC was seen).
    large = F.interpolate(torch.from_numpy(heatmap.astype(np.float32))[None, None],
                          (height, width), mode='bilinear')
    return roc_auc(truth.ravel(), large.numpy().ravel())


def gazefollow_l2(heatmap: np.ndarray, places: ArrayLike) -> tuple[float, float]:
    """Distance to the annotators' mean place, and to the nearest annotator's, (average, least).

    Raises:
        ValueError: no place is left.
    """
    given, predicted = _annotated(places), np.array(predicted_place(heatmap))
    return (float(np.linalg.norm(predicted - given.mean(axis=0))),
            float(np.linalg.norm(predicted - given, axis=1).min()))


def vat_auc(heatmap: np.ndarray, place: ArrayLike) -> float:
    """AUC of a 64 x 64 heatmap against a square around the place: three sigmas of three cells.

    As in Gaze-LLE's script the square ends before the last row and column where it is cut off by
    the right or lower edge; the original benchmark's goes up to the edge.

    Args:
        heatmap: (64, 64).
        place: (2,) inside the picture: people who look elsewhere are not part of this measure.

    Raises:
        ValueError: another size, or a place whose square is outside.
    """
    if heatmap.shape != (VAT_SIDE, VAT_SIDE):
        raise ValueError(f'this AUC is defined on 64 x 64 cells, got {heatmap.shape}')
    reach = 3 * _VAT_SIGMA
    x, y = _place(place) * VAT_SIDE
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    right, bottom = (min(int(edge + reach + 1), VAT_SIDE - 1) for edge in (x, y))
    truth = np.zeros(heatmap.shape, bool)
    truth[top:max(bottom, 0), left:max(right, 0)] = True
    return roc_auc(truth.ravel(), heatmap.ravel())


def vat_l2(heatmap: np.ndarray, place: ArrayLike) -> float:
    """Distance of the predicted place to the annotated one; of people who look inside only."""
    return float(np.linalg.norm(np.array(predicted_place(heatmap)) - _place(place)))


def vat_inout_ap(inside: ArrayLike, probability: ArrayLike) -> float:
    """Average precision of telling who looks inside (1) over all people of all pictures."""
    return average_precision(inside, probability)


def goo_auc(heatmap: np.ndarray, place: ArrayLike) -> float:
    """AUC of a heatmap shrunk to 5 x 5, bilinearly and without averaging, against one cell."""
    small = cv2.resize(heatmap.astype(np.float32), (_GOO_SIDE, _GOO_SIDE),
                       interpolation=cv2.INTER_LINEAR)
    truth = np.zeros(small.shape, bool)
    column, row = (min(int(value * _GOO_SIDE), _GOO_SIDE - 1) for value in _place(place))
    truth[row, column] = True
    return roc_auc(truth.ravel(), small.ravel())


def goo_angle_rad(eye: ArrayLike, predicted: ArrayLike, place: ArrayLike) -> float:
    """Angle at the eye, in the picture's own square coordinates, between both places.

    Raises:
        ValueError: the predicted or the true place is the eye itself.
    """
    start = _place(eye)
    return float(angle_between(np.append(_place(predicted) - start, 0),
                               np.append(_place(place) - start, 0)))


def goo_box(predicted: ArrayLike, boxes: Sequence[Box]) -> int:
    """Index of the box whose middle is nearest to the predicted place; of several the first.

    Raises:
        ValueError: no boxes.
    """
    if not boxes:
        raise ValueError('there is no box to choose from')
    sides = np.asarray(boxes, float).reshape(-1, 2, 2)
    return int(np.linalg.norm(sides.mean(axis=1) - _place(predicted), axis=1).argmin())


def goo_box_accuracy(chosen: ArrayLike, truth: ArrayLike) -> float:
    """Share of people whose chosen box is the one they look at.

    Raises:
        ValueError: numbers differ, or nobody.
    """
    ours, theirs = np.asarray(chosen), np.asarray(truth)
    if ours.shape != theirs.shape or ours.ndim != 1 or not len(ours):
        raise ValueError(f'one choice and one truth per person, got {ours.shape} and '
                         f'{theirs.shape}')
    return float((ours == theirs).mean())


def goo_proximate_accuracy(distance: ArrayLike, right_class: ArrayLike | None = None
                           ) -> dict[float, float]:
    """Share of predictions nearer than each of `GOO_SHARES`.

    Args:
        distance: (N,) between predicted and true places.
        right_class: (N,) bool; given, only those whose nearest box has the right class count:
            class proximate accuracy.

    Raises:
        ValueError: nobody, or numbers differ.
    """
    away = np.asarray(distance, float)
    right = np.ones(away.shape, bool) if right_class is None else np.asarray(right_class, bool)
    if not away.size or right.shape != away.shape:
        raise ValueError(f'one class per distance, got {right.shape} and {away.shape}')
    return {share: float(((away < share) & right).mean()) for share in GOO_SHARES}


def mean_angular_error_rad(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Mean angle between gaze directions (N, 3) of any length but zero, in one frame.

    Raises:
        ValueError: a direction is zero or not finite, or there are none.
    """
    angles = angle_between(predicted, truth)
    if not angles.size:
        raise ValueError('there are no directions')
    return float(angles.mean())


def direction_of(yaw_rad: ArrayLike, pitch_rad: ArrayLike) -> np.ndarray:
    """(..., 3) of the yaw and pitch of `records.Facing`, along the line of sight."""
    yaw, pitch = np.broadcast_arrays(np.asarray(yaw_rad, float), np.asarray(pitch_rad, float))
    return np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch),
                     -np.cos(yaw) * np.cos(pitch)], axis=-1)


def _pair(label: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(label), np.asarray(score, float)
    if labels.shape != scores.shape or labels.ndim != 1:
        raise ValueError(f'one label per score, got {labels.shape} and {scores.shape}')
    if not np.isfinite(scores).all() or not np.isin(labels, (0, 1)).all():
        raise ValueError('scores must be finite and labels 0 or 1')
    return labels.astype(bool), scores


def _annotated(places: ArrayLike) -> np.ndarray:
    """(K, 2) of the places that are none of the padding."""
    given = np.asarray(places, float)
    if given.ndim != 2 or given.shape[1] != 2 or not np.isfinite(given).all():
        raise ValueError(f'places are finite pairs (x, y), got {given.tolist()}')
    given = given[given[:, 0] >= 0]
    if not len(given):
        raise ValueError('nobody said where this person looks: a person who looks out of the '
                         'picture is not part of this measure')
    return given


def _place(place: ArrayLike) -> np.ndarray:
    given = np.asarray(place, float)
    if given.shape != (2,) or not np.isfinite(given).all():
        raise ValueError(f'a place is a finite pair (x, y), got {given.tolist()}')
    return given
