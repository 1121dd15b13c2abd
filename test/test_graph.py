"""What the nodes really publish, beside what files about them say: security, RViz, Foxglove."""

import importlib.util
import json
import re
from xml.etree import ElementTree

import pytest
import yaml

pytestmark = pytest.mark.ros
pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('torch', reason='gaze_node needs torch')


@pytest.fixture(scope='module')
def writer(root):
    spec = importlib.util.spec_from_file_location(
        'write_policy_file', root / 'test' / 'tools' / 'write_policy_file.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def full(short, node):
    return f'/{node}{short[1:]}' if short.startswith('~') else f'/{short.lstrip("/")}'


@pytest.fixture(scope='module')
def graph(writer, new_domain):
    """(the policy file that should be, {full name: type} of everything published and served)."""
    with writer.running(new_domain()) as nodes:
        names = {full(short, name): kind
                 for name, node in nodes.items() for each in writer.what(node).values()
                 for short, kind in each.items()}
        yield writer.text(nodes), names


def test_the_policy_file_is_up_to_date(root, graph):
    written = (root / 'config' / 'sros2_policy.xml').read_text(encoding='utf-8')
    assert written == graph[0], 'run: python test/tools/write_policy_file.py'


def test_the_policy_denies_what_it_does_not_name(root):
    tree = ElementTree.parse(root / 'config' / 'sros2_policy.xml')
    qualifiers = {value for group in tree.iter() for key, value in group.attrib.items()
                  if key in ('publish', 'subscribe', 'request', 'reply', 'call', 'execute')}
    assert qualifiers == {'ALLOW'}
    names = [each.text for tag in ('topic', 'service', 'action') for each in tree.iter(tag)]
    assert not [name for name in names if '*' in name]
    # Nobody but the head's own nodes may command the head, and the eye commands nothing else.
    senders = {profile.get('node') for profile in tree.iter('profile')
               for group in profile.findall("topics[@publish='ALLOW']")
               for topic in group if topic.text == 'joint_trajectory'}
    assert senders == {'gaze'}


RVIZ = {'Image': 'sensor_msgs/msg/Image', 'MarkerArray': 'visualization_msgs/msg/MarkerArray',
        'PointCloud2': 'sensor_msgs/msg/PointCloud2',
        'PublishPoint': 'geometry_msgs/msg/PointStamped'}


def test_rviz_shows_topics_there_are_with_their_types(root, graph):
    manager = yaml.safe_load((root / 'config' / 'gaze_robot.rviz').read_text())[
        'Visualization Manager']
    shown = [(each['Class'].split('/')[-1], each['Topic']['Value'])
             for each in (*manager['Displays'], *manager['Tools']) if 'Topic' in each]
    assert len(shown) >= 5
    for kind, topic in shown:
        assert graph[1][topic] == RVIZ[kind], topic


def test_the_launch_file_remaps_what_rviz_shows(root):
    text = (root / 'launch' / 'bringup.launch.py').read_text()
    block = re.search(r'^SHOWN = \((.*?)\)$', text, re.MULTILINE | re.DOTALL).group(1)
    shown = set(re.findall(r"'([^']+)'", block))
    rviz = (root / 'config' / 'gaze_robot.rviz').read_text()
    assert shown == {topic.lstrip('/') for topic in re.findall(r'Value: (/\S+)', rviz)}


def test_foxglove_shows_what_there_is(root, graph):
    layout = json.loads((root / 'config' / 'foxglove_layout.json').read_text())
    panels = layout['configById']
    named = set(re.findall(r'"((?:\w+)![\w]+)"', json.dumps(layout['layout'])))
    assert named == panels.keys()
    topics = set(re.findall(r'"(/(?:gaze|pan_tilt|joint|diag)[\w/]*)', json.dumps(panels)))
    assert len(topics) >= 8
    assert topics <= graph[1].keys()
    services = {panel['serviceName'] for panel in panels.values() if 'serviceName' in panel}
    assert {graph[1][name] for name in services} == {'std_srvs/srv/SetBool'}
    for panel in panels.values():
        if 'requestPayload' in panel:
            assert json.loads(panel['requestPayload']) == {'data': True}
