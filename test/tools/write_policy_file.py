"""Write config/sros2_policy.xml from the nodes themselves: run it after changing their topics.

Needs rclpy and torch: every node is made and asked what it publishes, listens to and serves.
"""

from contextlib import contextmanager
import os
from pathlib import Path
import tempfile
from xml.etree import ElementTree

import cv2
import numpy as np

TARGET = Path(__file__).resolve().parents[2] / 'config' / 'sros2_policy.xml'
HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- What each node may do, for SROS 2: docs/security.md says how to make keys of it. For a robot
     in a namespace, change ns="/" to it everywhere: names without a leading slash follow.
     Made by test/tools/write_policy_file.py from the nodes. -->
"""
OPTIONAL = {
    'gaze': {'publish': {'~/action', '~/detections'}, 'subscribe': {'image_raw/compressed'}},
    'pan_tilt': {'publish': {'/tf', '/tf_static', 'joint_states'}},
    'viewer': {'subscribe': {'image_raw/compressed'}}}
"""What a node has only with some parameter or message package."""

ACTIONS = {'pan_tilt': ('~/follow_joint_trajectory', '~/point_head')}
LINK = {'publish': {'joint_trajectory_controller/joint_trajectory', '/rosout',
                    '/parameter_events'},
        'subscribe': {'joint_states', '/clock'}, 'reply': set(), 'request': set()}
"""pan_tilt's second node, with backend trajectory."""


def make_nodes():
    """{name: a configured node}."""
    from rclpy.parameter import Parameter

    from gaze_robot.nodes.camera_node import CameraNode
    from gaze_robot.nodes.gaze_node import GazeNode
    from gaze_robot.nodes.pan_tilt_node import PanTiltNode
    from gaze_robot.nodes.viewer_node import ViewerNode
    from gaze_robot_sim.world_node import WorldNode
    picture = Path(tempfile.mkdtemp()) / 'grey.png'
    cv2.imwrite(str(picture), np.full((32, 32, 3), 90, np.uint8))
    nodes = {'gaze': GazeNode(parameter_overrides=[Parameter('model.runtime', value='torch')]),
             'pan_tilt': PanTiltNode(),
             'world': WorldNode(parameter_overrides=[Parameter('rate', value=1.0)]),
             'camera': CameraNode(parameter_overrides=[Parameter('source', value=str(picture))]),
             'viewer': ViewerNode()}
    nodes['viewer'].listen(True)
    for name in ('gaze', 'pan_tilt'):
        nodes[name].trigger_configure()
        assert nodes[name].state == 'inactive', nodes[name].failure
    return nodes


@contextmanager
def running(domain):
    """The nodes of `make_nodes`, in a ROS domain of their own, gone afterwards.

    Nodes of the same name that this process made before linger in its domain's graph.
    """
    import rclpy
    rclpy.init(domain_id=domain)
    nodes = make_nodes()
    try:
        yield nodes
    finally:
        for node in nodes.values():
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()


def what(node):
    """{'publish', 'subscribe', 'reply', 'request': {name: type}} of a node, as in a policy."""
    name, namespace = node.get_name(), node.get_namespace()
    found = {'publish': node.get_publisher_names_and_types_by_node,
             'subscribe': node.get_subscriber_names_and_types_by_node,
             'reply': node.get_service_names_and_types_by_node,
             'request': node.get_client_names_and_types_by_node}
    return {access: {_short(topic, name): kinds[0] for topic, kinds in ask(name, namespace)
                     if '/_action/' not in topic}
            for access, ask in found.items()}


def _short(topic, node):
    if topic.startswith(f'/{node}/'):
        return '~' + topic.removeprefix(f'/{node}')
    absolute = ('/rosout', '/parameter_events', '/diagnostics', '/tf', '/tf_static', '/clock')
    return topic if topic in absolute else topic.removeprefix('/')


def rules(nodes):
    """{node: {access: set of names}}, with what is optional."""
    found = {}
    for name, node in nodes.items():
        found[name] = {access: set(names) for access, names in what(node).items()}
        found[name]['subscribe'].add('/clock')
        for access, names in OPTIONAL.get(name, {}).items():
            found[name][access] |= names
    return found


def text(nodes):
    """The file's content."""
    policy = ElementTree.Element('policy', version='0.2.0')
    enclaves = ElementTree.SubElement(policy, 'enclaves')
    for name, allowed in rules(nodes).items():
        enclave = ElementTree.SubElement(enclaves, 'enclave', path=f'/gaze_robot/{name}')
        profiles = ElementTree.SubElement(enclave, 'profiles')
        _profile(profiles, name, allowed, ACTIONS.get(name, ()))
        if name == 'pan_tilt':
            _profile(profiles, 'pan_tilt_controller_link', LINK, ())
    ElementTree.indent(policy)
    return HEAD + ElementTree.tostring(policy, encoding='unicode') + '\n'


def _profile(profiles, node, allowed, actions):
    profile = ElementTree.SubElement(profiles, 'profile', ns='/', node=node)
    for tag, access, names in (
            ('topic', 'publish', allowed['publish']), ('topic', 'subscribe', allowed['subscribe']),
            ('service', 'reply', allowed['reply']), ('service', 'request', allowed['request']),
            ('action', 'execute', actions)):
        if names:
            group = ElementTree.SubElement(profile, f'{tag}s', {access: 'ALLOW'})
            for name in sorted(names):
                ElementTree.SubElement(group, tag).text = name


if __name__ == '__main__':
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    with running(domain=2 + os.getpid() % 100) as made:
        TARGET.write_text(text(made), encoding='utf-8')
