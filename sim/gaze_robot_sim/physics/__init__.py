"""Workspaces in physics (MuJoCo): an arm and an eye at a table that no fixed camera sees whole.

    model_file, parts             the arm and the head: ours, or the user's own, checked
    textures, furniture           all else that there is
    task, carrying, tasks         five tasks: where things lie, what to do, when it is done
    build, world                  a model, and one episode of it, stepped
    reach, expert                 inverse kinematics, and who knows how to do the tasks
    views, conditions             what eyes and cameras see
    envs                          gymnasium environments; importing this package registers them
    demos                         what the expert shows
    closed_loop, evaluate         hands at work, and the table about them
    shown, hands                  the expert in turns with a hand, and hands that imitate it

MuJoCo renders without a screen through EGL or OSMesa; MUJOCO_GL overrules the choice made here.
"""

import ctypes.util
import os
import sys

import gymnasium

TASKS = ('Press', 'Bucket', 'Wipe', 'Shelf', 'Read')


def _choose_renderer() -> None:
    """Before MuJoCo is imported: without a screen it must be told how to draw."""
    # Mesa's software renderer: pictures as small as ours are not worth handing to its threads.
    os.environ.setdefault('LP_NUM_THREADS', '0')
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
