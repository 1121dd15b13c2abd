"""What gaze_node alone publishes: target rows, markers, diagnostics, the fovea's camera_info."""

import array
from collections.abc import Sequence
import math
import struct

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point
import numpy as np
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from gaze_robot.camera import CameraModel
from gaze_robot.nodes._messages import info_from_camera
from gaze_robot.types import GazeTarget

SOURCES = {'search': 0, 'people': 1, 'salience': 2, 'look_at': 3}
"""Number of each estimator in the `source` field."""

TARGET_FIELDS = (
    *((name, PointField.FLOAT32) for name in ('x', 'y', 'z')),
    ('source', PointField.UINT32), ('id', PointField.UINT32),
    *((name, PointField.FLOAT32) for name in (
        'confidence', 'in_frame', 'head_xmin', 'head_ymin', 'head_xmax', 'head_ymax')))
_ROW = '<' + ''.join('f' if kind == PointField.FLOAT32 else 'I' for _, kind in TARGET_FIELDS)
_STEP = struct.calcsize(_ROW)


def cloud_from_targets(targets: Sequence[GazeTarget], header: Header) -> PointCloud2:
    """Every candidate, one row each; `id` and head box are the person's whose gaze it is, for
    others the row's number and NaN.
    """
    rows = b''.join(struct.pack(
        _ROW, *(float(value) for value in target.direction), SOURCES.get(target.source, 255),
        target.id or number, target.confidence, _in_frame(target),
        *(target.head_box or (math.nan,) * 4)) for number, target in enumerate(targets))
    return PointCloud2(
        header=header, height=1, width=len(targets), is_bigendian=False, is_dense=False,
        point_step=_STEP, row_step=_STEP * len(targets), data=array.array('B', rows),
        fields=[PointField(name=name, offset=4 * index, datatype=kind, count=1)
                for index, (name, kind) in enumerate(TARGET_FIELDS)])


def _in_frame(target: GazeTarget) -> float:
    return float(target.in_view) if target.in_frame is None else target.in_frame


def fovea_info(camera: CameraModel, header: Header, box: tuple[int, int, int, int]) -> CameraInfo:
    """The whole camera's info with the fovea, (left, top, width, height), as its roi."""
    info = info_from_camera(camera, header)
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = box
    info.roi.do_rectify = False
    return info


def markers(fixation: np.ndarray, header: Header, target: GazeTarget | None,
            fixed: Header, camera: CameraModel) -> MarkerArray:
    """Frustum and fixation ray in the optical frame, the target in the fixed one."""
    edge = camera.unproject(np.array([[0.0, 0.0], [camera.width, 0.0],
                                      [camera.width, camera.height], [0.0, camera.height]]))
    frustum: list[np.ndarray] = []
    for corner, following in zip(edge, np.roll(edge, -1, axis=0)):
        frustum += [np.zeros(3), corner, corner, following]
    made = [
        _lines('view', header, frustum, ColorRGBA(r=0.4, g=0.6, b=1.0, a=0.8)),
        _lines('fixation', header, [np.zeros(3), fixation], ColorRGBA(r=1.0, g=0.4, b=0.2, a=1.0)),
    ]
    sphere = Marker(header=fixed, ns='target', type=Marker.SPHERE,
                    action=Marker.DELETE if target is None else Marker.ADD,
                    color=ColorRGBA(r=0.2, g=0.9, b=0.3, a=1.0))
    sphere.scale.x = sphere.scale.y = sphere.scale.z = 0.06
    sphere.pose.orientation.w = 1.0
    if target is not None:
        sphere.pose.position = _point(target.direction)
    return MarkerArray(markers=[*made, sphere])


def _lines(name: str, header: Header, points: Sequence[np.ndarray], colour: ColorRGBA) -> Marker:
    marker = Marker(header=header, ns=name, type=Marker.LINE_LIST, action=Marker.ADD,
                    color=colour, points=[_point(point) for point in points])
    marker.scale.x = 0.01
    marker.pose.orientation.w = 1.0
    return marker


def _point(vector: np.ndarray) -> Point:
    return Point(x=float(vector[0]), y=float(vector[1]), z=float(vector[2]))


def diagnostics(name: str, header: Header, level: str, summary: str,
                values: dict[str, str]) -> DiagnosticArray:
    """One status; `level` is ok, warn, error or stale."""
    levels = {'ok': DiagnosticStatus.OK, 'warn': DiagnosticStatus.WARN,
              'error': DiagnosticStatus.ERROR, 'stale': DiagnosticStatus.STALE}
    status = DiagnosticStatus(level=levels[level], name=name, message=summary,
                              values=[KeyValue(key=key, value=value)
                                      for key, value in values.items()])
    return DiagnosticArray(header=header, status=[status])
