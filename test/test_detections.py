"""vision_msgs to heads and back, on messages of its definitions.

The package is in no wheel, so these classes stand for its messages: the fields of vision_msgs 4.
"""

from dataclasses import dataclass, field
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('std_msgs', reason='needs ROS messages')

from std_msgs.msg import Header

from gaze_robot.camera import CameraModel
from gaze_robot.nodes._detections import detections, heads_in, things_in
from gaze_robot.types import GazeTarget


@dataclass
class Point2D:
    x: float = 0.0
    y: float = 0.0


@dataclass
class Pose2D:
    position: Point2D = field(default_factory=Point2D)
    theta: float = 0.0


@dataclass
class BoundingBox2D:
    center: Pose2D = field(default_factory=Pose2D)
    size_x: float = 0.0
    size_y: float = 0.0


@dataclass
class ObjectHypothesis:
    class_id: str = ''
    score: float = 0.0


@dataclass
class ObjectHypothesisWithPose:
    hypothesis: ObjectHypothesis = field(default_factory=ObjectHypothesis)


@dataclass
class Detection2D:
    header: Any = None
    results: list[ObjectHypothesisWithPose] = field(default_factory=list)
    bbox: BoundingBox2D = field(default_factory=BoundingBox2D)
    id: str = ''


@dataclass
class Detection2DArray:
    header: Any = None
    detections: list[Detection2D] = field(default_factory=list)


MESSAGES = SimpleNamespace(Detection2D=Detection2D, Detection2DArray=Detection2DArray,
                           ObjectHypothesisWithPose=ObjectHypothesisWithPose)
CAMERA = CameraModel.from_hfov(640, 480, math.radians(90))


def detection(kind: str, *box: float, score: float = 0.8) -> Detection2D:
    """Of (middle x, middle y, width, height)."""
    results = [ObjectHypothesisWithPose(ObjectHypothesis('other', 0.1)),
               ObjectHypothesisWithPose(ObjectHypothesis(kind, score))]
    return Detection2D(None, results, BoundingBox2D(Pose2D(Point2D(*box[:2])), *box[2:]))


def test_heads_are_taken_as_they_are_and_people_by_their_upper_end() -> None:
    (head, sure), (top, _) = heads_in(Detection2DArray(None, [
        detection('Head', 100, 80, 40, 50), detection('person', 300, 200, 100, 400)]))
    assert head == (80, 55, 120, 105)
    assert sure == 0.8
    assert top == pytest.approx((280, 0, 320, 60))


def test_a_face_is_a_part_of_its_head() -> None:
    (head, _), = heads_in(Detection2DArray(None, [detection('face', 100, 80, 40, 50)]))
    assert head[0] < 80
    assert head[1] < 55
    assert head[2] > 120
    assert head[3] > 105


def test_other_things_and_broken_boxes_are_left_out() -> None:
    assert heads_in(Detection2DArray(None, [
        detection('cup', 100, 80, 40, 50), detection('head', math.nan, 80, 40, 50),
        detection('head', 100, 80, 0, 50), detection('head', 100, 80, 40, math.inf)])) == []


def test_other_things_may_be_looked_at() -> None:
    (box, sure), = things_in(Detection2DArray(None, [
        detection('cup', 100, 80, 40, 50), detection('head', 200, 80, 40, 50),
        detection('cup', 100, 80, -4, 50)]))
    assert box == (80, 55, 120, 105)
    assert sure == 0.8


def test_a_detection_without_a_hypothesis_is_a_head() -> None:
    bare = detection('', 100, 80, 40, 50)
    bare.results = []
    assert heads_in(Detection2DArray(None, [bare])) == [((80, 55, 120, 105), 1.0)]


def test_what_goes_out_comes_back_in() -> None:
    ray = np.array([1.0, 0.0, 0.0])
    people = [GazeTarget(ray, 0.6, True, 'people', 3, (0.1, 0.2, 0.2, 0.3), 0.9,
                         (0.5, 0.5, 0.6, 0.6)), GazeTarget(ray, 0.4, True, 'people', 4)]
    made = detections(MESSAGES, people, Header(frame_id='camera'), CAMERA)
    assert [(one.id, one.results[0].hypothesis.class_id) for one in made.detections] == [
        ('3', 'head'), ('3', 'gazed')]
    assert made.header.frame_id == 'camera'
    (box, sure), = heads_in(made)
    assert box == pytest.approx((64, 96, 128, 144))
    assert sure == 1.0
    assert made.detections[1].results[0].hypothesis.score == 0.6
