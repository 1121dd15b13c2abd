"""EyeRobot's demonstrations, written here as its scripts write them."""

import numpy as np
import pytest

from gaze_robot.errors import DemoError
from gaze_robot_sim.demos.commands import convert, ConvertConfig
from gaze_robot_sim.demos.eyerobot import find_sequences, read_eyerobot, UR5
from gaze_robot_sim.demos.store import open_demos

h5py = pytest.importorskip('h5py')

T, RATE = 24, 29.97


def write_h5(path, rows=T, rate=RATE, start_s=1700000000.0, **changed):
    """Joints rise by 0.1 a row, the gripper closes from 0 to 255."""
    data = {'joint_data': 0.1 * np.arange(rows)[:, None] + np.arange(6),
            'timestamps': start_s + np.arange(rows) / rate,
            'gripper_data': np.zeros(rows),
            'interpolated_gripper_data': np.linspace(0, 255, rows), **changed}
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, 'w') as file:
        for name, values in data.items():
            if values is not None:
                file.create_dataset(name, data=values)
    return path


@pytest.fixture
def root(tmp_path, write_ramp):
    """Two tasks, one demonstration each; and the raw files that lie beside them."""
    root = tmp_path / 'demos'
    for task, stem in (('wipe_table', '0101_joint_data'), ('towel', '0102_joint_data')):
        folder = root / task / 'monday' / 'processed' / stem
        write_h5(folder / f'downsampled_{stem}.h5')
        write_ramp(folder / 'downsampled.mp4', T, RATE)
        write_ramp(folder / 'trimmed.mp4', T, RATE, (256, 128))
        write_h5(root / task / 'monday' / 'sequences' / f'{stem}.h5', 500, 500.0)
    return root


def test_demonstrations_are_found_and_read(root, tmp_path):
    assert [folder.parents[2].name for folder in find_sequences(root)] == ['towel', 'wipe_table']
    result = convert(ConvertConfig(str(root), str(tmp_path / 'out')))
    assert (result['converted'], result['steps'], result['repaired']) == (2, 2 * T, {})
    towel, wipe = open_demos(tmp_path / 'out')
    assert (towel.instruction, wipe.instruction) == ('towel', 'wipe table')
    assert towel.name == 'towel/monday/processed/0102_joint_data'
    assert towel.joint_names == towel.action_names == (*UR5, 'gripper')
    np.testing.assert_allclose(towel.joints[7, :6], 0.7 + np.arange(6), rtol=1e-6)
    assert towel.joints[[0, -1], 6].tolist() == [0.0, 1.0]
    # The hand goes where the joints went: a chunk starts with staying where it is.
    relative, _ = towel.chunk(3, 5)
    np.testing.assert_allclose(relative[:, 0], 0.1 * np.arange(5), atol=1e-6)
    assert towel.rate_hz == pytest.approx(RATE, rel=1e-4)
    for step in (0, 11, T - 1):
        image = towel.scene.panorama(towel.time_of(step)).image
        assert image.shape == (64, 128, 3)
        assert round(image.mean() / 6 + 0.4) == step


def test_the_full_resolution_and_the_raw_gripper_serve_where_there_is_nothing_else(root):
    folder = find_sequences(root)[0]
    (folder / 'downsampled.mp4').unlink()
    write_h5(next(folder.glob('*.h5')), interpolated_gripper_data=None,
             gripper_data=np.full(T, 51.0), joint_data=np.zeros((T, 7)))
    recording = next(read_eyerobot(root))
    assert recording.video == folder / 'trimmed.mp4'
    assert recording.joint_names == (*(f'joint_{k}' for k in range(7)), 'gripper')
    assert set(recording.joints[:, 7]) == {0.2}
    write_h5(next(folder.glob('*.h5')), interpolated_gripper_data=None, gripper_data=None)
    assert next(read_eyerobot(root, 'fold it')).joint_names == UR5
    assert next(read_eyerobot(root, 'fold it')).instruction == 'fold it'


@pytest.mark.parametrize('change,reason', [
    ({'joint_data': None}, "has no 'joint_data'; it has timestamps"),
    ({'timestamps': np.arange(T - 1.0)}, r"'timestamps' of .* has shape \(23,\)"),
    ({'joint_data': np.zeros(T)}, r'has shape \(24,\)'),
    ({'joint_data': np.full((T, 6), np.nan)}, "'shoulder_pan' is not a finite number at row 0"),
    ({'timestamps': np.arange(T) / 200}, 'rates do not match: stated 200'),
    ({'timestamps': np.zeros(T)}, 'time stamps do not grow'),
], ids=['no joints', 'short', 'flat', 'NaN', 'rate', 'still'])
def test_broken_files_are_refused_one_by_one(root, tmp_path, change, reason):
    folder = find_sequences(root)[0]
    write_h5(next(folder.glob('*.h5')), **change)
    result = convert(ConvertConfig(str(root), str(tmp_path / 'out')))
    assert result['converted'] == 1
    (name, said), = result['refused'].items()
    assert name == 'towel/monday/processed/0102_joint_data'
    with pytest.raises(DemoError, match=reason):
        raise DemoError(said)


def test_raw_rows_are_refused_and_resampled_on_request(root, tmp_path):
    folder = find_sequences(root)[0]
    write_h5(next(folder.glob('*.h5')), 400, 500.0)
    result = convert(ConvertConfig(str(root), str(tmp_path / 'out')))
    assert 'by the time stamps 500, pictures 29.97' in next(iter(result['refused'].values()))
    result = convert(ConvertConfig(str(root), str(tmp_path / 'mended'), repair=True))
    assert 'resampled from 500 to 29.97' in next(iter(result['repaired'].values()))
    demo = open_demos(tmp_path / 'mended')[0]
    # 0.1 per row of 1 / 500 s; base joint.
    np.testing.assert_allclose(demo.joints[:23, 0], 50 * np.arange(23) / RATE, rtol=1e-3)
    assert demo.steps == T


def test_what_is_missing_is_said(root, tmp_path):
    folder = find_sequences(root)[0]
    (folder / 'downsampled.mp4').unlink()
    (folder / 'trimmed.mp4').unlink()
    (find_sequences(root)[1] / 'downsampled_0101_joint_data.h5').write_bytes(b'no HDF5')
    first, second = read_eyerobot(root)
    assert 'one h5 file and downsampled.mp4 or trimmed.mp4, found 1 and 0' in str(first)
    assert 'cannot be read as HDF5' in str(second)
    with pytest.raises(DemoError, match='neither a LeRobot data set'):
        convert(ConvertConfig(str(tmp_path / 'demos' / 'towel' / 'monday' / 'sequences'),
                              str(tmp_path / 'none')))
    with pytest.raises(DemoError, match='there is no folder'):
        convert(ConvertConfig(str(tmp_path / 'nowhere'), str(tmp_path / 'none')))
    assert not (tmp_path / 'none').exists()
