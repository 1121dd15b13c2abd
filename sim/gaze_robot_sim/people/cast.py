"""Who and what appears: figures that look every way, things, furniture and empty rooms.

Everything is drawn once, kept in a pool and now and then replaced by something new: a picture is
made of ready parts. Who starts from another seed meets nobody and no room of this one.
"""

from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ConfigError
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes import settings
from gaze_robot_sim.scenes.canvas import Canvas
from gaze_robot_sim.scenes.figures import draw_bust, draw_person, Person, random_person, turned
from gaze_robot_sim.scenes.surfaces import furniture
from gaze_robot_sim.scenes.things import draw_thing, random_thing

BUST_PX, WHOLE_PX = 104, 256
"""Heights of the pictures in the pool: heads are 58 and 40 pixels high."""

_VIEW_PX = 400
_CHOICE = 3
"""Figures that come nearest to the gaze wanted, of which one is taken."""
_POSES = 8
"""Pictures of one person: their body is drawn once for several."""
_ROOM_VIEWS = 4


@dataclass(frozen=True)
class CastConfig:
    """How much there is at a time."""

    busts: int = 2000
    wholes: int = 480
    things: int = 300
    views: int = 120
    """Of empty rooms."""

    def __post_init__(self) -> None:
        if min(self.busts, self.wholes) < _POSES or min(self.things, self.views) < 1:
            raise ConfigError(f'a cast has at least {_POSES} busts and whole figures, and one '
                              f'thing and view, got {self}')


USUAL = CastConfig()


class Figures:
    """People of one kind, each looking somewhere."""

    def __init__(self, rng: np.random.Generator, count: int, whole: bool) -> None:
        """Draw `count` pictures, whole figures or busts."""
        self.whole = whole
        self.pictures: list[np.ndarray] = []
        """RGBA each, colours multiplied by alpha."""
        self.gaze = np.zeros((count, 3))
        """(K, 3) where each looks: right, down, away from the viewer; unit vectors."""
        while len(self.pictures) < count:
            person = random_person(rng)
            for _ in range(min(_POSES, count - len(self.pictures))):
                picture, self.gaze[len(self.pictures)] = self._draw(rng, person)
                self.pictures.append(picture)

    def renew(self, rng: np.random.Generator) -> None:
        """Put somebody new in the place of one picture."""
        index = int(rng.integers(len(self.pictures)))
        self.pictures[index], self.gaze[index] = self._draw(rng, random_person(rng))

    def looking(self, rng: np.random.Generator, direction: np.ndarray) -> int:
        """One of those whose gaze is nearest to a unit vector as in `gaze`."""
        near = np.argpartition(-(self.gaze @ direction), min(_CHOICE, len(self.gaze) - 1))
        return int(near[int(rng.integers(min(_CHOICE, len(self.gaze))))])

    def _draw(self, rng: np.random.Generator, person: Person) -> tuple[np.ndarray, np.ndarray]:
        right = float(rng.uniform(-math.pi, math.pi) if rng.random() < 0.6
                      else rng.normal(0, 1.0))
        down = float(np.clip(rng.normal(0.1, 0.38), -1.0, 1.0))
        eyes = None
        if rng.random() < 0.6:                   # eyes turn in the head as they like
            eyes = (float(rng.uniform(-0.22, 0.22)), float(rng.uniform(-0.14, 0.14)))
        draw, height = (draw_person, WHOLE_PX) if self.whole else (draw_bust, BUST_PX)
        picture = draw(person, (right, down), height, eyes)
        return premultiplied(picture), turned(right, down)[:, 2] * (1, 1, -1)


class Cast:
    """Everything there is at a time."""

    def __init__(self, rng: np.random.Generator, config: CastConfig = USUAL) -> None:
        """Draw it; takes seconds."""
        self.busts = Figures(rng, config.busts, False)
        self.wholes = Figures(rng, config.wholes, True)
        self.things = [_thing(rng) for _ in range(config.things)]
        self.panels = [furniture(rng) for _ in range(max(4, config.things // 10))]
        self.views: list[np.ndarray] = []
        """(H, W, 3) uint8 RGB of rooms without things or people."""
        while len(self.views) < config.views:
            self.views += room_views(rng, min(_ROOM_VIEWS, config.views - len(self.views)))

    def renew(self, rng: np.random.Generator) -> None:
        """Let some of it give way to something new; called once per picture."""
        if rng.random() < 0.2:
            self.busts.renew(rng)
        if rng.random() < 0.06:
            self.wholes.renew(rng)
        if rng.random() < 0.2:
            self.things[int(rng.integers(len(self.things)))] = _thing(rng)
        if rng.random() < 0.008:
            for view in room_views(rng, _ROOM_VIEWS):
                self.views[int(rng.integers(len(self.views)))] = view


def room_views(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Pictures of one made-up place, looking where nobody stands."""
    canvas = Canvas(1024)
    kind = rng.random()
    (settings.draw_indoor if kind < 0.7 else settings.draw_outdoor if kind < 0.95
     else settings.draw_clutter)(rng, canvas)
    panorama = Panorama(canvas.image, brief=True)
    camera = CameraModel.from_hfov(_VIEW_PX, _VIEW_PX, math.radians(65))
    taken = [math.atan2(head[1], head[0]) for head, _ in canvas.heads]
    views = []
    for _ in range(40 * count):
        pan, tilt = rng.uniform(-math.pi, math.pi), rng.uniform(-0.1, 0.25)
        if all(abs(math.remainder(pan - other, 2 * math.pi)) > 0.75 for other in taken):
            views.append(panorama.picture(camera, float(pan), float(tilt)))
        if len(views) == count:
            break
    return views


def premultiplied(picture: np.ndarray) -> np.ndarray:
    """RGBA whose colours are multiplied by alpha."""
    out = picture.copy()
    out[..., :3] = (picture[..., :3].astype(np.uint16) * picture[..., 3:] // 255).astype(np.uint8)
    return out


def _thing(rng: np.random.Generator) -> np.ndarray:
    return premultiplied(draw_thing(random_thing(rng)))
