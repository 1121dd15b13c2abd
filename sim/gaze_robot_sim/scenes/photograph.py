"""What light and a camera do to a drawn scene: exposure, colour, blur, noise, compression."""

import cv2
import numpy as np

from gaze_robot_sim.scenes.textures import pick, random_bytes


def photograph(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The panorama (H, 2H, 3) uint8 RGB as a camera of random quality would show it."""
    image = _light(rng, image)
    image = cv2.LUT(image, _tone_curve(rng))
    if rng.random() < 0.35:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        keep = rng.uniform(0.0 if rng.random() < 0.2 else 0.4, 1.3)
        image = cv2.addWeighted(image, keep, grey, 1 - keep, 0)
    image = _focus(rng, image)
    if rng.random() < 0.6:
        image = _noise(rng, image, rng.uniform(0.5, 9))
    if rng.random() < 0.25:
        image = _jpeg(image, int(rng.integers(30, 95)))
    return image


def _light(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Uneven light that joins up at the seam, sometimes with coloured lamps."""
    rows, columns = 5, 8
    tint = rng.uniform(0.0, 0.25)
    grid = np.exp(rng.normal(0, rng.uniform(0.05, 0.35), (rows, columns, 1))
                  + rng.normal(0, 0.4 * tint, (rows, columns, 3))).astype(np.float32)
    height, width = image.shape[:2]
    wrapped = np.concatenate([grid, grid, grid], axis=1)
    gain = cv2.resize(wrapped, (3 * 128, 64), interpolation=cv2.INTER_CUBIC)[:, 128:256]
    # Fixed point: a gain of 1 is 64, which keeps the whole product in 16 bits.
    gain = np.clip(gain * 64, 4, 255).astype(np.uint8)
    return cv2.multiply(image, cv2.resize(gain, (width, height)), scale=1 / 64)


def _tone_curve(rng: np.random.Generator) -> np.ndarray:
    """(256, 1, 3) uint8 look-up table: exposure, gamma, contrast and colour cast."""
    level = np.linspace(0, 1, 256)[:, None]
    cast = np.exp(rng.normal(0, pick(rng, (0.03, 0.12)), 3))
    gamma, gain = rng.uniform(0.65, 1.7), rng.uniform(0.75, 1.25)
    curve = gain * cast * level ** gamma
    contrast = rng.uniform(0.6, 1.25)
    curve = 0.5 + contrast * (curve - 0.5) + rng.uniform(-0.08, 0.08)
    return (np.clip(curve, 0, 1) * 255).astype(np.uint8)[:, None]


def _focus(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Blurred (45 %), sharpened (20 %) or as drawn; the seam is treated like any other column."""
    way = rng.random()
    if way > 0.65:
        return image
    margin = 8
    wide = np.concatenate([image[:, -margin:], image, image[:, :margin]], axis=1)
    sigma = float(rng.uniform(0.4, 1.6)) * image.shape[1] / 1024
    soft = cv2.GaussianBlur(wide, (0, 0), max(sigma, 0.3))
    if way > 0.45:
        soft = cv2.addWeighted(wide, 1.6, soft, -0.6, 0)
    return np.ascontiguousarray(soft[:, margin:-margin])


def _noise(rng: np.random.Generator, image: np.ndarray, sigma: float) -> np.ndarray:
    """Add grain of this standard deviation, grey levels."""
    # The sum of two bytes is triangular with standard deviation 104.5.
    tile = random_bytes(rng, 2, 128, image.shape[1], 3).astype(np.int16)
    grain = ((tile[0] + tile[1] - 255) * (sigma / 104.5)).astype(np.int16)
    repeats = -(-image.shape[0] // 128)
    grain = np.concatenate([np.roll(grain, int(shift), axis=1) for shift in
                            rng.integers(0, image.shape[1], repeats)])[:image.shape[0]]
    return cv2.add(image, grain, dtype=cv2.CV_8U)


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """The blocks and ringing of a compressed picture."""
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return image if decoded is None else decoded
