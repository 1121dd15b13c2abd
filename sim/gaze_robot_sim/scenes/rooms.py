"""Rooms, streets and clutter made from a seed: pictures all around with things to look for."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot_sim.scenes import settings
from gaze_robot_sim.scenes.canvas import Canvas
from gaze_robot_sim.scenes.photograph import photograph
from gaze_robot_sim.scenes.things import family, THING_PX

MAX_ELEVATION_RAD = np.radians(35)


@dataclass(frozen=True, eq=False)
class RoomObject:
    """A thing in a room that can be looked for."""

    direction: np.ndarray
    """(3,) unit vector to its centre, base frame."""

    width_rad: float
    """Side of the square that holds it, as an angle."""

    name: str


@dataclass(frozen=True, eq=False)
class Room:
    """What one point of a made-up place sees all around."""

    image: np.ndarray
    """(width / 2, width, 3) uint8 RGB, equirectangular."""

    objects: list[RoomObject]
    kind: str
    """indoor, outdoor or clutter."""

    heads: list[tuple[np.ndarray, float]] = field(default_factory=list)
    """Of people who stand there: (3,) direction of the middle, half the height in radians; what
    was drawn later may hide some."""


def make_room(rng: np.random.Generator, width: int = 1024) -> Room:
    """Make a place: indoor (60 %), outdoor (25 %) or clutter (15 %), with 12 to 30 things.

    Args:
        rng: the only source of randomness; one state gives one room.
        width: of the picture, pixels, even; the picture is width x width / 2.

    Raises:
        WorldError: if width is odd or below 64.
    """
    if width % 2 or width < 64:
        raise WorldError(f'a room picture is at least 64 pixels wide and even, got {width}')
    kind = str(rng.choice(['indoor', 'outdoor', 'clutter'], p=[0.6, 0.25, 0.15]))
    canvas = Canvas(width)
    {'indoor': settings.draw_indoor, 'outdoor': settings.draw_outdoor,
     'clutter': settings.draw_clutter}[kind](rng, canvas)
    objects = _place_things(rng, canvas)
    return Room(photograph(rng, canvas.image), objects, kind, canvas.heads)


def _place_things(rng: np.random.Generator, canvas: Canvas) -> list[RoomObject]:
    """Draw 12 to 30 things of 5 to 14 degrees within 35 degrees of the horizon."""
    objects: list[RoomObject] = []
    shadow = _shadow()
    for thing, picture in family(rng, int(rng.integers(12, 31))):
        spot = _free_spot(rng, objects)
        if spot is None:
            break
        direction, width_rad = spot
        roll = float(rng.normal(0, 0.15) if rng.random() < 0.7 else rng.uniform(-np.pi, np.pi))
        if rng.random() < 0.6:
            slip = rng.normal(0, 0.12 * width_rad, 3)
            canvas.sticker(direction + slip, shadow, width_rad * rng.uniform(1.1, 1.5))
        canvas.sticker(direction, picture, width_rad, roll)
        objects.append(RoomObject(direction, width_rad, thing.name))
    return objects


def _free_spot(rng: np.random.Generator,
               objects: list[RoomObject]) -> tuple[np.ndarray, float] | None:
    """A (direction, width) that hides at most the rim of another thing; None when none is left."""
    others = np.array([other.direction for other in objects]).reshape(-1, 3)
    widths = np.array([other.width_rad for other in objects])
    for _ in range(40):
        width_rad = float(np.radians(rng.uniform(5, 14)))
        sine = rng.uniform(-1, 1) * np.sin(MAX_ELEVATION_RAD)
        direction = direction_from_pan_tilt(rng.uniform(-np.pi, np.pi), np.arcsin(sine))
        if np.all(others @ direction < np.cos(0.5 * (width_rad + widths))):
            return direction, width_rad
    return None


def _shadow() -> np.ndarray:
    """A soft dark spot, (THING_PX, THING_PX, 4) uint8."""
    alpha: np.ndarray = np.zeros((THING_PX, THING_PX), np.uint8)
    cv2.circle(alpha, (THING_PX // 2, THING_PX // 2), THING_PX // 3, 150, -1)
    alpha = cv2.GaussianBlur(alpha, (0, 0), THING_PX / 12)
    return np.dstack([np.zeros((THING_PX, THING_PX, 3), np.uint8), alpha])
