"""The examples run as they are, and what they show of stable-baselines3 holds."""

import dataclasses
import importlib.util
from pathlib import Path
import re

import cv2
import gymnasium
import numpy as np
import pytest
from stable_baselines3 import PPO
import torch

from gaze_robot import cli
from gaze_robot.foveation import FoveationPattern
from gaze_robot_sim.envs import TASKS
from gaze_robot_sim.envs.config import EyeConfig
from gaze_robot_sim.training.extractor import PatchExtractor

README = Path(__file__).resolve().parents[1] / 'sim' / 'README.md'
EXAMPLES = Path(__file__).resolve().parents[1] / 'sim' / 'examples'


def example(name):
    spec = importlib.util.spec_from_file_location(name[3:], EXAMPLES / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested():
    assert sorted(path.stem for path in EXAMPLES.glob('*.py')) == [
        '01_look_around', '02_many_eyes', '03_train_with_sb3']


def test_looking_around_saves_a_picture(tmp_path, capsys):
    path = tmp_path / 'look.png'
    example('01_look_around').main(str(path))
    assert cv2.imread(str(path)).shape == (720, 1280, 3)
    assert 'exemplar' in capsys.readouterr().out


def test_many_eyes_see(capsys):
    example('02_many_eyes').main(eyes=8, steps=5)
    assert '8 eyes, 5 steps each' in capsys.readouterr().out


def test_training_with_stable_baselines3(capsys):
    example('03_train_with_sb3').main(steps=256, eyes=4)
    assert capsys.readouterr().out.startswith('256 steps')


def test_stable_baselines3_takes_the_default_pattern_without_glue():
    env = gymnasium.make('gaze_robot/Orient-v0', episode_s=0.2)
    model = PPO('MultiInputPolicy', env, n_steps=8, batch_size=8, n_epochs=1, seed=0)
    model.learn(8)
    observation, _ = env.reset(seed=0)
    action, _ = model.predict(observation)
    assert env.action_space.contains(action)
    env.close()


# --- sim/README.md


def draws():
    """Whether workspaces in physics can be drawn here."""
    if not (importlib.util.find_spec('mujoco') and importlib.util.find_spec('mink')):
        return False
    from gaze_robot_sim.physics.views import can_draw
    return not can_draw()


def test_code_of_the_readme_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)                         # one of them writes a folder
    monkeypatch.setattr(PPO, 'learn', lambda model, steps: model.env.reset())
    blocks = re.findall(r'```python\n(.*?)```', README.read_text(), re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        if 'physics' in block and not draws():
            continue
        there = {}
        exec(block, there)
        for name in ('env', 'envs'):
            if name in there:
                there[name].close()


def test_commands_of_the_readme_exist():
    said = re.findall(r'^gaze-robot (\w+ \w+)', README.read_text(), re.MULTILINE)
    assert len(said) == 3
    assert set(said) <= set(cli.COMMANDS)


def test_options_and_tasks_of_the_readme_are_those_there_are():
    table = README.read_text().split('## Options')[1].split('\n## ')[0]
    named = {name for row in re.findall(r'^\| (`.*?) \|', table, re.MULTILINE)
             for name in re.findall(r'`(\w+)`', row)}
    assert named == {field.name for field in dataclasses.fields(EyeConfig)} | {
        'world', 'pattern', 'config', 'render_mode'}
    assert all(f'`{task}-v0`' in README.read_text() for task in TASKS)


# --- the extractor


SPACE = gymnasium.spaces.Dict({
    'level_0': gymnasium.spaces.Box(0, 255, (3, 16, 16), np.uint8),
    'level_1': gymnasium.spaces.Box(0, 255, (3, 12, 12), np.uint8),
    'pan_tilt': gymnasium.spaces.Box(-1, 1, (2,), np.float32)})


def test_features_are_those_of_every_patch_and_the_vectors():
    torch.manual_seed(0)
    extractor = PatchExtractor(SPACE, features_dim=10, patch=8, width=5)
    given = {name: torch.rand(2, *space.shape) for name, space in SPACE.spaces.items()}
    expected = []
    for name, side in (('level_0', 8), ('level_1', 4)):               # gcd(8, 12) = 4
        layer = extractor.embed[name]
        for top in range(0, given[name].shape[2], side):
            for left in range(0, given[name].shape[3], side):
                patch = given[name][:, :, top:top + side, left:left + side].reshape(2, -1)
                expected.append(torch.relu(patch @ layer.weight.T + layer.bias))
    expected.append(given['pan_tilt'])
    torch.testing.assert_close(extractor(given), extractor.mix(torch.cat(expected, dim=1)))
    assert extractor.features_dim == 10


@pytest.mark.parametrize('window', [16, 24, 36])
def test_any_window_can_be_learned_from(window):
    pattern = FoveationPattern((20.0, 45.0, 90.0), (window,) * 3, window // 2)
    env = gymnasium.make('gaze_robot/Search-v0', pattern=pattern, episode_s=0.2)
    model = PPO('MultiInputPolicy', env, n_steps=8, batch_size=8, n_epochs=1, seed=0,
                policy_kwargs={'features_extractor_class': PatchExtractor})
    before = [weight.clone() for weight in model.policy.features_extractor.parameters()]
    model.learn(8)
    after = list(model.policy.features_extractor.parameters())
    assert all((one != other).any() for one, other in zip(before, after))
    env.close()
