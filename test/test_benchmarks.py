"""The benchmark compares renderers that show the same, and reports what it promises."""

import math

import cv2
import numpy as np
import pytest
import torch

from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import panorama_direction
from gaze_robot_sim import benchmarks
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.procedural import ProceduralWorld

PATTERN = FoveationPattern((22.62, 43.6, 90.0), (16,) * 3, (8,) * 3)


def test_both_renderers_show_the_same_of_a_smooth_picture():
    """Otherwise one of them would be quick at something else."""
    u, v = np.meshgrid(np.arange(1024) + 0.5, np.arange(512) + 0.5)
    direction = panorama_direction(np.stack([u, v], axis=-1), 1024, 512)
    image = np.rint(127.5 + 90 * np.sin(5 * direction)).astype(np.uint8)
    panorama, plain = Panorama(image), benchmarks.PlainRenderer(image, PATTERN)
    for pan, tilt in ((0.0, 0.0), (1.2, 0.5), (-2.0, -0.8)):
        for ours, theirs in zip(panorama.levels(pan, tilt, PATTERN), plain(pan, tilt)):
            difference = ours - theirs[0].permute(1, 2, 0).numpy()
            assert np.sqrt((difference ** 2).mean()) < 1.0


def test_the_gaze_path_is_smooth_and_stays_away_from_the_poles():
    pan, tilt = np.array(benchmarks.gaze_path(np.random.default_rng(0), 2000)).T
    assert np.degrees(np.abs(np.diff(pan))).max() <= 10.0
    assert np.degrees(np.abs(np.diff(tilt))).max() <= 10.0
    assert 45 < np.degrees(np.abs(tilt)).max() <= 50.0
    assert np.ptp(pan) > math.pi


def test_figures_are_there_and_threads_are_as_before(monkeypatch):
    monkeypatch.setattr(benchmarks, 'WIDTHS', (256, 128, 64))
    monkeypatch.setattr(benchmarks, '_EYES', 2)
    monkeypatch.setattr(benchmarks, '_STEPS', 3)
    monkeypatch.setattr(benchmarks, '_SCENES', 1)
    monkeypatch.setattr(benchmarks, '_warm', lambda seed, width: ProceduralWorld(seed, width=256))
    before = torch.get_num_threads(), cv2.getNumThreads()
    result = benchmarks.bench_render(benchmarks.BenchRenderConfig(rounds=1, views=2))
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before
    speeds = ['env_steps_per_s', 'env_steps_per_s_default_samples', 'env_steps_per_s_rooms_1024',
              'env_steps_per_s_all_defaults',
              'steps_per_s_single_env']
    for threads in ('1_thread', '2_threads'):
        for width in ('', '128_', '64_'):
            plain = result[f'plain_views_per_s_{width}{threads}']
            for kind in ('', 'samples_2_', 'default_samples_'):
                speeds += [f'ratio_{kind}{width}{threads}', f'{kind}views_per_s_{width}{threads}']
                assert result[f'ratio_{kind}{width}{threads}'] == pytest.approx(
                    result[f'{kind}views_per_s_{width}{threads}'] / plain)
    assert all(0 < result[name] < math.inf for name in speeds)
    assert result['machine']['cores'] >= 1
    assert result['versions']['torch'] == torch.__version__


@pytest.mark.parametrize('wrong', [{'rounds': 0}, {'views': 0}, {'seed': -1}], ids=str)
def test_settings_that_measure_nothing_are_refused(wrong):
    with pytest.raises(ConfigError, match='at least 1'):
        benchmarks.BenchRenderConfig(**wrong)
