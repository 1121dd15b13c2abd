"""Training of hand and eye: a whole run in miniature, killed, damaged, repeated, and by two."""

import dataclasses
import json
import math
import os
from pathlib import Path
import shutil
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file
import torch

from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.hand_eye import load_hand_eye
from gaze_robot.policy.actions import MAX_STEP_RAD
from gaze_robot.policy.glances import Glances
from gaze_robot_sim.bcrl import saving
from gaze_robot_sim.bcrl.batch import PATTERN
from gaze_robot_sim.bcrl.distributed import Crew
from gaze_robot_sim.bcrl.hand_learner import HandLearner
from gaze_robot_sim.bcrl.replay import Replay
from gaze_robot_sim.bcrl.sight import Sight
from gaze_robot_sim.bcrl.team import follow_attention, Team
from gaze_robot_sim.bcrl.workspace import Workspace
from gaze_robot_sim.training.bcrl import train_bcrl, TrainBcrlConfig

ROLLOUT = 128                                                       # 4 eyes, 32 steps
ROOT = Path(__file__).resolve().parents[1]


def tiny(out, **changes):
    return dataclasses.replace(TrainBcrlConfig(
        str(out), seed=3, steps=2 * ROLLOUT, eyes=4, warm_up=32, follow=0, replay=400,
        hand_updates=1, hand_batch=64, keep_every=ROLLOUT, eval_episodes=2), **changes)


@pytest.fixture(scope='module', autouse=True)
def threads_as_before():
    torch_threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(torch_threads)
    cv2.setNumThreads(cv_threads)


@pytest.fixture(scope='module')
def first(tmp_path_factory):
    """(result, run directory) of two rollouts."""
    out = tmp_path_factory.mktemp('runs') / 'first'
    return train_bcrl(tiny(out, follow=64)), out


def curve(out):
    return json.loads((out / 'curve.json').read_text())


def without_time(rows):
    return [{name: value for name, value in row.items() if name != 'seconds'} for row in rows]


def weights(out):
    return load_file(out / 'policy' / 'weights.safetensors')


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_run_leaves_everything_it_promises(first):
    result, out = first
    for name in ('config.json', 'curve.json', 'curve.png', 'result.json', 'before.gif',
                 'after.gif', 'policy/meta.json'):
        assert (out / name).stat().st_size > 100, name
    assert json.loads((out / 'result.json').read_text()) == json.loads(json.dumps(result))
    assert [row['steps'] for row in curve(out)] == [0, ROLLOUT, 2 * ROLLOUT]
    assert {path.name for path in (out / 'checkpoints').iterdir()} == {
        f'{ROLLOUT:010d}', f'{2 * ROLLOUT:010d}'}


def test_tensorboard_has_rewards_losses_and_gaze(first):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(str(first[1] / 'tb'))
    events.Reload()
    tags = set(events.Tags()['scalars'])
    assert tags >= {'reward/hand', 'reward/centring', 'hand/loss', 'train/entropy_loss',
                    'train/approx_kl', 'gaze/error_rad', 'gaze/in_fovea', 'unseen/hand_error'}
    assert len(events.Scalars('reward/hand')) == 2
    # The first update does not undo what the eye has imitated: it was 6 with what imitation left.
    assert events.Scalars('train/std')[0].value == pytest.approx(0.2, rel=0.2)
    assert events.Scalars('train/approx_kl')[0].value < 0.1


def test_policy_can_be_loaded_and_says_how_it_was_made(first):
    both = load_hand_eye(first[1])
    assert both.eye is not None
    assert both.joint_names[-1] == 'gripper'
    assert len(both.meta['tasks']) == both.hand.config.task
    assert '--seed 3' in both.meta['command']
    assert 'follow 64' in both.meta['command']


def test_a_run_is_not_written_over(first):
    with pytest.raises(CheckpointError, match='--resume'):
        train_bcrl(tiny(first[1]))
    with pytest.raises(CheckpointError, match='replay'):
        train_bcrl(tiny(first[1], follow=64, resume=True, replay=500))


def test_same_seed_same_bits_and_another_seed_others(tmp_path):
    """Hand, eye, evaluation: everything after two rollouts."""
    for name, seed in (('one', 3), ('two', 3), ('other', 4)):
        train_bcrl(tiny(tmp_path / name, seed=seed))
    assert same(weights(tmp_path / 'one'), weights(tmp_path / 'two'))
    assert without_time(curve(tmp_path / 'one')) == without_time(curve(tmp_path / 'two'))
    assert not same(weights(tmp_path / 'one'), weights(tmp_path / 'other'))


def test_resumed_is_as_if_never_interrupted(first, tmp_path):
    """Go back to the checkpoint in the middle: the second half comes out bit for bit."""
    out = tmp_path / 'resumed'
    shutil.copytree(first[1], out)
    shutil.rmtree(out / 'checkpoints' / f'{2 * ROLLOUT:010d}')
    train_bcrl(tiny(out, follow=64, resume=True))
    assert same(weights(out), weights(first[1]))
    assert without_time(curve(out)) == without_time(curve(first[1]))


@pytest.mark.parametrize('damage', ['cut', 'changed', 'gone'])
def test_a_damaged_checkpoint_is_passed_over(first, tmp_path, damage):
    out = tmp_path / 'damaged'
    shutil.copytree(first[1], out)
    state = out / 'checkpoints' / f'{2 * ROLLOUT:010d}' / saving.STATE
    whole = state.read_bytes()
    if damage == 'gone':
        state.unlink()
    else:
        state.write_bytes(whole[:-100] if damage == 'cut' else whole[:-1] + b'\7')
    with pytest.warns(UserWarning, match=f'passed over: {2 * ROLLOUT:010d}'):
        train_bcrl(tiny(out, follow=64, resume=True))
    assert same(weights(out), weights(first[1]))


def test_when_every_checkpoint_is_damaged_it_says_so(first, tmp_path):
    out = tmp_path / 'ruined'
    shutil.copytree(first[1], out)
    for state in (out / 'checkpoints').rglob(saving.STATE):
        state.write_bytes(b'no')
    with pytest.warns(UserWarning, match='passed over'), \
            pytest.raises(CheckpointError, match='begin again'):
        train_bcrl(tiny(out, follow=64, resume=True))


def test_a_run_of_another_version_is_refused(first, tmp_path):
    """One that does not say that its hand is fine, resumed with one that is not."""
    out = tmp_path / 'old'
    shutil.copytree(first[1], out)
    config = json.loads((out / 'config.json').read_text())
    del config['fine']
    (out / 'config.json').write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match='another version'):
        train_bcrl(tiny(out, follow=64, resume=True, fine=False))


@pytest.mark.parametrize('name', ['policy', 'checkpoints', 'meta.json'])
def test_what_is_no_run_is_not_written_over(tmp_path, name):
    for resume in (False, True):
        (tmp_path / 'run' / name).mkdir(parents=True, exist_ok=True)
        with pytest.raises(CheckpointError, match=f'holds {name} and no config.json'):
            train_bcrl(tiny(tmp_path / 'run', resume=resume))
    (tmp_path / 'file').touch()
    with pytest.raises(CheckpointError, match='is a file'):
        train_bcrl(tiny(tmp_path / 'file'))
    assert [path.name for path in (tmp_path / 'run').iterdir()] == [name]


@pytest.mark.parametrize('text', ['', '{"task"', '[]'])
def test_settings_that_cannot_be_read_are_named(tmp_path, text):
    (tmp_path / 'config.json').write_text(text)
    with pytest.raises(CheckpointError, match=r'config.json (cannot be read|holds no settings)'):
        train_bcrl(tiny(tmp_path, resume=True))


def test_a_changed_checkpoint_is_refused(first, tmp_path):
    out = tmp_path / 'changed'
    shutil.copytree(first[1], out)
    for meta in (out / 'checkpoints').rglob('meta.json'):
        facts = json.loads(meta.read_text())
        meta.write_text(json.dumps({**facts, 'seconds': 'long', 'steps': 'many'}))
    with pytest.raises(CheckpointError, match='was changed'):
        train_bcrl(tiny(out, follow=64, resume=True))


def test_one_cut_off_before_its_first_checkpoint_says_that_it_begins_anew(tmp_path):
    saving.claim(tmp_path / 'run', tiny(tmp_path / 'run', steps=ROLLOUT))
    with pytest.warns(UserWarning, match='begins anew'):
        train_bcrl(tiny(tmp_path / 'run', steps=ROLLOUT, resume=True))


def test_there_is_always_a_checkpoint_that_can_be_read(tmp_path, monkeypatch):
    """Those of practice have equally many steps: one more is kept, whenever it is cut off."""
    for number in range(3):
        saving.write(tmp_path, 0, {'w': torch.full((2,), float(number))}, {}, {'number': number})
    assert sorted(path.name for path in tmp_path.iterdir()) == ['0000000000', '0000000000.old']
    assert saving.newest(tmp_path)[0][2]['number'] == 2
    renames = []

    def cut_off(self, target):
        renames.append(self.name)
        if self.suffix == '.part':
            raise KeyboardInterrupt
        return os.rename(self, target)
    monkeypatch.setattr(type(tmp_path), 'rename', cut_off)
    with pytest.raises(KeyboardInterrupt):
        saving.write(tmp_path, 0, {'w': torch.zeros(2)}, {}, {'number': 3})
    assert renames == ['0000000000', '0000000000.part']
    assert saving.newest(tmp_path)[0][2]['number'] == 2
    monkeypatch.undo()
    saving.write(tmp_path, 0, {'w': torch.zeros(2)}, {}, {'number': 3})
    (tmp_path / '0000000000' / saving.STATE).write_bytes(b'no')
    assert saving.newest(tmp_path)[0][2]['number'] == 2


def command(out, *options):
    return [sys.executable, '-m', 'gaze_robot.cli', 'train', 'bcrl', '--out', str(out), '--seed',
            '3', '--eyes', '4', '--warm-up', '32', '--follow', '0',
            '--replay', '400', '--hand-batch', '64',
            '--hand-updates', '1', '--eval-episodes', '2', *options]


def test_killed_at_any_moment_it_can_be_resumed(tmp_path):
    out = tmp_path / 'killed'
    options = ('--steps', str(8 * ROLLOUT), '--keep-every', str(ROLLOUT))
    process = subprocess.Popen(command(out, *options), cwd=ROOT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env={**os.environ,
                                                               'OMP_NUM_THREADS': '1'})
    deadline = time.monotonic() + 90
    while len(list((out / 'checkpoints').glob('0*[0-9]'))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list((out / 'checkpoints').glob('0*[0-9]'))
    result = train_bcrl(tiny(out, steps=8 * ROLLOUT, resume=True))
    assert result['steps'] == 8 * ROLLOUT
    steps = [row['steps'] for row in curve(out)]
    assert steps == sorted(set(steps))


def by_two(out, *options):
    """Train in two processes."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    run = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2', '--master-port',
         str(port), *command(out, *options)[1:]], cwd=ROOT, capture_output=True, text=True,
        timeout=240, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert run.returncode == 0, run.stderr[-2000:]


@pytest.mark.long
def test_processes_whose_epochs_end_apart_stay_together(tmp_path):
    """PPO ends its epochs where the policy has moved too far on a process's own glances. For long
    trainings that was the end: one process waited for gradients that the other did not send.
    """
    out = tmp_path / 'together'
    by_two(out, '--steps', str(16 * ROLLOUT), '--learning-rate', '0.003', '--keep-every', '9999')
    assert curve(out)[-1]['steps'] == 16 * ROLLOUT


class OneOfTwo(Crew):
    """The first of two processes, whose other is not heard of."""

    def average_gradients(self, parameters, own=True):
        return int(own)

    def follow(self, tensors):
        pass


@pytest.mark.parametrize('together, batch, updates', [(Crew(), 64, 3), (OneOfTwo(0, 2), 32, 6)])
def test_processes_together_make_as_many_updates_as_one(tmp_path, monkeypatch, together, batch,
                                                        updates):
    """Of as many glances: for as many steps two processes roll out half as often."""
    made = []
    monkeypatch.setattr(HandLearner, 'learn', lambda self, replay, random, updates, left:
                        made.append((self.batch, updates)) or 0.0)
    config = tiny(tmp_path, hand_batch=64, hand_updates=3, warm_up=128, warm_updates=5)
    team = Team(config, torch.device('cpu'), together)
    team.restart()
    team.warm_up()
    assert made == [(batch, 5)] * 2                     # rounds: 128 glances, whoever saw them
    team.learn_hand()
    assert made[-1] == (batch, updates)
    with pytest.raises(ConfigError, match='evenly'):
        Team(dataclasses.replace(config, hand_batch=63), torch.device('cpu'), OneOfTwo(0, 2))


def test_two_processes_train_one_policy(tmp_path):
    """Each watches demonstrations of its own; only the first writes, and both end alike: the
    second would say so otherwise, as its gradients are in the weights.
    """
    out = tmp_path / 'together'
    by_two(out, '--steps', str(2 * 2 * ROLLOUT), '--keep-every', str(2 * ROLLOUT))
    assert [row['steps'] for row in curve(out)] == [0, 2 * ROLLOUT, 4 * ROLLOUT]
    assert len(list((out / 'tb').rglob('events.*'))) == 1
    alone = tmp_path / 'alone'
    train_bcrl(tiny(alone))
    assert not same(weights(out), weights(alone))


@pytest.mark.parametrize('options', [{'gaze': 'oracle'}, {'gaze': 'random'},
                                     {'gaze': 'fixed', 'eye': 'wide'}, {'eye': 'uniform'},
                                     {'replay': 0}, {'judged': 'before', 'centring': 0.0},
                                     {'search': 64}, {'waits': True, 'warm_glances': 3},
                                     {'recall': False, 'shapes': False}], ids=str)
def test_every_other_way_to_train_runs(tmp_path, options):
    out = tmp_path / 'run'
    result = train_bcrl(tiny(out, steps=ROLLOUT, **options))
    assert result['steps'] == ROLLOUT
    both = load_hand_eye(out)
    assert (both.eye is not None) == (options.get('gaze', 'learned') == 'learned')
    assert both.waits == ('waits' in options)
    assert both.recalls == (both.eye is not None and options.get('recall', True))
    assert both.hand.config.shapes == options.get('shapes', True)


def test_a_hand_that_cannot_be_told_to_stay_is_refused_before_the_work(tmp_path, monkeypatch):
    """Actions of something else than the joints: where they are, nobody knows."""
    play = Workspace.play

    def other(self, index):
        made = play(self, index)
        episode = dataclasses.replace(made.episode, action_names=tuple('abcde'))
        return dataclasses.replace(made, episode=episode)
    monkeypatch.setattr(Workspace, 'play', other)
    with pytest.raises(ConfigError, match='command the joints'):
        train_bcrl(tiny(tmp_path / 'run', steps=ROLLOUT, waits=True))


@pytest.mark.parametrize('wrong', [{'eyes': 0}, {'replay_share': 0.0}, {'found': 1.5},
                                   {'eye': 'wide'}, {'search': 10, 'gaze': 'oracle'},
                                   {'waits': True, 'gaze': 'random'}, {'warm_glances': 0},
                                   {'details': 0.5}, {'details': 1.5}, {'jobs': 0},
                                   {'foresight': 64}, {'foresight': -1},
                                   {'demos': 'workspace:read', 'foresight': 64},
                                   {'demos': 'workspace:read', 'foresight': 64, 'plays': 8,
                                    'recall': False}, {'seed': 1 << 32}, {'replay': 100},
                                   {'learning_rate': -1.0}, {'centring': math.nan},
                                   {'joint_noise': math.inf}, {'hand_learning_rate': -1.0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        TrainBcrlConfig(**wrong)


@pytest.mark.parametrize('share,towards', [(0.5, 1.0), (0.3, -1.0)])
def test_the_rule_turns_to_what_the_hand_has_found_and_searches_otherwise(share, towards):
    """Something to the left, while the eye looks to the right of the middle: without having found
    it, the rule searches the nearer side first.
    """
    glances = Glances(1, PATTERN, 1, 1)
    attention = np.zeros((1, PATTERN.tokens), np.float32)
    attention[0, 36] = share                        # the coarsest level's second row, on the left
    batch = SimpleNamespace(glances=glances, attention=attention, reported=np.array([[-0.3, 0.0]]))
    zero = np.zeros((1, 1))
    glances.observe(attention, batch.reported, zero, zero, np.zeros(1, int))
    (pan, tilt), = follow_attention({}, batch, level_rad=0.1, found=0.4)
    assert pan == towards
    if towards < 0:
        assert tilt == pytest.approx(0.1 / MAX_STEP_RAD)


def sights(numbers):
    numbers = np.asarray(numbers, np.float32)[:, None]
    return Sight(numbers[:, None].astype(np.uint8), np.repeat(numbers, 2, axis=1), numbers,
                 numbers, numbers[:, None], numbers > 0, np.repeat(numbers, 3, axis=1))


def test_a_replay_forgets_the_oldest():
    replay = Replay(4)
    with pytest.raises(ConfigError, match='nothing'):
        replay.sample(np.random.default_rng(0), 1)
    replay.add(sights([1, 2, 3]), np.arange(3))
    replay.add(sights([4, 5, 6]), np.array([0, 2]))
    held = set(replay.sample(np.random.default_rng(0), 100)['joints'].flatten().tolist())
    assert held == {2, 3, 4, 6}
    again = Replay(4)
    again.restore(replay.state(), replay.next)
    again.add(sights([7]), np.arange(1))
    assert set(again.state()['joints'].ravel().tolist()) == {3, 4, 6, 7}


def test_recorded_demonstrations_train_too(tmp_path):
    """What the workspace demonstrates, written down and read back, without any truth in it."""
    from gaze_robot_sim.demos.commands import record, RecordConfig
    record(RecordConfig(str(tmp_path / 'demos'), source='workspace', n=2, episode_s=1.0))
    out = tmp_path / 'run'
    result = train_bcrl(tiny(out, demos=str(tmp_path / 'demos'), steps=ROLLOUT))
    assert result['end']['gaze_error_deg'] is None
    assert result['end']['hand_error'] > 0
    both = load_hand_eye(out)
    assert both.joint_names[-1] == 'gripper'
    assert not both.hand.config.shapes                  # nothing says which one is right
    assert str(tmp_path) not in json.dumps(dict(both.meta))
    with pytest.raises(ConfigError, match='truth'):
        TrainBcrlConfig(demos=str(tmp_path / 'demos'), search=8)
