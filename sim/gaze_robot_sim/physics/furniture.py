"""What stands on the table. Places are (azimuth, radius): the origin is the table below the eye,
x forward, y left, z up, metres and radians; the top of the table is z = 0.
"""

from collections.abc import Sequence
import math

import mujoco
import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot_sim.physics import textures

REACH_RAD = math.radians(100.0)
"""Things lie this far to the left and right at most; the table ends 10 degrees further."""
NEAR, FAR = 0.49, 0.54
"""Radii within which they lie."""
GROUND, TOUCHED = 1, 3
"""Collision bits of all but the arm, whose parts are 2 and 1: they never meet each other."""

THING = 0.024
"""Half the width of things to grasp."""
THING_MASS = 0.08
BUCKET, BUCKET_WALL, BUCKET_HEIGHT = 0.072, 0.004, 0.07
"""Half the inner width of a bucket, half the thickness of its walls, its height."""
SHELF = (0.075, 0.085)
"""Half the depth and width of a shelf."""
BUTTON, BUTTON_TOP, BUTTON_TRAVEL = 0.04, 0.035, 0.012
"""Radius of a button, the height of its top, and how far it goes."""
PATCH = 0.045
"""Half the width of a patch to wipe."""
SIGN, SIGN_RADIUS = 0.06, 0.66
"""Half the width of a sign, and how far away it stands."""
MARK_PERIOD = 0.0145
"""From stripe to stripe of a mark, 1.2 degrees from the eye: a fovea of 15 degrees on 32 samples
shows them, a level of 40 degrees averages them away."""

_BOX, _CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER


def place(azimuth: float, radius: float, z: float = 0.0) -> list[float]:
    """A point (3,) from its azimuth and radius."""
    return [radius * math.cos(azimuth), radius * math.sin(azimuth), z]


def facing(azimuth: float) -> list[float]:
    """The rotation, a quaternion, whose x points away from the middle at this azimuth."""
    return [math.cos(azimuth / 2), 0.0, 0.0, math.sin(azimuth / 2)]


def spread(rng: np.random.Generator, count: int, apart_rad: float, reach_rad: float = REACH_RAD,
           given: Sequence[float] = ()) -> list[float]:
    """Azimuths apart from each other and from those given.

    Raises:
        ConfigError: so many do not fit.
    """
    for _ in range(2000):
        found = rng.uniform(-reach_rad, reach_rad, count)
        every = np.sort(np.concatenate([found, given]))
        if len(every) < 2 or np.diff(every).min() >= apart_rad:
            return found.tolist()
    raise ConfigError(f'{count} things do not fit {math.degrees(apart_rad):.0f} degrees apart')


class Furniture:
    """Adds things to a model; everything random about them comes from one generator."""

    def __init__(self, spec: mujoco.MjSpec, rng: np.random.Generator) -> None:
        self.spec, self.rng = spec, rng

    def room(self, eye_height: float) -> None:
        """Walls, floor, light, the table, and the post that the eye stands on."""
        rng, world = self.rng, self.spec.worldbody
        textures.add_sky(self.spec, rng)
        floor = textures.add_material(self.spec, 'floor', textures.grain(
            rng, rng.uniform(60, 130) + rng.uniform(-15, 15, 3), 0.2), cube=False)
        world.add_geom(type=_BOX, size=[4, 4, 0.02], pos=[0, 0, -0.77], material=floor,
                       contype=GROUND, conaffinity=TOUCHED)
        wood = textures.add_material(self.spec, 'table', textures.grain(
            rng, rng.uniform(90, 170) + rng.uniform(-25, 25, 3), 0.15), cube=False)
        world.add_geom(name='table', type=_CYLINDER, size=[0.8, 0.02, 0], pos=[0, 0, -0.02],
                       contype=GROUND, conaffinity=TOUCHED, group=3)
        half = math.radians(10.0)
        for part in range(11):                  # an arc of +-110 degrees, as what is seen
            azimuth = math.radians(20.0) * (part - 5)
            world.add_geom(type=_BOX, size=[0.2, 0.8 * math.tan(half), 0.02], material=wood,
                           pos=place(azimuth, 0.58, -0.0202 - 1e-4 * (part % 2)),
                           quat=facing(azimuth), contype=0, conaffinity=0)
        world.add_geom(type=_CYLINDER, size=[0.025, (eye_height + 0.69) / 2, 0],
                       pos=[0, 0, (eye_height - 0.81) / 2], rgba=[0.2, 0.2, 0.2, 1],
                       contype=0, conaffinity=0)
        self._light()

    def _light(self) -> None:
        """A lamp above, a weaker one from anywhere; none on cameras, whose pictures must agree."""
        rng, headlight = self.rng, self.spec.visual.headlight
        for strength, height in ((rng.uniform(0.35, 0.6), rng.uniform(1.6, 2.6)),
                                 (rng.uniform(0.1, 0.3), rng.uniform(0.6, 1.6))):
            light = self.spec.worldbody.add_light(
                pos=[*rng.uniform(-1.2, 1.2, 2), height], castshadow=False,
                type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
            light.dir = (rng.uniform(-0.3, 0.3, 3) - light.pos).tolist()
            light.diffuse = (strength * rng.uniform(0.85, 1.15, 3)).tolist()
            light.specular = [0.1, 0.1, 0.1]
        headlight.ambient = [float(rng.uniform(0.4, 0.6))] * 3
        headlight.diffuse = headlight.specular = [0.0, 0.0, 0.0]

    def thing(self, name: str, colour: str, shape: str, azimuth: float, radius: float) -> str:
        """A loose cube or cylinder; its faces look away from the middle, more or less."""
        turn = azimuth + self.rng.uniform(-0.2, 0.2)
        body = self.spec.worldbody.add_body(name=name, pos=place(azimuth, radius, THING),
                                            quat=facing(turn))
        body.add_freejoint()
        kind, size = (_BOX, [THING] * 3) if shape == 'cube' else (_CYLINDER, [THING, THING, 0])
        body.add_geom(name=name, type=kind, size=size, material=self._surface(name, colour),
                      mass=THING_MASS * self.rng.uniform(0.6, 1.7), contype=GROUND,
                      conaffinity=TOUCHED, condim=6,      # else cylinders wobble for ever
                      friction=[self.rng.uniform(0.8, 1.4), 0.02, 0.004], solref=[0.008, 1])
        return name

    def bucket(self, name: str, colour: str, azimuth: float, radius: float) -> str:
        """An open box; its floor is the table."""
        body = self._standing(name, azimuth, radius)
        surface, wall = self._surface(name, colour), BUCKET + BUCKET_WALL
        for x, y in ((wall, 0), (-wall, 0), (0, wall), (0, -wall)):
            size = ([BUCKET_WALL, wall + BUCKET_WALL, BUCKET_HEIGHT / 2] if x else
                    [wall + BUCKET_WALL, BUCKET_WALL, BUCKET_HEIGHT / 2])
            self._solid(body, _BOX, size, [x, y, BUCKET_HEIGHT / 2], surface)
        self._solid(body, _BOX, [BUCKET, BUCKET, 0.002], [0, 0, 0.002], surface)
        return name

    def shelf(self, name: str, colour: str, azimuth: float, radius: float, height: float) -> str:
        """A plate on a back wall."""
        body = self._standing(name, azimuth, radius)
        surface = self._surface(name, colour)
        self._solid(body, _BOX, [*SHELF, 0.005], [0, 0, height - 0.005], surface)
        self._solid(body, _BOX, [0.006, SHELF[1], height / 2], [SHELF[0], 0, height / 2], surface)
        return name

    def button(self, name: str, colour: str, shape: str, azimuth: float, radius: float) -> str:
        """A cap on a spring, round or square; its joint, called like it, is negative when down."""
        base = self._standing(f'{name}_base', azimuth, radius)
        self._solid(base, _CYLINDER, [BUTTON + 0.012, 0.006, 0], [0, 0, 0.006], '')
        body = base.add_body(name=name, pos=[0, 0, BUTTON_TOP - 0.008], gravcomp=1.0)
        body.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1],
                       range=[-BUTTON_TRAVEL, 0], limited=1, stiffness=[150.0, 0, 0],
                       springref=0.002, damping=[6.0, 0, 0])
        kind, size = ((_CYLINDER, [BUTTON, 0.008, 0]) if shape == 'round' else
                      (_BOX, [BUTTON * 0.9, BUTTON * 0.9, 0.008]))
        body.add_geom(name=name, type=kind, size=size, material=self._surface(name, colour),
                      mass=0.05, contype=GROUND, conaffinity=TOUCHED)
        return name

    def patch(self, name: str, colour: str, shape: str, azimuth: float, radius: float
              ) -> list[str]:
        """A dirty patch, square or round, flat on the table; the names of its specks."""
        body = self._standing(name, azimuth, radius)
        kind, size = ((_CYLINDER, [PATCH, 0.0008, 0]) if shape == 'round' else
                      (_BOX, [PATCH * 0.9, PATCH * 0.9, 0.0008]))
        body.add_geom(name=name, type=kind, size=size, pos=[0, 0, 0.0008], contype=0,
                      conaffinity=0, material=self._surface(name, colour))
        specks = []
        for number in range(9):
            row, column = divmod(number, 3)
            spot = [(row - 1) * 0.026, (column - 1) * 0.026, 0.0018]
            spot[:2] = (np.array(spot[:2]) + self.rng.uniform(-0.005, 0.005, 2)).tolist()
            specks.append(f'{name}_speck{number}')
            body.add_geom(name=specks[-1], type=_BOX, pos=spot, contype=0, conaffinity=0,
                          size=[*self.rng.uniform(0.005, 0.009, 2), 0.0005],
                          rgba=[*self.rng.uniform(0.02, 0.15, 3), 1])
        return specks

    def sign(self, name: str, kind: str, azimuth: float, eye_height: float) -> str:
        """A plate that faces the eye and carries a mark, on a post."""
        middle = np.array(place(azimuth, SIGN_RADIUS, 0.09))
        normal = np.array([0, 0, eye_height]) - middle
        normal /= np.linalg.norm(normal)
        right = np.array([math.sin(azimuth), -math.cos(azimuth), 0.0])
        turn = np.stack([right, np.cross(normal, right), normal], axis=1)
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, turn.ravel())
        body = self.spec.worldbody.add_body(name=name, pos=middle.tolist(), quat=quat.tolist())
        frame = textures.add_material(self.spec, f'{name}_frame', textures.grain(
            self.rng, np.array([245.0, 240.0, 225.0]), 0.03))
        self._solid(body, _BOX, [SIGN + 0.008, SIGN + 0.008, 0.004], [0, 0, -0.002], frame)
        face = textures.add_material(self.spec, name, textures.mark(
            kind, 2 * SIGN, MARK_PERIOD), cube=False)
        body.add_geom(name=name, type=_BOX, size=[SIGN, SIGN, 0.001], pos=[0, 0, 0.003],
                      material=face, contype=0, conaffinity=0)
        return name

    def _standing(self, name: str, azimuth: float, radius: float) -> 'mujoco.MjsBody':
        return self.spec.worldbody.add_body(name=name, pos=place(azimuth, radius),
                                            quat=facing(azimuth))

    def _solid(self, body: 'mujoco.MjsBody', kind: mujoco.mjtGeom, size: list[float],
               pos: list[float], material: str) -> None:
        geom = body.add_geom(type=kind, size=size, pos=pos, contype=GROUND, conaffinity=TOUCHED)
        if material:
            geom.material = material
        else:
            geom.rgba = [0.25, 0.25, 0.27, 1]

    def _surface(self, name: str, colour: str) -> str:
        rgb = textures.rgb_of(colour) * self.rng.uniform(0.85, 1.1)
        draw = textures.striped if self.rng.random() < 0.5 else textures.grain
        return textures.add_material(self.spec, name, draw(self.rng, rgb))
