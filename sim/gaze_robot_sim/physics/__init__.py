"""Workspaces in physics (MuJoCo): an arm and an eye at a table that no fixed camera sees whole.

    parts      the arm and the head: ours, or the user's own MJCF or URDF
    textures   how things look
    furniture  what stands on the table
    tasks      five of them: where things lie, what to do, when it is done
    world      one episode's physics, stepped
    expert     who knows how: inverse kinematics towards what a task says
    views      what eyes and cameras see of it
    envs       gymnasium environments; importing this package registers them

MuJoCo renders without a screen through EGL or OSMesa; MUJOCO_GL overrules the choice made here.
"""

import ctypes.util
import os
import sys

import gymnasium

TASKS = ('Press', 'Bucket', 'Wipe', 'Shelf', 'Read')


def _choose_renderer() -> None:
    """Before MuJoCo is imported: without a screen it must be told how to draw."""
    if sys.platform != 'linux' or os.environ.get('DISPLAY') or os.environ.get('MUJOCO_GL'):
        return
    for name, library in (('egl', 'EGL'), ('osmesa', 'OSMesa')):
        if ctypes.util.find_library(library):
            os.environ['MUJOCO_GL'] = name
            return


_choose_renderer()
for _task in TASKS:
    gymnasium.register(f'gaze_workspace/{_task}-v0', 'gaze_robot_sim.physics.envs:WorkspaceEnv',
                       kwargs={'task': _task.lower()})
