"""Pictures for people: what the eye sees and where it looks."""

from collections.abc import Sequence
import math

import cv2
import numpy as np

from gaze_robot.geometry import panorama_pixel

Box = tuple[int, int, int]
"""(left, top, side) of a level's square in camera pixels."""

LEVEL_COLOURS = ((255, 90, 60), (255, 190, 40), (90, 170, 255))
TARGET_COLOUR = (60, 230, 90)
TEXT_COLOUR = (235, 235, 235)
QUIET_COLOUR = (165, 165, 165)
PANEL = 24


def priority_map(heatmaps: Sequence[np.ndarray], boxes: Sequence[Box], width: int, height: int,
                 shrink: int = 4) -> np.ndarray:
    """The levels' probabilities laid over the camera's picture, sharper levels on top.

    Args:
        heatmaps: (cells, cells) per level, sharpest first.
        boxes: that level's square in camera pixels.
        width, height: of the camera's picture.
        shrink: camera pixels per pixel of the map.

    Returns:
        (height // shrink, width // shrink) float32; 0 where no level looks.
    """
    out = np.zeros((max(1, height // shrink), max(1, width // shrink)), np.float32)
    for heatmap, (left, top, side) in reversed(list(zip(heatmaps, boxes))):
        size = max(1, round(side / shrink))
        level = cv2.resize(heatmap.astype(np.float32), (size, size),
                           interpolation=cv2.INTER_NEAREST)
        _paste(out, level, round(left / shrink), round(top / shrink))
    return out


def _paste(out: np.ndarray, patch: np.ndarray, left: int, top: int) -> None:
    """Copy a patch into a picture in place; what sticks out is cut off."""
    height, width = out.shape[:2]
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(width, left + patch.shape[1]), min(height, top + patch.shape[0])
    if x0 < x1 and y0 < y1:
        out[y0:y1, x0:x1] = patch[y0 - top:y1 - top, x0 - left:x1 - left]


def crop_box(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """(left, top, width, height) of the part of a box that lies in the picture; 0 wide if none."""
    left, top, side = box
    x0, y0 = min(max(0, left), width), min(max(0, top), height)
    x1, y1 = min(max(0, left + side), width), min(max(0, top + side), height)
    return x0, y0, max(0, x1 - x0), max(0, y1 - y0)


def eye_picture(image: np.ndarray, boxes: Sequence[Box], heatmaps: Sequence[np.ndarray] = (),
                target_px: tuple[float, float] | None = None, text: str = '',
                width: int = 0) -> np.ndarray:
    """The camera's picture with the rings of the fovea, the heat map, the target and one line.

    Args:
        image: (h, w, 3) uint8 RGB.
        boxes: the levels' squares, sharpest first, camera pixels.
        heatmaps: (cells, cells) per level; () draws none.
        target_px: (u, v) of the target in the picture, or None.
        text: one line, drawn at the bottom.
        width: of the result; 0 keeps the camera's.

    Returns:
        (h', width, 3) uint8 RGB, a new array.
    """
    scale = width / image.shape[1] if width else 1.0
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    out = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if width else image.copy()
    if len(heatmaps):
        heat = priority_map(heatmaps, boxes, image.shape[1], image.shape[0])
        out = _glow(out, heat)
    for (left, top, side), colour in zip(boxes, LEVEL_COLOURS):
        corner = (round(left * scale), round(top * scale))
        far = (round((left + side) * scale), round((top + side) * scale))
        cv2.rectangle(out, corner, far, colour, 1)
    if target_px is not None:
        centre = (round(target_px[0] * scale), round(target_px[1] * scale))
        cv2.drawMarker(out, centre, TARGET_COLOUR, cv2.MARKER_CROSS, 14, 2)
    if text:
        write(out, text, 8, size[1] - 8)
    return out


def _glow(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Blend a heat map over a picture: nothing at its median, red at its peak."""
    low, high = float(np.median(heat)), float(heat.max())
    if high <= low:
        return picture
    share = np.clip((heat - low) / (high - low), 0, 1)
    level = cv2.resize(share, (picture.shape[1], picture.shape[0]),
                       interpolation=cv2.INTER_LINEAR)[..., None]
    hot = np.array([255, 40, 0], np.float32)
    return (picture + (hot - picture) * (0.6 * level)).astype(np.uint8)


def write(out: np.ndarray, text: str, x: int, y: int, size: float = 0.42,
          colour: tuple[int, int, int] = TEXT_COLOUR) -> None:
    """Write one line of ASCII with a dark edge, in place; (x, y) is its left end, on its base."""
    for ink, thickness in (((0, 0, 0), 3), (colour, 1)):
        cv2.putText(out, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, ink, thickness,
                    cv2.LINE_AA)


def mosaic(levels: Sequence[np.ndarray], side: int) -> np.ndarray:
    """The foveated view as one column: each level's samples, sharpest on top.

    Returns:
        (side * levels, side, 3) uint8 RGB.
    """
    return np.concatenate([tile(level, side, level_colour(i)) for i, level in enumerate(levels)])


def stacked_levels(levels: Sequence[np.ndarray]) -> np.ndarray:
    """The samples of all levels as one column without frames, sharpest on top.

    Returns:
        (side * levels, side, 3) uint8, side that of the largest level; smaller ones are repeated.
    """
    side = max(level.shape[0] for level in levels)
    return np.concatenate([cv2.resize(level, (side, side), interpolation=cv2.INTER_NEAREST)
                           for level in levels])


def level_colour(level: int) -> tuple[int, int, int]:
    """A level's colour in every picture; beyond the third they come again."""
    return LEVEL_COLOURS[level % len(LEVEL_COLOURS)]


def tile(picture: np.ndarray, side: int, colour: tuple[int, int, int]) -> np.ndarray:
    """A picture as a square (side, side, 3) of visible samples, in a frame of one pixel."""
    out = cv2.resize(picture, (side, side), interpolation=cv2.INTER_NEAREST)
    cv2.rectangle(out, (0, 0), (side - 1, side - 1), colour, 1)
    return out


def foveated_picture(levels: Sequence[np.ndarray], half_tangents: Sequence[float], side: int
                     ) -> np.ndarray:
    """The levels laid over each other as an eye has them: sharp in the middle, coarse around.

    Args:
        levels: (window, window, 3) uint8 RGB, sharpest first.
        half_tangents: of half of each level's field of view, growing.
        side: of the result.

    Returns:
        (side, side, 3) uint8 RGB.
    """
    out = np.zeros((side, side, 3), np.uint8)
    for i in reversed(range(len(levels))):
        part = max(2, round(side * half_tangents[i] / half_tangents[-1]))
        corner = (side - part) // 2
        _paste(out, tile(levels[i], part, level_colour(i)), corner, corner)
    return out


def panorama_strip(panorama: np.ndarray, gaze: np.ndarray, target: np.ndarray | None, width: int
                   ) -> np.ndarray:
    """A small map of the whole surrounding with the gaze (ring) and the true target (cross).

    Args:
        panorama: (h, 2h, 3) uint8 RGB.
        gaze: (3,) base frame.
        target: (3,) base frame, or None.
        width: of the result.

    Returns:
        (width // 2, width, 3) uint8 RGB, a new array.
    """
    height = width // 2
    out = cv2.resize(panorama, (width, height), interpolation=cv2.INTER_AREA)
    if target is not None:
        u, v = panorama_pixel(target, width, height)
        cv2.drawMarker(out, (round(u), round(v)), TARGET_COLOUR, cv2.MARKER_CROSS, 12, 2)
    u, v = panorama_pixel(gaze, width, height)
    cv2.circle(out, (round(u), round(v)), 7, LEVEL_COLOURS[0], 2, cv2.LINE_AA)
    return out


def timeline(times_s: Sequence[float], errors_deg: Sequence[float], width: int, height: int,
             span_s: float = 15.0, top_deg: float = 90.0, start_s: float | None = None,
             marks_deg: Sequence[float] = ()) -> np.ndarray:
    """The gaze error of the last `span_s` seconds; the grey band is "within 5 degrees".

    Args:
        start_s: time at the left edge; None: whatever puts the newest at the right edge.
        marks_deg: errors marked at the right edge, in place of one line that says what is shown.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    out = np.full((height, width, 3), PANEL, np.uint8)
    band = round((1 - math.sqrt(5.0 / top_deg)) * (height - 1))
    out[band:] = 60
    if len(times_s) > 1:
        times, errors = np.asarray(times_s), np.asarray(errors_deg)
        first = times[-1] - span_s if start_s is None else start_s
        keep = (times > times[-1] - span_s) & np.isfinite(errors)
        x = (times[keep] - first) / span_s * (width - 1)
        # Square-root scale: the last five degrees matter as much as the first eighty.
        y = (1 - np.sqrt(np.clip(errors[keep] / top_deg, 0, 1))) * (height - 1)
        points = np.stack([x, y], axis=1).round().astype(np.int32)
        cv2.polylines(out, [points], False, TARGET_COLOUR, 2 if marks_deg else 1, cv2.LINE_AA)
    for mark in marks_deg:
        y = round((1 - math.sqrt(mark / top_deg)) * (height - 1))
        out[y, :-34:4] = QUIET_COLOUR
        write(out, f'{mark:g}', width - 30, min(height - 4, max(14, y + 5)), colour=QUIET_COLOUR)
    if not marks_deg:
        write(out, f'gaze error, last {span_s:.0f} s', 8, height - 6)
    return out


def stacked_bars(rows: np.ndarray, colours: Sequence[tuple[int, int, int]], width: int,
                 height: int, span: int) -> np.ndarray:
    """Signed parts of a sum over time: one bar per step, gains upwards and losses downwards.

    Args:
        rows: (steps, parts); the newest is the last.
        colours: of the parts.
        span: steps across the picture; older ones are left out.

    Returns:
        (height, width, 3) uint8 RGB; the scale fits what is shown.
    """
    out = np.full((height, width, 3), PANEL, np.uint8)
    rows = np.asarray(rows, float)[-span:]
    gains, losses = np.maximum(rows, 0).cumsum(axis=1), np.minimum(rows, 0).cumsum(axis=1)
    top = max(1e-9, gains.max(initial=0.0))
    bottom = min(0.0, losses.min(initial=0.0))
    scale = (height - 2) / (top - bottom)
    zero = round(1 + top * scale)
    edges = np.linspace(0, width, span + 1).round().astype(int)
    for step, row in enumerate(rows):
        left, right = edges[step], max(edges[step] + 1, edges[step + 1])
        for part in range(len(colours)):
            ends = gains[step, part] if row[part] > 0 else losses[step, part]
            first, last = sorted((round(1 + (top - ends) * scale),
                                  round(1 + (top - ends + row[part]) * scale)))
            out[first:last, left:right] = colours[part]
    out[min(zero, height - 1)] = 120
    return out
