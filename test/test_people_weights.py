"""The shipped network for where people look: small, documented, and as good as it says."""

import pytest
import torch

from gaze_robot.people.attention_read import AttentionGaze, load_reader, SHIPPED
from gaze_robot_sim.people.cast import CastConfig
from gaze_robot_sim.people.evaluate import judge_scenes, unseen_scenes


def test_it_is_small_and_says_how_it_was_made():
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 2e6
    reader, meta = load_reader()
    assert meta['command'].startswith(f'gaze-robot train people --seed {meta["seed"]}')
    assert meta['minutes'] > 0
    assert meta['config']['pictures'] >= 50_000
    assert len(meta['commit']) >= 7
    decoder = sum(value.numel() for value in reader.decoder.parameters())
    assert decoder < 0.01 * sum(value.numel() for value in reader.parameters())


@pytest.fixture(scope='module')
def found() -> dict:
    """People and rooms that neither training nor the figures of the README have shown."""
    torch.set_num_threads(1)
    cast = CastConfig(busts=480, wholes=160, things=60, views=16)
    return judge_scenes(AttentionGaze(load_reader()[0]), unseen_scenes(23, 150, cast))


def test_it_knows_where_made_up_people_look(found):
    """What it is to reach, and for what 150 pictures can tell it has room to spare."""
    assert found['auc'] >= 0.9
    assert found['mean_l2'] <= 0.1
    assert found['inout_ap'] >= 0.9
    assert found['face_deg'] <= 10


def test_gazes_together_are_better_than_chance(found):
    assert found['mutual_accuracy'] > 0.9
    assert found['joint_attention_accuracy'] > 0.85
