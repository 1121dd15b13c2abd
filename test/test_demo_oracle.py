"""What an oracle demonstrates can be seen in the demonstration, and is the same each time."""

import numpy as np
import pytest

from gaze_robot import cli
from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot_sim.demos.commands import record, RecordConfig, SOURCES
from gaze_robot_sim.demos.filming import seen
from gaze_robot_sim.demos.oracle import OracleSource, PlayedScene
from gaze_robot_sim.demos.store import open_demos
from gaze_robot_sim.render import Panorama


@pytest.fixture(scope='module')
def source():
    made = OracleSource('Track-v0', seed=3, episode_s=5.0)
    yield made
    made.close()


@pytest.fixture(scope='module')
def episode(source):
    return source.episode(1)


def test_equal_numbers_give_equal_demonstrations_and_others_differ(source, episode):
    again, other = source.episode(1), source.episode(2)
    np.testing.assert_array_equal(again.joints, episode.joints)
    np.testing.assert_array_equal(seen(again.scene, 2.0), seen(episode.scene, 2.0))
    assert not np.array_equal(other.joints, episode.joints)
    assert other.name != episode.name
    assert not np.array_equal(other.scene.panorama().image, episode.scene.panorama().image)


def test_the_oracle_looks_at_something_that_is_there(episode):
    """The target is the only thing near which the eye stays all the time."""
    late = range(60, episode.steps, 10)
    gaze = [direction_from_pan_tilt(*episode.joints[k].astype(float)) for k in late]
    nearest = [min(angle_between(sprite.direction, ray) for sprite
                   in episode.scene.sprites(episode.time_of(k))) for k, ray in zip(late, gaze)]
    assert np.degrees(np.median(nearest)) < 3


def test_actions_lead_to_where_the_joints_come(episode):
    """Where the eye is sent is where it is one step later, but for what its head cannot do."""
    moved = np.linalg.norm(episode.joints[1:] - episode.joints[:-1], axis=1)
    missed = np.linalg.norm(episode.joints[1:] - episode.actions[:-1], axis=1)
    assert np.median(missed[60:]) < 0.5 * np.median(moved[60:]) + 0.002
    assert episode.joint_names == episode.action_names == ('pan', 'tilt')


def test_every_environment_can_demonstrate(tmp_path):
    for task in ('Search-v0', 'Orient-v0', 'Follow-v0'):
        source = OracleSource(task, seed=1, episode_s=0.5)
        made = source.episode(0)
        source.close()
        assert made.name == f'{task} 1.0'
        assert made.steps == made.scene.duration_s * made.rate_hz
        assert seen(made.scene, made.time_of(made.steps - 1)).shape[2] == 3
    with pytest.raises(ConfigError, match='there is no environment'):
        OracleSource('Fly-v0')


def test_a_played_scene_shows_each_step_and_refuses_other_times():
    class Behind:
        name, duration_s = 'behind', 100.0

        def panorama(self, t_s):
            return Panorama(np.full((4, 8, 3), int(t_s * 10), np.uint8))

        def sprites(self, t_s):
            return ('behind',)
    scene = PlayedScene(Behind(), 5.0, [('a',), ('b',), ('c',)], 10.0)
    assert scene.duration_s == pytest.approx(0.3)
    assert [list(scene.sprites(k / 10)) for k in range(3)] == [['behind', x] for x in 'abc']
    assert scene.panorama(0.25).image[0, 0, 0] == 52
    assert list(scene.sprites(0.31)) == ['behind', 'a']                 # again from the start
    for time in (-0.1, float('nan')):
        with pytest.raises(WorldError, match='0 s or later'):
            scene.sprites(time)


def test_recording_writes_what_can_be_opened(tmp_path, capsys):
    out = tmp_path / 'made'
    assert cli.main(['demos', 'record', '--source', 'Search-v0', '--n', '2', '--seed', '4',
                     '--episode-s', '0.5', '--out', str(out)]) == 0
    first, second = open_demos(out)
    assert (first.name, second.name) == ('Search-v0 4.0', 'Search-v0 4.1')
    # Nothing moves in Search: what can be seen is kept as a picture, exactly.
    source = OracleSource('Search-v0', seed=4, episode_s=0.5)
    np.testing.assert_array_equal(second.scene.panorama().image,
                                  source.episode(1).scene.panorama().image)
    source.close()
    assert cli.main(['demos', 'info', str(out)]) == 0
    assert 'Search-v0 4.1' in capsys.readouterr().out
    assert cli.main(['demos', 'record', '--source', 'Search-v0', '--seed', '4', '--out',
                     str(out)]) == 2
    assert "holds 'Search-v0 4.0' already" in capsys.readouterr().err


def test_options_are_checked(tmp_path):
    with pytest.raises(ConfigError, match=f'known: {", ".join(SOURCES)}'):
        RecordConfig(source='Dance-v0')
    for wrong in ({'n': 0}, {'seed': -1}):
        with pytest.raises(ConfigError, match='n is at least 1'):
            RecordConfig(**wrong)
    with pytest.raises(WorldError, match='there is no world'):
        record(RecordConfig(out=str(tmp_path / 'none'), world='/nowhere'))
    assert not (tmp_path / 'none').exists()
