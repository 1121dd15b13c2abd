"""Pictures of any depth -> 8 bits per channel."""

import cv2
import numpy as np

from gaze_robot.errors import WorldError

KEY = 0.18
"""What the average luminance becomes: middle grey, Reinhard 2002."""


def to_8_bit(image: np.ndarray) -> np.ndarray:
    """Whatever an image file held, (height, width, 3) BGR, as uint8 BGR.

    uint16 is taken to be coded like uint8 and is scaled; floating point is taken to be linear
    light and is tone-mapped.

    Raises:
        WorldError: another type, or values that are not finite.
    """
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return cv2.convertScaleAbs(image, alpha=1 / 257)
    if image.dtype.kind == 'f':
        return tone_map(image.astype(np.float32, copy=False))
    raise WorldError(f'pixels of type {image.dtype} cannot be used; give 8 or 16 bits without '
                     'sign, or floating point')


def tone_map(light: np.ndarray) -> np.ndarray:
    """Linear light, (height, width, 3) BGR float32, as a picture, uint8 BGR.

    The global operator of Reinhard et al., Photographic Tone Reproduction for Digital Images,
    2002, equations 1, 2 and 4, on luminance; then a gamma of 2.2. (OpenCV's createTonemapReinhard
    is the operator of 2005, which turns a sun of 1e6 into a grey picture and black into NaN.)

    Raises:
        WorldError: some values are not finite.
    """
    if not np.isfinite(light).all():
        broken = int((~np.isfinite(light)).any(axis=-1).sum())
        raise WorldError(f'{broken} of {light.shape[0] * light.shape[1]} pixels are NaN or '
                         'infinite; write it again with finite values')
    light = np.maximum(light, 0)
    luminance = cv2.transform(light, np.array([[0.0722, 0.7152, 0.2126]], np.float32))
    lit = luminance[luminance > 0]
    if not len(lit):
        return np.zeros(light.shape, np.uint8)
    exposure = KEY / float(np.exp(np.log(lit).mean(dtype=np.float64)))
    white = exposure * float(lit.max())
    exposed = luminance * np.float32(exposure)
    gain = (1 + exposed / np.float32(white * white)) / (1 + exposed) * np.float32(exposure)
    light *= gain[..., None]
    np.minimum(light, 1, out=light)
    return cv2.convertScaleAbs(cv2.pow(light, 1 / 2.2), alpha=255)
