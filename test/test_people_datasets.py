"""Four data sets in the layouts in which they unpack, written by hand: what is read from them."""

import math
from pathlib import Path
import pickle

import cv2
import numpy as np
import pytest

from gaze_robot.errors import DemoError, ImageError
from gaze_robot.people.records import Gazes
from gaze_robot_sim.people.datasets import open_data_set
from gaze_robot_sim.people.evaluate import published
from gaze_robot_sim.people.pickles import read_pickle
from gaze_robot_sim.people.scores import Example, judge
from gaze_robot_sim.people.stream import DataSetStream, lesson_of

WIDE, HIGH = 200, 100


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (HIGH, WIDE, 3), np.uint8))


def gazefollow(root: Path) -> Path:
    picture(root / 'train/0/a.jpg')
    picture(root / 'test2/0/b.jpg')
    body = '0,0,0,0'
    (root / 'train_annotations_release.txt').write_text(
        f'train/0/a.jpg,1,{body},0.2,0.3,0.7,0.4,20,10,60,50,1,src,meta\n'
        f'train/0/a.jpg,2,{body},0.5,0.3,-1,-1,120,60,80,10,0,src,meta\n'
        f'train/0/a.jpg,3,{body},0.5,0.3,0.1,0.1,1,1,9,9,-1,src,meta\n')
    rows = [f'test2/0/b.jpg,1,{body},0.25,0.3,{x},0.5,20,10,60,50,src,meta'
            for x in (0.6, 0.7, 0.8)]
    rows.append(f'test2/0/b.jpg,1,{body},0.75,0.3,0.1,0.2,150,10,190,50,src,meta')
    (root / 'test_annotations_release.txt').write_text('\n'.join(rows) + '\n')
    return root


def vat(root: Path) -> Path:
    for name in ('00000001.jpg', '00000002.jpg'):
        picture(root / 'images/show/clip' / name)
    track = root / 'annotations/test/show/clip/s00.txt'
    track.parent.mkdir(parents=True)
    track.write_text('00000001.jpg,20,10,60,50,140,40\n00000002.jpg,42,10,82,50,-1,-1\n')
    (track.parent / 's01.txt').write_text('00000002.jpg,150,10,190,50,-1,30\n')
    return root


def childplay(root: Path) -> Path:
    picture(root / 'images/vid_a_100-200/vid_a_102.jpg')
    table = root / 'annotations/val/vid_a_100-200.csv'
    table.parent.mkdir(parents=True)
    table.write_text(
        'clip,frame,person_id,bbox_x,bbox_y,bbox_width,bbox_height,gaze_class,gaze_x,gaze_y,'
        'is_child\n'
        'vid_a_100-200,3,1,20,10,40,40,inside_visible,150,50,1\n'
        'vid_a_100-200,3,2,120,10,40,40,outside_frame,-1,-1,0\n'
        'vid_a_100-200,3,3,60,10,40,40,gaze_shift,-1,-1,0\n'
        'vid_a_100-200,3,4,60,10,40,40,inside_visible,-1,-1,0\n')
    return root


def goo(root: Path) -> Path:
    picture(root / 'finalrealdatasetImgsV3/0/a.png')
    row = {'filename': '0\\a.png', 'width': 1920, 'height': 1080,
           'ann': {'bboxes': np.array([[320., 0., 400., 48.], [480., 240., 560., 288.],
                                       [64., 48., 128., 144.]]),
                   'labels': np.array([3, 4, -1])},
           'gaze_item': 4, 'gazeIdx': 1, 'gaze_cx': 512, 'gaze_cy': 264, 'hx': 96, 'hy': 96,
           'seg': None}
    with (root / 'testrealhumansNew.pickle').open('wb') as file:
        pickle.dump([row], file)
    return root


def only(root: Path, split: str) -> list[Example]:
    return list(open_data_set(root, split).examples())


def test_gazefollow_train_has_one_place_and_who_looks_out(tmp_path):
    example, = only(gazefollow(tmp_path), 'train')
    assert open_data_set(tmp_path, 'train').name == 'gazefollow'
    assert example.image.shape == (HIGH, WIDE, 3)
    np.testing.assert_allclose(example.heads[0].box, (0.1, 0.1, 0.3, 0.5))
    np.testing.assert_allclose(example.heads[1].box, (0.4, 0.1, 0.6, 0.6))   # corners exchanged
    np.testing.assert_allclose(example.places[0], [[0.7, 0.4]])
    assert example.places[1].shape == (0, 2)
    assert example.inside.tolist() == [1, 0]                # the third one is marked as unusable


def test_gazefollow_test_has_all_annotators_of_each_head(tmp_path):
    example, = only(gazefollow(tmp_path), 'test')
    assert [len(places) for places in example.places] == [3, 1]
    np.testing.assert_allclose(example.places[0][:, 0], (0.6, 0.7, 0.8))
    assert example.inside.tolist() == [1, 1]


def test_videoattentiontarget_is_smoothed_and_merged_by_picture(tmp_path):
    first, second = only(vat(tmp_path), 'test')
    # Two boxes, moved by 22 pixels: of the 11 of a mean, the first counts 6 times, then 5 times.
    np.testing.assert_allclose(first.heads[0].box[0] * WIDE, (6 * 20 + 5 * 42) / 11)
    np.testing.assert_allclose(second.heads[0].box[0] * WIDE, (5 * 20 + 6 * 42) / 11)
    np.testing.assert_allclose(first.places[0], [[0.7, 0.4]])
    assert second.inside.tolist() == [0, 1]
    np.testing.assert_allclose(second.places[1], [[0, 0.3]])         # one -1 is at the edge


def test_childplay_leaves_out_what_its_measures_leave_out(tmp_path):
    example, = only(childplay(tmp_path), 'val')
    assert len(example.heads) == 2
    np.testing.assert_allclose(example.heads[0].box, (0.1, 0.1, 0.3, 0.5))
    np.testing.assert_allclose(example.places[0], [[0.75, 0.5]])
    assert example.inside.tolist() == [1, 0]


def test_goo_knows_the_things(tmp_path):
    example, = only(goo(tmp_path), 'test')
    np.testing.assert_allclose(example.heads[0].box, (0.1, 0.1, 0.2, 0.3))
    np.testing.assert_allclose(example.things, [(0.5, 0, 0.625, 0.1), (0.75, 0.5, 0.875, 0.6)])
    np.testing.assert_allclose(example.places[0], [[0.8, 0.55]])
    assert example.gazed == [1]
    np.testing.assert_allclose(example.eyes, [(0.15, 0.2)])


class Points:
    """A gaze model that always points to one place."""

    source = 'points'

    def __init__(self, x: float, y: float) -> None:
        self._cell = int(y * 64), int(x * 64)

    def __call__(self, image: np.ndarray, heads: list) -> Gazes:
        maps = np.zeros((len(heads), 64, 64), np.float32)
        maps[:, self._cell[0], self._cell[1]] = 1
        return Gazes(maps, np.linspace(0.9, 0.2, len(heads), dtype=np.float32))


def test_each_data_set_is_measured_as_it_is_published(tmp_path):
    goo_rows = judge(Points(0.8, 0.55), only(goo(tmp_path / 'goo'), 'test'))
    found = published('goo', goo_rows)
    assert found['box_accuracy'] == 1
    assert found['mean_l2'] < 0.02
    assert found['angle_deg'] < 1
    assert found['proximate_accuracy']['0.05'] == 1
    wrong = published('goo', judge(Points(0.55, 0.05), only(tmp_path / 'goo', 'test')))
    assert wrong['box_accuracy'] == 0
    flow = published('gazefollow', judge(Points(0.7, 0.5), only(gazefollow(tmp_path / 'g'),
                                                                'test')))
    # Of the second head the place is (0.1, 0.2), which is 0.67 away; the cell's corner counts.
    assert flow['min_l2'] == pytest.approx((0.0125 + math.hypot(0.5875, 0.3)) / 2, abs=1e-4)
    assert flow['mean_l2'] == pytest.approx(flow['min_l2'])
    watched = published('vat', judge(Points(0.7, 0.4), only(vat(tmp_path / 'v'), 'test')))
    assert 0.3 < watched['mean_l2'] < 0.4                   # 0.01 and 0.7 away
    # Odds 0.9 (inside), 0.9 (outside) and 0.2 (inside): both of 0.9 at one threshold.
    assert watched['inout_ap'] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_lessons_of_a_data_set_say_what_they_do_not_know(tmp_path):
    example, = only(gazefollow(tmp_path), 'train')
    lesson = lesson_of(np.random.default_rng(0), example)
    assert np.isnan(lesson.angle).all()
    inside = lesson.inside.tolist().index(1)
    np.testing.assert_allclose(lesson.target[inside], (0.7, 0.4))
    assert np.isnan(lesson.target[1 - inside]).all()
    batch = next(iter(DataSetStream(open_data_set(tmp_path, 'train'), 0, 4, 64)))
    assert batch['boxes'].shape == (1, 2, 4)                # fewer than a batch: what there is


def test_what_is_not_there_or_broken_is_said(tmp_path):
    with pytest.raises(DemoError, match='unpack'):
        open_data_set(tmp_path, 'test')
    with pytest.raises(DemoError, match='train, val, test'):
        open_data_set(tmp_path, 'all')
    gazefollow(tmp_path)
    (tmp_path / 'train/0/a.jpg').unlink()
    with pytest.raises(ImageError, match=r'a\.jpg'):
        only(tmp_path, 'train')
    (tmp_path / 'train_annotations_release.txt').write_text('train/0/a.jpg,1,2\n')
    with pytest.raises(DemoError, match='gazefollow'):
        open_data_set(tmp_path, 'train')


class Harm:
    def __reduce__(self):
        return print, ('executed',)


def test_a_pickle_is_read_and_never_run(tmp_path, capsys):
    path = tmp_path / 'file.pickle'
    plain = {'a': [1, 2.5, 'x'], 'b': np.arange(3), 'c': np.float64(2)}
    path.write_bytes(pickle.dumps(plain, protocol=2))
    found = read_pickle(path)
    assert found['a'] == plain['a']
    np.testing.assert_array_equal(found['b'], plain['b'])
    assert found['c'] == 2
    path.write_bytes(pickle.dumps([Harm()]))
    with pytest.raises(DemoError, match='builtins.print'):
        read_pickle(path)
    assert capsys.readouterr().out == ''
    path.write_bytes(b'nonsense')
    with pytest.raises(DemoError, match='is not read'):
        read_pickle(path)
