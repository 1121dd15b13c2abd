"""The people benchmark: what it shows the robot, and that twelve are compared with one."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ConfigError
from gaze_robot.people.records import Gazes
from gaze_robot_sim.benchmark_people import BenchPeopleConfig, many_people, photographs


def test_photographs_stand_side_by_side_before_the_camera(tmp_path: Path) -> None:
    paths = []
    for name, colour, size in (('a', 200, (90, 60)), ('b', 40, (40, 20))):
        paths.append(str(tmp_path / f'{name}.png'))
        cv2.imwrite(paths[-1], np.full((*size, 3), colour, np.uint8))
    camera = CameraModel.from_hfov(640, 480, math.radians(60))
    row = photographs(paths).picture(camera, 0.0, 0.0)[240, :, 0].astype(int)
    left, right = np.nonzero(row == 200)[0], np.nonzero(row == 40)[0]
    assert left.max() < right.min()
    assert (left.min(), right.max()) == (pytest.approx(0, abs=25), pytest.approx(640, abs=25))
    # At one height they are 2/3 and 1/2 of it wide; the lens widens what is farther out a little.
    assert len(left) / len(right) == pytest.approx((60 / 90) / (20 / 40), rel=0.15)


def test_twelve_are_counted_beside_one() -> None:
    asked = []

    def model(image: np.ndarray, heads: list) -> Gazes:
        asked.append(len(heads))
        return Gazes(np.zeros((len(heads), 4, 4), np.float32), None)
    model.source = 'counting'
    found = many_people(model, 3, 0)
    assert asked == [1, 12] * 4
    assert set(found) == {'one_ms', 'twelve_ms', 'ratio'}
    assert all(0 < value < math.inf for value in found.values())


def test_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match='at least 1'):
        BenchPeopleConfig(pictures=0)
