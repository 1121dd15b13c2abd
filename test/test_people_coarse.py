"""The coarse estimate: the right way, honest about what it cannot know."""

import math

import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ImageError
from gaze_robot.people.coarse import CEILING, CoarseGaze
from gaze_robot.people.face_pose import FACE, facing_of_landmarks, sight_axes
from gaze_robot.people.metrics import direction_of
from gaze_robot.people.records import Facing, Head, people_of, PersonGaze

HEIGHT, WIDTH = 240, 320
BOX = (0.45, 0.42, 0.55, 0.58)


def room(seed: int = 0) -> np.ndarray:
    """Grey with a little noise: nothing stands out."""
    noise = np.random.default_rng(seed).integers(-3, 4, (HEIGHT, WIDTH, 3))
    return (128 + noise).astype(np.uint8)


def head(yaw_deg: float, pitch_deg: float = 0.0, box: tuple[float, float, float, float] = BOX
         ) -> Head:
    return Head(box, 1.0, 1, Facing(math.radians(yaw_deg), math.radians(pitch_deg),
                                    math.radians(20)))


def look(heads: list[Head], image: np.ndarray | None = None) -> list[PersonGaze]:
    model = CoarseGaze()
    return people_of(model(room() if image is None else image, heads), heads, model.source)


@pytest.mark.parametrize('yaw, pitch, way', [
    (80, 0, (1, 0)), (-80, 0, (-1, 0)), (100, 45, (1, 1)), (-100, -45, (-1, -1)),
    (180, 60, (0, 1)), (180, -60, (0, -1))])
def test_the_peak_lies_where_the_face_points(yaw: float, pitch: float, way: tuple[int, int]
                                             ) -> None:
    person, = look([head(yaw, pitch)])
    step = np.subtract(person.gaze_point, (0.5, 0.5))
    angle = math.acos(np.dot(step, way) / np.linalg.norm(step) / np.linalg.norm(way))
    assert angle < math.radians(40)


def test_a_mirrored_picture_has_a_mirrored_answer() -> None:
    """But for the points drawn, of which there are many."""
    camera = CameraModel.from_hfov(WIDTH, HEIGHT, math.radians(60))
    model = CoarseGaze()
    right, share = model.cone(head(60), camera)
    left, other = model.cone(head(-60), camera)
    assert share == pytest.approx(other, abs=0.04)
    assert np.abs(right - left[:, ::-1]).sum() < 0.3 < np.abs(right - left).sum()


def test_who_looks_at_the_camera_rather_looks_out_of_the_picture() -> None:
    person, = look([head(0)])
    away, = look([head(180)])
    assert person.in_frame is not None
    assert away.in_frame is not None
    assert person.in_frame < 0.5
    assert away.in_frame > 0.8


def test_what_stands_out_in_the_cone_is_looked_at() -> None:
    image = room()
    image[100:130, 230:260] = (220, 40, 30)
    image[100:130, 60:90] = (30, 40, 220)
    toward, = look([head(85)], image)
    assert toward.gaze_point == pytest.approx((245 / WIDTH, 115 / HEIGHT), abs=0.06)
    other, = look([head(-85)], image)
    assert other.gaze_point == pytest.approx((75 / WIDTH, 115 / HEIGHT), abs=0.06)


def test_people_look_at_people_and_never_at_their_own_head() -> None:
    box = (0.78, 0.40, 0.88, 0.56)
    one, other = look([head(85), head(-85, box=box)])
    cell = 1 / 64
    assert box[0] - cell <= one.gaze_point[0] <= box[2] + cell
    assert BOX[0] - cell <= other.gaze_point[0] <= BOX[2] + cell
    left, top, right, bottom = (round(edge * 64) for edge in BOX)
    assert one.heatmap[top:bottom, left:right].max() == 0


def test_it_says_that_it_is_coarse() -> None:
    image = room()
    image[100:130, 230:260] = (220, 40, 30)
    person, = look([head(85)], image)
    assert person.source == 'coarse'
    assert 0 < person.confidence <= CEILING
    unknown = Head(BOX, 1.0, 1)
    guess, = look([unknown], image)
    assert guess.confidence < person.confidence, 'without a facing it knows less'


def test_one_seed_one_answer() -> None:
    image, heads = room(), [head(30)]
    first, again, other = (CoarseGaze(seed=seed)(image, heads).heatmaps for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


def test_points_are_as_far_as_the_heads_size_says() -> None:
    """A head of 0.25 m that fills a share s of the picture's height stands 0.25 f / (s h) away."""
    camera = CameraModel.from_hfov(WIDTH, HEIGHT, math.radians(60))
    tight = Facing(math.radians(90), 0.0, 1e-3)
    points = CoarseGaze().points(BOX, tight, camera)
    assert np.median(points[:, 2]) == pytest.approx(0.25 * camera.fy / (0.16 * HEIGHT), rel=0.05)
    assert (points[:, 0] > 0.4).mean() > 0.9


def test_it_needs_heads() -> None:
    with pytest.raises(ImageError, match='starts from a head'):
        CoarseGaze()(room(), [None])
    assert CoarseGaze()(room(), []).heatmaps.shape == (0, 64, 64)


@pytest.mark.parametrize('yaw, pitch', [(0, 0), (35, 0), (-35, 10), (20, -25)])
def test_landmarks_give_the_pose_they_were_drawn_with(yaw: int, pitch: int) -> None:
    """A face is turned by the rotation that takes 'at the camera' to its direction, and drawn."""
    camera = CameraModel.from_hfov(640, 480, math.radians(60))
    place = np.array([0.15, -0.1, 1.2])
    axes = sight_axes(place)
    looks = direction_of(math.radians(yaw), math.radians(pitch)) @ axes
    # The face's own axes: forward, right without roll, down; its points are told in (r, d, -f).
    right = np.cross(looks, axes[1])
    right /= np.linalg.norm(right)
    right = right if right @ axes[0] > 0 else -right
    down = np.cross(-looks, right)
    points = place + FACE @ np.stack([right, down, -looks])
    pixels, seen = camera.project(points)
    assert seen.all()
    found = facing_of_landmarks(pixels, 640, 480, math.radians(60))
    assert found is not None
    assert math.degrees(found.yaw_rad) == pytest.approx(yaw, abs=1.5)
    assert math.degrees(found.pitch_rad) == pytest.approx(pitch, abs=1.5)
