"""Which patches of a panorama can be looked for, what the looker is shown, and a classical answer.

The photo protocol: a centre uniform in azimuth and within 25 degrees of the horizon, a patch of 6
to 12 degrees whose grey values spread by at least 15, and no place more than 10 degrees away that
correlates with it above 0.8 at 24 pixels per patch. Shown is the same patch rolled, scaled and
with its brightness changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
import functools
import math
import weakref

import cv2
import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt, panorama_direction
from gaze_robot.types import Exemplar
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import SearchTarget
from gaze_robot_sim.scenes.rooms import Room, RoomObject

MAX_ELEVATION_RAD = math.radians(25)
PATCH_WIDTHS_RAD = (math.radians(6), math.radians(12))
MIN_GREY_STD = 15.0
MAX_CORRELATION = 0.8
APART_RAD = math.radians(10)
PATCH_PX = 24
MIN_WINDOW_STD = 1.0
"""Grey levels; a flatter window resembles nothing."""
_BAND_WIDTH = 1440
"""Columns of the kept grey picture: 24 pixels per patch of the narrowest patch."""

_grey_pictures: 'weakref.WeakKeyDictionary[Panorama, np.ndarray]' = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class ExemplarChanges:
    """How much the shown picture may differ from the place it was taken from."""

    roll_rad: float = math.radians(10)
    scale: tuple[float, float] = (0.85, 1.15)
    gain: tuple[float, float] = (0.8, 1.2)
    offset: float = 15.0
    """Grey levels, either way."""


@dataclass(frozen=True, eq=False)
class Place:
    """Somewhere that stands out."""

    direction: np.ndarray
    """(3,) unit vector to its centre, base frame."""

    width_rad: float
    """Side of the square that holds it, as an angle."""

    name: str
    """The thing there; 'patch' where there is no telling."""


PROTOCOL = ExemplarChanges()
UNCHANGED = ExemplarChanges(0.0, (1.0, 1.0), (1.0, 1.0), 0.0)


def show_exemplar(rng: np.random.Generator, panorama: Panorama, direction: np.ndarray,
                  width_rad: float, size_px: int | None = None,
                  changes: ExemplarChanges = PROTOCOL) -> Exemplar:
    """Picture a place the way a looker is shown it.

    Args:
        direction: (3,) base frame.
        width_rad: nominal patch width, told to the looker whatever the scale drawn.
        size_px: side of the picture; 32 to 64 at random when not given.
    """
    scale, size_px, roll_rad = _draw_view(rng, changes, size_px)
    picture = panorama.patch(direction, width_rad / scale, size_px, roll_rad)
    return Exemplar(augment_exemplar(rng, picture, changes), width_rad)


class Likeness:
    """A place pictured once with a margin, from which exemplars are cut quickly."""

    SIDE = 144
    _MARGIN = math.cos(PROTOCOL.roll_rad) + math.sin(PROTOCOL.roll_rad)

    def __init__(self, panorama: Panorama, place: Place) -> None:
        self.place = place
        self._reach = self._MARGIN * math.tan(place.width_rad / PROTOCOL.scale[0] / 2)
        self._picture = panorama.patch(place.direction, 2 * math.atan(self._reach), self.SIDE)

    def show(self, rng: np.random.Generator) -> SearchTarget:
        """The place to look for, as `show_exemplar` shows it but for the resampling."""
        scale, size_px, roll_rad = _draw_view(rng, PROTOCOL, None)
        # From samples, twice as fine as asked for, to pixels of the picture kept.
        half = math.tan(self.place.width_rad / scale / 2)
        step = half / (2 * size_px) / (self._reach / self.SIDE)
        cos, sin = step * math.cos(roll_rad), step * math.sin(roll_rad)
        turn = np.array([[cos, sin], [-sin, cos]])
        shift = (self.SIDE - 1) / 2 - turn @ np.full(2, size_px - 0.5)
        fine = cv2.warpAffine(self._picture, np.column_stack([turn, shift]), (2 * size_px,) * 2,
                              flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                              borderMode=cv2.BORDER_REPLICATE)
        picture = cv2.resize(fine, (size_px, size_px), interpolation=cv2.INTER_AREA)
        return SearchTarget(
            self.place.direction, self.place.width_rad,
            Exemplar(augment_exemplar(rng, picture), self.place.width_rad), self.place.name)


def _draw_view(rng: np.random.Generator, changes: ExemplarChanges, size_px: int | None
               ) -> tuple[float, int, float]:
    """(scale, size_px, roll_rad) of one exemplar."""
    scale = rng.uniform(*changes.scale)
    size_px = int(rng.integers(32, 65)) if size_px is None else size_px
    return scale, size_px, rng.uniform(-changes.roll_rad, changes.roll_rad)


def augment_exemplar(rng: np.random.Generator, picture: np.ndarray,
                     changes: ExemplarChanges = PROTOCOL) -> np.ndarray:
    """The picture (height, width, 3) uint8 with another brightness and contrast."""
    gain, offset = rng.uniform(*changes.gain), rng.uniform(-changes.offset, changes.offset)
    return cv2.LUT(picture, np.clip(np.arange(256) * gain + offset, 0, 255).astype(np.uint8))


def random_patch(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """A candidate of the protocol: (direction (3,) base frame, width_rad)."""
    pan = rng.uniform(-np.pi, np.pi)
    tilt = rng.uniform(-MAX_ELEVATION_RAD, MAX_ELEVATION_RAD)
    return direction_from_pan_tilt(pan, tilt), float(rng.uniform(*PATCH_WIDTHS_RAD))


def is_distinctive(panorama: Panorama, direction: np.ndarray, width_rad: float) -> bool:
    """Whether a patch has structure and no twin more than 10 degrees away."""
    patch = cv2.cvtColor(panorama.patch(direction, width_rad, PATCH_PX), cv2.COLOR_RGB2GRAY)
    if patch.std() < MIN_GREY_STD:
        return False
    score, centres = _match(_grey_picture(panorama), patch, PATCH_PX / math.degrees(width_rad))
    # Twins are few: only the places above the threshold are measured.
    rows, columns = np.nonzero(score > MAX_CORRELATION)
    return bool(np.all(angle_between(centres(rows, columns), direction) <= APART_RAD)) \
        if len(rows) else True


def distinctive_directions(panorama: Panorama, rng: np.random.Generator, candidates: int
                           ) -> list[tuple[np.ndarray, float]]:
    """Those of `candidates` random patches that are distinctive, as (direction, width_rad)."""
    drawn = [random_patch(rng) for _ in range(candidates)]
    return [patch for patch in drawn if is_distinctive(panorama, *patch)]


def find_photo_place(panorama: Panorama, rng: np.random.Generator, tries: int = 200) -> Place:
    """A distinctive patch.

    Raises:
        WorldError: none of `tries` random patches is distinctive.
    """
    for _ in range(tries):
        direction, width_rad = random_patch(rng)
        if is_distinctive(panorama, direction, width_rad):
            return Place(direction, width_rad, 'patch')
    raise WorldError(f'nothing in this panorama stands out ({tries} patches tried); '
                     'use one with more detail near the horizon')


class RoomPlaces:
    """What can be looked for in a room."""

    def __init__(self, room: Room, panorama: Panorama) -> None:
        """Take a room and the panorama of its image."""
        self._room, self._panorama = room, panorama

    @functools.cached_property
    def things(self) -> list[RoomObject]:
        """Those with visible structure that no other thing of the room looks just like."""
        patches = [_normalised(self._panorama.patch(thing.direction, thing.width_rad, PATCH_PX))
                   for thing in self._room.objects]
        return [thing for i, (thing, mine) in enumerate(zip(self._room.objects, patches))
                if mine is not None and not any(
                    theirs is not None and float((mine * theirs).sum()) > MAX_CORRELATION
                    for k, theirs in enumerate(patches) if k != i)]

    def find(self, rng: np.random.Generator, patch_share: float = 0.5) -> Place:
        """One of the room's things or, with probability `patch_share`, a distinctive patch of it.

        Raises:
            WorldError: nothing in the room stands out.
        """
        if rng.random() >= patch_share and self.things:
            thing = self.things[int(rng.integers(len(self.things)))]
            return Place(thing.direction, thing.width_rad, thing.name)
        return find_photo_place(self._panorama, rng)


def template_match(panorama: Panorama, exemplar: Exemplar, pixels_per_degree: float,
                   count: int = 10, apart_rad: float = math.radians(5)) -> np.ndarray:
    """Where plain colour template matching over the whole band looks first: the score to beat.

    Args:
        pixels_per_degree: resolution of the one glance; 0.53 is a 120-degree, 64-pixel periphery.
        count: how many peaks.
        apart_rad: no two peaks are nearer than this.

    Returns:
        (count or fewer, 3) directions, base frame, best correlation first.
    """
    template = _resampled(exemplar, pixels_per_degree)
    score, centres = _match(panorama.image, template, pixels_per_degree)
    peaks: list[np.ndarray] = []
    for place in np.argsort(score, axis=None)[::-1]:
        direction = centres(*np.unravel_index(place, score.shape))
        if all(angle_between(direction, peak) > apart_rad for peak in peaks):
            peaks.append(direction)
            if len(peaks) == count:
                break
    return np.array(peaks)


def _resampled(exemplar: Exemplar, pixels_per_degree: float) -> np.ndarray:
    """The exemplar at exactly this resolution, (side, side, 3), cut or padded to whole pixels."""
    exact = math.degrees(exemplar.width_rad) * pixels_per_degree
    side, fine = max(3, round(exact)), max(8, round(8 * exact))
    picture = cv2.resize(exemplar.image, (fine, fine), interpolation=cv2.INTER_AREA)
    rim = max(0, 8 * side - fine)
    picture = cv2.copyMakeBorder(picture, rim // 2, rim - rim // 2, rim // 2, rim - rim // 2,
                                 cv2.BORDER_REPLICATE)
    first = (picture.shape[0] - 8 * side) // 2
    picture = picture[first:first + 8 * side, first:first + 8 * side]
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def _match(picture: np.ndarray, template: np.ndarray, pixels_per_degree: float
           ) -> tuple[np.ndarray, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Correlate a template with every centre within 25 degrees of the horizon.

    Args:
        picture: equirectangular, of any resolution, uint8; grey or colour like the template.
        template: (side, side) or (side, side, 3) uint8 at `pixels_per_degree`.

    Returns:
        (score, centres): score (rows, columns) in [-1, 1]; centres takes row and column numbers
        (...,) to directions (..., 3), base frame.
    """
    width, side = round(360 * pixels_per_degree), template.shape[0]
    height = round(width / 2)
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA
                       if width < picture.shape[1] else cv2.INTER_LINEAR)
    reach = math.degrees(MAX_ELEVATION_RAD) * pixels_per_degree + side / 2
    first = max(0, math.floor(height / 2 - reach))
    band = small[first:math.ceil(height / 2 + reach)]
    band = np.concatenate([band, band[:, :side - 1]], axis=1)
    score = cv2.matchTemplate(band, template, cv2.TM_CCOEFF_NORMED)
    # In a flat window, such as clipped sky, rounding errors are correlated with the template.
    score[_spread(band, side)[:score.shape[0], :score.shape[1]] < MIN_WINDOW_STD] = 0

    def centres(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        pixel = np.stack([column + side / 2, row + first + side / 2], axis=-1)
        return panorama_direction(pixel, width, height)
    return score, centres


def _spread(picture: np.ndarray, side: int) -> np.ndarray:
    """Standard deviation of each square window, at the place of its top left pixel."""
    mean = cv2.boxFilter(picture, cv2.CV_32F, (side, side), anchor=(0, 0),
                         borderType=cv2.BORDER_REPLICATE)
    square = cv2.sqrBoxFilter(picture, cv2.CV_32F, (side, side), anchor=(0, 0),
                              borderType=cv2.BORDER_REPLICATE)
    variance = np.maximum(square - mean * mean, 0)
    return np.sqrt(variance if variance.ndim == 2 else variance.sum(axis=2))


def _grey_picture(panorama: Panorama) -> np.ndarray:
    """The panorama in grey, _BAND_WIDTH wide, kept as long as the panorama lives."""
    if panorama not in _grey_pictures:
        grey = cv2.cvtColor(panorama.image, cv2.COLOR_RGB2GRAY)
        mode = cv2.INTER_AREA if panorama.width > _BAND_WIDTH else cv2.INTER_LINEAR
        _grey_pictures[panorama] = cv2.resize(grey, (_BAND_WIDTH, _BAND_WIDTH // 2),
                                              interpolation=mode)
    return _grey_pictures[panorama]


def _normalised(patch: np.ndarray) -> np.ndarray | None:
    """Colour patch with mean 0 and length 1; None where it is nearly flat (spread below 8)."""
    centred = patch.astype(np.float32) - patch.mean(dtype=np.float32)
    return None if centred.std() < 8 else centred / np.linalg.norm(centred)
