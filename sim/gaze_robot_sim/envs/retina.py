"""What eyes receive: views of their scenes with whatever moves there, through an imperfect camera.

B eyes   L levels   w samples across a level
"""

from collections.abc import Sequence
import functools

import numpy as np

from gaze_robot.foveation import FILL, FoveationPattern
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.motion import Motion
from gaze_robot_sim.render import Mapper, Panorama, render_levels
from gaze_robot_sim.scenes.lighting import apply, Lighting
from gaze_robot_sim.scenes.overlay import draw_on_levels, Sprite
from gaze_robot_sim.sensor import exposed, Sensor

CAMERA_WIDTH = 640
"""Pixels across the pictures that a simulated eye samples: decides how noise averages out."""


class Retina:
    """B eyes' views; each eye's randomness comes from its own generator, in a fixed order."""

    def __init__(self, eyes: int, pattern: FoveationPattern, dynamics: EyeDynamics,
                 samples: int = 0, mapper: Mapper = map) -> None:
        """Make eyes that have seen nothing yet.

        Args:
            samples: taps along a side of each sample, 0: as many as needed (`render_levels`).
            mapper: how to run independent chunks of rendering.
        """
        self.pattern, self.samples, self.mapper = pattern, samples, mapper
        self.sensor = Sensor(dynamics, eyes)
        self.views = [np.full((eyes, side, side, 3), FILL, np.uint8) for side in pattern.window]
        """Per level (B, w, w, 3) uint8 RGB: what each eye saw last."""
        self.camera = [(90.0, 0.75)] * eyes
        """Each eye's (hfov_deg, height / width)."""
        self._ideal = not any((dynamics.gain[0] - 1, dynamics.gain[1] - 1)) and not any(
            getattr(dynamics, name)[1] for name in ('lighting', 'sensor_noise', 'drop_rate'))
        self.remembers = dynamics.drop_rate[1] > 0
        """Whether `views` may be shown again, so that nobody else should have them."""
        self._light: list[Lighting | None] = [None] * eyes
        self._fresh = np.ones(eyes, bool)
        self._step_rad = 2 * pattern.half_tangent(0) / pattern.window[0]

    def start(self, eye: int, rng: np.random.Generator, camera: tuple[float, float]) -> None:
        """Give an eye another camera (hfov_deg, height / width), sensor and light."""
        self.camera[eye] = camera
        self.sensor.start(eye, rng)
        amount = self.sensor.dynamics.draw('lighting', rng)
        self._light[eye] = Lighting(rng, amount) if amount else None
        self._fresh[eye] = True

    def look(self, eyes: np.ndarray, panoramas: Sequence[Panorama], motion: Motion,
             sprites: Sequence[Sequence[Sprite]], elapsed_s: np.ndarray,
             random: Sequence[np.random.Generator]) -> None:
        """Take a picture with some eyes, into `views`.

        Args:
            eyes: (len,) which.
            panoramas, sprites, elapsed_s: of those eyes; seconds since their episodes began.
            random: the generators of all eyes.
        """
        seen = self._exposed(eyes, panoramas, motion, sprites)
        for row, eye in enumerate(() if self._ideal else eyes):
            light = self._light[eye]
            if light is not None:
                gain = light.gain(float(elapsed_s[row]))
                for level in seen:
                    apply(level[row], gain)
            lost = self.sensor.dropped(eye, random[eye])
            if self.sensor.noise[eye] or self.sensor.gain[eye] != 1.0:
                for level, averaged in zip(seen, self._pixels_per_sample(eye)):
                    self.sensor.develop(level[row], eye, random[eye], averaged)
            if lost and not self._fresh[eye]:
                for level, before in zip(seen, self.views):
                    level[row] = before[eye]
            self._fresh[eye] = False
        self._cover(seen, eyes)
        if len(eyes) == len(self._fresh):
            self.views = seen
        else:
            for level, new in zip(self.views, seen):
                level[eyes] = new

    def _exposed(self, eyes: np.ndarray, panoramas: Sequence[Panorama], motion: Motion,
                 sprites: Sequence[Sequence[Sprite]]) -> list[np.ndarray]:
        """Render every eye, several times where the view moves while the shutter is open."""
        if not motion.exposure_s.any():
            return self._drawn(panoramas, motion.pose[eyes], sprites)
        poses = [motion.exposures(int(eye), self._step_rad) for eye in eyes]
        ends = np.cumsum([0, *(len(moments) for moments in poses)])
        owner = np.repeat(np.arange(len(eyes)), np.diff(ends))
        fine = self._drawn([panoramas[row] for row in owner.tolist()], np.concatenate(poses),
                           [sprites[row] for row in owner.tolist()])
        return [np.stack([exposed(list(level[first:last])) for first, last in zip(ends, ends[1:])])
                for level in fine]

    def _drawn(self, panoramas: Sequence[Panorama], poses: np.ndarray,
               sprites: Sequence[Sequence[Sprite]]) -> list[np.ndarray]:
        levels = render_levels(panoramas, poses, self.pattern, self.samples, self.mapper)
        for row, things in enumerate(sprites):
            if things:
                draw_on_levels([level[row] for level in levels], self.pattern,
                               float(poses[row, 0]), float(poses[row, 1]), things)
        return levels

    def _pixels_per_sample(self, eye: int) -> list[float]:
        """Camera pixels that one sample of each level is the mean of."""
        pixel = 2 * np.tan(np.radians(self.camera[eye][0]) / 2) / CAMERA_WIDTH
        return [max(1.0, (2 * self.pattern.half_tangent(level) / window / pixel) ** 2)
                for level, window in enumerate(self.pattern.window)]

    def _cover(self, seen: Sequence[np.ndarray], eyes: np.ndarray) -> None:
        """Grey out what lies outside each eye's camera."""
        cameras = {self.camera[eye] for eye in eyes}
        for camera in cameras:
            rows = slice(None) if len(cameras) == 1 else np.array(
                [row for row, eye in enumerate(eyes) if self.camera[eye] == camera])
            for level, (top, left) in zip(seen, _outside(self.pattern, camera)):
                if top:
                    level[rows, :top] = level[rows, -top:] = FILL
                if left:
                    level[rows, :, :left] = level[rows, :, -left:] = FILL


@functools.lru_cache(maxsize=256)
def _outside(pattern: FoveationPattern, camera: tuple[float, float]
             ) -> tuple[tuple[int, int], ...]:
    """Per level, how many rows (top and bottom) and columns (each side) a camera does not show."""
    return tuple((int(mask.any(axis=1).argmax()), int(mask.any(axis=0).argmax())) if mask.any()
                 else mask.shape for mask in pattern.inside_camera(*camera))
