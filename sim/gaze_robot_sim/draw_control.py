"""A picture of `bench control`: people see gaze better than they read it."""

from typing import Any

import numpy as np

from gaze_robot.optional import require
from gaze_robot_sim.control_loop import Track

_GAZE, _TARGET, _OTHER = '#1f77b4', '#444444', '#d62728'


def draw_control(path: str, tracks: dict[str, Track], figures: dict[str, Any]) -> None:
    """Draw one run of each scenario.

    Args:
        path: file to write.
        tracks: by name: pursuit, pursuit_off, saccade, stale, naive.
        figures: what `bench_control` reports of them.
    """
    require('matplotlib').use('Agg')
    pyplot: Any = require('matplotlib.pyplot')
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7.5), layout='constrained')
    _saccade(axes[0, 0], axes[0, 1], tracks['saccade'], figures)
    _pursuit(axes[1, 0], tracks['pursuit'], tracks['pursuit_off'], figures)
    _stale(axes[1, 1], tracks['stale'], tracks['naive'], figures)
    for row in axes.flat:
        row.grid(alpha=0.3)
        row.set_xlabel('seconds')
        row.legend(loc='best', fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _saccade(place: Any, speed: Any, track: Track, figures: dict[str, Any]) -> None:
    place.plot(track.time_s, _pan_deg(track.target_rad), '--', color=_TARGET, label='target')
    place.plot(track.time_s, _pan_deg(track.gaze_rad), color=_GAZE, label='gaze')
    place.axvline(track.first_command_s, color=_OTHER, lw=0.8, label='command')
    place.set_title(f'saccade: settles in {figures["saccade_settle_ratio"]:.2f} x the bound, '
                    f'overshoot {figures["saccade_overshoot_percent"]:.1f} %', fontsize=10)
    place.set_ylabel('pan, degrees')
    step_s = 0.01
    coarse = slice(None, None, round(step_s * len(track.time_s) / track.time_s[-1]))
    pan, time_s = _pan_deg(track.gaze_rad)[coarse], track.time_s[coarse]
    velocity = np.gradient(pan, time_s)
    speed.plot(time_s, velocity, color=_GAZE, label='speed, degrees/s')
    speed.plot(time_s, np.gradient(velocity, time_s) / 10, color=_OTHER, lw=0.8,
               label='acceleration, 10 degrees/s²')
    speed.set_title('its profile', fontsize=10)


def _pursuit(place: Any, track: Track, off: Track, figures: dict[str, Any]) -> None:
    for name, run, colour in (('compensated', track, _GAZE), ('not compensated', off, _OTHER)):
        place.plot(run.time_s, np.degrees(run.error_rad), color=colour, label=name)
    place.set_ylim(0, 12)
    place.set_ylabel('gaze to target, degrees')
    place.set_title(f'pursuit at 30 degrees/s: RMS {figures["pursuit_rms_deg"]:.2f} and '
                    f'{figures["pursuit_rms_uncompensated_deg"]:.2f} degrees', fontsize=10)


def _stale(place: Any, track: Track, naive: Track, figures: dict[str, Any]) -> None:
    place.plot(track.time_s, _pan_deg(track.target_rad), '--', color=_TARGET, label='target')
    place.plot(track.time_s, _pan_deg(track.gaze_rad), color=_GAZE,
               label='pose of the picture')
    place.plot(naive.time_s, _pan_deg(naive.gaze_rad), color=_OTHER, label='newest pose')
    place.set_ylabel('pan, degrees')
    place.set_title('pictures 100 ms old, a fast head: overshoot '
                    f'{figures["stale_overshoot_deg"]:.1f} and '
                    f'{figures["stale_overshoot_naive_deg"]:.1f} degrees', fontsize=10)


def _pan_deg(angles_rad: np.ndarray) -> np.ndarray:
    return np.degrees(angles_rad[:, 0])
