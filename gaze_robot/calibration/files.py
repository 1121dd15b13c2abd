"""What a calibration leaves behind: parameters for bringup and the launch file, printed boards."""

from collections.abc import Mapping
from pathlib import Path
import struct
from typing import Any
import zlib

import cv2
import numpy as np
import yaml

from gaze_robot.calibration.board import Board
from gaze_robot.errors import CalibrationError, ConfigError
from gaze_robot.schema import load_yaml

_INCH_M = 0.0254
PAPERS_M = {'a4': (0.297, 0.210), 'a3': (0.420, 0.297), 'letter': (0.2794, 0.2159)}
"""Width and height, landscape."""


class _Plain(yaml.SafeDumper):
    """Writes equal lists twice: ROS reads no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never refer back."""
        return True


def check_parameters(path: str) -> None:
    """Refuse before the work a file that could not be added to.

    Raises:
        ConfigError: there is one, and it is no parameter file; or its folder is not there.
    """
    place = Path(path).expanduser()
    if place.exists():
        load_yaml(place)
    elif not place.absolute().parent.is_dir():
        raise ConfigError(f'{path}: there is no folder {place.absolute().parent}')


def update_parameters(path: str, found: Mapping[str, Mapping[str, Any]], note: str) -> None:
    """Put parameters into a file, new or old; what else is in it stays, but for comments.

    Args:
        path: what `bringup --params-file` takes.
        found: {node: {dotted parameter: value}}.
        note: comment at the head, one line or several.

    Raises:
        ConfigError: see `check_parameters`; or it cannot be written.
    """
    place = Path(path).expanduser()
    nodes = load_yaml(place) if place.exists() else {}
    notes = [line for line in place.read_text(encoding='utf-8').splitlines()
             if line.startswith('# measured ')] if place.exists() else []
    notes = [line for line in notes if line.split(':')[0] != f'# measured {note.split(":")[0]}']
    for node, values in found.items():
        key = next((name for name in nodes if name.split('/')[-1] == node), f'**/{node}')
        nodes.setdefault(key, {}).update(values)
    document = {f'/{name}': {'ros__parameters': dict(values)} for name, values in nodes.items()}
    head = ['# Made by gaze-robot calibrate; give it to bringup --params-file or params_file:=',
            *notes, *(f'# measured {line}' for line in note.splitlines())]
    text = yaml.dump(document, Dumper=_Plain, default_flow_style=None, sort_keys=False, width=95)
    try:
        place.write_text('\n'.join([*head, text]), encoding='utf-8')
    except OSError as error:
        raise ConfigError(f'cannot write {path}: {error.strerror}') from error


def save_picture(path: str, picture: np.ndarray) -> None:
    """Write (h, w, 3) uint8 RGB. Raises ConfigError where that is not possible."""
    try:
        good = cv2.imwrite(str(Path(path).expanduser()), picture[..., ::-1])
    except cv2.error as error:
        raise ConfigError(f'{path}: no kind of picture; name it .png or .jpg') from error
    if not good:
        raise ConfigError(f'{path}: cannot write there')


def save_board(board: Board, path: str, paper: str = 'a4', dpi: int = 300) -> dict[str, float]:
    """Write a board to print, .pdf or .png, in the middle of a page, true to scale.

    Returns:
        Its width and height and those of the page, millimetres.

    Raises:
        CalibrationError: it does not fit on the page.
        ConfigError: an unknown paper or kind of file; it cannot be written.
    """
    if paper not in PAPERS_M:
        raise ConfigError(f'paper is one of {", ".join(PAPERS_M)}, got {paper!r}')
    page_m, size_m = np.array(PAPERS_M[paper]), np.array(board.size_m)
    if size_m[0] < size_m[1]:
        page_m = page_m[::-1]
    if np.any(size_m > page_m - 0.010):
        fits = 1000 * float(np.min((page_m - 0.010) / (board.columns, board.rows)))
        raise CalibrationError(
            f'{board.text} is {1000 * size_m[0]:.0f} x {1000 * size_m[1]:.0f} mm and does not fit '
            f'on {paper}; squares of {fits:.0f} mm would')
    pixels_m = _INCH_M / dpi
    square_px = round(board.square_m / pixels_m)
    pixels_m = board.square_m / square_px                       # so that squares are true
    page_px = np.rint(page_m / pixels_m).astype(int)
    grey = np.full((page_px[1], page_px[0]), 255, np.uint8)
    picture = board.picture(square_px)
    left, top = (page_px - picture.shape[::-1]) // 2
    grey[top:top + picture.shape[0], left:left + picture.shape[1]] = picture
    cv2.putText(grey, f'{board.text}  print at 100 %, then measure a square', (left, top - 12),
                cv2.FONT_HERSHEY_SIMPLEX, 0.8 * dpi / 300, 0, max(1, dpi // 200), cv2.LINE_AA)
    kind = Path(path).suffix.lower()
    if kind not in ('.pdf', '.png'):
        raise ConfigError(f'{path}: a board is written as .pdf or .png')
    data = _pdf(grey, pixels_m) if kind == '.pdf' else _png(grey, pixels_m)
    try:
        Path(path).expanduser().write_bytes(data)
    except OSError as error:
        raise ConfigError(f'cannot write {path}: {error.strerror}') from error
    return {'board_width_mm': 1000 * float(size_m[0]), 'board_height_mm': 1000 * float(size_m[1]),
            'page_width_mm': 1000 * float(page_m[0]), 'page_height_mm': 1000 * float(page_m[1])}


def _png(grey: np.ndarray, pixels_m: float) -> bytes:
    """With its resolution (chunk pHYs, pixels per metre), which goes behind the first chunk."""
    _, encoded = cv2.imencode('.png', grey)
    data, first_end = encoded.tobytes(), 8 + 25
    body = b'pHYs' + struct.pack('>IIB', round(1 / pixels_m), round(1 / pixels_m), 1)
    chunk = struct.pack('>I', 9) + body + struct.pack('>I', zlib.crc32(body))
    return data[:first_end] + chunk + data[first_end:]


def _pdf(grey: np.ndarray, pixels_m: float) -> bytes:
    """One page with one picture (ISO 32000-1, sections 7.5 and 8.9); a point is 1/72 inch."""
    height, width = grey.shape
    points = [side * pixels_m / _INCH_M * 72 for side in (width, height)]
    draw = f'q {points[0]:.4f} 0 0 {points[1]:.4f} 0 0 cm /I Do Q'.encode()
    packed = zlib.compress(grey.tobytes(), 9)
    objects = [
        b'<< /Type /Catalog /Pages 2 0 R >>',
        b'<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
        f'<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {points[0]:.4f} {points[1]:.4f}] /Contents '
        '4 0 R /Resources << /XObject << /I 5 0 R >> >> >>'.encode(),
        b'<< /Length %d >>\nstream\n%s\nendstream' % (len(draw), draw),
        f'<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace '
        f'/DeviceGray /BitsPerComponent 8 /Filter /FlateDecode /Length {len(packed)} >>\n'
        'stream\n'.encode() + packed + b'\nendstream']
    out, starts = b'%PDF-1.4\n', []
    for number, body in enumerate(objects, 1):
        starts.append(len(out))
        out += b'%d 0 obj\n%s\nendobj\n' % (number, body)
    table = b''.join(b'%010d 00000 n \n' % start for start in starts)
    return out + (b'xref\n0 %d\n0000000000 65535 f \n' % (len(starts) + 1) + table
                  + b'trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n'
                  % (len(starts) + 1, len(out)))
