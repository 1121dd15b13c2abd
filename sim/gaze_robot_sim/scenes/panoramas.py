"""Worlds made of equirectangular photographs: one file, or a folder of them."""

from collections.abc import Sequence
import functools
from pathlib import Path
import zlib

import cv2
import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import Scene
from gaze_robot_sim.scenes.still import RememberingWorld, StillScene
from gaze_robot_sim.scenes.targets import find_photo_place

PICTURE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def load_panorama(path: Path) -> Panorama:
    """Read an equirectangular picture of any size.

    Raises:
        WorldError: missing, damaged, cut short, or not twice as wide as high within 1 %.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WorldError(f'cannot read {path}: {error.strerror}') from error
    if _cut_short(data):
        raise WorldError(f'{path} is cut short ({len(data)} bytes); copy or download it again')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise WorldError(f'{path} cannot be decoded ({error.err}); is it damaged?') from error
    if image is None:
        raise WorldError(f'{path} is not a picture OpenCV can read; is it damaged?')
    try:
        return Panorama(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    except WorldError as error:
        raise WorldError(f'{path}: {error}') from error


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
        """All pictures of a folder, in the order of their names.

        Raises:
            WorldError: there is none.
        """
        files = sorted(file for file in folder.iterdir()
                       if file.suffix.lower() in PICTURE_SUFFIXES)
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
