"""`train people` and `eval people`, small: they learn, resume, and measure by definition."""

import json

import cv2
import numpy as np
import pytest
import torch

from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.people.attention_net import AttentionReader
from gaze_robot.people.attention_read import (
    AttentionGaze,
    load_reader,
    save_reader,
)
from gaze_robot.people.records import Gazes
from gaze_robot_sim.people.cast import Cast, CastConfig
from gaze_robot_sim.people.evaluate import (
    balanced,
    EvalPeopleConfig,
    evaluate_people,
    judge_scenes,
    unseen_scenes,
)
from gaze_robot_sim.people.lessons import _things_loss, face_loss, goals, people_loss
from gaze_robot_sim.people.stream import collated, faces_alone, made_up
from gaze_robot_sim.people.training import train_people, TrainPeopleConfig

SMALL = CastConfig(busts=24, wholes=16, things=8, views=2)
BRIEF = {'faces': 256, 'pictures': 24, 'exam': 6, 'exams': 1, 'batch': 8}


class Knowing:
    """A gaze model that has seen the truth, but for some people."""

    source = 'knowing'

    def __init__(self, scenes, wrong=()):
        self._scenes = {id(scene.image): scene for scene in scenes}
        self._wrong = wrong

    def __call__(self, image, heads):
        scene = self._scenes[id(image)]
        maps = goals(torch.from_numpy(scene.target), 64).numpy().astype(np.float32)
        inside = scene.inside.astype(np.float32) * 0.9 + 0.05
        for person in self._wrong:
            if person < len(heads):
                maps[person] = maps[person][::-1, ::-1]
        return Gazes(maps, inside)


@pytest.fixture(scope='module')
def scenes():
    return unseen_scenes(0, 80, SMALL)


def test_who_knows_the_truth_gets_everything_right(scenes):
    """Also a bound on what gazes together can tell with perfect heatmaps."""
    found = judge_scenes(Knowing(scenes), scenes)
    assert found['auc'] > 0.99
    assert found['mean_l2'] < 0.02
    assert found['inout_ap'] == 1
    assert found['mutual_accuracy'] > 0.93
    assert found['joint_attention_accuracy'] > 0.93
    assert found['people'] == sum(len(scene.heads) for scene in scenes)
    worse = judge_scenes(Knowing(scenes, wrong=(0,)), scenes)
    assert worse['mean_l2'] > found['mean_l2'] + 0.1
    assert worse['mutual_accuracy'] < found['mutual_accuracy']


def test_accuracy_counts_both_answers_alike():
    truth = np.array([True] + [False] * 9)
    assert balanced(truth, np.zeros(10, bool)) == 0.5       # always no: nine of ten, worth half
    assert balanced(truth, truth) == 1
    assert balanced(truth, ~truth) == 0
    assert balanced(np.zeros(3, bool), np.zeros(3, bool)) is None


def test_spots_are_as_high_and_wide_as_they_should_be():
    goal = goals(torch.tensor([[0.5, 0.25]]), 64)[0]
    row, column = divmod(int(goal.argmax()), 64)
    assert (row, column) in {(15, 31), (15, 32), (16, 31), (16, 32)}
    # Three cells away: one standard deviation.
    assert float(goal[16, 35] / goal[16, 32]) == pytest.approx(
        np.exp(-(3.5 ** 2 - 0.5 ** 2) / 18), rel=1e-3)


def test_sizes_are_asked_for_where_things_are_and_nowhere_else():
    """In a picture whose sides are 1.2 and 0.83 of their mean: things of 0.12 and 0.1 of it."""
    boxes = torch.tensor([[[0.1, 0.1, 0.2, 0.2], [0.7, 0.64, 0.75, 0.76], [torch.nan] * 4]])
    seen = torch.full((1, 2, 20, 20), -5.0)
    seen[0, 1, :, :10], seen[0, 1, :, 10:] = np.log(0.12), np.log(0.10)
    _, off = _things_loss(seen, boxes, torch.tensor([1.44]))
    assert float(off) == pytest.approx(0, abs=1e-3)
    seen[0, 1, :, 10:] += 0.4
    _, off = _things_loss(seen, boxes, torch.tensor([1.44]))
    assert float(off) == pytest.approx(0.2, abs=0.01)


def test_losses_fall_when_the_same_is_shown_again():
    rng = np.random.default_rng(0)
    cast = Cast(rng, SMALL)
    torch.manual_seed(0)
    reader = AttentionReader()
    optimizer = torch.optim.AdamW(reader.parameters(), 2e-3)
    lessons = collated([made_up(rng, cast, 2) for _ in range(8)], 160)
    batches = [(people_loss, lessons), (face_loss, faces_alone(rng, cast, 32))]
    for loss_of, batch in batches:
        tensors = {name: torch.from_numpy(value) for name, value in batch.items()}
        losses = []
        for _ in range(12):
            loss, _ = loss_of(reader, tensors)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.8 * losses[0]


def test_what_is_not_known_teaches_nothing():
    rng = np.random.default_rng(1)
    batch = {name: torch.from_numpy(value) for name, value in collated(
        [made_up(rng, Cast(rng, SMALL), 2)], 160).items()}
    blank = {**batch, **{name: torch.full_like(batch[name], torch.nan)
                         for name in ('angle', 'target', 'inside', 'things')}}
    loss, parts = people_loss(AttentionReader(), blank)
    assert float(loss.detach()) == 0
    assert set(parts.values()) == {0.0}


def test_a_run_leaves_what_it_promises_and_goes_on(tmp_path):
    out = tmp_path / 'run'
    config = TrainPeopleConfig(out=str(out), **BRIEF)
    result = train_people(config, SMALL)
    assert {'auc', 'mean_l2', 'inout_ap'} == set(result['unseen'])
    for name in ('config.json', 'result.json', 'last.pt', 'looks.png', 'policy/meta.json', 'tb'):
        assert (out / name).exists()
    reader, meta = load_reader(out)
    assert meta['command'].startswith('gaze-robot train people --seed 0')
    assert str(tmp_path) not in json.dumps(meta)
    with pytest.raises(CheckpointError, match='--resume'):
        train_people(config, SMALL)
    again = train_people(TrainPeopleConfig(out=str(out), resume=True, **BRIEF), SMALL)
    assert again['unseen'] == result['unseen']              # it was at its end
    (out / 'last.pt').write_bytes(b'nothing')
    with pytest.raises(CheckpointError, match='delete it'):
        train_people(TrainPeopleConfig(out=str(out), resume=True, **BRIEF), SMALL)
    with torch.inference_mode():
        assert not AttentionGaze(reader).reader.training


def test_a_data_set_is_learned_from_and_measured(tmp_path):
    """VideoAttentionTarget's layout; begun with the weights of another run."""
    data, first = tmp_path / 'vat', tmp_path / 'first'
    rng = np.random.default_rng(0)
    for split in ('train', 'test'):
        track = data / 'annotations' / split / 'show' / split / 's00.txt'
        track.parent.mkdir(parents=True)
        lines = []
        for number in range(6):
            path = data / 'images/show' / split / f'{number}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, 255, (60, 90, 3), np.uint8))
            place = '60,40' if number % 2 else '-1,-1'
            lines.append(f'{number}.jpg,10,10,30,30,{place}')
        track.write_text('\n'.join(lines))
    save_reader(first, AttentionReader(), {})
    result = train_people(TrainPeopleConfig(out=str(tmp_path / 'run'), data=str(data),
                                            start=str(first), **BRIEF), SMALL)
    assert result['unseen']['mean_l2'] is not None
    assert str(data) not in (tmp_path / 'run/policy/meta.json').read_text()
    found = evaluate_people(EvalPeopleConfig(str(data), model=str(tmp_path / 'run')))
    assert found['data_set'] == 'videoattentiontarget'
    assert found['people'] == 6
    assert found['mean_l2'] == pytest.approx(result['unseen']['mean_l2'], abs=0.05)


@pytest.mark.parametrize('wrong', [{'pictures': 0}, {'faces': -1}, {'learning_rate': 0.0}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError):
        TrainPeopleConfig(**wrong)


@pytest.mark.parametrize('wrong', [{'n': 0}, {'picture': 'a.jpg'}, {'seed': -1}])
def test_measurements_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError):
        EvalPeopleConfig('synthetic', **wrong)


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match='no gaze model "nobody"'):
        evaluate_people(EvalPeopleConfig('synthetic', model='nobody', n=1))
