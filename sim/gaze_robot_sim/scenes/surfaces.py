"""What walls, fronts of houses, furniture and floors are covered with.

Every picture here is (height, width, 3) uint8 RGB.
"""

import cv2
import numpy as np

from gaze_robot_sim.scenes.textures import (
    draw_pattern,
    palette,
    PATTERNS,
    pick,
    roughen,
)

_FITTINGS = ('picture', 'picture', 'picture', 'window', 'door', 'shelf')
_SURFACES = ('clouds', 'clouds', 'marble', 'wood', 'bricks', 'checks', 'stripes', 'cells', 'weave',
             'plaid', 'dots', 'waves')


def surface(rng: np.random.Generator, height: int, width: int, size_px: float,
            calm: float = 0.6) -> np.ndarray:
    """A wall, floor or front: a pattern of about size_px, roughened; mostly of low contrast."""
    colours = palette(rng, int(rng.integers(2, 5)), rng.uniform(0.0, 0.7))
    if rng.random() < calm:
        colours = _calmed(colours, rng.uniform(0.05, 0.35))
    cycles = max(1.0, min(height, width) / size_px)
    texture = draw_pattern(rng, pick(rng, _SURFACES), height, width, colours, cycles)
    return roughen(rng, np.ascontiguousarray(texture), rng.uniform(0.1, 0.9))


def _calmed(colours: np.ndarray, keep: float) -> np.ndarray:
    mean = colours.mean(axis=0)
    return np.clip(mean + (colours - mean) * keep, 0, 255).astype(np.uint8)


def poster(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Something busy: what hangs on walls, shows on screens or stands on shelves."""
    colours = palette(rng, int(rng.integers(3, 6)))
    kind = pick(rng, PATTERNS + ('scene', 'shards', 'leaves', 'glyphs', 'leaves'))
    return np.ascontiguousarray(
        draw_pattern(rng, kind, height, width, colours, rng.uniform(1.5, 7)))


def wall(rng: np.random.Generator, height: int, width: int, density: float) -> np.ndarray:
    """A room's wall with skirting, windows, doors, pictures and shelves on it."""
    texture = surface(rng, height, width, density * rng.uniform(0.15, 1.2), 0.75)
    if rng.random() < 0.5:
        texture[-max(2, int(0.12 * density)):] = palette(rng, 1)[0]
    if rng.random() < 0.3:
        low = int(height * rng.uniform(0.4, 0.65))
        texture[low:] = surface(rng, height - low, width, density * rng.uniform(0.1, 0.8), 0.6)
    for _ in range(rng.integers(0, 6)):
        wide = int(rng.uniform(0.3, 1.6) * density)
        tall = int(rng.uniform(0.3, 1.4) * density)
        kind = pick(rng, _FITTINGS)
        if kind == 'door':
            tall = int(min(2.0 * density, 0.9 * height))
        tall, wide = min(tall, height - 4), min(wide, width - 4)
        if min(tall, wide) < 10:
            continue
        left = int(rng.integers(1, width - wide - 1))
        top = height - tall if kind == 'door' else int(rng.integers(1, height - tall - 1))
        texture[top:top + tall, left:left + wide] = _fitting(rng, kind, tall, wide)
    return texture


def _fitting(rng: np.random.Generator, kind: str, height: int, width: int) -> np.ndarray:
    """A picture, window, door or shelf in its frame."""
    if kind == 'shelf':
        return _shelf(rng, height, width)
    frame = palette(rng, 1, 0.4)[0].tolist()
    rim = max(1, int(rng.uniform(0.02, 0.12) * min(height, width)))
    if kind == 'door':
        panel = surface(rng, height, width, width / 3)
        for part in (0.08, 0.55):
            top, bottom = int(height * part), int(height * (part + 0.37))
            cv2.rectangle(panel, (width // 6, top), (width * 5 // 6, bottom), frame, rim)
        cv2.circle(panel, (width * 9 // 10, height // 2), 2 + rim // 2, (230, 220, 160), -1)
    elif kind == 'window':
        panel = cv2.add(draw_pattern(rng, 'scene', height, width, palette(rng, 4), 3),
                        np.full((height, width, 3), int(rng.integers(0, 90)), np.uint8))
        for i in range(1, int(rng.integers(1, 4))):
            cv2.line(panel, (width * i // 3, 0), (width * i // 3, height), frame, rim)
        cv2.line(panel, (0, height // 2), (width, height // 2), frame, rim)
    else:
        panel = poster(rng, height, width)
    cv2.rectangle(panel, (0, 0), (width - 1, height - 1), frame, 2 * rim)
    return panel


def _shelf(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Boards with books of many colours and heights, some letters on their backs."""
    panel = np.full((height, width, 3), palette(rng, 1)[0] // 3, np.uint8)
    boards = int(rng.integers(1, 5))
    for i in range(boards):
        bottom, room = (i + 1) * height // boards - 2, height // boards - 3
        left = 1
        while left < width - 3 and room > 4:
            wide = int(rng.integers(2, max(4, width // 6) + 1))
            tall = int(room * rng.uniform(0.5, 1.0))
            colours = palette(rng, 2)
            right, top = min(width - 1, left + wide), bottom - tall
            cv2.rectangle(panel, (left, top), (right, bottom), colours[0].tolist(), -1)
            cv2.rectangle(panel, (left, top + tall // 5), (right, top + tall // 3),
                          colours[1].tolist(), -1)
            left += wide + 1 + int(rng.random() < 0.1) * wide
        cv2.line(panel, (0, bottom + 1), (width, bottom + 1), (120, 90, 60), 2)
    return panel


def furniture(rng: np.random.Generator) -> np.ndarray:
    """The side of a box: a shelf, something busy, or drawers."""
    way = rng.random()
    if way < 0.25:
        return _shelf(rng, 96, 80)
    if way < 0.45:
        return poster(rng, 80, 80)
    panel = surface(rng, 80, 80, rng.uniform(5, 60))
    for i in range(rng.integers(0, 5)):
        cv2.rectangle(panel, (4, 2 + 16 * i), (75, 15 + 16 * i), palette(rng, 1)[0].tolist(), 1)
    return panel


def front(rng: np.random.Generator) -> np.ndarray:
    """The front of a house: windows in rows on a plastered, brick or glass wall."""
    panel = surface(rng, 128, 160, rng.uniform(4, 30), 0.7)
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(1, 9))
    frame, glass = palette(rng, 2, 0.3), palette(rng, 3, 0.5)
    tall = int(128 / rows * rng.uniform(0.4, 0.8))
    wide = int(160 / columns * rng.uniform(0.3, 0.8))
    for row in range(rows):
        for column in range(columns):
            x, y = int((column + 0.2) * 160 / columns), int((row + 0.2) * 128 / rows)
            cv2.rectangle(panel, (x, y), (x + wide, y + tall),
                          glass[rng.integers(3)].tolist(), -1)
            cv2.rectangle(panel, (x, y), (x + wide, y + tall), frame[0].tolist(), 1)
    if rng.random() < 0.5:
        sign = draw_pattern(rng, 'glyphs', 16, 80, palette(rng, 3), 1.2)
        y, x = int(rng.integers(0, 112)), int(rng.integers(0, 80))
        panel[y:y + 16, x:x + 80] = sign
    return panel
