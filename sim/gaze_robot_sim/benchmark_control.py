"""How well the head moves: `gaze-robot bench control`.

Pursuit, saccade and the old picture are run in simulated time by `control_loop`: two position
servos with play, noise and a slow bus, pictures that arrive late, and between them what runs on a
robot. Perception is left out: a picture gives the target's direction with noise. Medians over
seeds. The head loop's jitter is measured in real time, beside an eye at work, on emulated servos.
"""

from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

import numpy as np

from gaze_robot.control.controller import ControllerConfig
from gaze_robot.errors import ConfigError
from gaze_robot.types import PanTiltLimits
from gaze_robot_sim.benchmarks import machine
from gaze_robot_sim.control_loop import Loop, run_loop, SERVO, Track
from gaze_robot_sim.jitter import measure_jitter

SPEED_DEG_S, SWEEP_S, SETTLED_S = 30.0, 5.0, 1.5
"""A target that goes round the robot, and when its pursuit is judged from."""

SACCADE_DEG, BAND = 40.0, 0.02
"""A jump, and the share of it within which the gaze has settled."""

STALE_DEG, STALE_S = 60.0, 0.1
FAST = PanTiltLimits(max_velocity=(6.0, 6.0), max_acceleration=(60.0, 60.0),
                     max_jerk=(3000.0, 3000.0))
"""The old picture: a jump of a fast head, and how old its pictures are."""

SINE_HZ = 0.25


@dataclass(frozen=True)
class BenchControlConfig:
    """Measure pursuit, saccades, old pictures and the head loop's jitter."""

    runs: int = 9
    """Seeds per figure; medians are reported."""

    image_delay: float = 0.08
    """Age of a picture when it is decided on, seconds."""

    loop_seconds: float = 20.0
    """How long the head loop's jitter is measured; 0: not at all."""

    picture: str = ''
    """Where to draw what happened (.png, .pdf, .svg)."""

    seed: int = 0
    """The first of the seeds."""

    def __post_init__(self) -> None:
        if self.runs < 1 or self.seed < 0 or not 0 <= self.loop_seconds <= 600:
            raise ConfigError('runs is at least 1, seed not negative and loop_seconds 0 to 600, '
                              f'got {self.runs}, {self.seed} and {self.loop_seconds}')
        if not 0 <= self.image_delay <= 0.4:
            raise ConfigError(f'image_delay is 0 to 0.4 s, got {self.image_delay}')
        if self.picture and Path(self.picture).suffix not in ('.png', '.pdf', '.svg'):
            raise ConfigError(f'{self.picture}: a picture ends in .png, .pdf or .svg')


def sweep(time_s: float) -> tuple[float, float]:
    """(pan, tilt) of a target at 30 deg/s of pan, rad."""
    return math.radians(SPEED_DEG_S * (time_s - 0.5 * SWEEP_S)), math.radians(5.0)


def swing(time_s: float) -> tuple[float, float]:
    """The same of a target that swings, 30 deg/s at its fastest."""
    amplitude = math.radians(SPEED_DEG_S) / (2 * math.pi * SINE_HZ)
    return amplitude * math.sin(2 * math.pi * SINE_HZ * time_s), math.radians(5.0)


def jump(time_s: float) -> tuple[float, float]:
    """A target at rest, 40 degrees to the left."""
    return math.radians(SACCADE_DEG), 0.0


def far_jump(time_s: float) -> tuple[float, float]:
    """A target at rest, 60 degrees to the left."""
    return math.radians(STALE_DEG), 0.0


def rms_deg(track: Track) -> float:
    """Root of the mean squared angle between gaze and target once pursuit is under way."""
    return float(np.degrees(np.sqrt(np.mean(track.error_rad[track.time_s >= SETTLED_S] ** 2))))


def settle_ratio(track: Track, limits: PanTiltLimits) -> float:
    """Time until the gaze stays within 2 % of a jump's end, from when the servos begin to obey,
    over the time in which speed and acceleration allow to cover the whole of it.
    """
    way = abs(track.target_rad[-1, 0])
    outside = np.abs(track.gaze_rad[:, 0] - track.target_rad[:, 0]) > BAND * way
    settled_s = track.time_s[np.nonzero(outside)[0][-1]]
    if settled_s == track.time_s[-1]:
        return math.inf
    return float((settled_s - track.first_command_s - SERVO.latency_s[1]) / least_s(way, limits))


def least_s(way_rad: float, limits: PanTiltLimits) -> float:
    """The bound: seconds from rest to rest with speed and acceleration limited, jerk not."""
    speed, strength = limits.max_velocity[0], limits.max_acceleration[0]
    if way_rad < speed * speed / strength:
        return 2 * math.sqrt(way_rad / strength)
    return way_rad / speed + speed / strength


def overshoot_deg(track: Track) -> float:
    """How far the gaze went beyond a resting target that it came to from the right."""
    return float(np.degrees(max((track.gaze_rad[:, 0] - track.target_rad[:, 0]).max(), 0.0)))


def bench_control(config: BenchControlConfig) -> dict[str, Any]:
    """Measure."""
    loop = Loop(image_delay_s=config.image_delay)
    off = Loop(image_delay_s=config.image_delay, compensated=False)
    stale = Loop(image_delay_s=STALE_S, limits=FAST)
    naive = Loop(image_delay_s=STALE_S, limits=FAST, pose_at_stamp=False, compensated=False,
                 controller=ControllerConfig(suppress_above_rad_s=0.0))
    tracks = {name: [run_loop(which, target, seconds, config.seed + run)
                     for run in range(config.runs)]
              for name, which, target, seconds in (
                  ('pursuit', loop, sweep, SWEEP_S), ('pursuit_off', off, sweep, SWEEP_S),
                  ('swing', loop, swing, 6.0), ('swing_off', off, swing, 6.0),
                  ('saccade', loop, jump, 1.2), ('stale', stale, far_jump, 2.0),
                  ('naive', naive, far_jump, 2.0))}

    def median(name: str, judge: Any) -> float:
        return float(np.median([judge(track) for track in tracks[name]]))
    result: dict[str, Any] = {
        'pursuit_rms_deg': median('pursuit', rms_deg),
        'pursuit_rms_uncompensated_deg': median('pursuit_off', rms_deg),
        'pursuit_swing_rms_deg': median('swing', rms_deg),
        'pursuit_swing_rms_uncompensated_deg': median('swing_off', rms_deg),
        'saccade_settle_ratio': median('saccade', lambda t: settle_ratio(t, loop.limits)),
        'saccade_overshoot_percent': median('saccade', overshoot_deg) / SACCADE_DEG * 100,
        'stale_overshoot_deg': median('stale', overshoot_deg),
        'stale_overshoot_naive_deg': median('naive', overshoot_deg)}
    if config.picture:
        from gaze_robot_sim.draw_control import draw_control
        draw_control(config.picture, {name: runs[0] for name, runs in tracks.items()}, result)
        result['picture'] = config.picture
    if config.loop_seconds:
        result |= measure_jitter(config.loop_seconds, config.seed)
    return {**result, 'machine': machine(), 'settings': {
        'runs': config.runs, 'seed': config.seed, 'image_delay_s': config.image_delay,
        'pictures_per_s': loop.rate_hz, 'noise_of_a_picture_deg': math.degrees(loop.noise_rad),
        'servos': f'play {math.degrees(SERVO.backlash_rad[1]):.2f} degrees, commands obeyed '
                  f'{1e3 * SERVO.latency_s[1]:.0f} ms late',
        'naive': 'newest pose with an old picture, all pictures used'}}
