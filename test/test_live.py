"""`gaze-robot doctor --live`: what is said of a graph, and of a real one."""

import json
import os
import subprocess
import sys
import time

import pytest

from gaze_robot.doctor import BAD, LESS, OK
from gaze_robot.live import judge, Mismatch, Snapshot, Status
from gaze_robot.signs import KEY, MEANINGS


def status(level='ok', message='looking', signs='', age_s=0.5, **values):
    return Status(level, message, {KEY: signs, **values}, age_s)


WELL = {'/gaze: eye': status(eye='head'), '/pan_tilt: head': status(message='ok')}
NODES = ('/gaze', '/pan_tilt', '/world')


def test_a_robot_that_is_well_is_two_good_rows():
    assert [row.state for row in judge(Snapshot(NODES, WELL))] == [OK, OK]


@pytest.mark.parametrize('sign', list(MEANINGS))
def test_every_sign_is_told_with_what_to_do(sign):
    level, fix = MEANINGS[sign]
    rows = judge(Snapshot(NODES, {**WELL, '/gaze: eye': status(level, 'as seen', sign)}))
    row = next(row for row in rows if row.name == '/gaze: eye')
    assert row.state == (LESS if level == 'warn' else BAD)
    assert row.found == 'as seen'
    assert row.fix == fix


def test_an_empty_graph_says_where_it_looked(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', '42')
    rows = judge(Snapshot(()))
    assert [row.state for row in rows] == [BAD]
    assert 'ROS_DOMAIN_ID 42' in rows[0].found


def test_a_node_that_is_not_configured_is_not_called_absent():
    rows = judge(Snapshot(NODES))
    assert 'not configured' in rows[0].found
    assert 'ros2 lifecycle set /gaze configure' in rows[0].fix


def test_a_node_that_fell_silent_twins_and_mismatches_are_rows():
    seen = Snapshot((*NODES, '/gaze'), {**WELL, '/gaze: eye': status(age_s=4.0)},
                    (Mismatch('/cmd', 'a', 'b', 'best effort is offered, reliable asked for'),))
    rows = {row.name: row for row in judge(seen)}
    assert 'no diagnostics for 4 s' in rows['/gaze: eye'].found
    assert rows['/gaze'].state == LESS
    assert rows['/cmd'].state == BAD
    assert 'a is not heard by b' in rows['/cmd'].found


def test_an_electronic_eye_misses_no_head():
    rows = judge(Snapshot(('/gaze',), {'/gaze: eye': status(eye='picture')}))
    assert [row.name for row in rows] == ['/gaze: eye']


def test_diagnostics_of_other_packages_are_left_alone():
    other = Status('error', 'flat', {'voltage': '3'}, 0.1)
    assert judge(Snapshot(NODES, {**WELL, 'battery': other})) == judge(Snapshot(NODES, WELL))


@pytest.mark.ros
def test_a_real_graph_with_two_faults_is_told_in_words(tmp_path, monkeypatch, new_domain):
    """A head alone, and somebody who commands it with a quality of service it cannot hear."""
    rclpy = pytest.importorskip('rclpy')
    from rclpy.qos import qos_profile_sensor_data
    from trajectory_msgs.msg import JointTrajectory
    domain = new_domain()
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    head = subprocess.Popen([sys.executable, '-m', 'gaze_robot.nodes.pan_tilt_node', '--ros-args',
                             '-p', 'enable_at_start:=false'], stderr=subprocess.DEVNULL)
    rclpy.init(domain_id=domain)
    try:
        node = rclpy.create_node('somebody')
        node.create_publisher(JointTrajectory, 'joint_trajectory', qos_profile_sensor_data)
        end_s = time.monotonic() + 30
        while not node.count_publishers('/joint_states') and time.monotonic() < end_s:
            rclpy.spin_once(node, timeout_sec=0.1)
        done = subprocess.run(
            [sys.executable, '-m', 'gaze_robot.cli', 'doctor', '--live', '--seconds', '6',
             '--json', str(tmp_path / 'live.json')], capture_output=True, text=True, timeout=60,
            env=dict(os.environ))
        node.destroy_node()
    finally:
        head.kill()
        head.wait()
        rclpy.try_shutdown()
    rows = {row['name']: row for row in json.loads((tmp_path / 'live.json').read_text())['rows']}
    assert done.returncode == 1
    assert 'torque off' in rows['/pan_tilt: head']['found']
    assert '~/torque_enable' in rows['/pan_tilt: head']['fix']
    assert 'somebody is not heard by pan_tilt' in rows['/joint_trajectory']['found']
    assert 'no such node' in rows['gaze']['found']
    assert 'Traceback' not in done.stderr
