"""Looking for people: where somebody was, then level there, then around."""

import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.geometry import angle_between, direction_from_pan_tilt, pan_tilt_from_direction
from gaze_robot.people.seek import Seeker
from gaze_robot.types import PanTiltState

CAMERA = CameraModel.from_hfov(640, 480, math.radians(90))
HEAD = direction_from_pan_tilt(0.5, -0.2)


def obey(seeker: Seeker, seconds: float, pose: PanTiltState, moves: bool = True
         ) -> list[np.ndarray | None]:
    """Where it says to look at 10 Hz, by an eye that is there a picture later or never."""
    out: list[np.ndarray | None] = []
    for step in range(1, round(10 * seconds)):
        said = seeker.look(CAMERA, pose, step / 10)
        out.append(None if said is None else said.target.direction)
        if said is not None and moves:
            pan, tilt = pan_tilt_from_direction(said.target.direction)
            pose = PanTiltState(float(pan), float(tilt))
    return out


def test_it_waits_then_looks_back_then_around() -> None:
    seeker = Seeker()
    seeker.found(HEAD, 0.0)
    said = obey(seeker, 6.0, PanTiltState(-0.4, 0.3))
    assert said[:4] == [None] * 4
    assert all(angle_between(place, HEAD) < 1e-9 for place in said[6:14])
    places = [tuple(np.round(np.degrees(pan_tilt_from_direction(place)), 3))
              for place in said[16:]]
    assert {tilt for _, tilt in places} == {0.0}
    order = list(dict.fromkeys(pan for pan, _ in places))
    assert order[:3] == [28.648, 78.148, -20.852], 'at its pan, then 0.55 of 90 degrees beside it'


def test_all_around_is_looked_at_and_no_gap_is_left() -> None:
    said = obey(Seeker(), 6.0, PanTiltState(0.0, 0.0))
    pans = np.degrees([float(pan_tilt_from_direction(place)[0]) for place in said])
    for away in range(-180, 180, 5):
        nearest = np.abs((pans - away + 180) % 360 - 180).min()
        assert nearest < 45 - 8, f'a head at {away} degrees is seen whole at some time'


def test_a_place_that_is_not_reached_is_given_up() -> None:
    said = obey(Seeker(), 4.0, PanTiltState(1.0, 0.9), moves=False)
    assert len({tuple(place) for place in said}) >= 3


def test_who_is_found_ends_it() -> None:
    seeker = Seeker()
    obey(seeker, 3.0, PanTiltState(0.0, 0.0))
    seeker.found(HEAD, 3.0)
    assert seeker.look(CAMERA, PanTiltState(0.0, 0.0), 3.3) is None
    again = seeker.look(CAMERA, PanTiltState(0.0, 0.0), 3.8)
    assert again is not None
    assert angle_between(again.target.direction, HEAD) < 1e-9
