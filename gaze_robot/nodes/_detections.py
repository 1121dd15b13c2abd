"""vision_msgs/Detection2DArray to heads and back.

Fields are those of vision_msgs 4 (ROS 2 Humble and later). The package may be absent, so its
module comes as an argument.
"""

from collections.abc import Iterator, Sequence
import math
from typing import Any

from std_msgs.msg import Header

from gaze_robot.camera import CameraModel
from gaze_robot.types import GazeTarget

HEADS = {'head': (0.0, 0.0, 1.0, 1.0), '': (0.0, 0.0, 1.0, 1.0),
         'face': (-0.1, -0.25, 1.1, 1.1), 'person': (0.3, 0.0, 0.7, 0.15)}
"""Classes that are taken, and which part of such a box is the head: (left, top, right, bottom)."""

Box = tuple[float, float, float, float]


def heads_in(message: Any) -> list[tuple[Box, float]]:
    """Heads of a Detection2DArray.

    Returns:
        (left, top, right, bottom) in pixels, and the score of the surest hypothesis; without one
        1. What is of another class, of no size or not finite is left out.
    """
    return [(_part(box, HEADS[kind]), sure) for kind, box, sure in _sound(message)
            if kind in HEADS]


def things_in(message: Any) -> list[tuple[Box, float]]:
    """What else a Detection2DArray holds: somebody may look at it; as `heads_in`."""
    return [(box, sure) for kind, box, sure in _sound(message) if kind not in HEADS]


def _sound(message: Any) -> Iterator[tuple[str, Box, float]]:
    """Class, box in pixels and score of all that has a size."""
    for detection in message.detections:
        best = max((result.hypothesis for result in detection.results),
                   key=lambda hypothesis: hypothesis.score, default=None)
        box, middle = detection.bbox, detection.bbox.center.position
        edges = (middle.x - box.size_x / 2, middle.y - box.size_y / 2,
                 middle.x + box.size_x / 2, middle.y + box.size_y / 2)
        if all(map(math.isfinite, edges)) and min(box.size_x, box.size_y) > 0:
            yield ('' if best is None else best.class_id.lower(), edges,
                   1.0 if best is None else float(best.score))


def _part(box: Box, part: Box) -> Box:
    """A part of a box, given in shares of it."""
    wide, tall = box[2] - box[0], box[3] - box[1]
    return (box[0] + part[0] * wide, box[1] + part[1] * tall,
            box[0] + part[2] * wide, box[1] + part[3] * tall)


def detections(messages: Any, people: Sequence[GazeTarget], header: Header, camera: CameraModel
               ) -> Any:
    """Heads, and the things that their owners look at, with the person's id.

    Args:
        messages: the module vision_msgs.msg.
        people: what each looks at.
        header: of the picture.
        camera: its size.
    """
    made = []
    for person in people:
        for kind, box in (('head', person.head_box), ('gazed', person.object_box)):
            if box is not None:
                made.append(_detection(messages, kind, box, person, header, camera))
    return messages.Detection2DArray(header=header, detections=made)


def _detection(messages: Any, kind: str, box: Box, person: GazeTarget, header: Header,
               camera: CameraModel) -> Any:
    one = messages.Detection2D(header=header, id=str(person.id))
    one.bbox.center.position.x = (box[0] + box[2]) / 2 * camera.width
    one.bbox.center.position.y = (box[1] + box[3]) / 2 * camera.height
    one.bbox.size_x = (box[2] - box[0]) * camera.width
    one.bbox.size_y = (box[3] - box[1]) * camera.height
    result = messages.ObjectHypothesisWithPose()
    result.hypothesis.class_id = kind
    result.hypothesis.score = 1.0 if kind == 'head' else float(person.confidence)
    one.results.append(result)
    return one
