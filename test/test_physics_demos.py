"""Demonstrations of the expert: recorded all around, read back, and watched live."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip('mujoco', reason='needs mujoco')
pytest.importorskip('mink', reason='needs mink')

from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt, panorama_pixel
from gaze_robot.policy.tasks import embedding_of
from gaze_robot_sim.bcrl.batch import WatchBatch, WatchConfig
from gaze_robot_sim.bcrl.plays import Scale
from gaze_robot_sim.bcrl.scattering import scattered_aside
from gaze_robot_sim.bcrl.studio import Studio
from gaze_robot_sim.demos.commands import record, RecordConfig
from gaze_robot_sim.demos.store import open_demos
from gaze_robot_sim.oracles import Oracle
from gaze_robot_sim.physics import demos
from gaze_robot_sim.physics.demos import part_ends, part_goals, PhysicsPlays
from gaze_robot_sim.physics.expert import Expert, Nudges
from gaze_robot_sim.physics.live import LiveBatch
from gaze_robot_sim.physics.task import DONE, TASK_NUMBERS
from gaze_robot_sim.physics.tasks import KINDS, task_of
from gaze_robot_sim.physics.views import can_draw
from gaze_robot_sim.training.bcrl import TrainBcrlConfig

if can_draw():
    pytest.skip(can_draw(), allow_module_level=True)


@pytest.fixture(scope='module')
def plays():
    source = PhysicsPlays('bucket', 4)
    yield source
    source.close()


def test_a_demonstration_is_one_of_the_arm(plays):
    play = plays.play(0)
    episode = play.episode
    assert episode.joint_names == episode.action_names
    assert episode.joint_names[-1] == 'gripper'
    assert episode.task.shape == (TASK_NUMBERS,)
    assert 'bucket' in episode.instruction
    assert episode.scene.duration_s == pytest.approx(episode.duration_s)
    # What it is told to do is where it is soon after, kicks apart.
    late = np.median(abs(episode.actions[:-3] - episode.joints[3:]), axis=0)
    assert (late[:-1] < 0.05).all()


def test_equal_numbers_give_equal_demonstrations(plays):
    again = PhysicsPlays('bucket', 4).play(0).episode
    np.testing.assert_array_equal(again.actions, plays.play(0).episode.actions)
    assert len(PhysicsPlays('bucket', 5).play(0).episode.actions) != len(again.actions) or (
        not np.array_equal(PhysicsPlays('bucket', 5).play(0).episode.actions, again.actions))


def test_the_task_hands_over_from_the_thing_to_the_bucket(plays):
    play = plays.play(1)
    over = play.hand_over
    before, after = play.aim[over - 2], play.aim[over + 2]
    assert np.degrees(np.arccos(before @ after)) > 60
    gripper = play.episode.joints[:, -1]
    assert gripper[:max(over - 15, 1)].max() > 0.1 > 0.06 > gripper[over + 5]


def test_a_hand_over_lasts():
    """A gripper that closes touches the thing for a step or two, and lets go before DONE."""
    stages = np.array([0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, DONE, DONE, DONE])
    assert part_ends(stages).tolist() == [6] * 6 + [16] * 10
    tips = np.arange(48.0).reshape(16, 3) + 1
    goals = part_goals(tips, stages)
    np.testing.assert_array_equal(goals[:6], np.tile(tips[5] * [1, 1, 0.5], (6, 1)))
    np.testing.assert_array_equal(goals[6:13], np.tile(tips[12] * [1, 1, 0.5], (7, 1)))
    assert np.isnan(goals[13:]).all()
    assert part_ends(np.zeros(4, int)).tolist() == [4] * 4


def test_a_part_that_was_never_done_has_no_goal():
    """Taken and lost: what was held belongs where it was put in the end, if it was."""
    lost = np.array([0] * 6 + [1] * 6 + [0] * 6 + [1] * 6)
    assert part_ends(lost).tolist() == [6] * 6 + [12] * 6 + [18] * 6 + [24] * 6
    tips = np.arange(72.0).reshape(24, 3) + 1
    known = np.isfinite(part_goals(tips, lost, finished=False)).all(axis=1)
    assert known.tolist() == ([True] * 6 + [False] * 6) * 2
    goals = part_goals(tips, lost)
    np.testing.assert_array_equal(goals[6:12], goals[18:])
    np.testing.assert_array_equal(goals[12:18], np.tile(tips[17] * [1, 1, 0.5], (6, 1)))
    touched = np.array([0] * 20 + [1])
    assert np.isnan(part_goals(np.ones((21, 3)), touched, finished=False)).all()


@pytest.mark.parametrize('task', ['bucket', 'shelf'])
def test_goals_are_at_the_thing_and_then_where_it_is_let_go(task):
    """Not where the hand draws back to afterwards, which is 15 degrees above a bucket."""
    source = PhysicsPlays(task, 6)
    for number in range(3):
        play = source.play(number)
        known = np.isfinite(play.goal).all(axis=1)
        assert known[:play.hand_over].all()
        assert 2 < (~known).sum() < 30
        assert not known[-2:].any()
        away = np.degrees(angle_between(play.goal[known], play.aim[known]))
        assert away[:play.hand_over].max() < 4
        assert away[play.hand_over + 1:].max() < 7
    source.close()


def test_every_instruction_has_an_embedding_of_its_own():
    seen = {}
    for index in range(12):
        episode = PhysicsPlays('press', 9).play(index).episode
        same = seen.setdefault(episode.instruction, episode.task)
        np.testing.assert_array_equal(same, episode.task)
    assert len({tuple(task) for task in seen.values()}) == len(seen) > 4
    buckets = [task_of('bucket', np.random.default_rng(0)) for _ in range(2)]
    buckets[0].wanted = (('red', 'cube'), ('blue', ''))
    buckets[1].wanted = (('blue', 'cube'), ('red', ''))
    assert not np.array_equal(buckets[0].embedding, buckets[1].embedding)


def test_the_scene_shows_what_matters_where_it_was(plays):
    play = plays.play(2)
    colour = play.episode.instruction.split()[2]
    channel = {'red': 0, 'green': 1, 'blue': 2, 'yellow': 1, 'magenta': 0, 'cyan': 2}[colour]
    image = play.episode.scene.panorama(0.0).image.astype(int)
    u, v = panorama_pixel(play.aim[0], 1024, 512)
    patch = image[int(v) - 2:int(v) + 3, int(u) - 2:int(u) + 3].reshape(-1, 3).mean(axis=0)
    assert patch[channel] > patch.min() + 25


def test_the_scene_moves_and_can_go_back(plays):
    scene = plays.play(0).episode.scene
    first = scene.panorama(0.0).image.copy()
    assert np.abs(scene.panorama(2.0).image.astype(int) - first).max() > 60
    np.testing.assert_array_equal(scene.panorama(0.0).image, first)
    with pytest.raises(WorldError, match='0 s or later'):
        scene.panorama(-1.0)


def test_recorded_and_read_back(tmp_path):
    told = record(RecordConfig(str(tmp_path / 'demos'), 'workspace:wipe', 2, seed=3))
    assert told['recorded'] == 2
    demos = open_demos(tmp_path / 'demos')
    live = PhysicsPlays('wipe', 3)
    for index, episode in enumerate(demos):
        wanted = live.play(index).episode
        np.testing.assert_array_equal(episode.actions, wanted.actions)
        np.testing.assert_array_equal(episode.task, wanted.task)
        seen = episode.scene.panorama(episode.time_of(5)).image.astype(float)
        truth = wanted.scene.panorama(wanted.time_of(5)).image
        assert np.sqrt(np.mean((seen - truth) ** 2)) < 6
    live.close()


def test_bcrl_watches_live_plays_and_knows_what_matters():
    source = PhysicsPlays('press', 6)
    studio = Studio(source, source, Scale.of([source.play(0), source.play(1)], 10), 'foveated', 10)
    hand = studio.hand(width=16, hidden=16)
    batch = studio.batch(2, hand, WatchConfig(chunk=10, pause_steps=20, episode_s=0.5), 0)
    batch.start(range(2))
    observation, errors = batch.look(), []
    for _ in range(20):                                       # the pause: the world waits
        batch.step(Oracle()(observation, batch))
        observation = batch.look()
        errors.append(np.degrees(batch.error_rad()))
    assert (errors[-1] < 1.0).all()
    assert errors[0].max() > 5.0
    source.close()


def test_live_eyes_see_what_eyes_in_front_of_panoramas_do():
    source = PhysicsPlays('press', 6, count=3)
    play = source.play(1)
    studio = Studio(source, source, Scale.of([play], 10), 'foveated', 10)
    hand = studio.hand(width=16, hidden=16)
    config = WatchConfig(chunk=10, pause_steps=0, episode_s=0.5)
    live = studio.batch(2, hand, config, 0)
    assert isinstance(live, LiveBatch)
    through = WatchBatch(2, source, hand, studio.scale, live.config, live.pattern, 0)
    for batch in (live, through):
        batch.start(range(2), {'scene': 1, 'pose': np.array([0.4, 0.4])})
        batch.step(np.array([[0.3, 0.2], [-1.0, 0.1]]))
    np.testing.assert_array_equal(live.pose, through.pose)
    for drawn, sampled in zip(live.views(np.arange(2)), through.views(np.arange(2))):
        assert np.abs(drawn.astype(float) - sampled).mean() < 4
    with pytest.raises(ConfigError, match="'off'"):
        studio.batch(1, hand, dataclasses.replace(config, dynamics='typical'), 0)
    source.close()


def test_what_stands_out_in_a_workspace_is_what_lies_there():
    source = PhysicsPlays('press', 3, count=4)
    studio = Studio(source, source, Scale.of([source.play(0)], 10), 'foveated', 10)
    batch = studio.batch(4, studio.hand(width=16, hidden=16), WatchConfig(chunk=10), 0)
    batch.start(range(4))
    near = []
    for eye in range(4):
        world = batch.scene[eye].world
        rays = [world.position(f'button{number}') - world.eye for number in range(4)]
        gazes = batch.salient(eye, np.random.default_rng(eye), 40)
        away = [angle_between(direction_from_pan_tilt(*gazes.T), ray / np.linalg.norm(ray))
                for ray in rays]
        near.append(np.degrees(np.min(away, axis=0)) < 5)
    assert np.mean(near) > 0.5                                # the four cover one fiftieth
    source.close()


def test_warm_up_glances_go_to_a_sign_where_detail_is_asked_for():
    """And more often just after the cube was taken, when the sign says where to put it."""
    source = PhysicsPlays('read', 3, count=4)
    studio = Studio(source, source, Scale.of([source.play(0)], 10), 'foveated', 10)
    found = {}
    for share in (0.0, 1.0):
        batch = studio.batch(4, studio.hand(width=16, hidden=16), WatchConfig(
            chunk=10, episode_s=6.0, pause_steps=0, own_hand=0.0, details=share, early=share), 0)
        batch.start(range(4))
        rows = []
        for _ in range(12):
            batch.scatter()
            rays = [scene.world.position('sign') - scene.world.eye for scene in batch.scene]
            away = angle_between(direction_from_pan_tilt(*batch.pose.T), np.array(
                [ray / np.linalg.norm(ray) for ray in rays]))
            over = batch._ends[:, 0]
            rows.append((away < np.radians(10), (batch.now >= over) & (batch.now < over + 30)))
        found[share] = np.mean(rows, axis=(0, 2))
    assert found[1.0][0] > 0.4 > 0.1 > found[0.0][0]
    assert found[1.0][1] > 0.8 > found[0.0][1]
    source.close()


def test_glances_made_aside_depend_on_their_number_only():
    config = TrainBcrlConfig(demos='workspace:press', plays=4, eyes=2, warm_glances=2, angles=True)
    (one, level), (two, _), (again, _) = (scattered_aside(config, False, (0, part))
                                          for part in (0, 1, 0))
    assert one.view.shape[0] == 4
    assert 0.1 < level < 0.6                                        # things lie below the eye
    for name in ('view', 'gaze', 'chunk', 'goal'):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert not np.array_equal(one.view, two.view)
    fresh, _ = scattered_aside(config, True, (0, 0))
    assert not np.array_equal(one.gaze, fresh.gaze)                 # scattered otherwise


def test_an_expert_that_its_pushes_overcame_is_pushed_otherwise_the_next_time(monkeypatch):
    """With the same pushes in every attempt there was a demonstration that nobody could show."""
    pushes, source = [], PhysicsPlays('press', 0)

    def pushed(rng, world, strength):
        pushes.append((world.index, rng.bit_generator.state['state']['state']))
        return Nudges(rng, world, 10.0 if len(pushes) == 1 else strength)
    monkeypatch.setattr(demos, 'Nudges', pushed)
    assert source.play(5).episode.steps > 10
    assert len(pushes) == len(set(pushes)) >= 2
    assert len({state for _, state in pushes}) == len(pushes)
    source.close()


def test_a_demonstration_that_is_done_as_it_begins_is_none():
    """Its first try begins on the button: of 8,700 demonstrations there was one."""
    source, number = PhysicsPlays('press', 0), 8763
    world = source._world(number * demos._TRIES)
    assert len(source._watched(world, number, 0).states) == 1
    assert world.outcome == 'success'
    assert source.play(number).episode.steps > 10
    source.close()


def test_many_scattered_eyes_look_where_the_hand_is_going(monkeypatch):
    source = PhysicsPlays('press', 3, count=8)
    plays = [source.play(number) for number in range(8)]
    assert np.degrees(angle_between(plays[0].goal[-1], plays[0].aim[-1])) < 4   # on the button
    studio = Studio(source, source, Scale.of(plays[:1], 10), 'foveated', 30)
    hand = studio.hand(width=16, hidden=16)

    def hits():
        batch = studio.batch(8, hand, WatchConfig(chunk=30), 0)
        batch.start(range(8))
        near = []
        for _ in range(25):
            batch.scatter()
            near.append(np.degrees(batch.error_rad()) < 10)
        return np.mean(near)
    known = hits()
    blind = {number: dataclasses.replace(play, goal=None) for number, play in enumerate(plays)}
    monkeypatch.setattr(source, 'play', blind.get)
    assert known > 1.4 * hits() > 0
    source.close()


def test_so_many_demonstrations_are_lived_through_once(monkeypatch):
    source = PhysicsPlays('press', 8, count=2)
    first = source.play(1).episode.actions
    monkeypatch.setattr(Expert, 'act', lambda _: pytest.fail('lived through again'))
    np.testing.assert_array_equal(source.play(1).episode.actions, first)
    with pytest.raises(ConfigError, match='count'):
        PhysicsPlays('press', count=0)


def test_a_live_studio_knows_what_can_be_asked_for():
    studio = Studio.open('workspace:press', 'foveated', 10, 0, measured=1, plays=2)
    assert (studio.workspace, studio.source.count) == ('press', 2)
    episode = studio.source.play(0).episode
    tasks = studio.tasks()
    assert len(tasks) == 12                                   # six colours, two shapes
    np.testing.assert_array_equal(embedding_of(episode.instruction, tasks), episode.task)


def test_unknown_tasks_are_refused():
    with pytest.raises(ConfigError, match='known: press'):
        PhysicsPlays('juggle')
    with pytest.raises(ConfigError, match='seed'):
        PhysicsPlays('press', -1)
    assert all(f'workspace:{name}' in str(RecordConfig.__dataclass_fields__) or
               RecordConfig(source=f'workspace:{name}') for name in KINDS)


def test_directions_are_unit_vectors_that_the_gaze_can_reach(plays):
    aim = plays.play(3).aim
    np.testing.assert_allclose(np.linalg.norm(aim, axis=1), 1.0)
    tilt = np.degrees(np.arcsin(-aim[:, 2]))
    assert 0 < tilt.min() <= tilt.max() < 35
    np.testing.assert_allclose(direction_from_pan_tilt(0.0, 0.0), [1, 0, 0], atol=1e-12)
