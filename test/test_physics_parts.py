"""Other people's arms and heads: what is taken, and what is said about what cannot be."""

import numpy as np
import pytest

mujoco = pytest.importorskip('mujoco', reason='needs mujoco')
pytest.importorskip('mink', reason='needs mink')

from gaze_robot.errors import WorldError  # noqa: E402
from gaze_robot_sim.physics.expert import succeeds  # noqa: E402
from gaze_robot_sim.physics.parts import ArmConfig, HeadConfig, load_arm, load_head  # noqa: E402
from gaze_robot_sim.physics.reach import Reach, reach_of  # noqa: E402
from gaze_robot_sim.physics.task import Goal  # noqa: E402
from gaze_robot_sim.physics.world import PhysicsConfig, PhysicsWorld  # noqa: E402

BROKEN = {
    'no xml': ('this is not XML', 'no model that MuJoCo can use'),
    'cut short': ('<mujoco><worldbody><body>', 'no model that MuJoCo can use'),
    'massless': ('<mujoco><worldbody><body><joint/></body></worldbody></mujoco>', 'mass'),
    'no tip': ('<mujoco><worldbody><body><joint/><geom size="1"/></body></worldbody></mujoco>',
               "no site or link 'tip'"),
    'no joint': ('<mujoco><worldbody><body><geom size="1"/><site name="tip"/></body></worldbody>'
                 '</mujoco>', 'no joint that turns'),
    'mesh missing': ('<mujoco><asset><mesh name="m" file="gone.stl"/></asset><worldbody><body>'
                     '<joint/><geom type="mesh" mesh="m"/></body></worldbody></mujoco>', 'gone')}
URDF = """<robot name="stick"><link name="base"><inertial><mass value="1"/>
<inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial></link>
{links}</robot>"""
LINK = """<link name="l{n}"><inertial><mass value="0.4"/><origin xyz="{x} 0 0"/>
<inertia ixx="0.01" ixy="0" ixz="0" iyy="0.01" iyz="0" izz="0.01"/></inertial></link>
<joint name="j{n}" type="revolute"><parent link="{parent}"/><child link="l{n}"/>
<origin xyz="{at} 0 0"/><axis xyz="{axis}"/><limit lower="-2.9" upper="2.9" effort="90"
velocity="3"/></joint>"""


def stick(tmp_path, length):
    """A URDF arm of six joints, in our arm's proportions times a length."""
    rows = [(0.0, '0 0 1'), (0.0, '0 1 0'), (0.46, '0 1 0'), (0.46, '0 1 0'), (0.03, '0 0 1'),
            (0.02, '1 0 0')]
    links = ''.join(LINK.format(n=n, parent='base' if n == 0 else f'l{n - 1}', at=at * length,
                                axis=axis, x=0.2 * length) for n, (at, axis) in enumerate(rows))
    links += ('<link name="hand"><collision><geometry><sphere radius="0.012"/></geometry>'
              '</collision></link><joint name="end" type="fixed"><parent link="l5"/>'
              f'<child link="hand"/><origin xyz="{0.13 * length} 0 0"/></joint>')
    path = tmp_path / 'stick.urdf'
    path.write_text(URDF.format(links=links))
    return ArmConfig(str(path), tip='hand', xyz=(0.0, 0.0, 0.8))


@pytest.mark.parametrize('name', list(BROKEN))
def test_a_broken_arm_is_named_with_the_reason(name, tmp_path):
    text, says = BROKEN[name]
    path = tmp_path / 'arm.xml'
    path.write_text(text)
    with pytest.raises(WorldError, match=says) as caught:
        load_arm(ArmConfig(str(path)))
    assert '\n' not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(WorldError, match='no file .*nowhere.xml'):
        load_arm(ArmConfig('nowhere.xml'))


def test_a_urdf_arm_without_a_gripper_presses(tmp_path):
    config = PhysicsConfig(arm=stick(tmp_path, 1.0))
    world = PhysicsWorld('press', 1, 0, config)
    assert world.joint_names == ('j0', 'j1', 'j2', 'j3', 'j4', 'j5')
    assert succeeds(world) == 'success'


def test_a_task_that_needs_a_gripper_says_so(tmp_path):
    with pytest.raises(WorldError, match='gripper.*bucket'):
        PhysicsWorld('bucket', 1, 0, PhysicsConfig(arm=stick(tmp_path, 1.0)))


def test_an_arm_that_is_too_short_is_refused_and_counted(tmp_path):
    arm = stick(tmp_path, 0.4)
    with pytest.raises(WorldError, match='cannot reach'):
        PhysicsWorld('press', 1, 0, PhysicsConfig(arm=arm))


def test_an_unreachable_place_is_an_error_in_numbers_and_soon():
    with pytest.raises(WorldError, match=r'cannot reach \(3.00, 0.00, 0.10\)'):
        reach_of(ArmConfig()).solve(Goal(0.0, 3.0, 0.1, 0.0), None)


def test_inverse_kinematics_goes_where_forward_kinematics_says():
    reach = Reach(ArmConfig())
    spec = load_arm(ArmConfig())
    model = spec.compile()
    data = mujoco.MjData(model)
    for azimuth, radius, z in [(0.0, 0.5, 0.02), (1.8, 0.55, 0.2), (-1.8, 0.45, 0.1)]:
        for name, angle in reach.solve(Goal(azimuth, radius, z, 0.0), None).items():
            data.joint(name).qpos[0] = angle
        mujoco.mj_forward(model, data)
        base = np.array(ArmConfig().xyz)
        np.testing.assert_allclose(
            data.site('tip').xpos + base,
            [radius * np.cos(azimuth), radius * np.sin(azimuth), z], atol=1e-3)
        points = data.site('tip').xmat.reshape(3, 3)[:, 0]
        np.testing.assert_allclose(points, [0, 0, -1], atol=0.02)


def test_heads_without_the_joints_or_the_camera_are_refused(tmp_path):
    path = tmp_path / 'head.xml'
    path.write_text('<mujoco><worldbody><body name="a"><joint name="turn"/><geom size="0.1"/>'
                    '</body></worldbody></mujoco>')
    with pytest.raises(WorldError, match="no joint 'pan'; its joints are turn"):
        load_head(HeadConfig(str(path)))
    with pytest.raises(WorldError, match="no camera or link 'eye'"):
        load_head(HeadConfig(str(path), pan='turn', tilt='turn'))


def test_a_published_urdf_head_carries_the_eye(data_dir):
    path = data_dir / 'urdf' / 'pxxls_cam' / 'pxxls_cam.urdf'
    if not path.is_file():
        pytest.skip(f'needs {path.name}')
    head = HeadConfig(str(path), camera='pxxls_cam/camera_link')
    world = PhysicsWorld('press', 0, 0, PhysicsConfig(head=head))
    world.step(world.joints(), np.array([0.5, 0.3]))
    camera = world.data.camera('head/eye')
    looks = -camera.xmat.reshape(3, 3)[:, 2]
    np.testing.assert_allclose(looks, [np.cos(0.3) * np.cos(0.5), np.cos(0.3) * np.sin(0.5),
                                       -np.sin(0.3)], atol=1e-3)
    world.step(world.joints(), np.zeros(2))
    np.testing.assert_allclose(world.data.camera('head/eye').xpos, world.eye, atol=1e-6)
