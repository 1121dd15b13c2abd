"""How right a gaze model is, by the published protocols, over any examples with the truth.

P people
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gaze_robot.people.metrics import (
    average_precision,
    gazefollow_auc,
    gazefollow_l2,
    goo_angle_rad,
    goo_auc,
    goo_box,
    predicted_place,
    vat_auc,
    vat_l2,
)
from gaze_robot.people.records import Box, GazeModel, Gazes, Head


@dataclass(frozen=True, eq=False)
class Example:
    """One picture, its heads, and where their owners look."""

    image: np.ndarray
    """(h, w, 3) uint8 RGB."""

    heads: Sequence[Head]
    places: Sequence[np.ndarray]
    """Of each person (K, 2) shares of the picture, one row for each annotator; none, (0, 2), of
    those who look out of it."""

    inside: np.ndarray
    """(P,) 1, 0, or NaN where nobody said."""

    things: Sequence[Box] = ()
    """What could be looked at, where a data set says so; shares of the picture."""

    eyes: Sequence[tuple[float, float] | None] = ()
    gazed: Sequence[int | None] = ()
    """For each person where their eyes are, and the number of the thing they look at."""


def judge(model: GazeModel, examples: Iterable[Example]) -> list[dict[str, Any]]:
    """What each person's heatmap is worth: one row per person.

    Raises:
        See the model.
    """
    rows: list[dict[str, Any]] = []
    for example in examples:
        rows += judge_gazes(model(example.image, list(example.heads)), example)
    return rows


def judge_gazes(gazes: Gazes, example: Example) -> list[dict[str, Any]]:
    """The same of what a model has said."""
    rows = []
    height, width = example.image.shape[:2]
    for p, places in enumerate(example.places):
        heatmap, row = gazes.heatmaps[p], dict[str, Any]()
        if not np.isnan(example.inside[p]):
            row['inside'] = float(example.inside[p])
            if gazes.in_frame is not None:
                row['odds'] = float(gazes.in_frame[p])
        if len(places):
            mean = places.mean(axis=0)
            row['auc'] = vat_auc(heatmap, mean) if heatmap.shape == (64, 64) else None
            row['l2'] = vat_l2(heatmap, mean)
            row['gazefollow_auc'] = gazefollow_auc(heatmap, places, width, height)
            row['mean_l2'], row['min_l2'] = gazefollow_l2(heatmap, places)
            row.update(_of_goo(example, p, heatmap))
        rows.append(row)
    return rows


def _of_goo(example: Example, person: int, heatmap: np.ndarray) -> dict[str, Any]:
    """What GOO measures, where things and eyes are labelled."""
    gazed = example.gazed[person] if example.gazed else None
    eye = example.eyes[person] if example.eyes else None
    if gazed is None or eye is None or not example.things:
        return {}
    place, truth = predicted_place(heatmap), example.places[person][0]
    row = {'goo_auc': goo_auc(heatmap, truth), 'goo_chosen': goo_box(place, example.things),
           'goo_gazed': gazed}
    if np.hypot(*(np.array(place) - eye)) > 0 and np.hypot(*(truth - eye)) > 0:
        row['angle_rad'] = goo_angle_rad(eye, place, truth)
    return row


def mean_of(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    """Mean over the people who have such a value."""
    values = [row[name] for row in rows if row.get(name) is not None]
    return float(np.mean(values)) if values else None


def inout_ap(rows: Sequence[dict[str, Any]]) -> float | None:
    """Average precision of telling who looks into the picture; None where none can be told."""
    told = [(row['inside'], row['odds']) for row in rows if 'odds' in row]
    if not told or not any(inside for inside, _ in told):
        return None
    inside, odds = zip(*told)
    return average_precision(inside, odds)
