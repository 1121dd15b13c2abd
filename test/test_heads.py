"""One pass through the encoder per picture, whatever is asked of it; who wins, how long."""

import math

import numpy as np
import pytest
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.checkpoint import make_policy
from gaze_robot.config import GazeConfig
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.gaze_target.priority import DWELL_S, INHIBITED_S, Priority
from gaze_robot.geometry import direction_from_pan_tilt, pan_tilt_from_direction
from gaze_robot.pipeline import GazePipeline
from gaze_robot.types import Exemplar, Frame, PanTiltLimits, PanTiltState

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
CAMERA = CameraModel.from_hfov(160, 120, math.pi / 2)
VALID = np.ones((3, CELLS, CELLS), bool)
DT = 1 / 30


def pipeline(**settings):
    torch.manual_seed(0)
    policy = make_policy(PATTERN, EncoderConfig(16, 1, 2, 2, 8))
    policy.perception.add_people()
    return GazePipeline(policy, config=GazeConfig(**settings))


def frame(stamp_s=0.0, image=None, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    return Frame(noise if image is None else image, stamp_s, CAMERA)


def spots(*places):
    """Grey with red spots at pixels (u, v)."""
    image = np.full((120, 160, 3), 120, np.uint8)
    for u, v in places:
        image[v - 5:v + 5, u - 5:u + 5] = (220, 30, 30)
    return image


# --- one pass


def test_all_sources_and_the_policy_share_one_encoder_pass():
    made = pipeline(sources_people=1.0, sources_salience=1.0, confidence_threshold=0.0)
    passes = []
    made.policy.perception.encoder.register_forward_hook(lambda *_: passes.append(1))
    noise = np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    made.look_for(Exemplar(noise, math.radians(8)))
    assert len(passes) == 1                                    # of the exemplar, once
    for step in range(3):
        result = made.step(frame(step * DT, seed=step), PanTiltState(0.0, 0.0))
        assert len(passes) == 2 + step
    assert len(result.heatmaps) == 3
    assert {row.source for row in result.candidates} == {'people', 'salience'}
    made.look_for(None)
    made.step(frame(1.0), PanTiltState(0.0, 0.0))
    assert len(passes) == 5


def test_sources_nobody_uses_are_not_computed():
    network = pipeline(sources_salience=1.0).policy.perception
    assert network.sources == {'salience'}
    network.use_sources(())
    with pytest.raises(ConfigError, match='sources are people, salience, got sound'):
        network.use_sources(['sound'])
    assert pipeline().policy.perception.sources == frozenset()


def test_two_pipelines_on_one_policy_are_refused_where_they_disturb_each_other():
    first = pipeline(sources_salience=1.0)
    GazePipeline(first.policy)
    with pytest.raises(ConfigError, match='does not compute salience.*a policy of its own'):
        first.step(frame(), PanTiltState(0.0, 0.0))


# --- where to look


def test_without_weights_the_eye_is_idle():
    result = pipeline().step(frame(image=spots((120, 60))), PanTiltState(0.0, 0.0))
    assert (result.mode, result.target, result.candidates, result.heatmaps) == (
        'idle', None, (), ())


def test_what_stands_out_is_looked_at():
    """A red spot 40 pixels right of the middle: 40 / 80 is the tangent of the angle."""
    result = pipeline(sources_salience=1.0).step(frame(image=spots((120, 60))),
                                                 PanTiltState(0.0, 0.0))
    assert result.target.source == 'salience'
    assert result.mode == 'saccade'
    assert result.command.pan_rad == pytest.approx(-math.atan(0.5), abs=0.06)
    assert result.command.tilt_rad == pytest.approx(0.0, abs=0.06)
    assert result.heatmaps[2].max() > 0.2


def test_nothing_valid_and_nothing_there_is_no_trouble():
    made = pipeline(sources_salience=1.0, sources_people=1.0)
    for step in range(3):
        result = made.step(frame(step * DT, np.full((120, 160, 3), 90, np.uint8)),
                           PanTiltState(0.3, 0.1))
        assert np.isfinite(result.fixation).all()
        assert np.isfinite(result.command.pan_rad)
    priority = Priority(PATTERN, {'salience': 1.0})
    fixation, used = priority.step({'salience': np.ones(VALID.shape)}, ~VALID,
                                   PanTiltState(0.0, 0.0), PanTiltLimits(), 0.0)
    assert fixation is None
    assert used.max() == 0


def test_after_looking_along_a_direction_exploring_starts_anew():
    made = pipeline(sources_salience=1.0)
    places = []
    for step in range(2):
        places.append(made.step(frame(step * DT, spots((120, 60))), STRAIGHT).target.direction)
        made.look_at(np.array([1.0, 0.0, 0.0]))
        made.step(frame((step + 0.5) * DT, spots((120, 60))), STRAIGHT)
        made.look_at(None)
        shown = made.step(frame((step + 0.6) * DT, spots((40, 60))), STRAIGHT)
        assert float(pan_tilt_from_direction(shown.target.direction)[0]) > 0.3, 'the new spot'
        made.look_at(None)
    np.testing.assert_allclose(places[0], places[1])


# --- priorities by themselves


def blob(row, column, height=1.0):
    """A map with one peak on the widest level."""
    made = np.zeros(VALID.shape)
    made[2, row, column] = height
    return made


def angles(column, row):
    """Pan and tilt of a cell of the widest level, whose half-width has the tangent 1."""
    x, y = (np.array([column, row]) + 0.5) / CELLS * 2 - 1
    return -math.atan(x), math.atan(y / math.hypot(1, x))


STRAIGHT = PanTiltState(0.0, 0.0)


@pytest.mark.parametrize('weights, wins', [((1.0, 1.0), 'people'), ((1.0, 2.0), 'salience'),
                                           ((0.0, 1.0), 'salience'), ((3.0, 1.0), 'people')])
def test_weights_decide_who_wins(weights, wins):
    """People say 0.9 on the left, salience 0.6 on the right."""
    given = dict(zip(('people', 'salience'), weights))
    maps = {'people': blob(8, 2, 0.9), 'salience': blob(8, 13, 0.6)}
    fixation, used = Priority(PATTERN, given).step(maps, VALID, STRAIGHT, PanTiltLimits(), 0.0)
    assert fixation.source == wins
    pan, _ = pan_tilt_from_direction(fixation.direction)
    assert (pan > 0) == (wins == 'people')
    assert fixation.confidence == pytest.approx(0.9 if wins == 'people' else 0.6)
    assert used.max() <= 1.0


def look_around(maps, seconds, limits=None):
    """Cells' maps stay where they are relative to a camera that stands still; the gaze obeys."""
    priority = Priority(PATTERN, {'salience': 1.0})
    visited = []
    for step in range(round(seconds / DT)):
        fixation, _ = priority.step({'salience': maps}, VALID, STRAIGHT, limits or PanTiltLimits(),
                                    step * DT)
        pan = None if fixation is None else round(float(
            pan_tilt_from_direction(fixation.direction)[0]), 3)
        if not visited or visited[-1][0] != pan:
            visited.append((pan, step * DT))
    return visited


def test_the_second_fixation_goes_elsewhere_and_the_first_place_comes_again_when_it_may():
    """Two places; a still gaze never arrives, so each is given up after its patience."""
    left, right = blob(8, 2, 1.0), blob(8, 13, 0.4)
    visited = [place for place in look_around(left + right, 20.0) if place[0] is not None]
    first, second = angles(2, 8)[0], angles(13, 8)[0]
    assert visited[0][0] == pytest.approx(first, abs=0.02)
    assert visited[1][0] == pytest.approx(second, abs=0.02)
    again = next(place for place in visited[2:] if place[0] == visited[0][0])
    assert again[1] - visited[1][1] < INHIBITED_S + 1.0


def test_the_eye_rests_for_its_dwell_once_it_is_there():
    priority = Priority(PATTERN, {'salience': 1.0})
    maps = blob(8, 13) + 0.5 * blob(8, 2)
    pan, tilt = angles(13, 8)
    kept = 0
    for step in range(90):
        pose = STRAIGHT if step == 0 else PanTiltState(pan, tilt)
        shown = maps if step == 0 else np.zeros_like(maps)          # nothing to correct by
        fixation, _ = priority.step({'salience': shown}, VALID, pose, PanTiltLimits(), step * DT)
        kept += fixation is not None
    assert kept * DT == pytest.approx(DWELL_S, abs=3 * DT)


def test_inhibition_fades():
    priority = Priority(PATTERN, {'salience': 1.0})
    place = direction_from_pan_tilt(0.2, 0.1)
    priority._left = [(place, 10.0)]
    free = [float(priority.free(place[None], 10.0 + age)[0])
            for age in (-0.9, 0.0, 0.5 * INHIBITED_S, INHIBITED_S, 3 * INHIBITED_S)]
    assert free == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])      # also of a clock set back
    assert priority.free(direction_from_pan_tilt(1.5, 0.0)[None], 10.0)[0] > 0.999


def test_places_beyond_the_limits_are_never_chosen():
    limits = PanTiltLimits((-0.3, -0.3), (0.3, 0.3))
    maps = blob(8, 2, 1.0) + blob(8, 9, 0.1)
    assert [place for place, _ in look_around(maps, 1.0, limits)] == [
        pytest.approx(angles(9, 8)[0], abs=0.02)]


def test_a_head_at_its_end_is_not_sent_the_long_way_round():
    """At +3.1 of at most 3.14 the left half of the view lies behind the other end."""
    priority = Priority(PATTERN, {'salience': 1.0})
    maps = {'salience': blob(8, 2, 1.0) + blob(8, 12, 0.2)}
    fixation, _ = priority.step(maps, VALID, PanTiltState(3.1, 0.0), PanTiltLimits(), 0.0)
    pan, _ = pan_tilt_from_direction(fixation.direction)
    assert 2.0 < pan < 3.1


def test_candidates_are_listed_by_source_apart_from_the_winner():
    priority = Priority(PATTERN, {'people': 1.0, 'salience': 1.0})
    maps = {'people': blob(8, 2, 0.9) + blob(4, 12, 0.3), 'salience': blob(8, 13, 0.2)}
    found = priority.candidates(maps, VALID, STRAIGHT, 0.5, None)
    assert [(row.source, round(row.confidence, 3)) for row in found] == [
        ('people', 0.9), ('salience', 0.2)]
    assert priority.candidates(maps, VALID, STRAIGHT, 0.5, found[0])[0].source == 'salience'
