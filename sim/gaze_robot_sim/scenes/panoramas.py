"""Worlds made of equirectangular photographs: one file, or a folder of them."""

from collections.abc import Sequence
import functools
import logging
from pathlib import Path
import zlib

import cv2
import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.render import MAX_WIDTH, Panorama
from gaze_robot_sim.scenes.base import Scene
from gaze_robot_sim.scenes.hdr import to_8_bit
from gaze_robot_sim.scenes.still import RememberingWorld, StillScene
from gaze_robot_sim.scenes.targets import find_photo_place

PICTURE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.hdr', '.exr')
_OPENEXR = b'\x76\x2f\x31\x01'
_log = logging.getLogger(__name__)


def load_panorama(path: Path) -> Panorama:
    """Read an equirectangular picture of any size and depth; very wide ones are made smaller.

    Raises:
        WorldError: missing, damaged, cut short, not finite, or not twice as wide as high within
            1 %.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WorldError(f'cannot read {path}: {error.strerror}') from error
    if _cut_short(data):
        raise WorldError(f'{path} is cut short ({len(data)} bytes); copy or download it again')
    image = _decoded(path, data)
    height, width = image.shape[:2]
    if width > MAX_WIDTH:
        _log.warning('%s is %d pixels wide; made smaller to %d', path, width, MAX_WIDTH)
        image = cv2.resize(image, (MAX_WIDTH, round(height * MAX_WIDTH / width)),
                           interpolation=cv2.INTER_AREA)
    try:
        return Panorama(cv2.cvtColor(to_8_bit(image), cv2.COLOR_BGR2RGB))
    except WorldError as error:
        raise WorldError(f'{path}: {error}') from error


def _decoded(path: Path, data: bytes) -> np.ndarray:
    """The pixels of a file as it holds them, (height, width, 3) BGR."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8),
                             cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        reason = ''
    except cv2.error as error:
        image, reason = None, f' ({error.err.strip()})'
    if image is not None:
        return image
    if data.startswith(_OPENEXR):
        raise WorldError(f'{path} cannot be read: for OpenEXR the environment must hold '
                         'OPENCV_IO_ENABLE_OPENEXR=1 from the start. Set that, or write it again '
                         f'as Radiance .hdr; if it is set, is the file damaged?{reason}')
    raise WorldError(f'{path} is not a picture OpenCV can read; is it damaged?{reason}')


class PanoramaWorld(RememberingWorld):
    """One scene per photograph; implements the World protocol."""

    def __init__(self, files: Sequence[Path], name: str) -> None:
        """Name the files; each is read when its scene is asked for, a single one at once.

        Raises:
            WorldError: there are no files, or the only one cannot be used.
        """
        if not files:
            raise WorldError(f'{name} holds no picture')
        self._files = tuple(files)
        super().__init__(name, len(files), (self._files, name))
        if len(files) == 1:
            self.scene(0)

    @classmethod
    def from_folder(cls, folder: Path) -> 'PanoramaWorld':
        """All pictures of a folder, in the order of their names, but for hidden files.

        Their endings are looked at, not their contents: one that is damaged or not twice as wide
        as high is refused when its scene is asked for.

        Raises:
            WorldError: there is none.
        """
        files = sorted(file for file in folder.iterdir()
                       if file.suffix.lower() in PICTURE_SUFFIXES
                       and not file.name.startswith('.') and file.is_file())
        if not files:
            raise WorldError(f'{folder} holds no picture; put equirectangular '
                             f'{", ".join(PICTURE_SUFFIXES)} files there')
        return cls(files, folder.name)

    def _make(self, index: int) -> Scene:
        file = self._files[index]
        panorama = load_panorama(file)
        # By the file's name: the same places however many files there are beside it.
        return StillScene(file.name, panorama, functools.partial(find_photo_place, panorama),
                          (zlib.crc32(file.name.encode()),))


def _cut_short(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end, which decoders fill with grey instead of refusing."""
    if data.startswith(b'\xff\xd8'):
        # Inside a scan every 0xff is followed by 0x00, so these two are markers, not pixels; a
        # thumbnail's pair comes before the picture's own start of scan.
        return data.rfind(b'\xff\xd9') < data.rfind(b'\xff\xda')
    if data.startswith(b'\x89PNG'):
        return b'IEND' not in data[-4096:]
    return not data
