"""A bag instead of a robot: its pictures and joint states in, what the eye makes of them out.

    ros2 launch gaze_robot replay.launch.py bag:=/path/to/bag
    ros2 launch gaze_robot replay.launch.py bag:=walk.mcap image_topic:=/camera/image_raw \
eye:=picture

The nodes follow the bag's clock. Only what the eye listens to is played, so that what it said when
the bag was recorded does not mix with what it says now. `gaze-robot replay` plays it (library
rosbags, from pip), or rosbag2 with player:=rosbag2. Every other argument of bringup.launch.py is
understood, too; `--show-args` explains them.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.substitutions import ExecutableInPackage

BRINGUP = str(Path(__file__).parent / 'bringup.launch.py')
PATIENCE_S = '120.0'
"""How long the player waits until the eye listens, which may take its time to load."""
HEARD = ('joint_states', 'gaze/exemplar', 'gaze/prompt', 'gaze/look_at')
"""What the eye listens to, beside the camera."""


def generate_launch_description() -> LaunchDescription:
    """Include bringup without camera and head, and play the bag."""
    return LaunchDescription([
        DeclareLaunchArgument('bag', description='Folder or file of a bag, sqlite3 or MCAP.'),
        DeclareLaunchArgument('bag_rate', default_value='1.0', description=(
            'How many times as fast as it was recorded.')),
        DeclareLaunchArgument('player', default_value='gaze_robot', choices=[
            'gaze_robot', 'rosbag2'], description='Who plays it.'),
        DeclareLaunchArgument('loop', default_value='false', choices=['true', 'false'],
                              description='Begin again at the end; else everything ends then.'),
        DeclareLaunchArgument('eye', default_value='head', choices=['head', 'picture'],
                              description=('head: the camera turned as its joint_states say; '
                                           'picture: it stood still.')),
        DeclareLaunchArgument('image_topic', default_value='image_raw', description=(
            "The camera's topic in the bag.")),
        DeclareLaunchArgument('namespace', default_value='', description=(
            "The robot's, as it was recorded.")),
        OpaqueFunction(function=_player),       # first: it refuses a bag that is not there
        IncludeLaunchDescription(PythonLaunchDescriptionSource(BRINGUP), launch_arguments=[
            ('camera', 'none'), ('pan_tilt', 'false'), ('use_sim_time', 'true')])])


def _player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    argument = {name: LaunchConfiguration(name).perform(context) for name in (
        'bag', 'bag_rate', 'loop', 'image_topic', 'namespace', 'player')}
    if not Path(argument['bag']).exists():
        raise RuntimeError(f'bag:={argument["bag"]}: there is no such file or folder')
    loop = ['--loop'] * (argument['loop'] == 'true')
    topics = ['--topics', *heard(argument['image_topic'], argument['namespace'])]
    if argument['player'] == 'rosbag2':
        command = ['ros2', 'bag', 'play', argument['bag'], '--clock', '100',
                   '--rate', argument['bag_rate'], *loop, *topics]
    else:
        command = [ExecutableInPackage(package='gaze_robot', executable='gaze-robot'), 'replay',
                   argument['bag'], '--wait', PATIENCE_S, '--clock',
                   '--speed', argument['bag_rate'], *loop, *topics]
    play = ExecuteProcess(cmd=command, name='player', output='screen')
    return [play, RegisterEventHandler(OnProcessExit(
        target_action=play, on_exit=[EmitEvent(event=Shutdown(reason='the bag has ended'))]))]


def heard(image_topic: str, namespace: str) -> list[str]:
    """Full names of the topics to play."""
    image = image_topic.removesuffix('/compressed')
    beside, slash, _ = image.rpartition('/')
    names = [image, f'{image}/compressed', f'{beside}{slash}camera_info', *HEARD]
    prefix = f'/{namespace.strip("/")}' if namespace.strip('/') else ''
    return [name if name.startswith('/') else f'{prefix}/{name}' for name in names]
