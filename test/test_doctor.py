import fcntl
import hashlib
import json
from pathlib import Path
import shutil
import sys
import types

import pytest

from gaze_robot import doctor
from gaze_robot.doctor import BAD, LESS, OK, Row


def pretend(monkeypatch: pytest.MonkeyPatch, name: str, **attributes: object) -> None:
    """Put a module of this name and these attributes where imports find it."""
    module = types.ModuleType(name)
    module.__dict__.update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


def lose(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make importing `name` fail as it does where it is not installed."""
    def missing(module: str) -> types.ModuleType:
        if module.split('.')[0] == name:
            raise doctor.MissingDependencyError(f'{name} is needed', name=name)
        return real(module)
    real = doctor.require
    monkeypatch.setattr(doctor, 'require', missing)


def test_every_subject_is_one_line_and_what_is_wrong_names_its_fix() -> None:
    rows = [one() for one in doctor.CHECKS]
    assert len({row.name for row in rows}) == len(rows) >= 14
    for row in rows:
        assert row.state in (OK, LESS, BAD)
        assert '\n' not in doctor.line(row)
        assert bool(row.fix) == (row.state != OK), row


def test_fit_means_that_nothing_is_bad() -> None:
    good, less = Row('a', OK, '1'), Row('b', LESS, 'missing', 'install b')
    assert doctor.fit([good, less])
    assert not doctor.fit([good, less, Row('c', BAD, 'missing', 'install c')])


def test_marks_tell_the_states_apart() -> None:
    lines = [doctor.line(Row('x', state, 'y', 'z')) for state in (OK, LESS, BAD)]
    assert [line[:2] for line in lines] == ['ok', '--', '!!']
    assert lines[2].endswith('fix: z')


def test_opencv_5_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 'cv2', __version__='5.0.0')
    row = doctor.check_opencv()
    assert row.state == BAD
    assert '<5' in row.fix


@pytest.mark.parametrize('version, state', [
    ((3, 9, 18), BAD), ((3, 10, 1), OK), ((3, 12, 9), OK), ((3, 13, 0), BAD)])
def test_python_versions(version: tuple[int, ...], state: str,
                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'version_info', version)
    assert doctor.check_python().state == state


def test_missing_torch_is_bad_and_missing_gymnasium_is_not(
        monkeypatch: pytest.MonkeyPatch) -> None:
    lose(monkeypatch, 'torch')
    monkeypatch.setattr(doctor, 'available', lambda name: name != 'gymnasium')
    assert doctor.check_torch().state == BAD
    training = doctor.check_training()
    assert training.state == LESS
    assert 'gymnasium' in training.found


def test_a_library_that_cannot_be_loaded_is_a_row_not_a_crash(
        monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(module: str) -> types.ModuleType:
        raise ImportError('librcl.so: cannot open shared object file')
    monkeypatch.setattr(doctor, 'require', broken)
    monkeypatch.delenv('ROS_DISTRO', raising=False)
    row = doctor.check_rclpy()
    assert row.state == BAD
    assert 'librcl.so' in row.found


def test_ros_from_two_places_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    monkeypatch.setattr(doctor, '_version', lambda name: '7.1.6')
    row = doctor.check_rclpy()
    assert row.state == LESS
    assert 'twice' in row.found


def test_the_cv_bridge_of_pypi_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, '_version', lambda name: '1.13.0.post0')
    assert doctor.check_cv_bridge().state == BAD


def test_profile_must_be_a_file_that_exists(monkeypatch: pytest.MonkeyPatch,
                                            tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, '_rmw', lambda: 'rmw_fastrtps_cpp')
    for name in doctor.PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    unset = doctor.check_profile()
    assert unset.state == LESS
    assert unset.fix.startswith('export FASTRTPS_DEFAULT_PROFILES_FILE=')
    profile = tmp_path / 'profile.xml'
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', str(profile))
    assert 'is not a file' in doctor.check_profile().found
    profile.touch()
    assert doctor.check_profile() == Row('Fast DDS profile', OK, str(profile))


def test_other_middlewares_need_no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, '_rmw', lambda: 'rmw_cyclonedds_cpp')
    assert doctor.check_profile().state == OK


@pytest.mark.parametrize('free_mib, state', [(64, LESS), (255, LESS), (256, OK), (4096, OK)])
def test_shared_memory_of_a_container_is_too_small(
        free_mib: int, state: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, 'disk_usage',
                        lambda path: types.SimpleNamespace(free=free_mib * 2 ** 20))
    assert doctor.check_shared_memory(tmp_path).state == state


def test_what_killed_processes_left_in_shared_memory_is_told(tmp_path: Path) -> None:
    for name in ('alive', 'dead'):
        with (tmp_path / f'fastrtps_{name}').open('wb') as segment:
            segment.truncate(300 << 20)         # takes no room on the disk
        (tmp_path / f'fastrtps_{name}_el').touch()
    (tmp_path / 'fastrtps_gone_el').touch()
    with (tmp_path / 'fastrtps_alive_el').open('rb') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        row = doctor.check_shared_memory(tmp_path)
    assert row.state == LESS
    assert row.found.startswith('300 MiB')


def test_weights_with_one_byte_changed_are_noticed(tmp_path: Path) -> None:
    weights = b'these stand for weights'
    (tmp_path / 'weights.safetensors').write_bytes(weights)
    (tmp_path / 'meta.json').write_text(json.dumps(
        {'weights_sha256': hashlib.sha256(weights).hexdigest(), 'seed': 3}))
    assert doctor.check_weights(tmp_path) == Row('weights', OK, 'shipped, hash good, seed 3')
    (tmp_path / 'weights.safetensors').write_bytes(weights.replace(b't', b'T', 1))
    assert 'altered' in doctor.check_weights(tmp_path).found
    (tmp_path / 'meta.json').write_text('{')
    assert doctor.check_weights(tmp_path).state == BAD
    assert doctor.check_weights(tmp_path / 'nowhere').state == BAD


def test_self_test_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    lose(monkeypatch, 'gaze_robot')
    row = doctor.self_test(seed=0)
    assert row.state == BAD
    assert 'missing' in row.found


def test_the_shipped_weights_look_at_a_picture() -> None:
    row = doctor.self_test(seed=1)
    assert row.state == OK, row.found


@pytest.mark.parametrize('found, state, said', [
    ((), LESS, 'onnxruntime or openvino, faster on a CPU'),
    (('onnxruntime',), LESS, '; missing: onnx'),
    (('onnx', 'openvino'), OK, ', openvino')], ids=str)
def test_runtimes_beside_torch(monkeypatch: pytest.MonkeyPatch, found: tuple[str, ...],
                               state: str, said: str) -> None:
    monkeypatch.setattr(doctor, 'available', lambda name: name in found)
    row = doctor.check_runtimes()
    assert row.state == state
    assert said in row.found
    assert ('[runtimes]' in row.fix) == (state == LESS)
