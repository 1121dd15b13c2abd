"""The eye in a simulated world, with its head: nothing of it touches hardware.

    ros2 launch gaze_robot sim.launch.py
    ros2 launch gaze_robot sim.launch.py world:=/path/to/panorama.jpg movers:=3 rviz:=true
    ros2 launch gaze_robot sim.launch.py namespace:=left frame_prefix:=left_

Every other argument of bringup.launch.py is understood, too; `--show-args` explains them.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

BRINGUP = str(Path(__file__).parent / 'bringup.launch.py')


def generate_launch_description() -> LaunchDescription:
    """Include bringup, with camera and head simulated whatever was asked for."""
    return LaunchDescription([
        DeclareLaunchArgument('world', default_value='', description=(
            "'procedural', a panorama, a folder of them, a 360-degree video.")),
        DeclareLaunchArgument('movers', default_value='', description=(
            'People and things that move in front of the world.')),
        DeclareLaunchArgument('game', default_value='', description=(
            'search, or follow: find what a figure looks at.')),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(BRINGUP), launch_arguments=[
            ('camera', 'sim'), ('backend', 'sim'), ('eye', 'head'), ('pan_tilt', 'true')])])
