"""Other people's arms and heads: what is taken, and what is said about what cannot be."""

import re

import numpy as np
import pytest

mujoco = pytest.importorskip('mujoco', reason='needs mujoco')
pytest.importorskip('mink', reason='needs mink')

from gaze_robot.errors import ConfigError, WorldError  # noqa: E402
from gaze_robot_sim.physics.expert import succeeds  # noqa: E402
from gaze_robot_sim.physics.parts import (  # noqa: E402
    ArmConfig,
    HeadConfig,
    load_arm,
    load_head,
    MODELS,
)
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

OURS = (MODELS / 'arm.xml').read_text()
SERVO = r'<position name="(?!gripper)(\w+)"'
SPARE = '<body name="spare" pos="0 0 0.1"><joint {0}/><geom size="0.01"/></body><site name="tip"'
ODD = {
    'motor': (re.sub(SERVO + r' class="\w+" joint="(\w+)" ctrlrange="[^"]*"',
                     r'<motor name="\1" joint="\2"', OURS), "'yaw' is no position servo"),
    'gear': (OURS.replace('<position name="yaw" ', '<position name="yaw" gear="50" '),
             "'yaw' is no position servo"),
    'ball': (OURS.replace('<site name="tip"', SPARE.format('name="b" type="ball"')),
             "'b' is free or a ball"),
    'no name': (OURS.replace('joint name="yaw" class', 'joint class').replace(
        '<position name="yaw" class="link" joint="yaw" ctrlrange="-2.9 2.9"/>', ''),
        "joint of 'turret' has no name"),
    'a joint without an actuator': (OURS.replace(
        '<position name="elbow" class="link" joint="elbow" ctrlrange="0 2.8"/>', ''),
        "'elbow', between base and hand, has no actuator"),
    'a gripper by another name': (OURS.replace('name="gripper" tendon', 'name="grip" tendon'),
                                  "'grip' does not turn a joint; call it 'gripper'"),
    'limits apart': (OURS.replace('joint="elbow" ctrlrange="0 2.8"',
                                  'joint="elbow" ctrlrange="3 4"'), "outside those of .*'elbow'")}
TETRAHEDRON = """v 0 0 0
v 0.01 0 0
v 0 0.01 0
v 0 0 0.01
f 1 3 2
f 1 2 4
f 2 3 4
f 3 1 4
"""


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


@pytest.mark.parametrize('named', [r'<position name="act_\1"', '<position'])
def test_actuators_may_have_other_names_than_their_joints(named, tmp_path):
    path = tmp_path / 'arm.xml'
    path.write_text(re.sub(SERVO, named, OURS))
    world = PhysicsWorld('press', 1, 0, PhysicsConfig(arm=ArmConfig(str(path))))
    assert world.joint_names == PhysicsWorld('press', 1, 0).joint_names
    assert succeeds(world) == 'success'


def test_a_hand_may_say_its_orientation_in_any_way(tmp_path):
    """The sponge is turned as the tip is, said as angles."""
    path = tmp_path / 'arm.xml'
    path.write_text(OURS.replace('<site name="tip"', '<site name="tip" euler="0.4 0 0"'))
    world = PhysicsWorld('wipe', 1, 0, PhysicsConfig(arm=ArmConfig(str(path))))
    np.testing.assert_allclose(world.model.geom('arm/sponge').quat,
                               [np.cos(0.2), np.sin(0.2), 0, 0], atol=1e-6)


def test_a_joint_beside_the_way_to_the_hand_needs_no_actuator(tmp_path):
    path = tmp_path / 'arm.xml'
    path.write_text(OURS.replace('<site name="tip"', SPARE.format('name="b"')))
    assert succeeds(PhysicsWorld('press', 1, 0, PhysicsConfig(arm=ArmConfig(str(path))))
                    ) == 'success'


@pytest.mark.parametrize('name', list(ODD))
def test_an_arm_that_could_not_be_moved_as_told_is_refused(name, tmp_path):
    text, says = ODD[name]
    path = tmp_path / 'arm.xml'
    path.write_text(text)
    with pytest.raises(WorldError, match=says):
        load_arm(ArmConfig(str(path)))


def test_limits_are_those_of_the_joints_whatever_the_file_counts_in(tmp_path):
    """An MJCF counts in degrees where it does not say otherwise; and actuators may say less."""
    text = re.sub(r'<actuator>.*?</actuator>', '', OURS, flags=re.DOTALL).replace(
        'angle="radian"', 'angle="degree"')
    text = re.sub(r'range="([-.\d]+) ([-.\d]+)"/>', lambda found: (
        'range="{:.4f} {:.4f}"/>'.format(*np.degrees([float(one) for one in found.groups()]))),
        text.replace('euler="1.5708 0 0"', 'euler="90 0 0"').replace(
            'euler="0 1.5708 0"', 'euler="0 90 0"'))
    wide = OURS.replace('joint="yaw" ctrlrange="-2.9 2.9"', 'joint="yaw" ctrllimited="false"')
    for number, content in enumerate((text, wide)):
        path = tmp_path / f'{number}.xml'
        path.write_text(content)
        world = PhysicsWorld('press', 1, 0, PhysicsConfig(arm=ArmConfig(str(path))))
        low, high = world.bounds
        np.testing.assert_allclose((low[0], high[0], high[2]), (-2.9, 2.9, 2.8), atol=1e-4)
        for _ in range(30):
            world.step(np.full(len(low), 100.0))
            assert abs(world.joints()[0]) < 2.95


def test_an_arm_that_diverges_is_told_or_counted(tmp_path):
    path = tmp_path / 'arm.xml'
    path.write_text(OURS.replace('damping="1"', 'damping="-1e7"'))
    with pytest.raises(WorldError, match='diverges at rest'):
        PhysicsWorld('press', 1, 0, PhysicsConfig(arm=ArmConfig(str(path))))
    path = tmp_path / 'stiff.xml'
    path.write_text(OURS.replace('kp="1500"', 'kp="1e12"'))
    assert succeeds(PhysicsWorld('press', 1, 0, PhysicsConfig(arm=ArmConfig(str(path))))
                    ) == 'diverged'


@pytest.mark.parametrize('make', [lambda: ArmConfig(xyz=(0.0, 0.0, float('nan'))),
                                  lambda: HeadConfig(height=float('nan')),
                                  lambda: PhysicsConfig(arm='arm.xml')])
def test_settings_that_make_no_sense_are_refused(make):
    with pytest.raises(ConfigError, match='got'):
        make()


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
    path.write_text('<mujoco><worldbody><body name="a"><joint name="turn"/><joint name="nod"/>'
                    '<geom size="0.1"/></body></worldbody></mujoco>')
    with pytest.raises(WorldError, match="no joint 'pan'; its joints are nod, turn"):
        load_head(HeadConfig(str(path)))
    with pytest.raises(WorldError, match="no camera or link 'eye'"):
        load_head(HeadConfig(str(path), pan='turn', tilt='nod'))
    with pytest.raises(WorldError, match="two joints, both are 'turn'"):
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


HEAD = """<robot name="head"><link name="base"/>
<link name="pan_link"><inertial><mass value="0.1"/>
<inertia ixx="0.01" ixy="0" ixz="0" iyy="0.01" iyz="0" izz="0.01"/></inertial></link>
<link name="tilt_link"><inertial><mass value="0.1"/>
<inertia ixx="0.01" ixy="0" ixz="0" iyy="0.01" iyz="0" izz="0.01"/></inertial>
<visual><geometry><mesh filename="{mesh}"/></geometry></visual></link><link name="optical"/>
<joint name="pan" type="revolute"><parent link="base"/><child link="pan_link"/>
<axis xyz="0 0 1"/><limit lower="-0.5" upper="0.4" effort="1" velocity="1"/></joint>
<joint name="tilt" type="{kind}"><parent link="pan_link"/><child link="tilt_link"/>
<axis xyz="0 {side} 0"/><limit lower="-0.2" upper="0.3" effort="1" velocity="1"/></joint>
<joint name="fixed" type="fixed"><parent link="tilt_link"/><child link="optical"/>
<origin rpy="-1.5708 0 -1.5708"/></joint></robot>"""


def own_head(folder, mesh='meshes/m.obj', side=1, kind='revolute', camera='optical'):
    (folder / 'meshes').mkdir(parents=True, exist_ok=True)
    (folder / 'meshes' / 'm.obj').write_text(TETRAHEDRON)
    path = folder / 'head.urdf'
    path.write_text(HEAD.format(mesh=mesh, side=side, kind=kind))
    return HeadConfig(str(path), camera=camera)


@pytest.mark.parametrize('mesh', ['meshes/m.obj', 'package://my_head/meshes/m.obj',
                                  'file://{folder}/meshes/m.obj'])
def test_a_head_keeps_its_limits_and_its_meshes_are_found(mesh, tmp_path):
    folder = tmp_path / 'R&D "new"' / 'my_head'
    name = mesh.format(folder=str(folder).replace('&', '&amp;').replace('"', '&quot;'))
    world = PhysicsWorld('press', 0, 0, PhysicsConfig(head=own_head(folder, name)))
    for goal, reached in (((1.5, 0.6), (0.4, 0.3)), ((-1.5, -0.6), (-0.5, -0.2))):
        world.step(world.joints(), np.array(goal))
        np.testing.assert_allclose(world.gaze, reached)
    assert not world.outcome


@pytest.mark.parametrize('wrong, says', [
    ({'side': -1}, 'tilt 0.1 rad the camera .* looks along'),
    ({'camera': 'tilt_link'}, 'optical frame'),
    ({'kind': 'prismatic'}, "'tilt' does not turn"),
    ({'mesh': 'package://gone/m.obj'}, 'in no folder gone around .*package://')])
def test_a_head_that_would_look_elsewhere_is_refused(wrong, says, tmp_path):
    with pytest.raises(WorldError, match=says):
        load_head(own_head(tmp_path, **wrong))
