"""The arm and the head of a workspace: ours, or somebody's own MJCF or URDF."""

from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot_sim.physics.model_file import compiled, load

MODELS = Path(__file__).parent / 'models'
GRIPPER = 'gripper'
"""Name of the actuator that opens the gripper, and of that joint of the hand."""

HEAD_GROUP = 4
"""Of the head's geoms: an eye does not see its own head."""

_STIFFNESS, _INERTIA = 600.0, 0.05
"""Of joints whose file brings no actuator, N m / rad and kg m^2."""
_HINGE, _SLIDE = int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)
_TRIED_RAD, _OFF_RAD = 0.1, 0.035
"""How far a head is turned to see which way it turns, and by how much that may be off."""


@dataclass(frozen=True)
class ArmConfig:
    """Which arm, and where it is mounted.

    An MJCF brings position actuators, one for each hinge between its base and its hand and stiff
    enough to get within millimetres of what they are told (gravity is compensated), and a site
    between its fingertips whose x points out of the hand, y from finger to finger; an actuator
    called 'gripper' has the opening in metres as its control. A URDF has no actuators: its joints
    get some, and it has no gripper (enough to press and to wipe).
    """

    path: str = ''
    """MJCF or URDF; empty: ours."""

    tip: str = 'tip'
    """The site, or the link of a URDF, that the hand is."""

    xyz: tuple[float, float, float] = (0.0, 0.0, 0.85)
    """Of its base; metres, the origin lies on the table below the eye."""

    def __post_init__(self) -> None:
        if len(self.xyz) != 3 or not np.isfinite(self.xyz).all():
            raise ConfigError(f'xyz of an arm is three finite numbers, got {self.xyz}')


@dataclass(frozen=True)
class HeadConfig:
    """Which head carries the eye."""

    path: str = ''
    """MJCF or URDF; empty: ours, whose axes and optical centre meet in one point."""

    pan: str = 'pan'
    tilt: str = 'tilt'
    """Its joints: pan turns left, tilt down where positive."""

    camera: str = 'eye'
    """An MJCF's camera, or a URDF's link with an optical frame (z forward, y down)."""

    height: float = 0.27
    """Of the optical centre above the table when the head looks straight ahead, metres."""

    def __post_init__(self) -> None:
        if not 0.0 < self.height < np.inf:
            raise ConfigError(f'height of a head is above the table, got {self.height} m')


def load_arm(config: ArmConfig) -> mujoco.MjSpec:
    """The arm's model, checked, not yet part of anything.

    Its actuators have the names of their joints, and limits within those of the joints.

    Raises:
        WorldError: the file is missing, broken, or lacks what an arm needs; the text says what.
    """
    path = config.path or str(MODELS / 'arm.xml')
    spec, model = load(path)
    names = {site.name for site in spec.sites}
    if config.tip not in names:
        body = spec.body(config.tip)
        if body is None:
            raise WorldError(f'{path} has no site or link {config.tip!r}; name the one '
                             f'between the fingertips, of {_some(names)}')
        body.add_site(name=config.tip)
        hand = model.body(config.tip).id
    else:
        hand, site = int(model.site(config.tip).bodyid[0]), spec.site(config.tip)
        site.quat = model.site(config.tip).quat         # the file may say it in other ways
        site.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
    _check_joints(path, model)
    for sensor in spec.sensors:                          # nobody reads them
        spec.delete(sensor)
    if spec.actuators:
        moved = {_named_after_joint(path, model, number, actuator)
                 for number, actuator in enumerate(spec.actuators) if actuator.name != GRIPPER}
    else:
        moved = {_actuate(spec, model, joint) for joint in spec.joints
                 if joint.type == mujoco.mjtJoint.mjJNT_HINGE}
    _check_moved(path, model, hand, moved)
    for body in spec.bodies:
        body.gravcomp = 1.0                              # as controllers of arms do
    return spec


def load_head(config: HeadConfig) -> tuple[mujoco.MjSpec, np.ndarray]:
    """The head's model, checked; it has a camera called 'eye'.

    Returns:
        The model, and (3,) where its optical centre is in its own frame while it looks straight
        ahead, metres.

    Raises:
        WorldError: see `load_arm`; or the camera does not look where pan and tilt say.
    """
    path = config.path or str(MODELS / 'head.xml')
    spec, model = load(path)
    joints = {joint.name for joint in spec.joints}
    for name in (config.pan, config.tilt):
        if name not in joints:
            raise WorldError(f'{path} has no joint {name!r}; its joints are '
                             f'{_some(joints)}')
        if model.joint(name).type[0] != _HINGE:
            raise WorldError(f'{path}: the joint {name!r} does not turn; pan and tilt do')
    if config.pan == config.tilt:
        raise WorldError(f'{path}: pan and tilt are two joints, both are {config.pan!r}')
    cameras = {camera.name: camera for camera in spec.cameras}
    if config.camera in cameras:
        cameras[config.camera].name = 'eye'
    else:
        body = spec.body(config.camera)
        if body is None:
            links = {body.name for body in spec.bodies}
            raise WorldError(f'{path} has no camera or link {config.camera!r}; its links '
                             f'are {_some(links)}')
        # MuJoCo's cameras look along -z with y up; optical frames along z with y down.
        body.add_camera(name='eye', quat=[0.0, 1.0, 0.0, 0.0])
    for geom in spec.geoms:
        geom.contype = geom.conaffinity = 0
        geom.group = HEAD_GROUP
    for body in spec.bodies:
        body.gravcomp = 1.0
    return spec, _optical_centre(path, config, compiled(spec.copy(), path))


def _optical_centre(path: str, config: HeadConfig, model: mujoco.MjModel) -> np.ndarray:
    """(3,), after a look at which way the camera turns."""
    data = mujoco.MjData(model)
    for pan, tilt in ((_TRIED_RAD, 0.0), (0.0, _TRIED_RAD), (0.0, 0.0)):
        data.joint(config.pan).qpos[0], data.joint(config.tilt).qpos[0] = pan, tilt
        mujoco.mj_forward(model, data)
        right, _, back = np.array(data.camera('eye').xmat).reshape(3, 3).T
        level = [np.sin(pan), -np.cos(pan), 0.0]
        if max(float(angle_between(-back, direction_from_pan_tilt(pan, tilt))),
               float(angle_between(right, level))) > _OFF_RAD:
            looks = ', '.join(f'{value:.2f}' for value in -back)
            raise WorldError(
                f'{path}: with pan {pan:g} and tilt {tilt:g} rad the camera '
                f'{config.camera!r} looks along ({looks}), or is rolled; it has to look along x '
                'at 0, turn left (to y) with pan and down with tilt, and a link of a URDF has to '
                'have an optical frame, z forward and y down')
    return np.array(data.camera('eye').xpos)


def _check_joints(path: str, model: mujoco.MjModel) -> None:
    if not (model.jnt_type == _HINGE).any():
        raise WorldError(f'{path} has no joint that turns; an arm has some')
    for number in range(model.njnt):
        joint = model.joint(number)
        if joint.type[0] not in (_HINGE, _SLIDE):
            raise WorldError(f'{path}: the joint {joint.name!r} is free or a ball; an arm is '
                             'fixed to its mount, and its joints turn about one axis each')
        if joint.type[0] == _HINGE and not joint.name:
            body = model.body(model.jnt_bodyid[number]).name
            raise WorldError(f'{path}: the joint of {body!r} has no name; name it')


def _named_after_joint(path: str, model: mujoco.MjModel, number: int,
                       actuator: 'mujoco.MjsActuator') -> int:
    """The number of the hinge that an actuator moves, whose name and limits it gets."""
    called = f'{path}: the actuator {actuator.name or number!r}'
    if model.actuator_trntype[number] != mujoco.mjtTrn.mjTRN_JOINT or (
            model.jnt_type[model.actuator_trnid[number, 0]] != _HINGE):
        raise WorldError(f'{called} does not turn a joint; call it {GRIPPER!r} if it opens the '
                         'gripper, and leave it out if not')
    kp, gear = float(model.actuator_gainprm[number, 0]), float(model.actuator_gear[number, 0])
    if not (0.0 < kp < np.inf and gear == 1.0 and np.isclose(
            model.actuator_biasprm[number, 1], -kp)):
        raise WorldError(f'{called} is no position servo, <position kp="..."/> with gear 1, which '
                         'goes to the angle that it is told')
    joint = model.joint(model.actuator_trnid[number, 0])
    low, high = (model.actuator_ctrlrange[number] if model.actuator_ctrllimited[number]
                 else (-np.inf, np.inf))
    if model.jnt_limited[joint.id]:
        low, high = max(low, joint.range[0]), min(high, joint.range[1])
    if not low < high:
        raise WorldError(f'{called} has limits outside those of its joint {joint.name!r}')
    if np.isfinite(high):
        actuator.ctrlrange, actuator.ctrllimited = [low, high], 1
    actuator.name = joint.name
    return int(joint.id)


def _check_moved(path: str, model: mujoco.MjModel, hand: int, moved: set[int]) -> None:
    """Between the base and the hand every joint has an actuator."""
    body = hand
    while body:
        first = int(model.body_jntadr[body])
        for number in range(first, first + int(model.body_jntnum[body])):
            if number not in moved:
                raise WorldError(f'{path}: the joint {model.joint(number).name!r}, between base '
                                 'and hand, has no actuator; give it a <position>')
        body = int(model.body_parentid[body])


def _actuate(spec: mujoco.MjSpec, model: mujoco.MjModel, joint: 'mujoco.MjsJoint') -> int:
    joint.armature = max(joint.armature, _INERTIA)
    actuator = spec.add_actuator(name=joint.name, target=joint.name,
                                 trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.set_to_position(kp=_STIFFNESS, dampratio=1.0)
    number = model.joint(joint.name).id                  # the file may count in degrees
    if model.jnt_limited[number]:
        actuator.ctrlrange, actuator.ctrllimited = model.jnt_range[number], 1
    return int(number)


def _some(names: set[str]) -> str:
    return ', '.join(sorted(name for name in names if name)[:20]) or 'none'
