"""What is stored comes back; what is cut short, altered or of another version is named."""

from dataclasses import replace
import gc
import json
import threading

import numpy as np
import pytest

from gaze_robot.errors import DemoError
from gaze_robot_sim.demos.episode import Episode
from gaze_robot_sim.demos.filming import seen
from gaze_robot_sim.demos.recording import Recording
from gaze_robot_sim.demos.store import DemoWriter, open_demos
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.fixed_camera import FixedCamera
from gaze_robot_sim.scenes.overlay import Sprite

T, RATE = 30, 29.97


def make_recording(video, name='one', first_frame=0, **changed):
    times = np.arange(T) / RATE
    values = np.stack([times, times ** 2, -times], axis=1)
    return replace(Recording(name, 'wipe the table', ('a', 'b', 'c'), values, ('a', 'b', 'c'),
                             values + 1, np.arange(T), times, RATE, video, first_frame, T,
                             notes=('made up',)), **changed)


class Room:
    """A smooth room, in which a square may wander."""

    name, duration_s = 'room', T / RATE

    def __init__(self, moves):
        x = np.linspace(0, 3, 256)
        image = np.stack([np.tile(100 + 50 * np.sin(k * x), (128, 1)) for k in (1, 2, 3)], -1)
        self._panorama, self._moves = Panorama(image.astype(np.uint8)), moves
        self._square = np.full((8, 8, 4), 255, np.uint8)

    def panorama(self, t_s=0.0):
        return self._panorama

    def sprites(self, t_s=0.0):
        angle = t_s if self._moves and t_s > 0.2 else 0.0
        return [Sprite(self._square, np.array([np.cos(angle), np.sin(angle), 0.0]), 0.5)]


def make_episode(moves):
    values = np.random.default_rng(0).normal(size=(T, 2)).astype(np.float32)
    return Episode('made', Room(moves), np.ones(5, np.float32), 'follow', ('a', 'b'), values,
                   values[:, :1], ('grip',), RATE)


@pytest.fixture(scope='module')
def video(tmp_path_factory, write_ramp):
    return write_ramp(tmp_path_factory.mktemp('video') / 'ramp.mp4', 40, RATE)


@pytest.fixture
def folder(tmp_path, video):
    """Two demonstrations in parts of one video, the second of an ordinary camera."""
    writer = DemoWriter(tmp_path / 'demos')
    writer.add_recording(make_recording(video))
    writer.add_recording(make_recording(video, 'two', 10, view=FixedCamera(1.2, 0.3, -0.1)))
    return tmp_path / 'demos'


def number(panorama):
    """Which frame of a ramp this is; encoding makes them darker by up to 0.6 frames."""
    rows = panorama.image.reshape(-1, 3)
    return round(rows[(rows != 128).any(axis=1)].mean() / 6 + 0.4)


def test_a_recording_comes_back(folder, video):
    demos = open_demos(folder)
    assert [demo.name for demo in demos] == ['one', 'two']
    one, recording = demos[0], make_recording(video)
    np.testing.assert_array_equal(one.joints, recording.joints.astype(np.float32))
    np.testing.assert_array_equal(one.actions, recording.actions.astype(np.float32))
    assert (one.joint_names, one.action_names) == (('a', 'b', 'c'), ('a', 'b', 'c'))
    assert (one.rate_hz, one.instruction, one.notes) == (RATE, 'wipe the table', ('made up',))
    view = demos[-1].scene.view
    assert (view.hfov_rad, view.pan_rad, view.tilt_rad) == pytest.approx((1.2, 0.3, -0.1))
    assert demos[0:1] == [one]
    with pytest.raises(IndexError):
        demos[2]


def test_every_step_shows_its_own_frame_in_any_order(folder):
    demos = open_demos(folder, kept_bytes=1 << 16)
    order = np.random.default_rng(1).permutation(T)
    for which, first in ((0, 0), (1, 10)):
        episode = demos[which]
        seen_at = [number(episode.scene.panorama(episode.time_of(k))) for k in order]
        assert seen_at == (first + order).tolist()
        assert episode.scene.nbytes <= max(1 << 16, episode.scene.panorama(0).nbytes)


def test_a_video_is_kept_once_and_as_it_is(folder, video):
    kept, = (folder / 'media').iterdir()
    assert kept.read_bytes() == video.read_bytes()


def test_an_open_episode_is_one_object_and_is_closed_when_nobody_holds_it(folder):
    def readers():
        return sum(str(folder) in thread.name for thread in threading.enumerate())
    demos = open_demos(folder)
    first = demos[0]
    assert demos[0] is first
    assert readers() == 1
    del first
    assert len([demo.name for demo in demos]) == 2
    gc.collect()
    assert readers() == 0


@pytest.mark.parametrize('moves,lossless,kind,worst', [
    (False, False, '.png', 0), (True, False, '.mp4', 6), (True, True, '.mkv', 0),
], ids=['still', 'moving', 'lossless'])
def test_a_scene_is_filmed_step_by_step(tmp_path, moves, lossless, kind, worst):
    episode = make_episode(moves)
    entry = DemoWriter(tmp_path / 'demos').add(episode, lossless)
    assert entry.media.endswith(kind)
    again = open_demos(tmp_path / 'demos')[0]
    np.testing.assert_array_equal(again.task, episode.task)
    np.testing.assert_array_equal(again.joints, episode.joints)
    for step in range(T):
        there = seen(episode.scene, episode.time_of(step)).astype(float)
        here = again.scene.panorama(again.time_of(step)).image
        assert np.sqrt(((here - there) ** 2).mean()) <= worst, step
    assert [path.name for path in (tmp_path / 'demos' / 'media').iterdir()] == [entry.media]


@pytest.mark.parametrize('rate', [0.07, 1000 / 7, 1000.0])
def test_films_have_any_rate(tmp_path, rate):
    scene = Room(True)
    scene.duration_s = T / rate
    scene.sprites = lambda t_s=0.0: Room.sprites(scene, 0.3 + t_s * rate / RATE)
    episode = replace(make_episode(True), scene=scene, rate_hz=rate)
    DemoWriter(tmp_path / 'demos').add(episode, lossless=True)
    again = open_demos(tmp_path / 'demos')[0]
    for step in (0, 1, T - 1):
        np.testing.assert_array_equal(again.scene.panorama(again.time_of(step)).image,
                                      seen(scene, episode.time_of(step)))


def damaged(folder):
    """Every way to damage a store: (name, what it does, what is said)."""
    episodes, media = folder / 'episodes', next((folder / 'media').iterdir())
    numbers, text = episodes / '000000.safetensors', episodes / '000000.json'

    def edit(path, change):
        path.write_bytes(change(path.read_bytes()))

    def flip(data, at):
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
    return {
        'numbers cut': (lambda: edit(numbers, lambda d: d[:-9]), f'{numbers} is altered or cut'),
        'numbers altered': (lambda: edit(numbers, lambda d: flip(d, -8)), f'{numbers} is altered'),
        'numbers missing': (numbers.unlink, f'{numbers} cannot be read'),
        'video cut': (lambda: edit(media, lambda d: d[:-100]), f'{media} of one has .*cut short'),
        'video altered': (lambda: edit(media, lambda d: flip(d, len(d) // 2)),
                          f'{media} of one is altered'),
        'video missing': (media.unlink, f'{media} of one is missing'),
        'rate altered': (lambda: edit(text, lambda d: d.replace(b'29.97', b'30.97')),
                         f'{text} was altered'),
        'JSON cut': (lambda: edit(text, lambda d: d[:-20]), 'a JSON file cannot be read'),
        'not an entry': (lambda: text.write_text('[]'), f'{text} does not describe'),
        'unknown key': (lambda: edit(text, lambda d: d.replace(b'"steps"', b'"stops"')),
                        f"{text} does not describe .*'stops'"),
        'lacking': (lambda: edit(text, lambda d: d.replace(b'"steps": 30, ', b'')),
                    f'{text} does not describe'),
        'leads out': (lambda: edit(text, lambda d: d.replace(
            media.name.encode(), b'../../../etc/x.mp4')), 'not the name of a media file'),
        'mark altered': (lambda: (folder / 'demos.json').write_text('{"format": "x"}'),
                         'not that of demonstrations'),
        'other version': (lambda: edit(folder / 'demos.json', lambda d: d.replace(b'1}', b'2}')),
                          'version 2 of its format, this code reads 1'),
    }


DAMAGES = ('numbers cut', 'numbers altered', 'numbers missing', 'video cut', 'video altered',
           'video missing', 'rate altered', 'JSON cut', 'not an entry', 'unknown key', 'lacking',
           'leads out', 'mark altered', 'other version')


@pytest.mark.parametrize('damage', DAMAGES)
def test_what_is_damaged_is_named(folder, damage):
    assert set(damaged(folder)) == set(DAMAGES)
    assert open_demos(folder).verify() > 0
    act, complaint = damaged(folder)[damage]
    act()
    with pytest.raises(DemoError, match=complaint):
        open_demos(folder)[0]
    with pytest.raises(DemoError, match=complaint):
        open_demos(folder).verify()


def test_an_episode_whose_writing_was_interrupted_does_not_count(folder, video):
    (folder / 'episodes' / '000001.json').unlink()
    assert [demo.name for demo in open_demos(folder)] == ['one']
    DemoWriter(folder).add_recording(make_recording(video, 'again', 5))
    demos = open_demos(folder)
    assert [demo.name for demo in demos] == ['one', 'again']
    assert demos.verify()


def test_names_are_taken_once_and_found_again(folder, video):
    with pytest.raises(DemoError, match="holds 'one' already"):
        DemoWriter(folder).add_recording(make_recording(video))
    demos = open_demos(folder)
    assert (demos.number('two'), demos.number('0')) == (1, 0)
    for name in ('7', 'three'):
        with pytest.raises(DemoError, match=f"has no demonstration '{name}'; there are 2"):
            demos.number(name)


def test_folders_of_something_else_are_left_alone(tmp_path, video):
    (tmp_path / 'photo.jpg').write_text('mine')
    with pytest.raises(DemoError, match='holds no demonstrations; name an empty'):
        DemoWriter(tmp_path)
    with pytest.raises(DemoError, match='holds no demonstrations: it has no demos.json'):
        open_demos(tmp_path)
    with pytest.raises(DemoError, match='name an empty'):
        DemoWriter(tmp_path / 'photo.jpg')
    with pytest.raises(DemoError, match='cannot be written'):
        DemoWriter(tmp_path / 'photo.jpg' / 'inside')
    DemoWriter(tmp_path / 'new')
    with pytest.raises(DemoError, match='holds no demonstration yet'):
        open_demos(tmp_path / 'new')


def test_what_was_not_checked_is_not_added(tmp_path, video):
    writer = DemoWriter(tmp_path / 'demos')
    with pytest.raises(DemoError, match='was not checked'):
        writer.add_recording(make_recording(video, frames=None))
    broken = make_recording(video)
    broken.joints[3, 1] = np.nan
    with pytest.raises(DemoError, match='joints at step 3'):
        writer.add_recording(broken)
    assert not list((tmp_path / 'demos' / 'episodes').iterdir())


def test_a_description_is_plain_json(folder):
    written = json.loads((folder / 'episodes' / '000001.json').read_text())
    assert written['entry']['name'] == 'two'
    assert written['entry']['camera_deg'][0] == pytest.approx(np.degrees(1.2))
