"""The weights in the package: whole, documented, and able to do what the README says."""

from collections.abc import Iterator
import json

from setuptools import find_packages
import torch

from gaze_robot.checkpoint import load_policy, SHIPPED
from gaze_robot_sim.envs.search import SearchConfig
from gaze_robot_sim.envs.seeing import SeeingBatch
from gaze_robot_sim.evaluate import learned, run_episodes, score
from gaze_robot_sim.scenes.procedural import ProceduralWorld
from gaze_robot_sim.training.heads import TrainHeadsConfig
from gaze_robot_sim.training.origin import origin
from gaze_robot_sim.training.search import TrainSearchConfig


def texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def test_shipped_weights_load_and_say_how_they_were_made():
    policy = load_policy()
    assert policy.eye is not None
    assert policy.meta['command'].startswith('gaze-robot train search --seed')
    assert len(policy.meta['commit']) >= 7
    assert policy.meta['validation']['n'] >= 64
    assert policy.meta['validation']['steps'] > 0       # has been through PPO


def test_the_commands_named_make_such_weights_today():
    """Their options are the defaults: who runs the commands runs the recipe of what ships."""
    meta = json.loads((SHIPPED / 'meta.json').read_text())
    assert meta['command'] == f'gaze-robot train search --seed {meta["seed"]}'
    people = meta['people']
    assert people['command'] == f'gaze-robot train heads --seed {people["seed"]} --policy POLICY'
    for said, config in ((meta, TrainSearchConfig(seed=meta['seed'])),
                         (people, TrainHeadsConfig(seed=people['seed']))):
        assert said['config'] == json.loads(json.dumps(origin('', config)['config']))
    assert 'perception' not in meta                          # all of one run, no part of another


def test_shipped_weights_name_no_path_of_the_machine_they_were_made_on():
    meta = json.loads((SHIPPED / 'meta.json').read_text())
    assert not [text for text in texts(meta) if text.startswith(('/', '~')) or ':\\' in text]


def test_shipped_weights_are_small_and_inside_the_package():
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 20e6
    assert SHIPPED.parent.parent.name in find_packages(str(SHIPPED.parents[2]))


def test_shipped_weights_find_things_in_unseen_rooms():
    """Measured at over 90 % of 200 searches; 14 of 20 is three standard deviations below that."""
    torch.set_num_threads(1)
    policy = load_policy()
    batch = SeeingBatch(20, [ProceduralWorld(77_000, 10)], policy.perception, SearchConfig(),
                        seed=5)
    assert policy.eye is not None
    run = run_episodes(batch, learned(policy.eye), 20)
    found = score(run['error_deg'], batch.config.rate_hz)
    assert found['success_rate'] >= 0.7, found
    assert found['median_error_deg'] < 3.0
