"""Parameter files: added to, loaded by bringup, refused where they are none."""

import pytest
import yaml

from gaze_robot.bringup import BringupConfig, parameters
from gaze_robot.calibration.files import check_parameters, update_parameters
from gaze_robot.errors import ConfigError


def test_a_new_file_is_what_bringup_loads(tmp_path):
    path = str(tmp_path / 'calibration.yaml')
    mount = [0.01, 0.0, -0.02]
    update_parameters(path, {'pan_tilt': {'offset': [0.1, 0.2], 'camera_mount.rpy': mount},
                             'gaze': {'camera_mount.rpy': mount}}, 'head: today, 49 views')
    update_parameters(path, {'gaze': {'dead_time': 0.05}}, 'latency: today, 12 steps')
    values = parameters(BringupConfig(params_file=path))
    assert values['pan_tilt']['offset'] == [0.1, 0.2]
    assert values['gaze']['camera_mount.rpy'] == mount
    assert values['gaze']['dead_time'] == 0.05
    text = (tmp_path / 'calibration.yaml').read_text()
    assert '# measured head: today, 49 views' in text
    assert '# measured latency: today, 12 steps' in text
    assert '*' not in text.replace('/**/', '')             # ROS reads no aliases


def test_an_own_file_keeps_its_values_and_the_newer_note(tmp_path):
    path = tmp_path / 'robot.yaml'
    path.write_text('/robot/gaze:\n  ros__parameters:\n    deadband: 0.01\n    dead_time: 0.2\n')
    for seconds in (0.07, 0.05):
        update_parameters(str(path), {'gaze': {'dead_time': seconds}}, f'latency: {seconds}')
    document = yaml.safe_load(path.read_text())
    assert document == {'/robot/gaze': {'ros__parameters': {'deadband': 0.01, 'dead_time': 0.05}}}
    assert path.read_text().count('# measured latency') == 1


@pytest.mark.parametrize('text', ['gaze: [', 'just text', 'gaze: {deadband: 1}'])
def test_a_file_that_holds_no_parameters_is_refused_before_the_work(tmp_path, text):
    path = tmp_path / 'notes.yaml'
    path.write_text(text)
    with pytest.raises(ConfigError):
        check_parameters(str(path))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match='there is no folder'):
        check_parameters(str(tmp_path / 'none' / 'calibration.yaml'))
