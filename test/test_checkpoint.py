"""Checkpoints: what was written comes back, and anything else is refused with a reason."""

import dataclasses
import hashlib
import json
import pickle
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
import torch

from gaze_robot.checkpoint import load_policy, make_policy, META, Policy, save_policy, WEIGHTS
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CheckpointError
from gaze_robot.foveation import FoveationPattern, PyramidFrontEnd

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
ENCODER = EncoderConfig(width=16, depth=1, heads=2, registers=2, patch=8)


def policy_of(seed=0, discrete=True):
    torch.manual_seed(seed)
    made = make_policy(PATTERN, ENCODER, discrete)
    return dataclasses.replace(made, meta={'seed': 7, 'metrics': {'success_rate': 0.5}})


@pytest.fixture
def folder(tmp_path):
    save_policy(tmp_path / 'policy', policy_of())
    return tmp_path / 'policy'


def weights_of(policy):
    return {**{f'p.{k}': v for k, v in policy.perception.state_dict().items()},
            **({} if policy.eye is None else
               {f'e.{k}': v for k, v in policy.eye.state_dict().items()})}


def rewrite(folder, change_tensors=None, **meta_changes):
    """Alter a checkpoint consistently: its sha256 is that of the altered file."""
    tensors = load_file(folder / WEIGHTS)
    if change_tensors:
        change_tensors(tensors)
        save_file(tensors, folder / WEIGHTS)
    meta = json.loads((folder / META).read_text())
    meta['weights_sha256'] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    meta.update(meta_changes)
    (folder / META).write_text(json.dumps(meta))


@pytest.mark.parametrize('discrete', [True, False])
def test_what_was_saved_is_loaded(tmp_path, discrete):
    policy = policy_of(discrete=discrete)
    save_policy(tmp_path / 'a' / 'b', policy)
    loaded = load_policy(tmp_path / 'a' / 'b')
    assert loaded.perception.pattern == PATTERN
    assert loaded.perception.encoder.config == ENCODER
    assert loaded.eye is not None
    assert loaded.eye.discrete is discrete
    assert not loaded.perception.training
    assert not loaded.eye.training
    assert loaded.meta['seed'] == 7
    assert loaded.meta['metrics'] == {'success_rate': 0.5}
    before, after = weights_of(policy), weights_of(loaded)
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]), name


def test_loaded_policies_act_as_the_saved_ones(folder):
    policy, loaded = policy_of(), load_policy(str(folder))
    levels = [torch.full((2, side, side, 3), 90, dtype=torch.uint8) for side in PATTERN.window]
    with torch.inference_mode():
        tokens = policy.perception.encode(levels)
        torch.testing.assert_close(loaded.perception.encode(levels), tokens)
        vector = torch.randn(2, loaded.eye.trunk.situation.in_features)
        assert torch.equal(loaded.eye.act(tokens, vector), policy.eye.act(tokens, vector))


def test_other_weights_are_not_loaded_as_these(tmp_path, folder):
    """The round trip is not passed by weights that happen to come from the same seed."""
    save_policy(tmp_path / 'other', policy_of(seed=1))
    first, second = weights_of(load_policy(folder)), weights_of(load_policy(tmp_path / 'other'))
    assert not torch.equal(first['p.encoder.embed.weight'], second['p.encoder.embed.weight'])


def test_encoder_without_an_eye_is_a_checkpoint(tmp_path):
    made = policy_of()
    save_policy(tmp_path, Policy(made.perception, None, {}))
    loaded = load_policy(tmp_path)
    assert loaded.eye is None
    expected = made.perception.encoder.embed.weight
    assert torch.equal(loaded.perception.encoder.embed.weight, expected)


def test_run_directory_means_its_policy(tmp_path):
    save_policy(tmp_path / 'run' / 'policy', policy_of())
    assert load_policy(tmp_path / 'run').meta['seed'] == 7


def test_saving_again_replaces(folder):
    save_policy(folder, policy_of(seed=3))
    expected = policy_of(seed=3).perception.encoder.embed.weight
    assert torch.equal(load_policy(folder).perception.encoder.embed.weight, expected)
    assert sorted(path.name for path in folder.iterdir()) == [META, WEIGHTS]


# --- damage


@pytest.mark.parametrize('share', [0.0, 0.001, 0.3, 0.7, 0.9999])
def test_one_changed_byte_of_the_weights_is_noticed(folder, share):
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[int(share * len(data))] ^= 0x10
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(CheckpointError, match=r'does not match its meta.json.*fetch or train'):
        load_policy(folder)


def test_every_changed_digit_of_the_model_description_is_noticed(folder):
    text = (folder / META).read_text()
    start = text.index('"pattern"')
    places = [i for i in range(start, len(text)) if text[i].isdigit()]
    assert len(places) >= 20
    for place in places:
        digit = str((int(text[place]) + 1) % 10)
        (folder / META).write_text(text[:place] + digit + text[place + 1:])
        with pytest.raises(CheckpointError):
            load_policy(folder)


@pytest.mark.parametrize('keep', [0, 7, 100, 2000])
def test_truncated_weights_are_refused(folder, keep):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:keep])
    with pytest.raises(CheckpointError, match='does not match'):
        load_policy(folder)
    rewrite_sha(folder)
    with pytest.raises(CheckpointError, match='cannot be read'):
        load_policy(folder)


def rewrite_sha(folder):
    meta = json.loads((folder / META).read_text())
    meta['weights_sha256'] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    (folder / META).write_text(json.dumps(meta))


@pytest.mark.parametrize('name', [META, WEIGHTS])
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=rf'no {name} in .*gaze-robot train search'):
        load_policy(folder)


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match='not a checkpoint folder'):
        load_policy(tmp_path / 'nothing')


@pytest.mark.parametrize('text', ['', '{', '[]', '7', '"x"', '\x00\xff'], ids=repr)
def test_meta_that_is_not_a_json_object_is_refused(folder, text):
    (folder / META).write_bytes(text.encode('latin-1'))
    with pytest.raises(CheckpointError, match=r'is not JSON|has format None'):
        load_policy(folder)


@pytest.mark.parametrize('value', [0, 2, '1', None])
def test_other_formats_are_refused(folder, value):
    rewrite(folder, format=value)
    with pytest.raises(CheckpointError, match=r'has format .* this code reads 1'):
        load_policy(folder)


@pytest.mark.parametrize('key', ['weights_sha256', 'pattern', 'encoder'])
def test_missing_entries_of_meta_are_named(folder, key):
    meta = json.loads((folder / META).read_text())
    del meta[key]
    (folder / META).write_text(json.dumps(meta))
    with pytest.raises(CheckpointError, match=rf"lacks \['{key}'\]"):
        load_policy(folder)


@pytest.mark.parametrize('section, value', [
    ('pattern', {'fov_deg': [20.0], 'window': [16, 16], 'patch': [8]}),
    ('pattern', {'fov_dge': [20.0]}), ('pattern', 5), ('encoder', {'width': 'wide'}),
    ('encoder', {'width': 16, 'heads': 5}), ('encoder', {'heads': 0}), ('eye', [1]),
    ('eye', {'discrete': 'yes'}), ('pattern', {'fov_deg': [20.0, 90.0], 'window': [64, 64],
                                               'patch': [16, 0]})], ids=str)
def test_model_descriptions_that_make_no_sense_are_refused(folder, section, value):
    def same(_):
        """Written without the second copy of the description."""
    rewrite(folder, same, **{section: value})
    with pytest.raises(CheckpointError, match='cannot be read'):
        load_policy(folder)


@pytest.mark.parametrize('model', ['[]', '7', 'null'])
def test_metadata_of_weights_that_describes_nothing_is_refused(folder, model):
    save_file(load_file(folder / WEIGHTS), folder / WEIGHTS, metadata={'model': model})
    rewrite_sha(folder)
    with pytest.raises(CheckpointError, match='its metadata does not describe a model'):
        load_policy(folder)


def test_checkpoint_from_before_front_ends_could_be_chosen_is_a_pyramid(folder):
    meta = json.loads((folder / META).read_text())
    del meta['front_end']
    save_file(load_file(folder / WEIGHTS), folder / WEIGHTS, metadata={'model': json.dumps(
        {name: meta[name] for name in ('pattern', 'encoder', 'eye')})})
    (folder / META).write_text(json.dumps(meta))
    rewrite_sha(folder)
    assert isinstance(load_policy(folder).perception.front_end, PyramidFrontEnd)


@pytest.mark.parametrize('front_end, reason', [
    ({'name': 'spiral', 'config': {}}, "no front end 'spiral'"),
    ({'name': 'rings', 'config': {'rings': 3}}, "no parameter 'rings'"),
    ({'name': 'rings', 'config': {}}, 'these rings sample levels of'),
    ({'name': 'log_polar'}, 'holds a name and a config'), (['rings'], 'holds a name and a config'),
    ({'name': 'log_polar', 'config': []}, 'holds a name and a config'),
    ({'name': 'log_polar', 'config': {'wedges': 0}}, 'must be at least 1')], ids=str)
def test_front_ends_that_cannot_be_made_are_refused(folder, front_end, reason):
    rewrite(folder, lambda tensors: None, front_end=front_end)      # without the second copy
    with pytest.raises(CheckpointError, match=reason):
        load_policy(folder)


# --- weights that do not fit


def test_missing_weight_is_named(folder):
    rewrite(folder, lambda tensors: tensors.pop('perception.encoder.embed.bias'))
    with pytest.raises(CheckpointError, match='missing perception.encoder.embed.bias'):
        load_policy(folder)


def test_unknown_weight_is_named(folder):
    rewrite(folder, lambda tensors: tensors.update({'eye.third': torch.zeros(2)}))
    with pytest.raises(CheckpointError, match='unknown eye.third'):
        load_policy(folder)


def test_weight_of_another_shape_is_named(folder):
    rewrite(folder, lambda tensors: tensors.update(
        {'perception.encoder.embed.bias': torch.zeros(3)}))
    with pytest.raises(CheckpointError,
                       match=r'perception.encoder.embed.bias has shape \(3,\), not \(16,\)'):
        load_policy(folder)


def test_all_that_is_wrong_is_told_at_once(folder):
    def change(tensors):
        tensors.pop('perception.search.query.bias')
        tensors['perception.more'] = torch.zeros(1)
    rewrite(folder, change)
    with pytest.raises(CheckpointError) as caught:
        load_policy(folder)
    assert 'missing perception.search.query.bias' in str(caught.value)
    assert 'unknown perception.more' in str(caught.value)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(folder, value):
    def change(tensors):
        tensors['perception.encoder.embed.bias'][3] = value
    rewrite(folder, change)
    with pytest.raises(CheckpointError, match=r'perception.encoder.embed.bias.*not finite'):
        load_policy(folder)


# --- nothing is executed


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (shutil.copy, (__file__, str(self.path)))


@pytest.mark.parametrize('save', [
    lambda path, bomb: path.write_bytes(pickle.dumps(bomb)),
    lambda path, bomb: torch.save({'perception.encoder.embed.bias': bomb}, path)],
    ids=['pickle', 'torch.save'])
def test_pickled_weights_are_not_executed(folder, tmp_path, save):
    proof = tmp_path / 'executed'
    save(folder / WEIGHTS, Bomb(proof))
    rewrite_sha(folder)
    with pytest.raises(CheckpointError, match='cannot be read'):
        load_policy(folder)
    assert not proof.exists()
    pickle.loads(pickle.dumps(Bomb(proof)))             # noqa: S301 the bomb is a real one
    assert proof.exists()
