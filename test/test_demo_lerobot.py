"""LeRobot's data sets, written here as it writes them, are read; broken ones are named."""

import json
import math
import shutil

import numpy as np
import pytest

from gaze_robot.errors import DemoError
from gaze_robot_sim.demos.commands import convert, ConvertConfig
from gaze_robot_sim.demos.lerobot import read_lerobot
from gaze_robot_sim.demos.store import open_demos
from gaze_robot_sim.scenes.fixed_camera import FixedCamera

pa = pytest.importorskip('pyarrow')
pq = pytest.importorskip('pyarrow.parquet')

FPS, LENGTHS, CAMERA = 30, (12, 15), 'observation.images.top'
NAMES = ['shoulder', 'elbow']


def info(version):
    """As meta/info.json has it."""
    paths = {'v2.1': ('data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet',
                      'videos/chunk-{episode_chunk:03d}/{video_key}/'
                      'episode_{episode_index:06d}.mp4'),
             'v3.0': ('data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet',
                      'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4')}
    data, video = paths[version]
    number = {'dtype': 'float32', 'shape': [2], 'names': [NAMES] if version == 'v2.1' else
              {'motors': NAMES}}
    return {'codebase_version': version, 'fps': FPS, 'total_episodes': 2, 'chunks_size': 1000,
            'data_path': data, 'video_path': video, 'features': {
                'observation.state': number, 'action': number,
                CAMERA: {'dtype': 'video', 'shape': [64, 80, 3]}}}


def table(episode):
    """The rows of an episode; joints count up from 100 times its number."""
    frames = np.arange(LENGTHS[episode])
    state = np.stack([100.0 * episode + frames, -frames], axis=1).astype(np.float32)
    return pa.table({
        'observation.state': pa.array(state.tolist(), pa.list_(pa.float32(), 2)),
        'action': pa.array((state + 1).tolist(), pa.list_(pa.float32(), 2)),
        'timestamp': pa.array((frames / FPS).astype(np.float32)),
        'frame_index': pa.array(frames), 'episode_index': pa.array(np.full_like(frames, episode)),
        'task_index': pa.array(np.full_like(frames, episode))})


def write(root, version):
    (root / 'meta').mkdir(parents=True)
    (root / 'meta' / 'info.json').write_text(json.dumps(info(version)))


@pytest.fixture
def v21(tmp_path, write_ramp):
    root = tmp_path / 'v21'
    write(root, 'v2.1')
    (root / 'data' / 'chunk-000').mkdir(parents=True)
    for episode, length in enumerate(LENGTHS):
        pq.write_table(table(episode), root / f'data/chunk-000/episode_{episode:06d}.parquet')
        write_ramp(root / f'videos/chunk-000/{CAMERA}/episode_{episode:06d}.mp4', length, FPS,
                   (80, 64))
    (root / 'meta' / 'tasks.jsonl').write_text(
        '{"task_index": 0, "task": "pick"}\n{"task_index": 1, "task": "place it"}\n')
    (root / 'meta' / 'episodes.jsonl').write_text(''.join(
        json.dumps({'episode_index': k, 'tasks': [('pick', 'place it')[k]], 'length': n}) + '\n'
        for k, n in enumerate(LENGTHS)))
    return root


@pytest.fixture
def v30(tmp_path, write_ramp):
    root = tmp_path / 'v30'
    write(root, 'v3.0')
    for folder in ('data/chunk-000', 'meta/episodes/chunk-000'):
        (root / folder).mkdir(parents=True)
    pq.write_table(pa.concat_tables([table(0), table(1)]),
                   root / 'data/chunk-000/file-000.parquet')
    write_ramp(root / f'videos/{CAMERA}/chunk-000/file-000.mp4', sum(LENGTHS), FPS, (80, 64))
    pq.write_table(pa.table({'task_index': [0, 1], '__index_level_0__': ['pick', 'place it']}),
                   root / 'meta' / 'tasks.parquet')
    first = np.array([0, LENGTHS[0]])
    pq.write_table(pa.table({
        'episode_index': [0, 1], 'tasks': [['pick'], ['place it']], 'length': list(LENGTHS),
        'data/chunk_index': [0, 0], 'data/file_index': [0, 0],
        f'videos/{CAMERA}/chunk_index': [0, 0], f'videos/{CAMERA}/file_index': [0, 0],
        f'videos/{CAMERA}/from_timestamp': first / FPS,
        f'videos/{CAMERA}/to_timestamp': (first + LENGTHS) / FPS, 'stats/action/max': [1.0, 2.0],
    }), root / 'meta/episodes/chunk-000/file-000.parquet')
    return root


@pytest.fixture(params=['v21', 'v30'])
def data_set(request):
    return request.getfixturevalue(request.param)


def number(scene, t_s):
    """Which frame of a ramp is in the middle of the view; encoding darkens."""
    image = scene.panorama(t_s).image
    return round(image[image.shape[0] // 2, image.shape[1] // 2].mean() / 6 + 0.4)


def test_both_versions_are_read_alike(data_set, tmp_path):
    result = convert(ConvertConfig(str(data_set), str(tmp_path / 'out'), hfov_deg=80.0))
    assert result['converted'] == 2
    assert result['steps'] == sum(LENGTHS)
    assert result['refused'] == result['repaired'] == {}
    demos = open_demos(tmp_path / 'out')
    for k, (demo, first) in enumerate(zip(demos, (0, 0 if data_set.name == 'v21' else 12))):
        assert demo.instruction == ('pick', 'place it')[k]
        assert demo.joint_names == demo.action_names == tuple(NAMES)
        assert demo.rate_hz == pytest.approx(FPS)
        np.testing.assert_array_equal(demo.joints[:, 0], 100 * k + np.arange(LENGTHS[k]))
        np.testing.assert_array_equal(demo.actions, demo.joints + 1)
        assert demo.scene.view == FixedCamera(math.radians(80))
        shown = [number(demo.scene, demo.time_of(step)) for step in range(demo.steps)]
        assert shown == list(range(first, first + LENGTHS[k]))


def test_words_and_names_that_a_data_set_lacks(v21):
    for name in ('tasks.jsonl', 'episodes.jsonl'):
        (v21 / 'meta' / name).unlink()
    path = v21 / 'meta' / 'info.json'
    path.write_text(path.read_text().replace('[["shoulder", "elbow"]]', 'null'))
    plain, other = read_lerobot(v21)
    assert (plain.instruction, other.instruction) == ('task 0', 'task 1')
    assert plain.joint_names == ('state_0', 'state_1')
    assert 'does not say in words' in plain.notes[1]
    assert next(read_lerobot(v21, instruction='do it')).instruction == 'do it'


def edit_rows(root, change):
    path = root / ('data/chunk-000/episode_000000.parquet' if root.name == 'v21'
                   else 'data/chunk-000/file-000.parquet')
    pq.write_table(change(pq.read_table(path)), path)


def set_state(rows, row, value):
    state = rows['observation.state'].to_pylist()
    state[row] = value
    at = rows.column_names.index('observation.state')
    return rows.set_column(at, 'observation.state', pa.array(state, pa.list_(pa.float32())))


BROKEN = {
    'NaN joint': (lambda rows: set_state(rows, 4, [math.nan, 0.0]),
                  "joints 'shoulder' is not a finite number at row 4"),
    'null joint': (lambda rows: set_state(rows, 4, [None, 0.0]), 'not a finite number at row 4'),
    'no number': (lambda rows: rows.set_column(
        rows.column_names.index('frame_index'), 'frame_index',
        pa.array([None, *range(1, len(rows))], pa.int64())), 'a frame_index of'),
    'ragged row': (lambda rows: set_state(rows, 4, [1.0]), 'of one length in each row'),
}


@pytest.mark.parametrize('fault', BROKEN)
def test_one_broken_episode_is_refused_and_the_other_taken(data_set, tmp_path, fault):
    change, reason = BROKEN[fault]
    edit_rows(data_set, change)
    result = convert(ConvertConfig(str(data_set), str(tmp_path / 'out')))
    assert result['converted'] == 1
    assert list(result['refused']) == [f'{data_set.name} 0']
    assert reason in result['refused'][f'{data_set.name} 0']
    assert [demo.name for demo in open_demos(tmp_path / 'out')] == [f'{data_set.name} 1']


def test_repairs_are_made_on_request_and_told(data_set, tmp_path):
    edit_rows(data_set, lambda rows: set_state(rows, 4, [math.nan, 0.0]))
    result = convert(ConvertConfig(str(data_set), str(tmp_path / 'out'), repair=True))
    assert (result['converted'], result['refused']) == (2, {})
    assert list(result['repaired']) == [f'{data_set.name} 0']
    demo = open_demos(tmp_path / 'out')[0]
    assert demo.joints[4].tolist() == [4.0, 0.0]
    assert any('bridged by straight lines' in note for note in demo.notes)


def test_a_missing_frame_is_seen_by_its_number(v21, tmp_path):
    (v21 / 'meta' / 'episodes.jsonl').unlink()
    edit_rows(v21, lambda rows: pa.concat_tables([rows.slice(0, 5), rows.slice(6)]))
    result = convert(ConvertConfig(str(v21), str(tmp_path / 'out')))
    assert 'frame 5 is missing' in result['refused']['v21 0']
    result = convert(ConvertConfig(str(v21), str(tmp_path / 'mended'), repair=True))
    assert '1 missing frames' in result['repaired']['v21 0']
    np.testing.assert_allclose(open_demos(tmp_path / 'mended')[0].joints[:, 0], np.arange(12))


def test_rows_that_the_meta_data_counts_otherwise(data_set, tmp_path):
    edit_rows(data_set, lambda rows: rows.slice(1))
    result = convert(ConvertConfig(str(data_set), str(tmp_path / 'out'), repair=True))
    assert 'has 11 rows of it, its meta data says 12' in result['refused'][f'{data_set.name} 0']


def test_videos_that_are_missing_cut_short_or_of_another_rate(v21, tmp_path, write_ramp):
    folder = v21 / 'videos' / 'chunk-000' / CAMERA
    write_ramp(folder / 'episode_000000.mp4', LENGTHS[0], 15.0, (80, 64))
    video = folder / 'episode_000001.mp4'
    video.write_bytes(video.read_bytes()[:-300])
    with pytest.raises(DemoError, match=r'\(and 1 more\): v21 0: rates do not match: stated 30 '
                       'rows per second, by the time stamps 30, pictures 15'):
        convert(ConvertConfig(str(v21), str(tmp_path / 'none')))
    video.unlink()
    result = convert(ConvertConfig(str(v21), str(tmp_path / 'out'), repair=True))
    assert 'is missing; copy it again' in result['refused']['v21 1']
    assert open_demos(tmp_path / 'out')[0].rate_hz == pytest.approx(15.0)


def change_info(root, change):
    path = root / 'meta' / 'info.json'
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


@pytest.mark.parametrize('change,complaint', [
    (lambda i: i.update(codebase_version='v1.6'), 'of LeRobot v1.6; versions 2.0, 2.1 and 3.x'),
    (lambda i: i.update(fps=0), 'not the info of a LeRobot data set'),
    (lambda i: i['features'].pop('action'), "has no 'action'; it has observation.state"),
    (lambda i: i['features'].pop(CAMERA), 'data sets of pictures are not read'),
    (lambda i: i['features'].update(wrist={'dtype': 'video'}), 'name one with --camera'),
    (lambda i: i.update(video_path='../{video_key}.mp4'), 'no files outside of it'),
    (lambda i: i.update(data_path='/etc/{nothing}.parquet'), 'does not say where'),
], ids=['version', 'fps', 'action', 'no camera', 'cameras', 'outside', 'template'])
def test_data_sets_that_cannot_be_read(v21, tmp_path, change, complaint):
    change_info(v21, change)
    with pytest.raises(DemoError, match=complaint):
        convert(ConvertConfig(str(v21), str(tmp_path / 'out')))


def test_a_camera_is_chosen_by_its_name(v21):
    change_info(v21, lambda i: i['features'].update(wrist={'dtype': 'video'}))
    for name in ('top', CAMERA):
        assert next(read_lerobot(v21, name)).frames is None
    with pytest.raises(DemoError, match="'side' is none of them"):
        next(read_lerobot(v21, 'side'))


def test_damaged_files_are_named(data_set, tmp_path):
    path = next((data_set / 'data' / 'chunk-000').iterdir())
    path.write_bytes(path.read_bytes()[:-50])
    found = list(read_lerobot(data_set))
    assert any(isinstance(one, DemoError) and str(path) in str(one) and 'copy it again' in str(one)
               for one in found)


def test_a_version_3_data_set_without_episodes_says_so(v30, tmp_path):
    shutil.rmtree(v30 / 'meta' / 'episodes')
    with pytest.raises(DemoError, match='holds no parquet'):
        convert(ConvertConfig(str(v30), str(tmp_path / 'out')))


@pytest.fixture
def real(data_dir):
    folder = data_dir / 'teleop'
    if not (folder / 'g1_info.json').is_file():
        pytest.skip(f'no teleoperated episode in {folder}')
    return folder


def test_a_real_episode_is_read_from_loose_files_and_from_its_own_layout(real, tmp_path):
    root, name = tmp_path / 'g1', 'episode_000029'
    for source, target in (
            ('g1_info.json', 'meta/info.json'),
            (f'g1_{name}.parquet', f'data/chunk-000/{name}.parquet'),
            (f'g1_{name}_cam_high.mp4',
             f'videos/chunk-000/observation.images.cam_high/{name}.mp4')):
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(real / source, root / target)
    (root / 'meta' / 'episodes.jsonl').write_text(
        '{"episode_index": 29, "tasks": ["move it"], "length": 221}\n')
    demos = []
    for number_of, source in enumerate((real, root)):
        out = tmp_path / f'out{number_of}'
        result = convert(ConvertConfig(str(source), str(out)))
        assert (result['converted'], result['steps']) == (1, 221)
        assert result['repaired'] == {}
        demos.append(open_demos(out)[0])
    loose, whole = demos
    np.testing.assert_array_equal(loose.joints, whole.joints)
    assert (loose.instruction, whole.instruction) == ('task 0', 'move it')
    assert loose.joints.shape == loose.actions.shape == (221, 26)
    assert loose.joint_names[0] == 'kLeftShoulderPitch'
    assert loose.rate_hz == pytest.approx(30.0)
    relative, own = loose.chunk(200, 30)
    assert own.sum() == 21
    # A teleoperated arm lags behind its commands by some degrees, not by radians.
    assert 0.001 < np.abs(relative).mean() < 0.5
    pictures = [whole.scene.panorama(t).image for t in (0.0, 3.0, 7.3)]
    assert all(np.abs(a.astype(int) - b).mean() > 0.1 for a, b in zip(pictures, pictures[1:]))
