"""How things look: pictures made of noise and stripes, drawn anew for each episode."""

import cv2
import mujoco
import numpy as np

from gaze_robot_sim.bcrl.things import COLOURS

SIDE = 64
"""Pixels across the picture of one face."""
MARK_SIDE = 256
"""And across a mark, whose stripes are fine."""
MARKS = ('across', 'upright')
"""Ways in which a mark's stripes run; the first says left."""


def rgb_of(colour: str) -> np.ndarray:
    """(3,) grey levels of a colour by its name."""
    return np.array(COLOURS[colour], float)


def grain(rng: np.random.Generator, rgb: np.ndarray, contrast: float = 0.12, side: int = SIDE
          ) -> np.ndarray:
    """A cloudy surface (side, side, 3) uint8 about a colour, brightness and hue varied."""
    out = np.ones((side, side, 3), np.float32) * rgb
    for cells in (3, 6, 12, 24):
        cloud = rng.normal(0.0, 1.0, (cells, cells, 1)) + 0.3 * rng.normal(0, 1, (cells, cells, 3))
        out *= 1.0 + contrast / 2 * cv2.resize(
            cloud.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    return np.clip(out, 0, 255).astype(np.uint8)


def striped(rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
    """A surface of some colour with stripes, some brighter and some darker."""
    picture = grain(rng, rgb, 0.08).astype(np.float32)
    count, turn = rng.integers(2, 6), rng.uniform(0, np.pi)
    x, y = np.meshgrid(*(np.arange(SIDE) / SIDE,) * 2)
    wave = np.sin(2 * np.pi * count * (np.cos(turn) * x + np.sin(turn) * y) + rng.uniform(0, 6))
    return np.clip(picture * (1 + 0.18 * wave[..., None]), 0, 255).astype(np.uint8)


def mark(kind: str, width_m: float, period_m: float) -> np.ndarray:
    """Stripes (MARK_SIDE, MARK_SIDE, 3) uint8 that average to the same grey either way."""
    across = np.arange(MARK_SIDE) * width_m / MARK_SIDE
    wave = np.where(np.floor(2 * across / period_m) % 2, 235, 20).astype(np.uint8)
    picture = np.tile(wave[:, None], (1, MARK_SIDE))
    if kind == 'upright':
        picture = picture.T
    return np.repeat(np.ascontiguousarray(picture)[..., None], 3, axis=2)


def add_material(spec: mujoco.MjSpec, name: str, picture: np.ndarray, cube: bool = True) -> str:
    """A material that shows a picture on every face (cube), or once across the top of a box."""
    kind = mujoco.mjtTexture.mjTEXTURE_CUBE if cube else mujoco.mjtTexture.mjTEXTURE_2D
    faces = np.tile(picture, (6, 1, 1)) if cube else picture
    _add_texture(spec, name, kind, faces)
    material = spec.add_material(name=name, specular=0.1, shininess=0.2)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name


def add_sky(spec: mujoco.MjSpec, rng: np.random.Generator) -> None:
    """Dull, cloudy walls all around."""
    rgb = rng.uniform(95, 160) + rng.uniform(-18, 18, 3)
    faces = np.concatenate([grain(rng, rgb, 0.15, 128) for _ in range(6)])
    _add_texture(spec, 'sky', mujoco.mjtTexture.mjTEXTURE_SKYBOX, faces)


def _add_texture(spec: mujoco.MjSpec, name: str, kind: mujoco.mjtTexture, picture: np.ndarray
                 ) -> None:
    height, width = picture.shape[:2]
    texture = spec.add_texture(name=name, type=kind, width=width, height=height, nchannel=3)
    texture.data = np.ascontiguousarray(picture).tobytes()
