"""Only the eye: pictures in, gaze targets and fixations out. There is no head and nothing moves.

    ros2 launch gaze_robot perception.launch.py image_topic:=/camera/color/image_raw
    ros2 launch gaze_robot perception.launch.py camera:=usb source:=0
    ros2 launch gaze_robot perception.launch.py namespace:=left image_topic:=/left/image_raw
    ros2 launch gaze_robot perception.launch.py namespace:=right image_topic:=/right/image_raw

Several cameras: one launch each, in a namespace of its own. Every other argument of
bringup.launch.py is understood, too; `--show-args` explains them.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

BRINGUP = str(Path(__file__).parent / 'bringup.launch.py')


def generate_launch_description() -> LaunchDescription:
    """Include bringup without a head; the fixation moves inside the picture."""
    return LaunchDescription([
        DeclareLaunchArgument('camera', default_value='none', choices=['usb', 'file', 'none'],
                              description='none: a camera driver of your own; usb; file.'),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(BRINGUP), launch_arguments=[
            ('eye', 'picture'), ('pan_tilt', 'false')])])
