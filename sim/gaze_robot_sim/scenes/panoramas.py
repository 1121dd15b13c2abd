"""Worlds made of equirectangular photographs: one file, or a folder of them."""

from pathlib import Path

import cv2
import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import SearchTarget
from gaze_robot_sim.scenes.targets import sample_photo_target

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


class PanoramaWorld:
    """Photographs seen one after another; implements the World protocol."""

    def __init__(self, files: list[Path], name: str) -> None:
        """Open the first of the files.

        Raises:
            WorldError: it cannot be used.
        """
        self.name = name
        self._files = files
        self._index = 0
        self._panorama = load_panorama(files[0])

    @classmethod
    def from_folder(cls, folder: Path) -> 'PanoramaWorld':
        """All pictures of a folder, in the order of their names.

        Raises:
            WorldError: there is none, or the first one cannot be used.
        """
        files = sorted(file for file in folder.iterdir()
                       if file.suffix.lower() in PICTURE_SUFFIXES)
        if not files:
            raise WorldError(f'{folder} holds no picture; put equirectangular '
                             f'{", ".join(PICTURE_SUFFIXES)} files there')
        return cls(files, folder.name)

    @property
    def file(self) -> Path:
        """The picture shown now."""
        return self._files[self._index]

    def panorama(self, t_s: float = 0.0) -> Panorama:
        """The picture shown now, which does not change with time."""
        return self._panorama

    def sample_target(self, rng: np.random.Generator, t_s: float = 0.0) -> SearchTarget:
        """A distinctive patch of the picture shown now.

        Raises:
            WorldError: nothing in it stands out.
        """
        try:
            return sample_photo_target(self._panorama, rng)
        except WorldError as error:
            raise WorldError(f'{self.file}: {error}') from error

    def next_scene(self, rng: np.random.Generator) -> None:
        """Show the next file of the folder, after the last the first again.

        Raises:
            WorldError: it cannot be used; the one before stays.
        """
        if len(self._files) > 1:
            index = (self._index + 1) % len(self._files)
            self._panorama, self._index = load_panorama(self._files[index]), index

    def close(self) -> None:
        """Nothing to release."""


def _cut_short(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end, which decoders fill with grey instead of refusing."""
    if data.startswith(b'\xff\xd8'):
        # Inside a scan every 0xff is followed by 0x00, so these two are markers, not pixels; a
        # thumbnail's pair comes before the picture's own start of scan.
        return data.rfind(b'\xff\xd9') < data.rfind(b'\xff\xda')
    if data.startswith(b'\x89PNG'):
        return b'IEND' not in data[-4096:]
    return not data
