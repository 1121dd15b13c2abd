"""The physics of a workspace: what an episode promises, and how it ends when things go wrong."""

import numpy as np
import pytest

pytest.importorskip('mujoco', reason='needs mujoco')
pytest.importorskip('mink', reason='needs mink')

from gaze_robot.errors import CommandError, ConfigError
from gaze_robot_sim.physics.expert import Expert, Nudges, succeeds
from gaze_robot_sim.physics.task import Goal, OPEN
from gaze_robot_sim.physics.tasks import KINDS
from gaze_robot_sim.physics.world import PhysicsConfig, PhysicsWorld


def lived(task='bucket', seed=0, index=0, steps=40):
    world = PhysicsWorld(task, seed, index)
    expert = Expert(world)
    for _ in range(steps):
        world.step(expert.act(), np.array([0.3, 0.2]))
    return world


def move(world, place, z, steps):
    """Send the tip above a place, (x, y), at a height, by inverse kinematics."""
    goal = Goal(float(np.arctan2(place[1], place[0])), float(np.hypot(*place[:2])), z, 0.0)
    joints = dict(zip(world.joint_names, world.joints()))
    command = world.command(world.reach.solve(goal, joints), 0.0)
    for _ in range(steps):
        world.step(command)


@pytest.mark.parametrize('task', list(KINDS))
def test_the_expert_does_every_task(task):
    assert [succeeds(PhysicsWorld(task, 5, index)) for index in range(3)] == ['success'] * 3


def test_equal_numbers_give_equal_episodes_and_others_do_not():
    first, second = lived(), lived()
    np.testing.assert_array_equal(first.data.qpos, second.data.qpos)
    assert first.task.instruction == second.task.instruction
    other = PhysicsWorld('bucket', 0, 1)
    assert not np.allclose(other.position('thing'), PhysicsWorld('bucket', 0, 0).position('thing'))


def test_thing_and_bucket_are_never_in_one_view():
    for index in range(10):
        world = PhysicsWorld('bucket', 3, index)
        pans = [np.arctan2(*world.position(name)[1::-1]) for name in ('thing', 'place0')]
        assert np.degrees(abs(pans[0] - pans[1])) > 90 + 8        # the view's width, and theirs


def test_masses_and_light_differ_from_episode_to_episode():
    worlds = [PhysicsWorld('shelf', 1, index) for index in range(4)]
    masses = {float(world.model.body('thing').mass[0]) for world in worlds}
    assert len(masses) == len({tuple(world.model.light_pos[0]) for world in worlds}) == 4
    assert len({tuple(world.eye) for world in worlds}) == 4


def test_the_eye_turns_as_it_is_told_and_within_its_limits():
    world = PhysicsWorld('press', 0, 0)
    world.step(world.joints(), np.array([0.4, 0.1]))
    np.testing.assert_allclose(world.gaze, [0.4, 0.1])
    world.step(world.joints(), np.array([9.0, -9.0]))
    np.testing.assert_allclose(world.gaze, [1.92, -0.61])
    camera = world.data.camera('head/eye')
    looks = -camera.xmat.reshape(3, 3)[:, 2]                      # MuJoCo's cameras look along -z
    np.testing.assert_allclose(looks, [np.cos(-0.61) * np.cos(1.92), np.cos(-0.61) * np.sin(1.92),
                                       -np.sin(-0.61)], atol=1e-6)


def test_the_head_has_the_dynamics_it_is_asked_for():
    world = PhysicsWorld('press', 0, 0, PhysicsConfig(dynamics='head'))
    start = world.gaze.copy()
    world.step(world.joints(), start + [0.17, 0.0])
    assert 0 < world.gaze[0] - start[0] < 0.1                     # it has to speed up first


def test_what_is_let_go_far_away_counts_as_dropped_and_as_another_grasp():
    world = PhysicsWorld('bucket', 2, 0)
    expert = Expert(world)
    while not world.holds('thing') or world.tip[2] < 0.12:
        world.step(expert.act())
    let_go = world.joints()
    let_go[world.joint_names.index('gripper')] = 0.11
    for _ in range(20):
        world.step(let_go)
    assert not world.holds('thing')
    while not world.outcome:
        world.step(expert.act())
    assert (world.outcome, world.grasps) == ('success', 2)


def test_what_falls_off_the_table_ends_the_episode():
    world = PhysicsWorld('shelf', 0, 0)
    world.data.joint(world.model.body('thing').jntadr[0]).qpos[:3] = [0.0, 1.2, -0.3]
    assert world.step(world.joints()) == 'dropped'


def test_no_episode_has_a_negative_number():
    with pytest.raises(ConfigError, match='not negative, got -1 and 0'):
        PhysicsWorld('press', -1, 0)


def test_physics_that_diverges_ends_the_episode():
    world = PhysicsWorld('bucket', 0, 0)
    rest = world.joints()
    world.data.qvel[:] = 1e9
    assert world.step(rest) == 'diverged'
    assert world.step(rest) == 'diverged'                         # and stays over


def test_who_does_nothing_runs_out_of_time():
    world = PhysicsWorld('press', 0, 0, PhysicsConfig(time_limit_s=0.5))
    rest = world.joints()
    outcomes = [world.step(rest) for _ in range(15)]
    assert outcomes == [''] * 14 + ['timeout']


def test_pressing_another_button_is_wrong():
    world = PhysicsWorld('press', 4, 0)
    move(world, world.position('button2'), 0.15, 60)
    for z in (0.10, 0.06, 0.04, 0.02):
        move(world, world.position('button2'), z, 10)
    assert world.outcome == 'wrong'


@pytest.mark.parametrize('bad', [[0.0], [np.nan] * 7, [np.inf] * 7])
def test_commands_that_are_none_are_refused(bad):
    world = PhysicsWorld('press', 0, 0)
    with pytest.raises(CommandError, match='7 finite numbers'):
        world.step(np.array(bad))


def test_unknown_tasks_and_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match='no task .*press'):
        PhysicsWorld('juggle', 0, 0)
    with pytest.raises(ConfigError, match='rate_hz'):
        PhysicsConfig(rate_hz=0.0)


def test_collisions_are_counted_once_each():
    world = PhysicsWorld('press', 0, 3)
    free = max(np.linspace(-1.5, 1.5, 40), key=lambda azimuth: min(
        abs(azimuth - place) for place in world.task.places))     # no button near
    for touches in (1, 2):
        move(world, (0.5 * np.cos(free), 0.5 * np.sin(free)), 0.15, 40)
        assert world.collisions == touches - 1
        move(world, world.tip, -0.03, 20)                         # both fingers, into the table
        assert world.collisions == touches


def test_an_open_gripper_is_pushed_and_one_that_holds_is_not():
    world, joints = PhysicsWorld('bucket', 0, 0), 7
    nudges = Nudges(np.random.default_rng(0), world, 0.015)
    opened = np.array([nudges(np.full(joints, OPEN))[-1] for _ in range(900)])      # 30 s
    assert 0.05 < np.mean(opened < OPEN - 1e-3) < 0.4
    assert opened.min() < 0.03
    assert opened.max() == OPEN
    assert all(nudges(np.zeros(joints))[-1] == 0.0 for _ in range(300))
    while nudges(np.full(joints, OPEN))[-1] == OPEN:
        pass
    nudges(np.zeros(joints))                        # it closes: that push is over
    assert nudges(np.full(joints, OPEN))[-1] == OPEN
    none = Nudges(np.random.default_rng(0), world, 0.0)
    assert all((none(np.full(joints, OPEN)) == OPEN).all() for _ in range(300))


def test_a_room_is_seen_with_many_layouts():
    def texture(world):
        return world.model.tex_data[world.model.texture('table').adr[0]:][:1000]
    first, again = (PhysicsWorld('press', 2, index, PhysicsConfig(rooms=1)) for index in (1, 2))
    np.testing.assert_array_equal(texture(first), texture(again))
    assert abs(first.position('button0') - again.position('button0')).max() > 0.01
    alone = [texture(PhysicsWorld('press', 2, index)) for index in (1, 2)]
    assert not np.array_equal(*alone)
    assert len({texture(PhysicsWorld('press', 2, index, PhysicsConfig(rooms=3))).tobytes()
                for index in range(12)}) == 3
