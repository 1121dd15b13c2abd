"""10,000 random steps in worlds of every kind: resident memory stays where it was."""

import contextlib
import ctypes
import gc
import os
from pathlib import Path

import cv2
import gymnasium
import numpy as np
import pytest

from gaze_robot.foveation import FoveationPattern
import gaze_robot_sim.envs  # noqa: F401 - registers the environments
from gaze_robot_sim.scenes import open_world, still
from gaze_robot_sim.scenes.procedural import ProceduralWorld

PATTERN = FoveationPattern((20.0, 90.0), (16, 16), (8, 8))
STATM = Path('/proc/self/statm')
pytestmark = pytest.mark.skipif(not STATM.exists(), reason='resident memory is read from /proc')


def resident_mib():
    """Without what the allocator keeps in reserve, where it can be told to return that."""
    gc.collect()
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return int(STATM.read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2 ** 20


def assert_flat(world, warm_up, eyes, steps=10_000, **options):
    """No more than 2 % above what it was after warming up; steps of all eyes together."""
    env = gymnasium.make_vec('gaze_robot/Search-v0', num_envs=eyes, world=world, threads=2,
                             **options)
    env.reset(seed=0)
    env.action_space.seed(0)

    def play(count):
        for _ in range(count // eyes):
            env.step(env.action_space.sample())
    play(warm_up)
    before, seen = resident_mib(), []
    for _ in range(10):
        play(steps // 10)
        seen.append(resident_mib())
    env.close()
    assert max(seen) <= 1.02 * before, f'{before:.0f} MiB became {np.round(seen)}'


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A picture, a folder of three, a video that turns."""
    folder = tmp_path_factory.mktemp('worlds')
    rooms = [ProceduralWorld(1, width=256).scene(k).panorama().image for k in range(3)]
    (folder / 'folder').mkdir()
    for number, room in enumerate(rooms):
        cv2.imwrite(str(folder / 'folder' / f'{number}.png'), room)
    cv2.imwrite(str(folder / 'picture.png'), rooms[0])
    video = cv2.VideoWriter(str(folder / 'video.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10.0,
                            (256, 128))
    for turn in range(20):
        video.write(np.roll(rooms[0], 10 * turn, axis=1))
    video.release()
    return folder


@pytest.mark.parametrize('kind', ['procedural', 'picture.png', 'folder',
                                  pytest.param('video.avi', marks=pytest.mark.long)])
def test_resident_memory_stays_flat(kind, files, monkeypatch):
    """Worlds without end forget what was shown long ago, here already after a few rooms."""
    monkeypatch.setattr(still, 'KEPT_BYTES', 3 << 20)
    monkeypatch.setattr(still, 'BANK', 4)
    world = (ProceduralWorld(0, width=256) if kind == 'procedural'
             else open_world(str(files / kind)))
    assert_flat(world, 12_000, 10, pattern=PATTERN, scenes=2)


@pytest.mark.long
def test_resident_memory_stays_flat_with_every_default_but_the_view():
    assert_flat(ProceduralWorld(0), 1_000, 1, pattern=PATTERN)


@pytest.mark.long
@pytest.mark.parametrize('kind', ['panoramas/ph_autoshop_01.jpg', 'panoramas',
                                  'video360/vrview_ricoh_cellhouse_640.mp4'])
def test_resident_memory_stays_flat_in_real_places(kind, data_dir):
    if not (data_dir / kind).exists():
        pytest.skip(f'no {data_dir / kind}')
    assert_flat(open_world(str(data_dir / kind)), 5_000, 1, pattern=PATTERN)
