"""A real head under a real camera. Nothing moves before ~/torque_enable, unless told otherwise.

    ros2 launch gaze_robot hardware.launch.py backend:=dynamixel port:=/dev/serial/by-id/...
    ros2 launch gaze_robot hardware.launch.py backend:=pelco_d port:=/dev/ttyUSB0 camera:=none
    ros2 launch gaze_robot hardware.launch.py backend:=trajectory controller:=head_controller

Every other argument of bringup.launch.py is understood, too; `--show-args` explains them, and
docs/heads has a page for each head.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

BRINGUP = str(Path(__file__).parent / 'bringup.launch.py')
BACKENDS = ['dynamixel', 'feetech', 'pelco_d', 'onvif', 'trajectory']


def generate_launch_description() -> LaunchDescription:
    """Include bringup with a head that must be named, and a camera that is not simulated."""
    return LaunchDescription([
        DeclareLaunchArgument('backend', choices=BACKENDS, description='Which head it is.'),
        DeclareLaunchArgument('port', default_value='', description=(
            "Where it is: a serial device or a camera's address.")),
        DeclareLaunchArgument('camera', default_value='usb', choices=['usb', 'file', 'none'],
                              description='usb, file, or none: a camera driver of your own.'),
        DeclareLaunchArgument('enable_at_start', default_value='false', choices=['true', 'false'],
                              description='Power the motors and obey commands from the start.'),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(BRINGUP), launch_arguments=[
            ('eye', 'head'), ('pan_tilt', 'true')])])
