"""Heads between searches: they move with the picture, late finds are carried on, ends are ends."""

import time

import cv2
import numpy as np
import pytest

from gaze_robot.errors import ConfigError
from gaze_robot.people.flow import FlowHeads, followed
from gaze_robot.people.records import Head

HEIGHT, WIDTH, SIDE = 240, 320, 40


def scene(x: float, y: float, seed: int = 0) -> np.ndarray:
    """A patch with its own texture, its top left corner at (x, y), on a quiet ground."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.integers(100, 156, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 6)
    patch = cv2.GaussianBlur(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), (0, 0), 2)
    patch = cv2.normalize(patch, None, 0, 255, cv2.NORM_MINMAX)
    shift = np.array([[1, 0, x], [0, 1, y]], float)
    size = (WIDTH, HEIGHT)
    laid = cv2.warpAffine(patch, shift, size)
    mask = cv2.warpAffine(np.full((SIDE, SIDE), 255, np.uint8), shift, size)[..., None] / 255
    return (ground * (1 - mask) + laid * mask).astype(np.uint8)


def head(x: float, y: float) -> Head:
    return Head((x / WIDTH, y / HEIGHT, (x + SIDE) / WIDTH, (y + SIDE) / HEIGHT), 0.9)


class Truth:
    """A finder that knows where the patch was in the picture it is shown, and may be slow."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.places: dict[bytes, tuple[float, float]] = {}
        self.calls, self.wait_s = 0, wait_s

    def picture(self, x: float, y: float) -> np.ndarray:
        image = scene(x, y)
        self.places[image.tobytes()] = x, y
        return image

    def __call__(self, image: np.ndarray) -> list[Head]:
        self.calls += 1
        time.sleep(self.wait_s)
        place = self.places.get(image.tobytes())
        return [] if place is None else [head(*place)]


def off(found: list[Head], x: float, y: float) -> float:
    one, = found
    return float(np.abs(np.subtract(one.centre, head(x, y).centre) * (WIDTH, HEIGHT)).max())


def test_a_head_follows_the_picture_between_searches() -> None:
    truth = Truth()
    flow = FlowHeads(truth, every=8)
    for step in range(24):
        x, y = 60 + 5.3 * step, 80 + 1.7 * step
        assert off(flow(truth.picture(x, y)), x, y) < 2.5
    assert truth.calls == 3


def test_without_flow_it_would_stay_behind() -> None:
    """The second route: where the box of the search is a few pictures later."""
    assert off([head(60, 80)], 60 + 5 * 7, 80) > 30


def test_what_is_found_late_is_carried_to_the_newest_picture() -> None:
    truth = Truth(wait_s=0.15)
    flow = FlowHeads(truth, every=1, background=True)
    try:
        errors = []
        for step in range(40):
            x = 60 + 2.0 * step
            found = flow(truth.picture(x, 80))
            errors += [off(found, x, 80)] if found else []
            time.sleep(0.02)
        assert len(errors) > 20
        assert max(errors) < 4
        assert truth.calls < 20
    finally:
        flow.close()


def test_a_head_that_searches_do_not_find_is_let_go() -> None:
    truth = Truth()
    flow = FlowHeads(truth, every=1)
    assert len(flow(truth.picture(100, 80))) == 1
    seen = [len(flow(scene(100, 80))) for _ in range(1)]      # the same picture: found again
    assert seen == [1]
    counts = [len(flow(scene(100 + 0.1 * step, 80))) for step in range(1, 6)]
    assert counts[0] == 1
    assert counts[-1] == 0


def test_points_that_are_lost_are_no_head() -> None:
    before, now = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
                   for picture in (scene(100, 80), scene(-200, -200, seed=3)))
    assert followed(before, now, [head(100, 80)]) == [None]
    assert followed(before, now, []) == []


def test_a_head_that_comes_nearer_grows() -> None:
    picture = scene(140, 100)
    larger = cv2.warpAffine(picture, cv2.getRotationMatrix2D((160, 120), 0, 1.1), (WIDTH, HEIGHT))
    before, now = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (picture, larger))
    one, = followed(before, now, [head(140, 100)])
    assert one is not None
    assert (one.box[2] - one.box[0]) * WIDTH == pytest.approx(1.1 * SIDE, rel=0.04)


def test_another_size_of_picture_starts_anew() -> None:
    truth = Truth()
    flow = FlowHeads(truth, every=100)
    assert len(flow(truth.picture(100, 80))) == 1
    assert flow(np.full((100, 300, 3), 128, np.uint8)) == []
    with pytest.raises(ConfigError, match='every'):
        FlowHeads(truth, every=0)
