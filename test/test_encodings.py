"""Bytes of Image messages to RGB: every encoding, padded, swapped, broken."""

import cv2
import numpy as np
import pytest

from gaze_robot.errors import ImageError
from gaze_robot.nodes._encodings import ENCODINGS, rgb_from_bytes, rgb_from_compressed

H, W = 6, 8
# Left half one colour, right half another: survives what mosaics and shared chroma blur.
LEFT, RIGHT = (200, 40, 90), (30, 160, 220)


@pytest.fixture
def picture():
    """(6, 8, 3) uint8 RGB of random pixels."""
    return np.random.default_rng(5).integers(0, 256, (H, W, 3), dtype=np.uint8)


@pytest.fixture
def halves():
    """(12, 16, 3) uint8 RGB: LEFT | RIGHT."""
    image = np.empty((12, 16, 3), np.uint8)
    image[:, :8], image[:, 8:] = LEFT, RIGHT
    return image


def with_alpha(rgb):
    return np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 7, rgb.dtype)], axis=2)


ORDERS = {'rgb': lambda rgb: rgb, 'bgr': lambda rgb: rgb[..., ::-1],
          'rgba': with_alpha, 'bgra': lambda rgb: with_alpha(rgb[..., ::-1])}


@pytest.mark.parametrize('order', sorted(ORDERS))
@pytest.mark.parametrize('padding', [0, 1, 13])
def test_8bit_colour_comes_out_unchanged(order, padding, picture):
    sent = np.ascontiguousarray(ORDERS[order](picture)).reshape(H, -1)
    rows = np.pad(sent, ((0, 0), (0, padding)), constant_values=99)
    out = rgb_from_bytes(rows.tobytes(), W, H, f'{order}8', rows.shape[1])
    np.testing.assert_array_equal(out, picture)


@pytest.mark.parametrize('order', sorted(ORDERS))
@pytest.mark.parametrize('big', [False, True], ids=['little', 'big'])
@pytest.mark.parametrize('padding', [0, 3])
def test_16bit_colour_keeps_its_upper_byte(order, big, padding, picture):
    sent = np.ascontiguousarray(ORDERS[order](picture.astype(np.uint16) * 257))
    rows = sent.astype('>u2' if big else '<u2').view(np.uint8).reshape(H, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    out = rgb_from_bytes(rows.tobytes(), W, H, f'{order}16', rows.shape[1], big)
    np.testing.assert_array_equal(out, picture)


@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
def test_grey_is_three_equal_channels(encoding, picture):
    grey = picture[..., 0]
    out = rgb_from_bytes(grey.tobytes(), W, H, encoding)
    np.testing.assert_array_equal(out, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize('big', [False, True], ids=['little', 'big'])
def test_mono16_is_scaled_from_its_full_range(big):
    grey = np.array([[0, 257, 32896, 65535]], '>u2' if big else '<u2')
    out = rgb_from_bytes(grey.tobytes(), 4, 1, 'mono16', 0, big)
    assert out[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize('encoding, kind', [('16UC1', '<u2'), ('16SC1', '<i2'),
                                                ('32FC1', '<f4'), ('64FC1', '<f8')])
def test_depth_is_stretched_from_its_own_range(encoding, kind):
    out = rgb_from_bytes(np.array([[500, 750, 1000]], kind).tobytes(), 3, 1, encoding)
    assert out[0, :, 1].tolist() == [0, 128, 255]


def test_pixels_without_a_reading_are_black():
    depth = np.array([[np.nan, 2.0, np.inf, 4.0, -np.inf]], '<f4')
    assert rgb_from_bytes(depth.tobytes(), 5, 1, '32FC1')[0, :, 2].tolist() == [0, 0, 0, 255, 0]


def test_big_endian_floats():
    depth = np.array([[1.0, 3.0]], '>f4')
    assert rgb_from_bytes(depth.tobytes(), 2, 1, '32FC1', 0, True)[0, :, 0].tolist() == [0, 255]


def test_a_flat_depth_picture_is_black_not_a_division_by_zero():
    assert rgb_from_bytes(np.full((2, 2), 3, '<u2').tobytes(), 2, 2, '16UC1').max() == 0


MOSAIC = {'rggb': 'rggb', 'bggr': 'bggr', 'gbrg': 'gbrg', 'grbg': 'grbg'}


@pytest.mark.parametrize('pattern', sorted(MOSAIC))
@pytest.mark.parametrize('bits', [8, 16])
def test_bayer_patterns_are_named_by_their_first_row(pattern, bits, halves):
    """Built by hand from the name: pixels (0,0) (0,1) (1,0) (1,1) of each 2x2 cell."""
    raw = np.empty(halves.shape[:2], np.uint16)
    for index, letter in enumerate(pattern):
        row, column = divmod(index, 2)
        raw[row::2, column::2] = halves[row::2, column::2, 'rgb'.index(letter)]
    raw = raw.astype(np.uint8) if bits == 8 else raw * 257
    out = rgb_from_bytes(raw.tobytes(), 16, 12, f'bayer_{pattern}{bits}')
    np.testing.assert_array_equal(out[6, 3], LEFT)
    np.testing.assert_array_equal(out[6, 12], RIGHT)


def yuv(rgb):
    """ITU-R BT.601, video range, from the standard's own numbers."""
    r, g, b = (channel / 255 for channel in rgb)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return (16 + 219 * y, 128 + 224 * (b - y) / 1.772, 128 + 224 * (r - y) / 1.402)


@pytest.mark.parametrize('encoding, order', [
    ('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')])
def test_shared_chroma_422(encoding, order, halves):
    raw = np.empty((12, 16, 2), np.uint8)
    for columns, colour in ((slice(0, 8), LEFT), (slice(8, 16), RIGHT)):
        y, u, v = (round(value) for value in yuv(colour))
        pair = [{'y': y, 'u': u, 'v': v}[letter] for letter in order]
        raw[:, columns] = np.array(pair * 4, np.uint8).reshape(8, 2)
    out = rgb_from_bytes(raw.tobytes(), 16, 12, encoding).astype(int)
    assert np.abs(out - halves).max() <= 4


def test_nv21_has_its_colours_below_its_grey(halves):
    raw = np.empty((18, 16), np.uint8)
    for columns, colour in ((slice(0, 8), LEFT), (slice(8, 16), RIGHT)):
        y, u, v = (round(value) for value in yuv(colour))
        raw[:12, columns] = y
        raw[12:, columns] = np.array([v, u] * 4, np.uint8)
    out = rgb_from_bytes(raw.tobytes(), 16, 12, 'nv21').astype(int)
    assert np.abs(out - halves).max() <= 4


def test_plain_rgb8_is_a_view_not_a_copy(picture):
    data = bytearray(picture.tobytes())
    out = rgb_from_bytes(data, W, H, 'rgb8', W * 3)
    data[0] = (data[0] + 1) % 256
    assert out[0, 0, 0] == data[0]


@pytest.mark.parametrize('encoding', sorted(ENCODINGS))
def test_every_encoding_gives_rgb_and_refuses_a_cut_message(encoding):
    full = np.random.default_rng(1).integers(1, 120, 4 * 4 * 8, dtype=np.uint8).tobytes()
    out = rgb_from_bytes(full, 4, 4, encoding)
    assert out.shape == (4, 4, 3)
    assert out.dtype == np.uint8
    with pytest.raises(ImageError, match='should have'):
        rgb_from_bytes(full[:15], 4, 4, encoding)


@pytest.mark.parametrize('width, height, encoding, step, size, says', [
    (4, 4, 'theora', 12, 48, 'theora'), (0, 4, 'rgb8', 0, 0, 'empty'),
    (4, 0, 'rgb8', 12, 0, 'empty'), (4, 4, 'rgb8', 12, 0, 'has 0'),
    (4, 4, 'rgb8', 11, 48, 'step says 11'), (4, 4, 'rgb8', 16, 48, 'rows of 16'),
    (3, 4, 'yuv422', 6, 24, 'odd')])
def test_contradictory_messages_are_refused(width, height, encoding, step, size, says):
    with pytest.raises(ImageError, match=says):
        rgb_from_bytes(bytes(size), width, height, encoding, step)


def test_a_picture_of_nothing_but_nan_is_refused():
    with pytest.raises(ImageError, match='no finite value'):
        rgb_from_bytes(np.full((4, 4), np.nan, '<f4').tobytes(), 4, 4, '32FC1')


@pytest.mark.parametrize('extension', ['.png', '.jpg'])
def test_compressed_pictures(extension, halves):
    encoded = cv2.imencode(extension, halves[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    out = rgb_from_compressed(encoded.tobytes()).astype(int)
    tolerance = 0 if extension == '.png' else 12
    assert np.abs(out - halves)[:, [2, 13]].max() <= tolerance
    with pytest.raises(ImageError, match='cut off'):
        rgb_from_compressed(encoded.tobytes()[:-20])


def test_a_16bit_png_becomes_8bit():
    deep = np.full((4, 4, 3), 0x8000, np.uint16)
    out = rgb_from_compressed(cv2.imencode('.png', deep)[1].tobytes())
    assert out.dtype == np.uint8
    assert abs(int(out[0, 0, 0]) - 128) <= 1


@pytest.mark.parametrize('content', [b'', b'\x00\x00\x01H264', b'\xff\xd8\xff\xe0\xff\xd9'])
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(ImageError):
        rgb_from_compressed(content, 'h264')
