"""The robot's people path on heads and gazes that are known: in its own frame, whatever turns."""

import math

import numpy as np
import pytest

pytest.importorskip('norfair', reason="pip install -e '.[people]'")

from gaze_robot.camera import CameraModel
from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.geometry import (
    angle_between,
    direction_from_pan_tilt,
    optical_ray,
    pan_tilt_from_direction,
)
from gaze_robot.people.around import as_angles, as_seen
from gaze_robot.people.coarse import CoarseGaze
from gaze_robot.people.given import GivenHeads
from gaze_robot.people.records import Facing, Gazes, Head
from gaze_robot.people.source import make_people_source, PeopleSource
from gaze_robot.types import Frame, PanTiltState

CAMERA = CameraModel.from_hfov(640, 480, math.radians(90))
PICTURE = np.full((480, 640, 3), 128, np.uint8)
HEAD, CUP = direction_from_pan_tilt(0.1, 0.0), direction_from_pan_tilt(0.45, 0.15)


class Looker:
    """A gaze model and finder at once: one head and one thing at known directions."""

    source = 'known'

    def __init__(self) -> None:
        self.head, self.target, self.pose = HEAD, CUP, PanTiltState(0.0, 0.0)
        self.cup = 1.0
        self.sure, self.facing, self.gone, self.things = 0.9, None, False, True

    def box(self, direction: np.ndarray, size: float = 0.08
            ) -> tuple[float, float, float, float] | None:
        pixel, seen = CAMERA.project(optical_ray(direction, self.pose.pan_rad, self.pose.tilt_rad))
        x, y = (float(value) for value in pixel / (640, 480))
        return (x - size / 2, y - size / 2, x + size / 2, y + size / 2) if seen else None

    def find(self, image: np.ndarray) -> list[Head]:
        box = self.box(self.head)
        return [] if box is None or self.gone else [Head(box, self.sure, facing=self.facing)]

    def __call__(self, image: np.ndarray, heads: list[Head]) -> Gazes:
        thing = self.box(self.target)
        heat = np.zeros((len(heads), 64, 64), np.float32)
        if thing is not None:
            y, x = np.indices((64, 64)) + 0.5
            heat[:] = 0.8 * np.exp(-((x / 64 - (thing[0] + thing[2]) / 2 - 0.02) ** 2
                                     + (y / 64 - (thing[1] + thing[3]) / 2) ** 2) / 0.004)
        return Gazes(heat, np.full(len(heads), 0.9, np.float32), 0.9,
                     () if thing is None or not self.things else (thing,))


def watch(poses: list[tuple[float, float]], rate_hz: float = 10.0, looker: Looker | None = None
          ) -> tuple[Looker, list]:
    looker = looker or Looker()
    source = PeopleSource(looker, looker.find)
    sights = []
    for step, (pan, tilt) in enumerate(poses):
        looker.pose = PanTiltState(pan, tilt, stamp_s=step / rate_hz)
        sights.append(source(Frame(PICTURE, step / rate_hz, CAMERA), looker.pose))
    return looker, sights


def test_the_target_is_the_thing_and_not_the_heatmaps_peak() -> None:
    _, sights = watch([(0.0, 0.0)] * 6)
    (gazed,) = sights[-1].company
    assert angle_between(gazed.target.direction, CUP) < 1e-6
    assert gazed.target.object_box is not None
    assert gazed.target.id == 1
    assert 0.5 < gazed.target.confidence <= 0.9
    assert gazed.target.in_frame == pytest.approx(0.9)
    assert gazed.target.head_box is not None
    assert 0.3 < gazed.claim <= gazed.target.confidence


def test_ids_stay_while_the_camera_leaps() -> None:
    """30 degrees from picture to picture: more than a head is high, many times over."""
    _, sights = watch([(0.0, 0.0)] * 5 + [(0.5 * (step % 2), 0.1) for step in range(12)])
    ids = [[gazed.target.id for gazed in sight.company] for sight in sights[4:]]
    assert ids == [[1]] * 13
    assert all(angle_between(sight.company[0].target.direction, CUP) < math.radians(3)
               for sight in sights[4:])


def test_news_make_a_claim_larger_and_it_ages() -> None:
    looker, sights = watch([(0.0, 0.0)] * 40)
    fresh, old = (sights[k].company[0].claim for k in (3, -1))
    assert old < 0.8 * fresh


def test_without_anybody_the_eye_looks_back_and_then_around() -> None:
    looker = Looker()
    source = PeopleSource(looker, looker.find)
    sought = []
    for step in range(60):
        looker.pose = PanTiltState(0.0, 0.0) if step < 10 else PanTiltState(1.9, 0.6)
        sight = source(Frame(PICTURE, step / 10, CAMERA), looker.pose)
        sought += [gazed for gazed in sight.company if gazed.target.id == 0]
        if step == 20:
            assert angle_between(sought[-1].target.direction, HEAD) < math.radians(2)
    assert all(gazed.claim < 0.2 for gazed in sought)
    pans = {round(float(pan_tilt_from_direction(gazed.target.direction)[0]), 2)
            for gazed in sought}
    assert len(pans) >= 4, 'it looks at several places, one after another'
    source.reset()
    looker.pose = PanTiltState(-0.6, 0.0)
    assert [gazed.target.id for gazed in source(Frame(PICTURE, 0.0, CAMERA), looker.pose).company
            ] == [0], 'who has never seen anybody looks around at once'


def test_who_is_not_seen_any_more_claims_less_and_less_and_keeps_the_thing() -> None:
    looker = Looker()
    source = PeopleSource(looker, looker.find)
    sights = []
    for step in range(20):
        looker.gone = step >= 10
        sights.append(source(Frame(PICTURE, step / 10, CAMERA), looker.pose))
    before, after, later = (next(gazed for gazed in sights[step].company if gazed.target.id == 1)
                            for step in (9, 13, 18))
    assert not after.target.in_view
    assert later.claim < after.claim < 0.5 * before.claim
    assert angle_between(after.target.direction, CUP) < 1e-6


def test_who_stares_at_nothing_is_soon_no_reason_to_stop_looking() -> None:
    """The peak of a broad cone that wavers is no news, a thing that moves as far is."""
    for things, alone in ((True, True), (False, False)):
        looker = Looker()
        source = PeopleSource(looker, looker.find)
        looker.things = things
        for step in range(80):
            looker.target = direction_from_pan_tilt(0.45 + 0.14 * (step // 10 % 2), 0.15)
            sight = source(Frame(PICTURE, step / 10, CAMERA), looker.pose)
        here = {gazed.target.id: gazed for gazed in sight.company}
        assert (set(here) == {1}) is alone
        assert (7.9 - here[1].since_s < 1.0) is alone


class Torn(Looker):
    """A gaze between two things, a little more or less towards the cup."""

    def __call__(self, image: np.ndarray, heads: list[Head]) -> Gazes:
        boxes = [self.box(CUP), self.box(direction_from_pan_tilt(-0.3, 0.15))]
        y, x = np.indices((64, 64)) + 0.5
        heat = np.zeros((len(heads), 64, 64), np.float32)
        for box, weight in zip(boxes, (self.cup, 1.0)):
            heat += weight * np.exp(-((x / 64 - (box[0] + box[2]) / 2) ** 2
                                      + (y / 64 - (box[1] + box[3]) / 2) ** 2) / 0.004)
        return Gazes(0.4 * heat, np.full(len(heads), 0.9, np.float32), 0.9, tuple(boxes))


def test_a_gaze_between_two_things_does_not_waver_and_goes_over_when_it_is_clear() -> None:
    looker = Torn()
    source = PeopleSource(looker, looker.find)
    on_cup = []
    for step in range(60):
        looker.cup = 1.4 if step < 10 else (0.8, 1.3)[step // 5 % 2] if step < 40 else 0.2
        sight = source(Frame(PICTURE, step / 10, CAMERA), looker.pose)
        on_cup += [angle_between(gazed.target.direction, CUP) < 0.1 for gazed in sight.company
                   if gazed.target.id]
    assert all(on_cup[:38])
    assert not any(on_cup[-10:])


def test_a_doubtful_head_claims_little_and_is_no_reason_to_stop_looking() -> None:
    sights = []
    for sure in (0.9, 0.2):
        looker = Looker()
        looker.sure = sure
        _, seen = watch([(0.0, 0.0)] * 30, looker=looker)
        sights.append({gazed.target.id: gazed.claim for gazed in seen[-1].company})
    assert set(sights[0]) == {1}
    assert set(sights[1]) == {0, 1}
    assert sights[1][1] == pytest.approx(sights[0][1] * 0.2 / 0.5)


def test_a_gaze_out_of_the_picture_is_followed_as_far_as_shows_the_head() -> None:
    """Somebody at the right edge looks further right: there are things that way, not yet seen."""
    class Outside(Looker):
        def __call__(self, image: np.ndarray, heads: list[Head]) -> Gazes:
            return Gazes(np.full((len(heads), 64, 64), 0.1, np.float32),
                         np.full(len(heads), 0.1, np.float32))
    looker = Outside()
    looker.head, looker.facing = direction_from_pan_tilt(-0.5, 0.0), Facing(1.4, 0.0, 0.2)
    _, sights = watch([(0.0, 0.0)] * 5, looker=looker)
    (gazed,) = sights[-1].company
    pan, tilt = pan_tilt_from_direction(gazed.target.direction)
    assert -1.0 < pan < -0.8
    assert tilt == pytest.approx(0.0, abs=0.02)
    assert gazed.claim > 0.2
    assert gazed.target.confidence < 0.1
    turned = PanTiltState(float(pan), float(tilt))
    assert CAMERA.project(optical_ray(looker.head, turned.pan_rad, turned.tilt_rad))[1]


def test_angles_and_back_is_where_it_was() -> None:
    pose = PanTiltState(0.4, -0.2)
    heads = [Head((0.3, 0.3, 0.4, 0.45), 0.8), Head((0.8, 0.1, 0.9, 0.2), 0.7)]
    there = as_angles(heads, CAMERA, pose)
    for head, again in zip(heads, as_seen(there, CAMERA, pose)):
        np.testing.assert_allclose(again.box, head.box, atol=1e-9)
    assert as_seen(there, CAMERA, PanTiltState(2.5, 0.0)) == []
    turned = as_angles([Head((0.45, 0.45, 0.55, 0.55))], CAMERA, pose)[0]
    assert turned.centre == pytest.approx((-0.4, -0.2))


def test_heads_may_come_from_somebody_else() -> None:
    source = make_people_source('coarse', 'topic')
    assert isinstance(source.given, GivenHeads)
    for step in range(4):
        source.given.put(step / 10, [((300.0, 200.0, 340.0, 250.0), 0.8)])
        sight = source(Frame(PICTURE, step / 10, CAMERA), PanTiltState(0.0, 0.0))
    assert [known.person.id for known in sight.people] == [1]
    assert sight.people[0].person.source == CoarseGaze.source
    source.given.put(0.4, [((300.0, 200.0, 340.0, 250.0), 0.8)], [((64.0, 48.0, 128.0, 96.0), 1)])
    sight = source(Frame(PICTURE, 0.4, CAMERA), PanTiltState(0.0, 0.0))
    assert sight.things == (pytest.approx((0.1, 0.1, 0.2, 0.2)),)
    source.close()


def test_models_and_heads_that_are_not_there_are_refused() -> None:
    with pytest.raises(ConfigError, match='no gaze model'):
        make_people_source('wishful', 'cascade')
    with pytest.raises(CheckpointError, match='no file'):
        make_people_source('coarse', 'nothing.onnx')
