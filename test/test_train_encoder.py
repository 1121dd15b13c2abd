"""Pretraining of perception: its labels, its loss, a run in miniature."""

import dataclasses
import math

import cv2
import numpy as np
import pytest
import torch

from gaze_robot.checkpoint import load_policy
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.foveation import FoveationPattern, make_front_end
from gaze_robot.gaze_target.evidence import CELLS, correlate, make_templates
from gaze_robot.geometry import (
    angle_between,
    direction_from_pan_tilt,
    optical_ray,
    pan_tilt_from_direction,
)
from gaze_robot.perception import PerceptionNetwork
from gaze_robot_sim.scenes.targets import random_patch
from gaze_robot_sim.training.encoder import (
    EncoderTrainer,
    lesson,
    matching_loss,
    matching_scores,
    train_encoder,
    TrainEncoderConfig,
)
from gaze_robot_sim.training.glances import _look_alike, Glances, label_cells

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
ENCODER = EncoderConfig(16, 1, 2, 2, 8)
NOWHERE = CELLS * CELLS
EVERYWHERE = np.ones((3, CELLS, CELLS), bool)

# Python 3.12 warns of any fork beside threads; the loader's child only makes pictures.
pytestmark = pytest.mark.filterwarnings('ignore:.*multi-threaded, use of fork:DeprecationWarning')


@pytest.fixture(scope='module', autouse=True)
def as_many_threads_as_before():
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(threads)
    cv2.setNumThreads(cv_threads)


# --- labels


@pytest.mark.parametrize('pan_deg, tilt_deg, levels', [
    (0.0, 0.0, (0, 1, 2)), (9.0, -4.0, (0, 1, 2)), (11.0, 0.0, (1, 2)), (0.0, 30.0, (2,)),
    (44.0, 0.0, (2,)), (46.0, 0.0, ()), (180.0, 0.0, ()), (0.0, -89.0, ())], ids=str)
def test_label_is_the_cell_of_the_direction(pan_deg, tilt_deg, levels):
    """By tangents, from an eye that looks elsewhere than straight ahead."""
    gaze = 0.7
    direction = direction_from_pan_tilt(gaze + math.radians(pan_deg), math.radians(tilt_deg))
    labels = label_cells(optical_ray(direction, gaze, 0.0), EVERYWHERE, PATTERN)
    for level, fov in enumerate((20, 45, 90)):
        if level not in levels:
            assert labels[level] == NOWHERE
            continue
        half = math.tan(math.radians(fov / 2))
        x = -math.tan(math.radians(pan_deg))
        y = math.tan(math.radians(tilt_deg)) / math.cos(math.radians(pan_deg))
        row, column = (int((v / half + 1) * 8) for v in (y, x))
        assert labels[level] == row * CELLS + column


def test_what_lies_outside_the_picture_is_nowhere():
    valid = EVERYWHERE.copy()
    valid[1] = False
    labels = label_cells(np.array([0.0, 0.0, 1.0]), valid, PATTERN)
    assert labels[1] == NOWHERE
    assert labels[0] == labels[2] == 8 * CELLS + 8


# --- samples


@pytest.fixture(scope='module')
def batch():
    """Twenty-four glances at two rooms."""
    threads = cv2.getNumThreads()
    stream = iter(Glances(PATTERN, 1, rooms=2, uses=12))
    rows = [next(stream) for _ in range(24)]
    cv2.setNumThreads(threads)
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}


def test_samples_are_what_the_network_reads(batch):
    for level, side in enumerate(PATTERN.window):
        assert batch[f'level{level}'].shape == (24, side, side, 3)
        assert batch[f'level{level}'].dtype == torch.uint8
    assert batch['valid'].shape == batch['evidence'].shape == (24, 3, CELLS, CELLS)
    assert batch['exemplar'].shape == (24, 64, 64, 3)
    assert batch['label'].shape == batch['size'].shape == (24, 3)
    assert batch['width'].shape == (24,)
    assert batch['width'].dtype == torch.float32
    assert ((batch['width'] > 0.02) & (batch['width'] < math.pi / 2)).all()
    assert ((batch['label'] >= 0) & (batch['label'] <= NOWHERE)).all()


def test_samples_show_things_on_every_level_and_their_absence(batch):
    here = (batch['label'] < NOWHERE).float().mean(dim=0)
    assert ((here > 0.1) & (here < 0.95)).all()
    levels = batch['label'] < NOWHERE
    assert (levels[:, 0] & ~levels[:, 2]).sum() == 0     # what the fovea shows, the rest does


def test_labels_are_visible_cells(batch):
    valid = torch.cat([batch['valid'].flatten(2), torch.ones(24, 3, 1, dtype=torch.bool)], dim=2)
    assert valid.gather(2, batch['label'][..., None]).all()


def test_evidence_points_to_the_label_more_often_than_chance():
    """Correlation alone finds most of what the fovea shows: labels and levels agree."""
    stream = iter(Glances(lesson(FoveationPattern()), 2, rooms=2, uses=24))
    near = []
    for _ in range(48):
        sample = next(stream)
        if (label := sample['label'][0]) < NOWHERE:
            best = int(sample['evidence'][0].argmax())
            near.append(abs(best // CELLS - label // CELLS) <= 1
                        and abs(best % CELLS - label % CELLS) <= 1)
    assert len(near) >= 10
    assert np.mean(near) > 0.5


def test_look_alikes_are_elsewhere_and_resemble_more_than_chance():
    rng = np.random.default_rng(3)
    glances = Glances(PATTERN, 3)
    more = []
    for _ in range(4):
        panorama, objects = glances._room(rng)
        for _ in range(8):
            direction, _, exemplar = glances._thing(rng, panorama, objects)
            place = _look_alike(rng, panorama, direction, exemplar)
            assert angle_between(place, direction) > math.radians(10)
            templates = make_templates(exemplar, PATTERN)
            found = []
            for to in (place, random_patch(rng)[0]):
                pan, tilt = (float(angle) for angle in pan_tilt_from_direction(to))
                found.append(correlate(panorama.levels(pan, tilt, PATTERN), templates)[0].max())
            more.append(found[0] - found[1])
    assert np.mean(more) > 3 * np.std(more) / math.sqrt(len(more))


def test_no_twin_is_called_something_else():
    """Where the sharpest level does not show the thing, nothing there is as good as the same."""
    stream = iter(Glances(PATTERN, 8, rooms=2, uses=8))
    samples = [next(stream) for _ in range(80)]
    absent = [s['evidence'][0].max() for s in samples if s['label'][0] == NOWHERE]
    assert 10 < len(absent) < 70
    assert max(absent) <= 0.88
    # The same thing is looked for twice, each time from somewhere else.
    for first, second in zip(samples[::2], samples[1::2]):
        np.testing.assert_array_equal(first['exemplar'], second['exemplar'])
        assert (first['level2'] != second['level2']).any()


def test_streams_repeat_by_seed():
    streams = [iter(Glances(PATTERN, seed, rooms=1, uses=2)) for seed in (5, 5, 6)]
    first, again, other = (next(stream) for stream in streams)
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)
    assert (first['level2'] != other['level2']).any()


# --- loss and scores


def test_loss_is_the_cross_entropy_of_the_labels(batch):
    torch.manual_seed(0)
    network = PerceptionNetwork(PATTERN, ENCODER).eval()
    with torch.no_grad():
        loss, log_p = matching_loss(network, batch)
    rows = [-float(log_p[i, level, batch['label'][i, level]])
            for i in range(24) for level in range(3)]
    assert float(loss) == pytest.approx(np.mean(rows), rel=1e-5)


def test_network_can_learn_a_batch_by_heart(batch):
    """The gradient leads down: forty steps on the same glances at least halve their loss."""
    torch.manual_seed(0)
    network = PerceptionNetwork(PATTERN, ENCODER).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(40):
        loss, _ = matching_loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_scores_of_a_perfect_and_of_a_wrong_answer():
    label = torch.tensor([[5 * CELLS + 5], [NOWHERE], [9 * CELLS + 2], [NOWHERE]])
    log_p = torch.full((4, 1, NOWHERE + 1), -20.0)
    for row, guess in enumerate((6 * CELLS + 4, NOWHERE, 9 * CELLS + 8, 7)):
        log_p[row, 0, guess] = 0.0
    scores = matching_scores(log_p, label)
    assert scores == {'place/0': 0.5, 'presence/0': 0.75}      # a neighbour is right enough


# --- a run


def tiny(out, **changes):
    return dataclasses.replace(TrainEncoderConfig(samples=16, batch=8, seed=4, out=str(out),
                                                  exam=4), **changes)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """(network, scores, run directory) of two batches."""
    out = tmp_path_factory.mktemp('encoder') / 'run'
    network, scores = EncoderTrainer(tiny(out), PATTERN, ENCODER).run()
    return network, scores, out


def test_run_reports_and_keeps_a_checkpoint(trained):
    network, scores, out = trained
    assert not network.training
    assert scores['samples'] == 16
    assert scores['minutes'] >= 0
    assert math.isfinite(scores['loss/unseen'])
    assert (out / 'last.pt').is_file()
    assert not (out / 'last.part').exists()
    assert list((out / 'tb').glob('events.*'))


def test_same_seed_trains_the_same_network(trained, tmp_path):
    again, _ = EncoderTrainer(tiny(tmp_path), PATTERN, ENCODER).run()
    torch.manual_seed(4)
    untrained = PerceptionNetwork(PATTERN, ENCODER)
    changed = 0
    for (name, one), two, start in zip(trained[0].state_dict().items(),
                                       again.state_dict().values(),
                                       untrained.state_dict().values()):
        assert torch.equal(one, two), name
        changed += int(not torch.equal(one, start))
    assert changed > 10


def test_resuming_goes_on_from_the_last_step(trained):
    network, _, out = trained
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trainer = EncoderTrainer(tiny(out, samples=32, resume=True), PATTERN, ENCODER)
    assert trainer.step == 2
    for name, tensor in trainer.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    trainer.run()
    assert trainer.step == 4
    assert not torch.equal(trainer.network.encoder.embed.weight, before['encoder.embed.weight'])


def test_resuming_an_empty_directory_starts(tmp_path):
    assert EncoderTrainer(tiny(tmp_path, resume=True), PATTERN, ENCODER).step == 0


@pytest.mark.parametrize('damage', [
    lambda data: data[:len(data) // 2], lambda data: b'', lambda data: b'\x80\x02K\x01.',
    lambda data: data[:3000] + bytes([data[3000] ^ 0xff]) + data[3001:]],
    ids=['truncated', 'empty', 'another pickle', 'one byte'])
def test_damaged_checkpoint_is_refused(trained, tmp_path, damage):
    (tmp_path / 'last.pt').write_bytes(damage((trained[2] / 'last.pt').read_bytes()))
    with pytest.raises(CheckpointError, match=r'^cannot resume from .*it is damaged.*delete it'):
        EncoderTrainer(tiny(tmp_path, resume=True), PATTERN, ENCODER)


def test_checkpoint_of_another_network_is_refused(trained):
    other = EncoderConfig(32, 1, 2, 2, 8)
    with pytest.raises(CheckpointError, match='cannot resume from'):
        EncoderTrainer(tiny(trained[2], resume=True), PATTERN, other)


def test_lessons_leave_out_the_sharpest_of_four_levels():
    assert lesson(FoveationPattern()).fov_deg == FoveationPattern().fov_deg[1:]
    assert lesson(PATTERN) is PATTERN
    rings = make_front_end('rings')
    assert lesson(rings) is rings


@pytest.mark.slow
def test_what_three_levels_taught_reads_four(tmp_path):
    trainer = EncoderTrainer(tiny(tmp_path), None, EncoderConfig(16, 1, 2, 2, 16))
    network, _ = trainer.run()
    assert network.pattern == FoveationPattern()
    assert trainer.pattern.levels == 3
    learned = trainer.network.state_dict()
    assert all(torch.equal(tensor, learned[name])
               for name, tensor in network.state_dict().items())


@pytest.mark.slow
def test_command_leaves_a_policy_without_an_eye(tmp_path):
    result = train_encoder(tiny(tmp_path, samples=64, batch=32))
    policy = load_policy(tmp_path)
    assert policy.eye is None
    assert policy.perception.pattern == FoveationPattern()
    assert policy.meta['metrics']['loss/unseen'] == result['loss/unseen']
    assert '--samples 64 --batch 32' in policy.meta['command']


@pytest.mark.parametrize('values', [{'batch': 0}, {'exam': 0}, {'samples': 0}, {'seed': -1},
                                    {'learning_rate': math.nan}], ids=str)
def test_options_that_teach_nothing_are_refused(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        TrainEncoderConfig(**values)


@pytest.mark.parametrize('spoilt', [{'step': None}, {'seconds': 'long'}], ids=str)
def test_a_damaged_count_is_not_resumed_from(tmp_path, spoilt):
    trainer = EncoderTrainer(TrainEncoderConfig(out=str(tmp_path)), PATTERN, ENCODER)
    trainer._save()
    state = torch.load(tmp_path / 'last.pt')
    torch.save({**state, **spoilt}, tmp_path / 'last.pt')
    with pytest.raises(CheckpointError, match='cannot resume from'):
        EncoderTrainer(TrainEncoderConfig(out=str(tmp_path), resume=True), PATTERN, ENCODER)
