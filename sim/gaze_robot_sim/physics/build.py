"""Puts a workspace together: room, table, things, arm, head and cameras, as one MuJoCo model."""

from collections.abc import Sequence

import mujoco
import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.physics import parts
from gaze_robot_sim.physics.furniture import Furniture, GROUND
from gaze_robot_sim.physics.model_file import attach, compiled
from gaze_robot_sim.physics.parts import ArmConfig, GRIPPER, HeadConfig
from gaze_robot_sim.physics.task import Task

SUBSTEPS = 16
"""Of physics in a step of the hand."""
LARGEST = 720
"""Pixels along a side of what can be drawn at once."""
FACE_DEG = 92.0
"""Field of view of the pictures that panoramas are made of: neighbours overlap."""
FACES = ([0.0, -1, 0, 0, 0, 1], [1.0, 0, 0, 0, 0, 1], [0.0, 1, 0, 0, 0, 1],
         [-1.0, 0, 0, 0, 0, 1], [0.0, -1, 0, -1, 0, 0], [0.0, -1, 0, 1, 0, 0])
"""Right and up of cameras that look to the front, left, back, right, top and bottom."""

_SPONGE = (0.012, 0.014, 0.07)
"""Half of its thickness, its length along the sweep, and across it, metres."""
_JITTER_M = 0.008
"""By how much the eye's place differs from episode to episode."""
_EXO_M = (1.35, 0.0, 1.0)
"""Where the camera across the table stands."""


def build(task: Task, arm: ArmConfig, head: HeadConfig, rate_hz: float, rng: np.random.Generator,
          room: np.random.Generator) -> tuple[mujoco.MjModel, np.ndarray]:
    """A workspace for a task.

    Args:
        rate_hz: steps of the hand per second; physics has SUBSTEPS for each.
        room: what walls, table and light are drawn from; `rng` is for all else.

    Returns:
        The model, its arm's and head's names behind 'arm/' and 'head/'; and where the eye's
        optical centre is while the head looks straight ahead, (3,) metres.

    Raises:
        WorldError: the arm or the head cannot be used, or not for this task.
    """
    spec = _settings(rate_hz)
    jitter = rng.uniform(-_JITTER_M, _JITTER_M, 3)
    eye = np.array([0.0, 0.0, head.height]) + jitter
    furniture = Furniture(spec, room)
    furniture.room(float(eye[2]))
    furniture.rng = rng
    task.furnish(furniture, float(eye[2]))
    attach(spec, _arm_for(task, arm), 'arm/', arm.xyz)
    carrier, centre = parts.load_head(head)
    x, y, z = (eye - centre).tolist()
    attach(spec, carrier, 'head/', (x, y, z))
    for face, axes in enumerate(FACES):
        _orient(spec.worldbody.add_camera(name=f'face{face}', pos=eye.tolist(), fovy=FACE_DEG),
                axes)
    exo = spec.worldbody.add_camera(name='exo', fovy=48.0, pos=(
        _EXO_M + rng.uniform(-0.02, 0.02, 3)).tolist())
    _orient(exo, [0, 1, 0, -0.62, 0, 0.78])
    return compiled(spec, 'this workspace'), eye


def _settings(rate_hz: float) -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    option, visual = spec.option, spec.visual
    option.timestep = 1.0 / (rate_hz * SUBSTEPS)
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone, option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 5.0
    option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    quality = visual.quality                          # coarse solids: a third of the time
    quality.numslices, quality.numstacks, quality.numquads = 12, 6, 1
    quality.shadowsize = quality.offsamples = 0
    visual.global_.offwidth = visual.global_.offheight = LARGEST
    visual.map.znear, visual.map.zfar = 0.01, 30.0
    spec.stat.extent, spec.stat.center = 1.0, [0, 0, 0]
    return spec


def _arm_for(task: Task, config: ArmConfig) -> mujoco.MjSpec:
    arm = parts.load_arm(config)
    if task.needs_gripper and GRIPPER not in {part.name for part in arm.actuators}:
        raise WorldError(f'{config.path} has no actuator {GRIPPER!r}, which the task {task.name} '
                         'needs; press and wipe do without')
    if task.sponge:
        site, turn = arm.site(config.tip), np.zeros(9)
        mujoco.mju_quat2Mat(turn, np.array(site.quat, float))
        away = turn.reshape(3, 3) @ [_SPONGE[0], 0, 0]
        site.parent.add_geom(
            name='sponge', type=mujoco.mjtGeom.mjGEOM_BOX, size=list(_SPONGE), quat=site.quat,
            pos=(np.array(site.pos) + away).tolist(), rgba=[0.9, 0.75, 0.3, 1], mass=0.02,
            contype=2, conaffinity=GROUND, solref=[0.03, 1.0], friction=[0.3, 0.01, 0.001])
    return arm


def _orient(camera: 'mujoco.MjsCamera', axes: Sequence[float]) -> None:
    camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
    camera.alt.xyaxes = list(axes)
