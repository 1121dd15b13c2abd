"""Training of the searching eye: a whole run in miniature, resumed, damaged and repeated."""

import dataclasses
import json
import math
import os
import shutil

import cv2
import numpy as np
import pytest
from stable_baselines3 import PPO
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.checkpoint import load_policy, make_policy, Policy, save_policy, WEIGHTS
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CheckpointError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.perception import PerceptionNetwork
from gaze_robot.pipeline import GazePipeline
from gaze_robot.types import Exemplar, Frame, PanTiltState
from gaze_robot_sim.envs.search import SearchConfig
from gaze_robot_sim.envs.seeing import SeeingBatch
from gaze_robot_sim.envs.vec import GazeVecEnv
from gaze_robot_sim.evaluate import learned, run_episodes
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.rule import SearchRule
from gaze_robot_sim.scenes.base import SearchTarget
from gaze_robot_sim.training.search import _Trunk, eye_of, train_search, TrainSearchConfig
from gaze_robot_sim.training.warm_start import discounted, show

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
ENCODER = EncoderConfig(16, 1, 2, 2, 8)
ROLLOUT = 512                                               # 16 eyes, 32 steps


@pytest.fixture(scope='module', autouse=True)
def one_core():
    """Training takes every core it may use. On a busy machine threads of so small a network wait
    for each other most of the time; and the tests after these want their threads back.
    """
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    cores = os.sched_getaffinity(0) if hasattr(os, 'sched_setaffinity') else set()
    if cores:
        os.sched_setaffinity(0, {min(cores)})
    yield
    if cores:
        os.sched_setaffinity(0, cores)
    torch.set_num_threads(threads)
    cv2.setNumThreads(cv_threads)


@pytest.fixture(scope='module')
def encoder(tmp_path_factory):
    """An untrained encoder: what it sees does not matter here."""
    folder = tmp_path_factory.mktemp('encoder')
    torch.manual_seed(0)
    save_policy(folder, Policy(make_policy(PATTERN, ENCODER).perception, None,
                               {'metrics': {'minutes': 1.5}}))
    return str(folder)


def tiny(encoder, out, **changes):
    return dataclasses.replace(TrainSearchConfig(
        str(out), seed=3, encoder=encoder, steps=ROLLOUT, eyes=16, rooms=1, eval_every=1,
        eval_episodes=2, warm_start=32), **changes)


@pytest.fixture(scope='module')
def first(encoder, tmp_path_factory):
    """(result, run directory) of one rollout."""
    out = tmp_path_factory.mktemp('runs') / 'first'
    return train_search(tiny(encoder, out)), out


@pytest.fixture(scope='module')
def resumed(encoder, first, tmp_path_factory):
    """The same run in another place, gone on with for a second rollout."""
    out = tmp_path_factory.mktemp('runs') / 'resumed'
    shutil.copytree(first[1], out)
    return train_search(tiny(encoder, out, steps=2 * ROLLOUT, resume=True)), out


def steps_of(out):
    return [row['steps'] for row in json.loads((out / 'curve.json').read_text())]


def checkpoints_of(out):
    return sorted(path.name for path in (out / 'checkpoints').iterdir())


def test_run_leaves_everything_it_promises(first):
    result, out = first
    for name in ('config.json', 'result.json', 'curve.png', 'policy/meta.json', 'tb'):
        assert (out / name).exists(), name
    assert json.loads((out / 'result.json').read_text()) == json.loads(json.dumps(result))
    json.dumps(result, allow_nan=False)
    assert result['steps'] == ROLLOUT
    assert result['seed'] == 3
    assert result['encoder'] == {'minutes': 1.5}
    assert result['validation']['n'] == 2
    assert result['start']['steps'] == 0 < result['validation']['steps']
    assert json.loads((out / 'config.json').read_text())['eyes'] == 16
    picture = cv2.imread(str(out / 'curve.png'))
    assert picture.shape[0] > 200
    assert picture.std() > 5
    assert list((out / 'tb').rglob('events.*'))
    assert steps_of(out)[-1] == ROLLOUT
    assert f'{ROLLOUT:09d}.zip' in checkpoints_of(out)
    assert not [name for name in checkpoints_of(out) if 'part' in name]


def test_policy_knows_where_it_comes_from(first):
    meta = load_policy(first[1]).meta
    assert meta['seed'] == 3
    assert meta['config']['steps'] == ROLLOUT
    assert meta['commit']
    assert 'gaze-robot train search' in meta['command']
    assert meta['validation']['n'] == 2
    assert str(first[1].parent) not in json.dumps(dict(meta))      # no path of this machine


def test_policy_runs_on_the_robot(first):
    made = GazePipeline.from_checkpoint(str(first[1] / 'policy'))
    made.warm_up()
    rng = np.random.default_rng(0)
    made.look_for(Exemplar(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8), 0.15))
    camera = CameraModel.from_hfov(160, 120, math.pi / 2)
    frame = Frame(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8), 0.0, camera)
    result = made.step(frame, PanTiltState(0.0, 0.0))
    assert math.isfinite(result.command.pan_rad)
    assert len(result.heatmaps) == 3


def test_eye_acts_as_the_model_it_was_taken_from(first):
    model = PPO.load(first[1] / 'checkpoints' / f'{ROLLOUT:09d}.zip')
    eye = load_policy(first[1]).eye
    rng = np.random.default_rng(0)
    observation = {name: rng.standard_normal((40, *space.shape)).astype(np.float32)
                   for name, space in model.observation_space.items()}
    expected, _ = model.predict(observation, deterministic=True)
    own = eye.act(torch.from_numpy(observation['tokens']), torch.from_numpy(observation['vector']))
    np.testing.assert_array_equal(own.numpy(), expected)
    assert len(set(expected)) > 1


def test_training_changed_the_weights(first, encoder):
    """And left the frozen perception as it was."""
    before, after = (PPO.load(first[1] / 'checkpoints' / f'{steps:09d}.zip').policy.state_dict()[
        'features_extractor.trunk.mix.weight'] for steps in (0, ROLLOUT))
    assert (after - before).abs().max() > 1e-5
    trained = load_policy(first[1])
    assert torch.equal(trained.eye.trunk.mix.weight, after)
    assert torch.equal(trained.perception.encoder.embed.weight,
                       load_policy(encoder).perception.encoder.embed.weight)


def test_same_seed_gives_the_same_weights(first, encoder, tmp_path):
    train_search(tiny(encoder, tmp_path / 'again'))
    expected, again = load_policy(first[1]).eye, load_policy(tmp_path / 'again').eye
    for name, tensor in expected.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert (tmp_path / 'again' / 'policy' / WEIGHTS).read_bytes() == (
        first[1] / 'policy' / WEIGHTS).read_bytes()


def test_finished_directory_is_not_overwritten(first, encoder):
    with pytest.raises(CheckpointError, match=r'holds a run already; pass --resume'):
        train_search(tiny(encoder, first[1]))


def test_resuming_goes_on(first, resumed):
    result, out = resumed
    assert result['steps'] == 2 * ROLLOUT
    curve = steps_of(out)
    assert curve == sorted(curve)
    assert curve[-1] == 2 * ROLLOUT
    assert {0.0, ROLLOUT} <= set(curve)
    minutes = [row['seconds'] for row in json.loads((out / 'curve.json').read_text())]
    assert minutes == sorted(minutes)
    one, two = (PPO.load(path).policy.state_dict()['features_extractor.trunk.mix.weight']
                for path in sorted((out / 'checkpoints').glob('0*.zip'))[-2:])
    assert not torch.equal(one, two)


def test_at_most_three_checkpoints_are_kept(resumed):
    assert len(checkpoints_of(resumed[1])) <= 3


@pytest.mark.parametrize('damage', [
    lambda data: data[:len(data) // 2], lambda data: b'',
    lambda data: data[:5000] + bytes([data[5000] ^ 0xff]) + data[5001:]],
    ids=['truncated', 'empty', 'one byte'])
def test_damaged_newest_checkpoint_is_passed_over(resumed, encoder, tmp_path, damage):
    """Resuming a run that is at its end already: nothing is trained but what was lost."""
    out = tmp_path / 'damaged'
    shutil.copytree(resumed[1], out)
    newest = out / 'checkpoints' / f'{2 * ROLLOUT:09d}.zip'
    newest.write_bytes(damage(newest.read_bytes()))
    with pytest.warns(UserWarning, match=rf'checkpoint passed over: {newest.name}'):
        result = train_search(tiny(encoder, out, resume=True))
    assert result['steps'] == ROLLOUT
    assert steps_of(out)[-1] == ROLLOUT


@pytest.mark.filterwarnings('ignore:checkpoint passed over:UserWarning')
def test_nothing_readable_to_resume_from_is_refused(first, encoder, tmp_path):
    out = tmp_path / 'broken'
    shutil.copytree(first[1], out)
    for path in (out / 'checkpoints').iterdir():
        path.write_bytes(b'not a checkpoint')
    with pytest.raises(CheckpointError, match=r'no checkpoint in .* can be read; delete'):
        train_search(tiny(encoder, out, resume=True))


def test_missing_encoder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r'no meta.json'):
        train_search(tiny(str(tmp_path / 'nothing'), tmp_path / 'run'))


def test_continuous_eyes_are_trained_as_well(encoder, tmp_path):
    result = train_search(tiny(encoder, tmp_path, continuous=True))
    assert result['steps'] == ROLLOUT
    assert load_policy(tmp_path).eye.discrete is False


# --- learning


class OnePlace:
    """Whatever is shown, it is always in the same direction."""

    name, duration_s, count = 'one place', 0.0, 1
    direction = direction_from_pan_tilt(0.5, 0.1)

    def __init__(self):
        self._panorama = Panorama(
            np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8))

    def scene(self, index):
        return self

    def panorama(self, t_s=0.0):
        return self._panorama

    def sprites(self, t_s=0.0):
        return ()

    def sample_target(self, rng, t_s=0.0):
        patch = self._panorama.patch(self.direction, 0.2, 16)
        return SearchTarget(self.direction, 0.2, Exemplar(patch, 0.2), 'place')

    def close(self):
        pass


def test_returns_end_with_their_episode_and_go_on_from_its_value():
    """Two eyes, four steps, worked out by hand; one episode ends after the second step."""
    rewards = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0], [8.0, 8.0]])
    dones = np.array([[False, False], [True, False], [False, False], [False, False]])
    values = np.array([[99.0, 99.0], [10.0, 99.0], [99.0, 99.0], [6.0, 6.0]])
    np.testing.assert_allclose(discounted(rewards, dones, values, 0.5), [
        [1 + 0.5 * 7, 1 + 0.5 * 6.75], [2 + 0.5 * 10, 2 + 0.5 * 9.5],
        [4 + 0.5 * 11, 4 + 0.5 * 11], [8 + 0.5 * 6, 8 + 0.5 * 6]])
    ended = discounted(rewards, np.ones_like(dones), values, 0.5)
    np.testing.assert_allclose(ended, rewards + 0.5 * values)


def test_what_the_rule_shows_ends_with_its_episodes():
    """Rewards are 1 a step; the critic is made to expect 0, so returns count the steps left."""
    torch.manual_seed(0)
    network = PerceptionNetwork(PATTERN, ENCODER).eval()
    task = SearchConfig(episode_s=0.2, rewards={})
    env = GazeVecEnv(SeeingBatch(3, [OnePlace()], network, task, 0), stagger=True)
    model = PPO('MultiInputPolicy', env, n_steps=4, batch_size=12, gamma=0.5, seed=0,
                policy_kwargs={'features_extractor_class': _Trunk, 'net_arch': [],
                               'normalize_images': False})
    with torch.no_grad():
        for weight in model.policy.value_net.parameters():
            weight.zero_()
    length, rows, wait = env.batch.config.length, [], env.step_wait

    def step_wait():
        rows.append(env.batch.steps.copy())
        observation, _, done, infos = wait()
        return observation, np.ones(3, np.float32), done, infos
    env.step_wait = step_wait
    shown = show(model, env, SearchRule(), 3 * 10, 0.0, np.random.default_rng(0), 'test')
    assert len(rows) == 10 > length
    for step, (begun, returns) in enumerate(zip(rows, shown.returns.reshape(10, 3))):
        left = np.minimum(length - begun, 10 - step)
        np.testing.assert_allclose(returns, 2 - 2 * 0.5 ** left, rtol=1e-6)


@pytest.mark.long
def test_eye_learns_to_turn_to_the_one_place_targets_are_in():
    """PPO, simulator, observation, reward and actions: it cannot be seen, only learned."""
    torch.manual_seed(0)
    network = PerceptionNetwork(PATTERN, ENCODER).eval()
    task = SearchConfig(episode_s=1.0, max_start_deg=60, rewards={'approach': 1.0})
    env = GazeVecEnv(SeeingBatch(16, [OnePlace()], network, task, 0), stagger=True)
    exam = SeeingBatch(16, [OnePlace()], network, task, 9)
    model = PPO('MultiInputPolicy', env, n_steps=32, batch_size=128, n_epochs=8, gamma=0.5,
                gae_lambda=0.8, learning_rate=1e-3, seed=0, policy_kwargs={
                    'features_extractor_class': _Trunk, 'net_arch': [],
                    'normalize_images': False})

    def errors_deg():
        exam.reseed(9)
        return np.median(run_episodes(exam, learned(eye_of(model, network)), 32)['error_deg'],
                         axis=0)
    staying, untrained = errors_deg()[[0, -1]]
    model.learn(24 * ROLLOUT)
    assert min(staying, untrained) > 20
    assert errors_deg()[-1] < 0.5 * staying
