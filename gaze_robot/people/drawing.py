"""A picture with heads, the way from each to what is looked at, and the heatmaps over it."""

from collections.abc import Sequence

import cv2
import numpy as np

from gaze_robot.draw import write
from gaze_robot.people.records import PersonGaze

COLOURS = ((255, 90, 60), (90, 170, 255), (255, 190, 40), (120, 220, 90), (220, 110, 255),
           (70, 220, 210))
"""By id, again and again."""

_HEAT = 0.55


def people_picture(image: np.ndarray, people: Sequence[PersonGaze], width: int = 960
                   ) -> np.ndarray:
    """Draw what was found.

    Args:
        image: (h, w, 3) uint8 RGB.
        people: of this picture.
        width: of the result; its height is even.

    Returns:
        (h', width, 3) uint8 RGB, a new array.
    """
    height = max(2, round(image.shape[0] * width / image.shape[1] / 2) * 2)
    out = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    for person in people:
        peak = float(person.heatmap.max())
        if peak > 0:
            share = cv2.resize(person.heatmap.astype(np.float32) / peak, (width, height),
                               interpolation=cv2.INTER_LINEAR)[..., None] * _HEAT
            out += (np.array(_colour(person), np.float32) - out) * share
    picture = out.round().astype(np.uint8)
    for person in people:
        _draw_person(picture, person)
    return picture


def _draw_person(picture: np.ndarray, person: PersonGaze) -> None:
    height, width = picture.shape[:2]
    colour = _colour(person)
    target = _pixel(person.gaze_point, width, height)
    inside = person.in_frame is None or person.in_frame >= 0.5
    if person.head_box is not None:
        left, top, right, bottom = person.head_box
        corner, far = _pixel((left, top), width, height), _pixel((right, bottom), width, height)
        cv2.rectangle(picture, corner, far, colour, 2)
        middle = _pixel(((left + right) / 2, (top + bottom) / 2), width, height)
        cv2.arrowedLine(picture, middle, target, colour, 2 if inside else 1, cv2.LINE_AA,
                        tipLength=0.06)
        words = '' if person.in_frame is None else f', in {person.in_frame:.2f}'
        write(picture, f'{person.id}: {person.source} {person.confidence:.2f}{words}',
              max(2, corner[0]), max(12, corner[1] - 5))
    if inside:
        cv2.circle(picture, target, 7, colour, 2, cv2.LINE_AA)


def _colour(person: PersonGaze) -> tuple[int, int, int]:
    return COLOURS[person.id % len(COLOURS)]


def _pixel(place: tuple[float, float], width: int, height: int) -> tuple[int, int]:
    return round(place[0] * width), round(place[1] * height)
