"""Measures of gaze following: worked by hand, by counting pairs, and by upstream's scripts."""

import importlib.util
import math
from pathlib import Path

from hypothesis import given, settings, strategies
import numpy as np
import pytest

from gaze_robot.people.metrics import (
    average_precision,
    direction_of,
    gazefollow_auc,
    gazefollow_l2,
    goo_angle_rad,
    goo_auc,
    goo_box,
    goo_box_accuracy,
    goo_proximate_accuracy,
    mean_angular_error_rad,
    predicted_place,
    roc_auc,
    vat_auc,
    vat_inout_ap,
    vat_l2,
)

LABELS = strategies.lists(strategies.tuples(strategies.integers(0, 1), strategies.integers(0, 4)),
                          min_size=2, max_size=12)


def peak(row: int, column: int, side: int = 64) -> np.ndarray:
    heatmap = np.zeros((side, side), np.float32)
    heatmap[row, column] = 1
    return heatmap


def test_auc_by_hand() -> None:
    """Pairs (1 over 0): 0.8 > 0.3, 0.8 > 0.5, 0.5 > 0.3 and one tie: 3.5 of 4."""
    assert roc_auc([1, 1, 0, 0], [0.8, 0.5, 0.3, 0.5]) == 3.5 / 4


def test_auc_of_a_flat_map_is_a_half() -> None:
    assert roc_auc([1, 0, 0, 0], [0.2] * 4) == 0.5


@given(LABELS)
@settings(max_examples=60, deadline=None)
def test_auc_counts_pairs(rows: list[tuple[int, int]]) -> None:
    label, score = map(list, zip(*rows))
    pairs = [(a > b) + 0.5 * (a == b) for (one, a) in rows if one for (other, b) in rows
             if not other]
    if not pairs:
        with pytest.raises(ValueError, match='both labels'):
            roc_auc(label, score)
    else:
        assert roc_auc(label, score) == pytest.approx(sum(pairs) / len(pairs))


def test_average_precision_by_hand() -> None:
    """Ranks: 1 (hit, 1/1), 2 (miss), 3 (hit, 2/3): half of the recall at each."""
    assert average_precision([1, 0, 1], [0.9, 0.8, 0.7]) == pytest.approx((1 + 2 / 3) / 2)


def test_average_precision_takes_ties_as_one_threshold() -> None:
    """All at once: the share of 1s, in whatever order they are given."""
    assert average_precision([1, 0, 0, 1], [0.5] * 4) == 0.5
    assert average_precision([0, 1, 1, 0], [0.5] * 4) == 0.5


@given(LABELS)
@settings(max_examples=60, deadline=None)
def test_average_precision_walks_down_the_thresholds(rows: list[tuple[int, int]]) -> None:
    label, score = (np.array(part) for part in zip(*rows))
    if not label.any():
        return
    total, recall = 0.0, 0.0
    for threshold in sorted(set(score.tolist()), reverse=True):
        taken = score >= threshold
        total += (label[taken].sum() / label.sum() - recall) * label[taken].mean()
        recall = label[taken].sum() / label.sum()
    assert average_precision(label, score) == pytest.approx(total)


def test_equal_peaks_give_the_first_in_reading_order_and_the_cells_corner() -> None:
    heatmap = peak(10, 32) + peak(10, 48) + peak(50, 1)
    assert predicted_place(heatmap) == (0.5, 10 / 64)


def test_gazefollow_distances_by_hand() -> None:
    """Predicted (0.5, 0.25); annotators at (0.5, 0.35) and (0.9, 0.25): mean (0.7, 0.3)."""
    average, least = gazefollow_l2(peak(16, 32), [(0.5, 0.35), (0.9, 0.25), (-1, -1)])
    assert average == pytest.approx(math.hypot(0.2, 0.05))
    assert least == pytest.approx(0.1)


def test_gazefollow_auc_by_hand() -> None:
    """At the map's own size nothing is resized. Annotators on the largest and on a zero cell: the
    first beats all 4,094 others, the second ties with 4,093 and loses to the one of 0.5.
    """
    heatmap = peak(16, 32) + 0.5 * peak(3, 3)
    found = gazefollow_auc(heatmap, [(32.5 / 64, 16.5 / 64), (0.999, 1.0)], 64, 64)
    assert found == pytest.approx((4094 + 4093 / 2) / (2 * 4094))


def test_annotators_in_one_pixel_count_once() -> None:
    heatmap = peak(16, 32) + 0.5 * peak(3, 3)
    once = gazefollow_auc(heatmap, [(0.51, 0.26), (0.99, 0.99)], 64, 64)
    assert gazefollow_auc(heatmap, [(0.51, 0.26)] * 5 + [(0.99, 0.99)], 64, 64) == once


def test_people_who_look_out_of_the_picture_are_refused() -> None:
    with pytest.raises(ValueError, match='out of the picture'):
        gazefollow_auc(peak(1, 1), [(-1, -1)], 100, 100)


def test_vat_auc_of_the_square_itself_is_one() -> None:
    """Place (0.5, 0.25): cells 23 to 41 across and 7 to 25 down, 19 x 19."""
    heatmap = np.zeros((64, 64), np.float32)
    heatmap[7:26, 23:42] = 0.3
    assert vat_auc(heatmap, (0.5, 0.25)) == 1.0
    heatmap[7, 23] = 0
    inside, outside = 19 * 19, 64 * 64 - 19 * 19
    assert vat_auc(heatmap, (0.5, 0.25)) == pytest.approx(1 - 0.5 / inside, abs=1e-12)
    assert inside + outside == 4096


def test_vat_square_is_cut_off_as_in_the_script() -> None:
    """At the corner (0.99, 0.99): cells 54 to 62; the last row and column are left out."""
    heatmap = np.zeros((64, 64), np.float32)
    heatmap[54:63, 54:63] = 1
    assert vat_auc(heatmap, (0.99, 0.99)) == 1.0


def test_vat_distance_and_inout_by_hand() -> None:
    assert vat_l2(peak(16, 32), (0.8, 0.65)) == pytest.approx(0.5)
    assert vat_inout_ap([1, 0, 1], [0.9, 0.8, 0.7]) == pytest.approx(5 / 6)


def test_measures_equal_upstreams_scripts(root: Path) -> None:
    """Random maps full of ties; see tools/gazelle_reference.py."""
    spec = importlib.util.spec_from_file_location(
        'gazelle_reference', root / 'test' / 'tools' / 'gazelle_reference.py')
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    golden = np.load(root / 'test' / 'data' / 'gazelle_golden.npz')['metrics']
    assert len(golden) == reference.MEASURED
    for seed, row in enumerate(golden):
        heatmap, places, (width, height) = reference.measured(seed)
        found = [gazefollow_auc(heatmap, places, width, height), *gazefollow_l2(heatmap, places),
                 vat_auc(heatmap, places[0]), vat_l2(heatmap, places[0]),
                 vat_inout_ap(*reference.told(seed))]
        np.testing.assert_allclose(found, row, rtol=0, atol=1e-7)


def test_goo_auc_by_hand() -> None:
    """On 5 x 5 the target's cell beats 23 others and loses to one."""
    heatmap = peak(1, 3, 5) + 0.5 * peak(4, 0, 5)
    assert goo_auc(heatmap, (0.1, 0.95)) == 23 / 24
    assert goo_auc(heatmap, (0.7, 0.3)) == 1.0


def test_goo_angle_by_hand() -> None:
    """Right and straight down of the eye."""
    assert goo_angle_rad((0.5, 0.5), (0.9, 0.5), (0.5, 0.7)) == pytest.approx(math.pi / 2)
    with pytest.raises(ValueError, match='zero length'):
        goo_angle_rad((0.5, 0.5), (0.5, 0.5), (0.5, 0.7))


def test_goo_box_is_that_with_the_nearest_middle() -> None:
    """Not the one that holds the place: the large box does, and its middle is farther."""
    boxes = [(0.0, 0.0, 1.0, 1.0), (0.1, 0.1, 0.2, 0.2), (0.1, 0.1, 0.2, 0.2)]
    assert goo_box((0.25, 0.25), boxes) == 1
    assert goo_box((0.6, 0.6), boxes) == 0
    assert goo_box_accuracy([1, 0, 2, 0], [1, 0, 1, 0]) == 0.75


def test_goo_proximate_accuracy_by_hand() -> None:
    """Nearer than, not as near as; a wrong class never counts."""
    shares = goo_proximate_accuracy([0.005, 0.05, 0.12, 0.4])
    assert [shares[key] for key in (0.01, 0.05, 0.10, 0.15, 0.30)] == [0.25, 0.25, 0.5, 0.75, 0.75]
    assert goo_proximate_accuracy([0.005, 0.05], [False, True])[0.30] == 0.5


def test_angular_error_by_hand() -> None:
    """At the camera against 30 degrees to the right, and against 60 down: 45 on average."""
    truth = direction_of([math.radians(30), 0.0], [0.0, math.radians(60)])
    found = mean_angular_error_rad(direction_of([0.0, 0.0], [0.0, 0.0]), truth)
    assert found == pytest.approx(math.radians(45))
    np.testing.assert_allclose(direction_of(0.0, 0.0), [0, 0, -1], atol=1e-12)


@pytest.mark.parametrize('call', [
    lambda: roc_auc([1, 2], [0.1, 0.2]), lambda: roc_auc([1, 0], [math.nan, 0.2]),
    lambda: average_precision([0, 0], [0.1, 0.2]), lambda: vat_auc(np.zeros((32, 32)), (0.1, 0.1)),
    lambda: goo_box((0.1, 0.1), []), lambda: goo_box_accuracy([], []),
    lambda: vat_l2(np.zeros((64, 64)), (math.inf, 0.1)),
    lambda: goo_proximate_accuracy([0.1], [True, False])])
def test_what_cannot_be_measured_is_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(ValueError):
        call()
