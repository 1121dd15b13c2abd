"""Imports point one way: see CONTRIBUTING, 'Who may import whom'."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE, SIM = ROOT / 'gaze_robot', ROOT / 'sim' / 'gaze_robot_sim'

NUMPY_ONLY = {
    'types.py', 'errors.py', 'geometry.py', 'camera.py', 'config.py', 'schema.py', 'optional.py',
    'config_head.py', 'head_geometry.py',
    'doctor.py', 'cli.py', 'policy/actions.py'}
TIES_BOTH = {'cli.py', 'bringup.py'}
"""The only core files that may name the simulator, and only inside functions."""

WORLD_NODES = {'world_node.py', 'workspace_node.py'}
"""The simulator's own nodes."""

MEASURE_THE_HEAD = {'control_loop.py', 'jitter.py'}

ROS = {
    'rclpy', 'launch', 'launch_ros', 'ament_index_python', 'builtin_interfaces',
    'rcl_interfaces', 'rosgraph_msgs', 'std_msgs', 'std_srvs', 'sensor_msgs', 'geometry_msgs',
    'trajectory_msgs', 'diagnostic_msgs', 'visualization_msgs', 'lifecycle_msgs', 'vision_msgs',
    'control_msgs', 'tf2_msgs', 'cv_bridge'}
LEARNING = {'gymnasium', 'stable_baselines3', 'tensorboard'}


def imported(tree: ast.AST) -> set[str]:
    """Top-level names imported anywhere in the tree, also inside functions."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return {name.split('.')[0] for name in names}


def at_import_time(tree: ast.Module) -> set[str]:
    """The same, without what is inside functions."""
    outside: list[ast.stmt] = [node for node in tree.body
                               if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return set().union(*(imported(node) for node in outside)) if outside else set()


def sources(folder: Path) -> Iterator[tuple[str, ast.Module]]:
    """(path relative to folder, parsed source) of every module."""
    for path in sorted(folder.rglob('*.py')):
        yield path.relative_to(folder).as_posix(), ast.parse(path.read_text(encoding='utf-8'))


def wrong(folder: Path, banned: set[str], where: Callable[[str], bool]) -> list[str]:
    return [f'{name} imports {module}' for name, tree in sources(folder) if where(name)
            for module in sorted(imported(tree) & banned)]


def in_nodes(name: str) -> bool:
    return name.startswith('nodes/')


def test_the_search_finds_something_to_judge() -> None:
    """The rules below hold of an empty list too; make sure it is not one."""
    assert len(list(sources(CORE))) > 15
    assert len(list(sources(SIM))) > 3


def test_ros_only_in_the_nodes() -> None:
    assert not wrong(CORE, ROS, lambda name: not in_nodes(name))


def test_ros_in_the_simulator_only_in_its_world_nodes() -> None:
    assert not wrong(SIM, ROS, lambda name: name not in WORLD_NODES)


def test_the_core_knows_neither_simulator_nor_learning_libraries() -> None:
    banned = {'gaze_robot_sim', 'tyro'} | LEARNING
    assert not wrong(CORE, banned, lambda name: name not in TIES_BOTH)


def test_what_ties_both_together_imports_lazily() -> None:
    early = [f'{name} imports {module} at the top' for name, tree in sources(CORE)
             if name in TIES_BOTH
             for module in sorted(at_import_time(tree) & ({'gaze_robot_sim', 'tyro', 'torch'}
                                                          | LEARNING | ROS))]
    assert not early


def test_drivers_and_the_small_modules_do_without_torch() -> None:
    assert not wrong(CORE, {'torch', 'safetensors'},
                     lambda name: name in NUMPY_ONLY or name.startswith(
                         ('drivers/', 'control/', 'calibration/')))


def test_the_head_does_without_torch() -> None:
    assert not wrong(CORE, {'torch', 'safetensors'}, lambda name: name == 'nodes/pan_tilt_node.py')


def test_nodes_import_no_other_node() -> None:
    for name, tree in sources(CORE):
        if in_nodes(name) and name.endswith('_node.py'):
            others = [node.module for node in ast.walk(tree)
                      if isinstance(node, ast.ImportFrom) and node.module
                      and node.module.startswith('gaze_robot.nodes.')
                      and node.module.endswith('_node')]
            assert not others, f'{name} imports {others}'


def test_the_simulator_never_imports_the_nodes() -> None:
    """But for its own node, which shares their message conversions, and for the head loop, which
    knows no ROS and is measured as it is.
    """
    for name, tree in sources(SIM):
        if name not in WORLD_NODES:
            nodes = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                     and (node.module or '').startswith('gaze_robot.nodes')
                     and not (name in MEASURE_THE_HEAD
                              and node.module in ('gaze_robot.nodes._head',
                                                  'gaze_robot.nodes._realtime'))}
            assert not nodes, f'{name} imports {nodes}'


@pytest.mark.parametrize('module', [
    'gaze_robot', 'gaze_robot.types', 'gaze_robot.config', 'gaze_robot.cli', 'gaze_robot.doctor',
    'gaze_robot.drivers', 'gaze_robot.control.controller', 'gaze_robot.policy.actions'])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    """Seen in a fresh interpreter, so that what a package's __init__ drags in counts too."""
    code = (f'import sys, {module}\n'
            "heavy = {'torch', 'rclpy', 'gymnasium', 'stable_baselines3', 'tyro', 'matplotlib',"
            "         'gaze_robot_sim'} & set(sys.modules)\n"
            'sys.exit(repr(sorted(heavy)) if heavy else 0)')
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT,
                         timeout=60)
    assert run.returncode == 0, run.stderr
