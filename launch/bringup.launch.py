"""Everything for one robot eye. With no argument: a closed loop on the simulator.

    ros2 launch gaze_robot bringup.launch.py
    ros2 launch gaze_robot bringup.launch.py world:=/path/to/panorama.jpg
    ros2 launch gaze_robot bringup.launch.py game:=follow
    ros2 launch gaze_robot bringup.launch.py camera:=usb source:=0
    ros2 launch gaze_robot bringup.launch.py camera:=file source:=/path/to/video.mp4
    ros2 launch gaze_robot bringup.launch.py camera:=none image_topic:=/camera/color/image_raw

`ros2 launch gaze_robot bringup.launch.py --show-args` explains every argument.
"""

import os
from pathlib import Path
import shutil

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from gaze_robot.bringup import FOLLOWING
from gaze_robot.schema import load_yaml
from gaze_robot.shipped import hand_of

PACKAGE = 'gaze_robot'
# Beside this file in the checkout as well as in an installed share folder.
CONFIG = Path(__file__).parent.parent / 'config'
SHARED_MEMORY_MB = 400
"""What four processes with the profile may fill; touching memory that is not there kills them."""
SHOWN = ('gaze/debug_image', 'gaze/fovea/image_raw', 'gaze/markers', 'gaze/gaze_targets',
         'gaze/salience', 'gaze/look_at')
"""Topics in config/gaze_robot.rviz."""
YES_NO = ['true', 'false']
FROM_FILE = ['', *YES_NO]

# name, default, meaning, choices
ARGUMENTS = [
    ('namespace', '', 'Namespace of every node and topic.', None),
    ('params_file', str(CONFIG / 'gaze_robot.yaml'), 'Parameters of every node.', None),
    ('use_sim_time', 'false', 'Follow /clock.', YES_NO),
    ('autostart', 'true', 'Configure and activate the lifecycle nodes without a manager.', YES_NO),
    ('log_level', 'info', 'debug, info, warn, error or fatal.', None),
    ('use_respawn', 'false', 'Start a node again 2 s after it died.', YES_NO),
    ('backend', '', "Which head; empty: the parameter file's (sim). trajectory: joints behind a "
     'JointTrajectoryController of ros2_control.',
     ['', 'sim', 'dynamixel', 'feetech', 'pelco_d', 'onvif', 'trajectory']),
    ('port', '', "Where that head is: a serial device or a camera's address; empty: the parameter "
     "file's.", None),
    ('controller', '', 'backend:=trajectory: name of the controller; empty: the parameter '
     "file's (joint_trajectory_controller).", None),
    ('camera', 'sim', 'sim: the simulator; usb; file: a video, picture or folder; none: a camera '
     'driver of your own.', ['sim', 'usb', 'file', 'none']),
    ('image_topic', 'image_raw', "The camera's topic; its camera_info is taken from beside it.",
     None),
    ('image_transport', '', "raw or compressed; empty: the parameter file's (raw).",
     ['', 'raw', 'compressed']),
    ('source', '', 'camera:=usb: number or device (0). camera:=file: the file or folder.', None),
    ('world', '', "camera:=sim: 'procedural', a panorama, a folder of them, a 360-degree video; "
     'workspace:press and so on: an arm in physics.',
     None),
    ('movers', '', 'camera:=sim: people and things that move in front of the world; empty: the '
     "parameter file's (0).", None),
    ('game', '', 'camera:=sim: search: an exemplar is looked for; follow: a figure shows '
     "by its gaze what to look at; empty: the parameter file's (search).",
     ['', 'search', 'follow']),
    ('rate', '', 'Pictures per second of the camera or simulator; empty: its own.', None),
    ('policy', '', 'Folder of a checkpoint, or bcrl; empty: the weights shipped, in '
     'world:=workspace:press and so on those of the hand that ships for it.', None),
    ('exemplar', '', "Picture of what to look for, or 'auto': a patch of the first frame. Empty: "
     "the parameter file's; else the simulator's tasks, 'auto' with camera:=usb and file.",
     None),
    ('eye', '', 'head: the head turns; picture: nothing turns, the fixation moves inside the '
     'picture. Empty: head with camera:=sim or a real backend, else picture.',
     ['', 'head', 'picture']),
    ('enable_at_start', '', 'Power the motors and obey commands from the start; empty: yes in '
     'simulation, no on hardware.', FROM_FILE),
    ('pan_tilt', '', 'Whether to start the node of the head; empty: where a head turns. false '
     'with eye:=head: joint_states come from somebody else, such as a bag.', FROM_FILE),
    ('frame_prefix', '', "Put before every frame name, such as left_; empty: the parameter "
     "file's.", None),
    ('enclaves', '', 'With SROS 2: where the keys of the nodes are, such as /gaze_robot; see '
     'docs/security.md.', None),
    ('rviz', 'false', 'Open RViz with config/gaze_robot.rviz.', YES_NO),
    ('viewer', 'false', 'A page in the browser to watch and steer by, on port 8080 of this '
     'machine.', YES_NO),
]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, set the middleware up, start the nodes."""
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=text, choices=choices)
          for name, default, text, choices in ARGUMENTS),
        OpaqueFunction(function=_environment),
        OpaqueFunction(function=_nodes)])


def _environment(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Settings with which camera pictures arrive, and cheaply; what the user set stays."""
    wanted = {
        # glibc gives a big buffer back to the kernel after every picture unless told not to.
        'MALLOC_MMAP_THRESHOLD_': '33554432',
        'MALLOC_TRIM_THRESHOLD_': '268435456',
        'MALLOC_TOP_PAD_': '16777216',
    }
    actions: list[LaunchDescriptionEntity] = []
    shared_mb = _shared_memory_mb()
    if shared_mb is None:
        actions.append(LogInfo(msg=(
            'there is no /dev/shm here, so our Fast DDS profile is not used; where Fast DDS sends '
            'pictures over the network instead, the larger ones may be lost')))
    elif shared_mb < SHARED_MEMORY_MB:
        actions.append(LogInfo(msg=(
            f'/dev/shm has {shared_mb} MB, too little for our Fast DDS profile: pictures will be '
            'lost between the nodes. In a container, give it more: docker run --shm-size=1g')))
    elif 'FASTDDS_DEFAULT_PROFILES_FILE' not in os.environ:
        wanted['FASTRTPS_DEFAULT_PROFILES_FILE'] = str(CONFIG / 'fastdds.xml')
    return actions + [SetEnvironmentVariable(name, value) for name, value in wanted.items()
                      if name not in os.environ]


def _shared_memory_mb() -> int | None:
    """Size of the shared memory, MB; None where there is none."""
    try:
        return shutil.disk_usage('/dev/shm').total >> 20
    except OSError:
        return None


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    argument = {name: LaunchConfiguration(name).perform(context) for name, *_ in ARGUMENTS}
    camera = argument['camera']
    if camera == 'file' and not argument['source']:
        raise RuntimeError('camera:=file needs source:=FILE (a video, a picture or a folder)')
    simulated_head = argument['backend'] in ('', 'sim')
    eye = argument['eye'] or ('picture' if camera != 'sim' and simulated_head else 'head')
    file = argument['params_file']
    alone = camera in ('usb', 'file') and not _in_file(file, 'gaze', 'exemplar')
    policy = argument['policy'] or (
        hand_of(argument['world'] or _in_file(file, 'world', 'world'))
        if camera == 'sim' and not _in_file(file, 'gaze', 'model.path') else None)
    exemplar = argument['exemplar'] or ('auto' if alone else '')
    rate = float(argument['rate']) if argument['rate'] else None

    actions: list[LaunchDescriptionEntity] = []
    if argument['pan_tilt'] == 'true' or (eye == 'head' and argument['pan_tilt'] != 'false'):
        actions.append(_node(argument, 'pan_tilt', autostart=True, parameters={
            'backend': argument['backend'] or None, 'port': argument['port'] or None,
            'controller': argument['controller'] or None,
            'enable_at_start': _truth(argument['enable_at_start'])}))
    actions.append(_node(argument, 'gaze', autostart=True, remappings=_camera_topics(argument),
                         parameters={
                             'eye': eye, 'exemplar': exemplar or None,
                             'image_transport': argument['image_transport'] or None,
                             'model.path': policy,
                             **(FOLLOWING if argument['game'] == 'follow' else {})}))
    if camera == 'sim':
        actions.append(_node(argument, 'world', remappings=_camera_topics(argument), parameters={
            'world': argument['world'] or None, 'rate': rate, 'game': argument['game'] or None,
            'movers': int(argument['movers']) if argument['movers'] else None}))
    elif camera != 'none':
        actions.append(_node(argument, 'camera', remappings=_camera_topics(argument), parameters={
            'source': argument['source'] or '0', 'rate': rate}))
    if argument['viewer'] == 'true':
        actions.append(_node(argument, 'viewer', remappings=_camera_topics(argument), parameters={
            'image_transport': argument['image_transport'] or None}))
    return actions + ([_rviz(argument)] if argument['rviz'] == 'true' else [])


def _rviz(argument: dict[str, str]) -> Node:
    """RViz in the robot's namespace: its file names topics of a robot without one."""
    return Node(
        package='rviz2', executable='rviz2', name='rviz', namespace=argument['namespace'],
        arguments=['-d', str(CONFIG / 'gaze_robot.rviz'),
                   '--fixed-frame', f'{argument["frame_prefix"]}base_link'],
        parameters=[{'use_sim_time': argument['use_sim_time'] == 'true'}],
        remappings=[(f'/{topic}', topic) for topic in SHOWN], output='screen')


def _in_file(params_file: str, node: str, name: str) -> object:
    """What the parameter file has for a node's parameter, if it has anything."""
    return next((values.get(name) for path, values in load_yaml(params_file).items()
                 if path.split('/')[-1] in (node, '**') and values.get(name)), None)


def _node(argument: dict[str, str], name: str, parameters: dict[str, object],
          remappings: list[tuple[str, str]] | None = None, autostart: bool = False) -> Node:
    """One node; a parameter that is None is left to the parameter file."""
    given = {key: value for key, value in parameters.items() if value is not None}
    if argument['frame_prefix']:
        given['frame_prefix'] = argument['frame_prefix']
    if argument['use_sim_time'] == 'true':
        given['use_sim_time'] = True
    if autostart:
        given['autostart'] = argument['autostart'] == 'true'
    return Node(
        package=PACKAGE, executable=f'{name}_node', name=name, namespace=argument['namespace'],
        parameters=[argument['params_file'], given], remappings=remappings or [],
        arguments=['--ros-args', '--log-level', f'{name}:={argument["log_level"]}',
                   *(['--enclave', f'{argument["enclaves"]}/{name}'] if argument['enclaves']
                     else [])],
        output='screen', respawn=argument['use_respawn'] == 'true', respawn_delay=2.0)


def _camera_topics(argument: dict[str, str]) -> list[tuple[str, str]]:
    """Remap the three topics of a camera to those beside `image_topic`."""
    image = argument['image_topic'].removesuffix('/compressed')
    if image == 'image_raw':
        return []
    beside, slash, _ = image.rpartition('/')
    return [('image_raw', image), ('image_raw/compressed', f'{image}/compressed'),
            ('camera_info', f'{beside}{slash}camera_info')]


def _truth(text: str) -> bool | None:
    return {'true': True, 'false': False}.get(text)
