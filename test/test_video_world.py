"""360-degree videos: the frame of a time for any number of eyes, in bounded memory."""

import gc
import multiprocessing
import os
from pathlib import Path
import pickle
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from gaze_robot.errors import WorldError
from gaze_robot_sim.scenes import open_world
from gaze_robot_sim.scenes.frames import FrameReader
from gaze_robot_sim.scenes.prefetch import Prefetch
from gaze_robot_sim.scenes.video360 import VideoWorld

FRAMES, RATE = 60, 25.0


def write_video(path: Path, frames: int = FRAMES, size: tuple[int, int] = (128, 64)) -> Path:
    """The k-th frame has brightness 4 k."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), RATE, size)
    assert writer.isOpened()
    for k in range(frames):
        writer.write(np.full((size[1], size[0], 3), 4 * k, np.uint8))
    writer.release()
    return path


@pytest.fixture(scope='module')
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp('video') / 'ramp.avi')


@pytest.fixture
def scene(video):
    world = open_world(str(video))
    yield world.scene(0)
    world.close()


def number(panorama) -> int:
    """Which frame of a ramp this is."""
    return round(panorama.image.mean() / 4)


def video_threads() -> int:
    return sum(thread.name.startswith('video') for thread in threading.enumerate())


def test_a_video_shows_the_frame_of_the_time(scene):
    assert (scene.frames, scene.duration_s) == (FRAMES, pytest.approx(FRAMES / RATE))
    # On, back, far ahead, past the skipping range, and k / rate in floating point.
    for k in (0, 1, 2, 7, 6, 59, 0, 57, 3, 3, 29, 30):   # 29 / 25 * 25 is less than 29
        assert number(scene.panorama(k / RATE)) == k
    assert number(scene.panorama(0.19)) == 4


def test_a_video_starts_again_at_its_end(scene):
    assert number(scene.panorama((FRAMES + 5) / RATE)) == 5
    assert number(scene.panorama((1000 * FRAMES - 1) / RATE)) == FRAMES - 1


@pytest.mark.parametrize('frames', [1, 2, 5])
def test_the_shortest_videos_play(tmp_path, frames):
    world = open_world(str(write_video(tmp_path / 'short.avi', frames)))
    seen = [number(world.scene(0).panorama(k / RATE)) for k in range(3 * frames)]
    assert seen == [k % frames for k in range(3 * frames)]
    world.close()


def test_a_frame_is_kept_as_long_as_it_is_shown(scene):
    assert scene.panorama(1.0) is scene.panorama(1.039)


def test_one_video_is_one_scene(video):
    world = open_world(str(video))
    assert (world.count, world.scene(7)) == (1, world.scene(0))
    assert tuple(world.scene(0).sprites(1.0)) == ()
    world.close()


@pytest.mark.parametrize('kept', [1, 10 << 20], ids=['little memory', 'memory'])
def test_eyes_at_different_times_see_the_frames_of_their_times(video, kept):
    """Eight threads at random times; the brightness of each frame tells its number."""
    world, wrong = VideoWorld(video, kept), []

    def look(seed):
        rng = np.random.default_rng(seed)
        scene, start = world.scene(0), rng.integers(FRAMES)
        for step in range(40):
            k = rng.integers(FRAMES) if seed % 2 else (start + step) % FRAMES
            if (seen := number(scene.panorama(k / RATE))) != k:
                wrong.append((k, seen))
    eyes = [threading.Thread(target=look, args=(seed,)) for seed in range(8)]
    for eye in eyes:
        eye.start()
    for eye in eyes:
        eye.join(60)
    assert wrong == []
    assert not any(eye.is_alive() for eye in eyes)
    world.close()


def test_memory_for_frames_is_bounded(video):
    world = VideoWorld(video, kept_bytes=5 * 6 * 128 * 64 * 3)
    scene = world.scene(0)
    held = []
    for k in range(FRAMES):
        scene.panorama(k / RATE)
        held.append(scene.nbytes)
    assert max(held) <= 5 * 6 * 128 * 64 * 3
    world.close()


class Reader:
    """A file in memory that notes what is read, and fails where it is broken."""

    frames = 100

    def __init__(self, broken=()):
        self.broken, self.log, self.last = broken, [], -1

    def reaches(self, index):
        return 0 <= index - self.last - 1 <= 45

    def read(self, index):
        self.last = index
        self.log.append(index)
        if index in self.broken:
            raise WorldError(f'frame {index} is broken')
        return np.full((1, 2, 3), index, np.uint8)

    def close(self):
        pass


@pytest.fixture
def prefetch():
    made = []

    def make(reader, **options):
        made.append(Prefetch(reader, 'memory', **options))
        return made[-1]
    yield make
    for each in made:
        each.close()


def wait_for(condition, seconds=10.0):
    waiting = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if condition():
            return True
        waiting.wait(0.005)
    return False


def test_the_next_frames_are_read_beforehand_in_the_stride_of_the_eye(prefetch):
    reader = Reader()
    frames = prefetch(reader, ahead=3)
    assert wait_for(lambda: reader.log == [1, 2, 3])
    for index in (3, 6):
        frames.show(index)
        assert frames.read(index)[0, 0, 0] == index
    assert wait_for(lambda: len(frames._ready) == 3)
    assert sorted(frames._ready) == [9, 12, 15]
    before = len(reader.log)
    frames.show(9)
    assert frames.read(9)[0, 0, 0] == 9
    assert wait_for(lambda: len(reader.log) == before + 1)
    assert reader.log[-1] == 18                          # 9 was there: only the fourth is new


def test_after_the_end_the_beginning_is_read_beforehand(prefetch):
    reader = Reader()
    frames = prefetch(reader, ahead=3)
    frames.show(98)
    frames.read(98)
    frames.show(99)
    frames.read(99)
    assert wait_for(lambda: sorted(frames._ready) == [0, 1, 2])


def test_what_is_kept_already_is_not_read_beforehand(prefetch):
    reader = Reader()
    prefetch(reader, ahead=3, known={1, 3}.__contains__)
    assert wait_for(lambda: reader.log == [2])


def test_nothing_is_sought_only_because_it_may_be_asked_for(prefetch):
    reader = Reader()
    frames = prefetch(reader, ahead=2, known={10}.__contains__)
    frames.show(60)
    frames.read(60)
    assert wait_for(lambda: reader.log[-2:] == [61, 62])
    before = len(reader.log)
    frames.show(10)                                      # 10 is kept, 11 and 12 are far back
    assert not wait_for(lambda: len(reader.log) > before, 0.1)
    assert frames.read(11)[0, 0, 0] == 11                # until one is asked for
    frames.show(11)
    assert wait_for(lambda: reader.log[before:] == [11, 12, 13])


def test_an_error_of_the_thread_comes_to_whoever_asks_and_to_nobody_else(prefetch):
    reader = Reader(broken={2, 50})
    frames = prefetch(reader, ahead=4)
    assert wait_for(lambda: len(frames._ready) == 4)
    assert frames.read(1)[0, 0, 0] == 1
    for index in (2, 50):                                # one read beforehand, one on demand
        frames.show(index)
        with pytest.raises(WorldError, match=f'frame {index} is broken'):
            frames.read(index)
    assert frames.read(51)[0, 0, 0] == 51
    assert reader.log.count(2) == 1


def test_whoever_waits_when_the_thread_ends_is_told(prefetch):
    class Stuck(Reader):
        def read(self, index):
            if index == 70:
                reading.set()
                closed.wait(10)
            return super().read(index)
    reading, closed, told = threading.Event(), threading.Event(), []
    frames = prefetch(Stuck(), ahead=1)

    def ask(index):
        try:
            frames.read(index)
        except WorldError as error:
            told.append((index, str(error)))
    askers = [threading.Thread(target=ask, args=(index,)) for index in (70, 71)]
    askers[0].start()
    assert reading.wait(10)
    askers[1].start()
    assert wait_for(lambda: 71 in frames._asked)
    closing = threading.Thread(target=frames.close)
    closing.start()
    assert wait_for(lambda: frames._closed)
    closed.set()
    for thread in (*askers, closing):
        thread.join(10)
    assert [index for index, _ in told] == [71]          # 70 was being read and is answered
    assert 'still open' in told[0][1]


def test_closing_ends_the_thread(video):
    before = video_threads()
    world = open_world(str(video))
    assert video_threads() == before + 1
    world.close()
    world.close()
    assert video_threads() == before
    with pytest.raises(WorldError, match='still open'):
        world.scene(0).panorama(3.0)


def test_forgetting_a_world_ends_the_thread(video):
    before = video_threads()
    scene = open_world(str(video)).scene(0)
    gc.collect()
    assert number(scene.panorama(0.8)) == 20             # its scene is still held
    del scene
    gc.collect()
    assert video_threads() == before


def test_a_video_pickles_as_its_file(video):
    world = VideoWorld(video, 1 << 20)
    again = pickle.loads(pickle.dumps(world))            # noqa: S301 (own data)
    assert again == world
    assert hash(again) == hash(world)
    assert again != VideoWorld(video)
    assert number(again.scene(0).panorama(0.8)) == 20
    world.close()
    assert number(again.scene(0).panorama(1.2)) == 30    # its own file and thread
    again.close()


def _look_in_child(scene, said) -> None:
    try:
        scene.panorama(5.0)
        said.put('no error')
    except WorldError as error:
        said.put(str(error))


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
@pytest.mark.filterwarnings('ignore:.*fork.*:DeprecationWarning')
def test_a_forked_process_is_told_instead_of_waiting_for_ever(scene):
    context = multiprocessing.get_context('fork')
    said = context.SimpleQueue()
    child = context.Process(target=_look_in_child, args=(scene, said), daemon=True)
    child.start()
    child.join(20)
    assert not child.is_alive()
    assert 'forked' in said.get()


# --- targets and times


def test_frames_are_for_a_few_looks(scene):
    assert all(scene.panorama(t_s).brief for t_s in (0.0, 0.1))


def test_a_video_of_nothing_has_no_targets(scene):
    with pytest.raises(WorldError, match=r'ramp\.avi at 1\.00 s'):
        scene.sample_target(np.random.default_rng(0), 1.0)


@pytest.mark.parametrize('t_s', [-0.1, float('nan'), float('inf')])
def test_a_time_outside_a_video_is_refused(scene, t_s):
    with pytest.raises(WorldError, match='0 s or later'):
        scene.panorama(t_s)


# --- what cannot be played


@pytest.mark.parametrize('share', [0.0, 0.1, 0.5, 0.8])
def test_a_video_cut_short_is_refused_at_once(video, tmp_path, share):
    path = tmp_path / 'cut.avi'
    path.write_bytes(video.read_bytes()[:int(share * video.stat().st_size)])
    with pytest.raises(WorldError, match='cut'):
        open_world(str(path))


def test_a_corrupt_video_is_refused_at_once(tmp_path):
    path = tmp_path / 'noise.mp4'
    path.write_bytes(np.random.default_rng(0).bytes(20000))
    with pytest.raises(WorldError, match=r'noise\.mp4 is not a video'):
        open_world(str(path))


def test_an_ordinary_video_is_refused(tmp_path):
    before = video_threads()
    path = write_video(tmp_path / 'flat.avi', 8, (64, 48))
    with pytest.raises(WorldError, match=r'flat\.avi.*64x48'):
        open_world(str(path))
    assert video_threads() == before


# --- the real one


@pytest.fixture(scope='module')
def real_video(data_dir) -> Path:
    files = sorted((data_dir / 'video360').glob('*.mp4'))
    if not files:
        pytest.skip(f'no video360/*.mp4 in {data_dir}')
    return files[0]


def test_a_real_video_seeks_to_what_it_plays(real_video, tmp_path, capfd):
    world, reader = open_world(str(real_video)), FrameReader(real_video)
    scene = world.scene(0)
    played = [scene.panorama(k / scene.rate).image for k in range(90)]
    for k in (80, 3, 61, 0):
        np.testing.assert_array_equal(reader.read(k), played[k])
    assert scene.sample_target(np.random.default_rng(0), 10.0).name == 'patch'
    world.close()
    reader.close()
    data = real_video.read_bytes()
    cut = tmp_path / 'cut.mp4'
    cut.write_bytes(data[:int(0.7 * len(data))])
    with pytest.raises(WorldError, match='cut'):
        open_world(str(cut))
    assert capfd.readouterr().err == ''                     # one line, ours, is all there is


@pytest.mark.long
@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='needs /proc')
def test_ten_minutes_of_a_real_video_take_bounded_memory(real_video):
    """10 foveated views per simulated second, in a process of their own: its memory is theirs
    alone. The first of ten minutes fills it.
    """
    script = (
        'import gc, os, sys\n'
        'from gaze_robot.foveation import FoveationPattern\n'
        'from gaze_robot_sim.scenes import open_world\n'
        'scene, pattern = open_world(sys.argv[1]).scene(0), FoveationPattern()\n'
        'for k in range(6000):\n'
        '    scene.panorama(k / 10).levels(0.001 * k, 0.3, pattern)\n'
        '    if k % 600 == 599:\n'
        '        gc.collect()\n'
        '        pages = int(open("/proc/self/statm").read().split()[1])\n'
        '        print(pages * os.sysconf("SC_PAGE_SIZE") / 2 ** 20)\n')
    run = subprocess.run([sys.executable, '-c', script, str(real_video)], capture_output=True,
                         text=True, timeout=500, check=False)
    assert run.returncode == 0, run.stderr
    held = [float(line) for line in run.stdout.split()]
    assert len(held) == 10
    assert max(held) < 1024
    assert max(held[1:]) < 1.02 * held[0] + 5, held
