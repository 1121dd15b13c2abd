"""Models of MuJoCo from files: MJCF, and URDF as ROS has them."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
import warnings
from xml.etree import ElementTree

import mujoco

from gaze_robot.errors import WorldError

_PACKAGE = 'package://'

T = TypeVar('T')


def load(path: str) -> tuple[mujoco.MjSpec, mujoco.MjModel]:
    """A model to go on with, and the same compiled.

    Raises:
        WorldError: there is no such file, or MuJoCo cannot use it.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise WorldError(f'there is no file {file}; name an MJCF or URDF')
    spec = _guarded(lambda: _read(file), str(file))
    return spec, compiled(spec.copy(), str(file))


def compiled(spec: mujoco.MjSpec, what: str) -> mujoco.MjModel:
    """Compile; MuJoCo's complaints become a WorldError in one line."""
    return _guarded(spec.compile, what)


def attach(spec: mujoco.MjSpec, part: mujoco.MjSpec, prefix: str,
           xyz: tuple[float, float, float]) -> None:
    """Put a part, which is used up, into a model."""
    frame = spec.worldbody.add_frame(pos=list(xyz))
    _guarded(lambda: spec.attach(part, prefix=prefix, frame=frame), prefix)


def _read(file: Path) -> mujoco.MjSpec:
    data = file.read_bytes()
    if b'<robot' not in data:
        return mujoco.MjSpec.from_file(str(file))
    root = ElementTree.fromstring(data)
    if root.tag != 'robot':
        return mujoco.MjSpec.from_file(str(file))
    return mujoco.MjSpec.from_string(_urdf(root, file.resolve().parent))


def _urdf(root: ElementTree.Element, folder: Path) -> str:
    """A URDF whose meshes MuJoCo finds, with what its file says to MuJoCo."""
    own = root.find('mujoco')
    own = ElementTree.SubElement(root, 'mujoco') if own is None else own
    compiler = own.find('compiler')
    compiler = ElementTree.SubElement(own, 'compiler') if compiler is None else compiler
    # Links without joints between them stay apart, and meshes keep their folders.
    for name in ('fusestatic', 'strippath', 'discardvisual'):
        compiler.attrib.setdefault(name, 'false')
    compiler.set('meshdir', str(folder / compiler.get('meshdir', '')))
    for mesh in root.iter('mesh'):
        name = mesh.get('filename', '')
        if name.startswith('file://'):
            mesh.set('filename', name.removeprefix('file://'))
        elif name.startswith(_PACKAGE):
            mesh.set('filename', str(_in_package(name, folder)))
    return ElementTree.tostring(root, encoding='unicode')


def _in_package(name: str, folder: Path) -> Path:
    """Where a file of a ROS package is: the package has the URDF in it, or is beside it."""
    package, _, rest = name.removeprefix(_PACKAGE).partition('/')
    for parent in (folder, *folder.parents):
        for place in (parent if parent.name == package else None, parent / package):
            if place is not None and (place / rest).is_file():
                return place / rest
    raise WorldError(f'{name} is in no folder {package} around {folder}; put the package there, '
                     'or write paths beside the URDF in place of package://')


def _guarded(work: Callable[[], T], what: str) -> T:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')              # options of parts give way to ours
            return work()
    except (ValueError, RuntimeError, TypeError, OSError, SyntaxError, mujoco.FatalError
            ) as error:                                  # ParseError is a SyntaxError
        raise WorldError(f'{what} is no model that MuJoCo can use: '
                         f'{" ".join(str(error).split())}') from error
