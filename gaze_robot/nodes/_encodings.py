"""Bytes of a picture, as sensor_msgs/Image describes them, to RGB: numpy and OpenCV, no ROS.

Names and layouts follow sensor_msgs/image_encodings.hpp. Colours come out as RGB uint8:
16-bit colour and mono16 are scaled by 255/65535, 16UC1 and 32FC1 (depth, thermal) are stretched
from their own smallest to their own largest finite value, because they have no full scale.
"""

from collections.abc import Callable
import struct
import sys

import cv2
import numpy as np

from gaze_robot.errors import ImageError

LARGEST_PIXELS = 7680 * 4320
"""8K; what claims more is refused before a byte of it is copied or decoded."""

LARGEST_BYTES = 8 * LARGEST_PIXELS
LARGEST_COMPRESSED_BYTES = 1 << 26

_Decode = Callable[[np.ndarray], np.ndarray]


def _same(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _convert(code: int) -> _Decode:
    return lambda pixels: cv2.cvtColor(_to_8bit(pixels), code)


def _to_8bit(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    return cv2.convertScaleAbs(pixels, alpha=255.0 / 65535.0)


def _mosaic(code: int) -> _Decode:
    def decode(pixels: np.ndarray) -> np.ndarray:
        return _to_8bit(cv2.cvtColor(pixels, code))
    return decode


def _stretch(pixels: np.ndarray) -> np.ndarray:
    """Values without a full scale: their own range becomes black to white; NaN and inf black."""
    good = np.isfinite(pixels)
    if not good.any():
        raise ImageError('the picture holds no finite value (every pixel is NaN or infinite); '
                         'is the sensor covered, or still starting?')
    low, high = float(pixels[good].min()), float(pixels[good].max())
    scale = 255.0 / (high - low) if high > low else 0.0
    grey = (np.where(good, pixels, low).astype(np.float64) - low) * scale
    return cv2.cvtColor(np.rint(grey).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def _nv21(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_NV21)


_GREY = _convert(cv2.COLOR_GRAY2RGB)
_BGR = _convert(cv2.COLOR_BGR2RGB)
_BGRA = _convert(cv2.COLOR_BGRA2RGB)
_RGBA = _convert(cv2.COLOR_RGBA2RGB)
_UYVY = _convert(cv2.COLOR_YUV2RGB_UYVY)
_YUYV = _convert(cv2.COLOR_YUV2RGB_YUYV)
# OpenCV names a mosaic by its second row and column, ROS by its first: rggb is OpenCV's BG.
_BAYER = {'rggb': cv2.COLOR_BayerBG2RGB, 'bggr': cv2.COLOR_BayerRG2RGB,
          'gbrg': cv2.COLOR_BayerGR2RGB, 'grbg': cv2.COLOR_BayerGB2RGB}

# encoding -> (element type, channels, how to make RGB of it)
_KNOWN: dict[str, tuple[str, int, _Decode]] = {
    'rgb8': ('u1', 3, _same),
    'bgr8': ('u1', 3, _BGR),
    'rgba8': ('u1', 4, _RGBA),
    'bgra8': ('u1', 4, _BGRA),
    'mono8': ('u1', 1, _GREY),
    '8UC1': ('u1', 1, _GREY),
    '8UC3': ('u1', 3, _BGR),
    '8UC4': ('u1', 4, _BGRA),
    'rgb16': ('u2', 3, _to_8bit),
    'bgr16': ('u2', 3, _BGR),
    'rgba16': ('u2', 4, _RGBA),
    'bgra16': ('u2', 4, _BGRA),
    'mono16': ('u2', 1, _GREY),
    '16UC1': ('u2', 1, _stretch),
    '16SC1': ('i2', 1, _stretch),
    '32FC1': ('f4', 1, _stretch),
    '64FC1': ('f8', 1, _stretch),
    'yuv422': ('u1', 2, _UYVY),
    'uyvy': ('u1', 2, _UYVY),
    'yuv422_yuy2': ('u1', 2, _YUYV),
    'yuyv': ('u1', 2, _YUYV),
    'nv21': ('u1', 1, _nv21),
}
for _pattern, _code in _BAYER.items():
    _KNOWN[f'bayer_{_pattern}8'] = ('u1', 1, _mosaic(_code))
    _KNOWN[f'bayer_{_pattern}16'] = ('u2', 1, _mosaic(_code))

ENCODINGS = frozenset(_KNOWN)
"""Encodings `rgb_from_bytes` decodes by itself."""


def rgb_from_bytes(data: object, width: int, height: int, encoding: str, step: int = 0,
                   big_endian: bool = False) -> np.ndarray:
    """The picture in RGB.

    Args:
        data: buffer of bytes; rows may be padded at their end.
        width, height: pixels.
        encoding: a name of `ENCODINGS`.
        step: bytes per row; 0 means rows are not padded.
        big_endian: byte order of elements wider than a byte.

    Returns:
        (height, width, 3) uint8. For unpadded rgb8 it is a view of `data`, not a copy.

    Raises:
        ImageError: unknown encoding, no pixels, fewer bytes than promised, no finite value.
    """
    if encoding not in _KNOWN:
        raise ImageError(f'pictures with encoding {encoding!r} cannot be decoded; '
                         f'known: {", ".join(sorted(_KNOWN))}')
    if width <= 0 or height <= 0:
        raise ImageError(f'the picture is empty: {width}x{height}')
    if width * height > LARGEST_PIXELS:
        raise ImageError(f'the picture is too large: {width}x{height}; 8K is the most')
    kind, channels, decode = _KNOWN[encoding]
    if encoding in ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv', 'nv21') and width % 2:
        raise ImageError(f'{encoding} shares colour between two pixels; width {width} is odd')
    if encoding == 'nv21' and height % 2:
        raise ImageError(f'nv21 shares colour between two rows; height {height} is odd')
    rows = height * 3 // 2 if encoding == 'nv21' else height
    element = np.dtype(kind).newbyteorder('>' if big_endian else '<')
    pixels = _rows(data, rows, width * channels * element.itemsize, step)
    pixels = pixels.view(element) if pixels.flags.c_contiguous else \
        np.ascontiguousarray(pixels).view(element)
    if big_endian != (sys.byteorder == 'big') and element.itemsize > 1:
        pixels = pixels.astype(element.newbyteorder('='))
    shape = (rows, width) if channels == 1 else (rows, width, channels)
    try:
        return decode(pixels.reshape(shape))
    except cv2.error as error:                  # such as a mosaic of one row
        raise ImageError(f'{width}x{height} pixels cannot be {encoding}: {error}') from error


def _rows(data: object, rows: int, row_bytes: int, step: int) -> np.ndarray:
    """The bytes as (rows, row_bytes) uint8, without the padding at the end of each row."""
    step = step or row_bytes
    flat = np.frombuffer(data, np.uint8)        # type: ignore[call-overload]
    if step < row_bytes:
        raise ImageError(f'a row needs {row_bytes} bytes but step says {step}; the publisher '
                         'fills width, encoding or step wrongly')
    needed = step * (rows - 1) + row_bytes
    if flat.size < needed:
        raise ImageError(f'the picture should have {needed} bytes ({rows} rows of {step}) but has '
                         f'{flat.size}; the publisher fills height, step or data wrongly')
    if step == row_bytes:
        return flat[:rows * row_bytes].reshape(rows, row_bytes)
    return np.lib.stride_tricks.as_strided(flat, (rows, row_bytes), (step, 1))


def rgb_from_compressed(data: object, name: str = '', upright: bool = False) -> np.ndarray:
    """Decode JPEG or PNG to (height, width, 3) uint8 RGB.

    Args:
        data: buffer with the file's bytes.
        name: what the sender calls the format, for the error's text.
        upright: turn the picture as its EXIF tag says (photos), not a camera's raw rows.

    Raises:
        ImageError: not JPEG or PNG, cut off, or larger than 8K.
    """
    encoded = np.frombuffer(data, np.uint8)     # type: ignore[call-overload]
    width, height = claimed_size(encoded)
    if width * height > LARGEST_PIXELS:
        raise ImageError(f'the picture is too large: {width}x{height}; 8K is the most')
    head = encoded[:8].tobytes()
    if head[:3] == b'\xff\xd8\xff':
        # OpenCV fills the missing part of a cut JPEG with grey and only warns.
        whole = encoded[-4096:].tobytes().rstrip(b'\0').endswith(b'\xff\xd9')
    elif head == b'\x89PNG\r\n\x1a\n':
        whole = b'IEND' in encoded[-64:].tobytes()
    else:
        raise ImageError(f'a compressed picture (format {name!r}, {encoded.size} bytes) is '
                         'neither JPEG nor PNG; set the publisher to one of them')
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(encoded, flags) if whole else None
    except cv2.error as error:
        raise ImageError(f'a compressed picture of {encoded.size} bytes cannot be decoded: '
                         f'{error}') from error
    if picture is None:
        raise ImageError(f'a compressed picture of {encoded.size} bytes is cut off or damaged')
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def claimed_size(encoded: np.ndarray) -> tuple[int, int]:
    """(width, height) that a JPEG or PNG says it has, without decoding it; (0, 0) if it does not.

    A few hundred bytes can claim gigabytes of pixels. PNG: IHDR comes first (ISO/IEC 15948, 5.6).
    JPEG: the frame header, SOFn, comes after segments that say how long they are (ITU-T T.81,
    B.1.1.4 and B.2.2).
    """
    head = encoded[:24].tobytes()
    if head[:8] == b'\x89PNG\r\n\x1a\n' and len(head) == 24:
        return struct.unpack('>II', head[16:])
    if head[:2] != b'\xff\xd8':
        return 0, 0
    at = 2
    while at + 9 <= encoded.size and encoded[at] == 0xff:
        kind = int(encoded[at + 1])
        if kind == 0xff:                                    # filling
            at += 1
        elif kind == 0x01 or 0xd0 <= kind <= 0xd7:          # markers without a segment
            at += 2
        elif 0xc0 <= kind <= 0xcf and kind not in (0xc4, 0xc8, 0xcc):
            height, width = struct.unpack('>HH', encoded[at + 5:at + 9].tobytes())
            return width, height
        else:
            at += 2 + struct.unpack('>H', encoded[at + 2:at + 4].tobytes())[0]
    return 0, 0
