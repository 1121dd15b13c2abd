"""Pictures of a board: what the eye saw with everything it made of it, the mosaic, the map."""

import cv2
import numpy as np

from gaze_robot.draw import (
    eye_picture,
    foveated_picture,
    LEVEL_COLOURS,
    TARGET_COLOUR,
    write,
)
from gaze_robot.errors import ImageError
from gaze_robot.geometry import optical_ray, panorama_pixel
from gaze_robot.glance_note import GlanceNote, NotedTarget
from gaze_robot.levelling import turned_level
from gaze_robot.viewer.board import Board, Shown

PEOPLE_COLOUR = (250, 120, 220)
SALIENCE_COLOUR = (245, 220, 80)
MOSAIC_SIDE = 384
MAP_WIDTH = 900


def jpeg(picture: np.ndarray, quality: int = 80) -> bytes:
    """A JPEG of an (h, w, 3) uint8 RGB picture."""
    good, encoded = cv2.imencode('.jpg', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
                                 [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        raise ImageError(f'a picture of shape {picture.shape} cannot be written as JPEG')
    return encoded.tobytes()


def levelled(shown: Shown) -> np.ndarray:
    """The picture as the eye's boxes and rays count in it; a new array only if it was rolled."""
    note = shown.note
    if note is None:
        return shown.image
    return turned_level(shown.image, note.camera, note.roll_rad)


def seen(shown: Shown) -> np.ndarray:
    """The camera's picture with rings, heat map, targets, heads and their gaze rays.

    Returns:
        (h, w, 3) uint8 RGB, a new array.
    """
    note = shown.note
    if note is None:
        return shown.image.copy()
    target = None if note.target is None else pixel_of(note, note.target.direction)
    out = eye_picture(levelled(shown), note.boxes, note.heatmaps, target)
    people = [*note.others, *filter(None, [note.target])]
    for other in people:
        _draw_target(out, note, other)
    return out


def _draw_target(out: np.ndarray, note: GlanceNote, target: NotedTarget) -> None:
    """A candidate of people or salience; with a head, its box and the ray of its gaze."""
    colour = PEOPLE_COLOUR if target.source == 'people' else SALIENCE_COLOUR
    place = pixel_of(note, target.direction)
    point = None if place is None else (round(place[0]), round(place[1]))
    if target.head_box is not None:
        height, width = out.shape[:2]
        left, top, right, bottom = (round(value * size) for value, size in zip(
            target.head_box, (width, height, width, height)))
        cv2.rectangle(out, (left, top), (right, bottom), colour, 2)
        if point is not None:
            cv2.arrowedLine(out, ((left + right) // 2, (top + bottom) // 2), point, colour, 2,
                            cv2.LINE_AA, tipLength=0.06)
    if point is not None and target.source in ('people', 'salience'):
        cv2.circle(out, point, 9, colour, 2, cv2.LINE_AA)
        write(out, f'{target.source} {target.confidence:.2f}', point[0] + 12, point[1] + 4)


def pixel_of(note: GlanceNote, direction: tuple[float, float, float]
             ) -> tuple[float, float] | None:
    """(u, v) of a base-frame direction in the (level) picture of a glance; None if outside."""
    pixel, visible = note.camera.project(
        optical_ray(np.array(direction), note.pan_rad, note.tilt_rad))
    return (float(pixel[0]), float(pixel[1])) if visible else None


def mosaic_picture(mosaic: np.ndarray, note: GlanceNote | None, side: int = MOSAIC_SIDE
                   ) -> np.ndarray:
    """What the network received, laid out as an eye has it; its levels beside each other below.

    Args:
        mosaic: (s * levels, s, 3) uint8 RGB, sharpest on top.
        note: of a glance, for how large the levels are against each other; None: doubling.
        side: of the result's upper part.

    Returns:
        (side + side // levels, side, 3) uint8 RGB.
    """
    levels = np.split(mosaic, mosaic.shape[0] // mosaic.shape[1])
    sides = [2.0 ** level for level in range(len(levels))]
    if note is not None and len(note.boxes) == len(levels):
        sides = [max(1.0, float(box[2])) for box in note.boxes]
    whole = foveated_picture(levels, sides, side)
    strip = side // len(levels)
    row = np.zeros((strip, side, 3), np.uint8)
    for place, level in enumerate(levels):
        row[:, place * strip:(place + 1) * strip] = cv2.resize(
            level, (strip, strip), interpolation=cv2.INTER_NEAREST)
    return np.concatenate([whole, row])


def map_picture(board: Board, surrounding: np.ndarray) -> np.ndarray:
    """The whole surrounding with gaze (ring), true target (cross) and trail (dots).

    Args:
        surrounding: (h, 2h, 3) uint8 RGB from `surrounding_picture`.

    Returns:
        The same with drawings, a new array; its pixels are those of `panorama_direction`.
    """
    out = surrounding.copy()
    height, width = out.shape[:2]
    for direction in board.trail():
        u, v = panorama_pixel(np.array(direction), width, height)
        cv2.circle(out, (round(u), round(v)), 2, LEVEL_COLOURS[1], -1, cv2.LINE_AA)
    if board.truth is not None:
        u, v = panorama_pixel(np.array(board.truth), width, height)
        cv2.drawMarker(out, (round(u), round(v)), TARGET_COLOUR, cv2.MARKER_CROSS, 18, 2)
    gaze = board.gaze
    if gaze is not None:
        u, v = panorama_pixel(gaze, width, height)
        cv2.circle(out, (round(u), round(v)), 11, LEVEL_COLOURS[0], 2, cv2.LINE_AA)
    return out


def surrounding_picture(panorama: bytes | None, width: int = MAP_WIDTH) -> np.ndarray:
    """A panorama's JPEG at the map's size, or a grid where nobody knows the surrounding.

    Returns:
        (width // 2, width, 3) uint8 RGB.
    """
    if panorama is not None:
        picture = cv2.imdecode(np.frombuffer(panorama, np.uint8), cv2.IMREAD_COLOR)
        if picture is not None:
            return cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), (width, width // 2),
                              interpolation=cv2.INTER_AREA)
    out = np.full((width // 2, width, 3), 30, np.uint8)
    for step in range(1, 12):
        out[:, step * width // 12] = 60
        out[min(step, 5) * width // 12] = 60
    for degrees in (90, 0, -90):
        write(out, f'{degrees:+d} deg', round((0.5 - degrees / 360) * width) + 4, 16)
    return out
