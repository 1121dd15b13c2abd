"""The arm and the head of a workspace: ours, or somebody's own MJCF or URDF."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import warnings

import mujoco

from gaze_robot.errors import WorldError

MODELS = Path(__file__).parent / 'models'
GRIPPER = 'gripper'
"""Name of the actuator that opens the gripper, and of that joint of the hand."""

HEAD_GROUP = 4
"""Of the head's geoms: an eye does not see its own head."""

_STIFFNESS, _INERTIA = 600.0, 0.05
"""Of joints whose file brings no actuator, N m / rad and kg m^2."""


@dataclass(frozen=True)
class ArmConfig:
    """Which arm, and where it is mounted.

    An MJCF brings position actuators, one per joint, and a site between its fingertips whose x
    points out of the hand, y from finger to finger; an actuator called 'gripper' has the opening
    in metres as its control. A URDF has no actuators: its joints get some, and it has no gripper
    (enough to press and to wipe).
    """

    path: str = ''
    """MJCF or URDF; empty: ours."""

    tip: str = 'tip'
    """The site, or the link of a URDF, that the hand is."""

    xyz: tuple[float, float, float] = (0.0, 0.0, 0.85)
    """Of its base; metres, the origin lies on the table below the eye."""


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


def load_arm(config: ArmConfig) -> mujoco.MjSpec:
    """The arm's model, checked, not yet part of anything.

    Raises:
        WorldError: the file is missing, broken, or lacks what an arm needs; the text says what.
    """
    spec = _load(config.path or str(MODELS / 'arm.xml'))
    names = {site.name for site in spec.sites}
    if config.tip not in names:
        body = spec.body(config.tip)
        if body is None:
            raise WorldError(f'{config.path} has no site or link {config.tip!r}; name the one '
                             f'between the fingertips, of {_some(names)}')
        body.add_site(name=config.tip)
    hinges = [joint for joint in spec.joints if joint.type == mujoco.mjtJoint.mjJNT_HINGE]
    if not hinges:
        raise WorldError(f'{config.path} has no joint that turns; an arm has some')
    if not spec.actuators:
        for joint in hinges:
            _actuate(spec, joint)
    for body in spec.bodies:
        body.gravcomp = 1.0                              # as controllers of arms do
    return spec


def load_head(config: HeadConfig) -> mujoco.MjSpec:
    """The head's model, checked; it has a camera called 'eye'.

    Raises:
        WorldError: see `load_arm`.
    """
    spec = _load(config.path or str(MODELS / 'head.xml'))
    joints = {joint.name for joint in spec.joints}
    for name in (config.pan, config.tilt):
        if name not in joints:
            raise WorldError(f'{config.path} has no joint {name!r}; its joints are '
                             f'{_some(joints)}')
    cameras = {camera.name: camera for camera in spec.cameras}
    if config.camera in cameras:
        cameras[config.camera].name = 'eye'
    else:
        body = spec.body(config.camera)
        if body is None:
            links = {body.name for body in spec.bodies}
            raise WorldError(f'{config.path} has no camera or link {config.camera!r}; its links '
                             f'are {_some(links)}')
        # MuJoCo's cameras look along -z with y up; optical frames along z with y down.
        body.add_camera(name='eye', quat=[0.0, 1.0, 0.0, 0.0])
    for geom in spec.geoms:
        geom.contype = geom.conaffinity = 0
        geom.group = HEAD_GROUP
    for body in spec.bodies:
        body.gravcomp = 1.0
    return spec


def compiled(spec: mujoco.MjSpec, what: str) -> mujoco.MjModel:
    """Compile; MuJoCo's complaints become a WorldError in one line."""
    return _guarded(spec.compile, what)


def attach(spec: mujoco.MjSpec, part: mujoco.MjSpec, prefix: str,
           xyz: tuple[float, float, float]) -> None:
    """Put a part, which is used up, into a model."""
    frame = spec.worldbody.add_frame(pos=list(xyz))
    _guarded(lambda: spec.attach(part, prefix=prefix, frame=frame), prefix)


def _load(path: str) -> mujoco.MjSpec:
    file = Path(path).expanduser()
    if not file.is_file():
        raise WorldError(f'there is no file {file}; name an MJCF or URDF')
    text = file.read_text(encoding='utf-8', errors='replace')

    def read() -> mujoco.MjSpec:
        if '<robot' not in text:
            return mujoco.MjSpec.from_file(str(file))
        # Links without joints between them stay apart, and meshes keep their folders.
        extra = ('<mujoco><compiler fusestatic="false" strippath="false" discardvisual="false" '
                 f'meshdir="{file.parent.resolve()}"/></mujoco>')
        head, _, rest = text.partition('<robot')
        opening, _, body = rest.partition('>')
        return mujoco.MjSpec.from_string(f'{head}<robot{opening}>{extra}{body}')
    spec = _guarded(read, str(file))
    _guarded(spec.copy().compile, str(file))
    return spec


def _guarded(work: Callable, what: str) -> mujoco.MjModel | mujoco.MjSpec:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')              # options of parts give way to ours
            return work()
    except (ValueError, RuntimeError, TypeError, mujoco.FatalError) as error:
        raise WorldError(f'{what} is no model that MuJoCo can use: '
                         f'{" ".join(str(error).split())}') from error


def _actuate(spec: mujoco.MjSpec, joint: 'mujoco.MjsJoint') -> None:
    joint.armature = max(joint.armature, _INERTIA)
    actuator = spec.add_actuator(name=joint.name, target=joint.name,
                                 trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.set_to_position(kp=_STIFFNESS, dampratio=1.0)
    if joint.range[0] < joint.range[1]:
        actuator.ctrlrange = joint.range
        actuator.ctrllimited = 1


def _some(names: set[str]) -> str:
    return ', '.join(sorted(name for name in names if name)[:20]) or 'none'
