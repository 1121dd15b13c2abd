"""Checkpoints of hand and eye, and the runtime that a robot uses: the same as in training."""

import copy
import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from gaze_robot.errors import CheckpointError, CommandError, ConfigError
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.hand_eye import HandEye, load_hand_eye, Looking, save_hand_eye
from gaze_robot.policy.glances import AttentionReader, Glances, vector_size
from gaze_robot.policy.hand import HandNetwork
from gaze_robot.policy.looking import LookingPolicy
from gaze_robot.policy.recall import Recall
from gaze_robot.policy.search_memory import REMEMBERED
from gaze_robot_sim.bcrl.batch import PATTERN, WatchConfig
from gaze_robot_sim.bcrl.studio import Studio
from gaze_robot_sim.bcrl.watching import learned


@pytest.fixture(scope='module')
def studio():
    return Studio.open('', 'foveated', 30, seed=5, measured=8)


@pytest.fixture(scope='module')
def both(studio):
    torch.manual_seed(1)
    hand = studio.hand(width=16, hidden=32)
    config = hand.config
    eye = LookingPolicy(config.tokens, config.patch,
                        vector_size(PATTERN, config.joints, config.task))
    names = studio.source.play(0).episode.joint_names
    return HandEye(hand, eye.eval(), PATTERN, names, names, 30.0, {'seed': 1})


@pytest.mark.parametrize('recalls', [False, True])
def test_the_robot_does_what_the_simulated_eye_does(studio, both, recalls):
    """Two implementations of a glance, of one eye and of many: the same moves, step by step, over
    a hand-over too.
    """
    batch = studio.batch(1, both.hand, WatchConfig(pause_steps=0, recalls=recalls), seed=2)
    batch.start([0], {'scene': next(index for index in range(20) if studio.source.play(
        index).hand_over)})
    observation, choose = batch.look(), learned(both.eye)
    looking = Looking(dataclasses.replace(both, recalls=recalls))
    for _ in range(70):                                 # more than are remembered one by one
        sight = batch.sight()
        intent = looking.step([view[0] for view in batch.retina.views], sight.joints[0],
                              batch.reported[0], sight.task[0])
        np.testing.assert_allclose(intent.attention, batch.attention[0], atol=1e-6)
        off = np.abs(intent.actions / batch.scale.action_spread - sight.chunk[0]).mean(axis=1)
        np.testing.assert_allclose(off[sight.real[0]].mean(), batch.hand_error[0], atol=1e-5)
        before = batch.reported[0].copy()
        batch.step(choose(observation, batch))
        np.testing.assert_allclose(np.clip(
            before + intent.move_rad, batch.config.limits.min_position,
            batch.config.limits.max_position), batch.reported[0], atol=1e-6)
        observation = batch.look()


def test_a_hand_acts_on_a_past_glance_until_the_eye_is_there(both):
    """In one phase it saw white on the left; in the next one it is asked for that."""
    hand = copy.deepcopy(both.hand)

    def forward(view, joints, gaze, task):
        said = both.hand(view, joints, gaze, task)
        white = view.float().mean(dim=(1, 2)) > 200
        attention = torch.zeros(len(view), PATTERN.tokens)
        attention[:, 5] = 0.9 * (white & (joints[:, 4] > 0.5))
        return said._replace(attention=attention, chunk=torch.where(white, 1.0, 0.0)[
            :, None, None].expand(said.chunk.shape))
    hand.forward = forward
    told = []
    looking = Looking(dataclasses.replace(both, hand=hand, recalls=True))
    for pan, gripper in ((-1.0, 0), (-0.4, 0), (0.5, 0), (0.5, 1), (0.2, 1), (-0.3, 1), (0.5, 1)):
        levels = [np.full((32, 32, 3), 255 * (pan == -0.4), np.uint8)] * 3
        joints = np.array([0, 0, 0, 0, gripper], np.float32)
        intent = looking.step(levels, joints, np.array([pan, 0.0]), np.zeros(18))
        told.append(float(np.abs(intent.actions).max()) > 0)
    # The phase changes at the fourth, away from it; at the sixth the eye is there, and sees none.
    assert told == [False, True, False, True, True, False, False]


def found_by(both, gripper, gazes, recalls=True):
    """What an eye wants, which looked at `gazes` in one phase, when it looks at the last of them
    again and the gripper says another phase. Its hand finds the middle token of the fovea's first
    row, where the picture is white, in that other phase only.
    """
    hand = copy.deepcopy(both.hand)

    def forward(view, joints, gaze, task):
        said = both.hand(view, joints, gaze, task)
        there = (view.float().mean(dim=(1, 2)) > 200) & (joints[:, 4] > 0.5)
        attention = torch.zeros(len(view), PATTERN.tokens)
        attention[:, 5] = 0.9 * there
        return said._replace(attention=attention)
    hand.forward = forward
    looking = Looking(dataclasses.replace(both, hand=hand, recalls=recalls))
    for number, (white, pan) in enumerate([*gazes, gazes[-1]]):
        levels = [np.full((32, 32, 3), 255 * white, np.uint8)] * 3
        joints = np.array([0, 0, 0, 0, gripper * (number == len(gazes))], np.float32)
        looking.step(levels, joints, np.array([pan, 0.0]), np.zeros(18))
    now = np.array([[gazes[-1][1], 0.0]])
    (away,), (wish,) = looking._glances.search.wanted(np.zeros(1, int), now)
    return now[0] + away, wish


def test_an_eye_that_recalls_goes_back_to_what_it_saw_when_it_was_not_asked_for(both):
    gazes = [(False, -1.0), (True, -0.4), (False, 0.2), (False, 0.5)]
    place, wish = found_by(both, 1.0, gazes)
    there = np.array([-0.4, 0.0]) + AttentionReader(PATTERN).places[5]
    np.testing.assert_allclose(place, there, atol=1e-6)
    assert wish == pytest.approx(0.5 + 0.5 * REMEMBERED * 0.9, rel=0.05)    # a little beside it
    assert found_by(both, 0.0, gazes)[1] == 0.0                     # the same phase
    assert found_by(both, 1.0, gazes, recalls=False)[1] == 0.0
    moved = [*gazes, (False, -0.42), (False, 0.5)]                  # it was there, and is no more
    assert found_by(both, 1.0, moved)[1] == 0.0


def test_what_it_recalls_is_of_this_task(both):
    hand = Recall(1, both.hand.config)
    glances = Glances(1, PATTERN, 5, 18, both.hand.config.phase)
    eyes, view = np.zeros(1, int), np.zeros((1, PATTERN.tokens, 192), np.uint8)
    for pan in np.linspace(-3, 3, 40):                              # more than it keeps
        hand.take(both.hand, glances, eyes, view, np.array([[pan, 0.0]]), np.zeros((1, 5)),
                  np.zeros((1, 18)))
    kept = hand._gaze[0][hand._stamp[0] > 0]
    assert len(kept) == len(hand._gaze[0])
    assert kept[:, 0].min() > -1.0                                  # the newest ones
    hand.reset(eyes)
    assert not (hand._stamp > 0).any()


def test_whether_it_recalls_is_kept_with_a_checkpoint(both, tmp_path):
    for recalls in (False, True):
        save_hand_eye(tmp_path / 'hand', dataclasses.replace(both, recalls=recalls))
        assert load_hand_eye(tmp_path / 'hand').recalls is recalls
    foreseeing = HandNetwork(dataclasses.replace(both.hand.config, foresees=True))
    with pytest.raises(ConfigError, match='recall'):
        dataclasses.replace(both, hand=foreseeing, recalls=True)


def test_reset_forgets(studio, both):
    batch = studio.batch(1, both.hand, WatchConfig(), seed=2)
    batch.start([0])
    batch.look()
    sight, looking = batch.sight(), Looking(both)
    given = ([view[0] for view in batch.retina.views], sight.joints[0], batch.reported[0],
             sight.task[0])
    first = looking.step(*given).move_rad
    assert not np.array_equal(looking.step(*given).move_rad, first)
    looking.reset()
    np.testing.assert_array_equal(looking.step(*given).move_rad, first)


def glance(studio, both, attending):
    """What a waiting hand with this attention says, from joints that it is given."""
    hand = copy.deepcopy(both.hand)
    hand.forward = lambda *given: both.hand(*given)._replace(
        attention=torch.from_numpy(attending[0]))
    looking = Looking(dataclasses.replace(both, hand=hand, waits=True))
    batch = studio.batch(1, both.hand, WatchConfig(), seed=2)
    batch.start([0])
    batch.look()
    views, sight = [view[0] for view in batch.retina.views], batch.sight()
    return lambda joints: looking.step(views, np.asarray(joints, np.float32), np.zeros(2),
                                       sight.task[0])


def test_a_waiting_hand_stays_until_its_eye_has_come_near(studio, both):
    """Joint 4 tells the phase, a gripper: what it holds is held on to as it was told."""
    attention = [attention_on(0) * 0]
    step = glance(studio, both, attention)
    began = np.array([0.1, 0.2, 0.3, 0.4, 0.0])
    intent = step(began)
    assert intent.waits
    np.testing.assert_array_equal(intent.actions, np.zeros((30, 5)))
    drifted = began + 0.05
    np.testing.assert_allclose(drifted + step(drifted).actions[7], began, atol=1e-6)
    attention[0] = attention_on(24) * 0.9               # of 40 degrees, 14 from the gaze: not near
    assert step(began).waits
    attention[0] = attention_on(5) * 0.5                # in the fovea, not sure
    assert step(began).waits
    attention[0] = attention_on(5) * 0.9
    acting = step(began)
    assert not acting.waits
    assert acting.actions.any()
    attention[0] = attention_on(5) * 0.0
    now = began + 0.2
    held = now + step(now).actions[0]
    np.testing.assert_allclose(held[:4], now[:4], atol=1e-6)
    np.testing.assert_allclose(held[4], began[4] + acting.actions[0, 4], atol=1e-6)


def test_a_hand_that_foresees_acts_when_it_is_sure_or_where_that_has_led_its_eye(studio, both):
    torch.manual_seed(2)
    config = dataclasses.replace(both.hand.config, foresees=True)
    hand, said = HandNetwork(config).eval(), {}
    forward = hand.forward
    hand.forward = lambda *given: forward(*given)._replace(
        **{name: torch.from_numpy(value) for name, value in said.items()})
    looking = Looking(dataclasses.replace(both, hand=hand, waits=True))
    levels = [np.zeros((32, 32, 3), np.uint8)] * 3

    def waits(token, share, end, sure, gaze=0.0, times=10):
        said['attention'] = attention_on(token) * np.float32(share)
        said['foreseen'] = (sure * direction_from_pan_tilt(
            np.array([end]), np.zeros(1))).astype(np.float32)
        return [looking.step(levels, np.zeros(5), np.array([gaze, 0.0]), np.zeros(18)).waits
                for _ in range(times)][-1]
    assert waits(5, 0.9, 1.0, 0.2)                      # right before its eyes, but is it the one?
    assert not waits(5, 0.0, 1.0, 0.9)                  # it is reading where to go
    assert waits(5, 0.0, 1.0, 0.9, times=30)            # it has, and has to see the place now
    assert waits(5, 0.0, 1.0, 0.2, gaze=0.5)            # on the way there
    assert not waits(5, 0.7, 1.0, 0.2, gaze=1.0)        # there
    looking.reset()
    assert waits(5, 0.7, 1.0, 0.2, gaze=1.0)


def test_a_hand_that_foresees_is_kept_with_its_checkpoint(both, tmp_path):
    hand = HandNetwork(dataclasses.replace(both.hand.config, foresees=True))
    save_hand_eye(tmp_path, dataclasses.replace(both, hand=hand))
    again = load_hand_eye(tmp_path).hand
    torch.testing.assert_close(again.foresee.state_dict(), hand.foresee.state_dict())


def test_a_hand_without_an_eye_of_its_own_does_not_wait(both):
    with pytest.raises(ConfigError, match='waits'):
        dataclasses.replace(both, eye=None, waits=True)
    with pytest.raises(ConfigError, match='waits'):
        dataclasses.replace(both, action_names=tuple('abcde'), waits=True)


def test_whether_it_waits_is_kept_with_a_checkpoint(both, tmp_path):
    for waits in (False, True):
        save_hand_eye(tmp_path / 'hand', dataclasses.replace(both, waits=waits))
        assert load_hand_eye(tmp_path / 'hand').waits is waits


@pytest.mark.parametrize('tasks', [None, 5, [1, 2], ['press'], {'press': 'abc'},
                                   {'press': [1.0]}, {'press': [math.nan] * 18}])
def test_tasks_that_could_not_be_asked_for_are_refused(both, tmp_path, tasks):
    save_hand_eye(tmp_path, dataclasses.replace(both, meta={**both.meta, 'tasks': tasks}))
    with pytest.raises(CheckpointError, match='18 names, or 18 finite numbers'):
        load_hand_eye(tmp_path)


def test_actions_are_relative_and_in_units_of_the_robot(studio, both):
    batch = studio.batch(1, both.hand, WatchConfig(), seed=2)
    batch.start([0])
    batch.look()
    sight = batch.sight()
    intent = Looking(both).step([view[0] for view in batch.retina.views], sight.joints[0],
                                batch.reported[0], sight.task[0])
    said = both.hand(*(torch.from_numpy(getattr(sight, name))
                       for name in ('view', 'joints', 'gaze', 'task'))).chunk[0].detach().numpy()
    np.testing.assert_allclose(intent.actions, said * studio.scale.action_spread, atol=1e-6)


@pytest.mark.parametrize('name, value', [('joints', [1.0]), ('gaze_rad', [np.nan, 0.0]),
                                         ('task', [0.0] * 3)])
def test_wrong_numbers_are_refused_by_name(both, name, value):
    levels = [np.zeros((32, 32, 3), np.uint8)] * 3
    given = {'joints': np.zeros(5), 'gaze_rad': np.zeros(2), 'task': np.zeros(18), name: value}
    with pytest.raises(CommandError, match=name):
        Looking(both).step(levels, **given)
    with pytest.raises(CommandError, match='levels'):
        Looking(both).step(levels[:2], np.zeros(5), np.zeros(2), np.zeros(18))


def test_saved_and_loaded_it_is_the_same(both, tmp_path):
    save_hand_eye(tmp_path / 'policy', both)
    again = load_hand_eye(tmp_path)                              # a run directory's policy
    assert again.pattern == both.pattern
    assert again.hand.config == both.hand.config
    assert (again.joint_names, again.rate_hz) == (both.joint_names, 30.0)
    assert again.meta['seed'] == 1
    for mine, theirs in ((both.hand, again.hand), (both.eye, again.eye)):
        for name, tensor in mine.state_dict().items():
            torch.testing.assert_close(theirs.state_dict()[name], tensor, rtol=0, atol=0)


def test_a_hand_alone_can_be_saved(both, tmp_path):
    save_hand_eye(tmp_path, HandEye(both.hand, None, PATTERN, both.joint_names, both.action_names,
                                    30.0, {}))
    assert load_hand_eye(tmp_path).eye is None


def test_damage_is_noticed(both, tmp_path):
    save_hand_eye(tmp_path, both)
    weights, meta = tmp_path / 'weights.safetensors', tmp_path / 'meta.json'
    whole, text = weights.read_bytes(), meta.read_text()
    weights.write_bytes(whole[:-4] + b'\0\0\0\1')
    with pytest.raises(CheckpointError, match='does not match'):
        load_hand_eye(tmp_path)
    weights.write_bytes(whole)
    meta.write_text(json.dumps({**json.loads(text), 'rate_hz': 10.0}))
    with pytest.raises(CheckpointError, match='rate_hz'):
        load_hand_eye(tmp_path)
    meta.write_text(json.dumps({**json.loads(text), 'kind': 'search'}))
    with pytest.raises(CheckpointError, match='no hand and eye'):
        load_hand_eye(tmp_path)
    meta.write_text('{')
    with pytest.raises(CheckpointError, match='not JSON'):
        load_hand_eye(tmp_path)
    with pytest.raises(CheckpointError, match='not a checkpoint folder'):
        load_hand_eye(tmp_path / 'nowhere')


# --- what the eye remembers


def attention_on(token):
    row = np.zeros((1, PATTERN.tokens), np.float32)
    row[0, token] = 1.0
    return row


def test_glances_are_remembered_relative_to_the_gaze_now():
    """Look at (0.3, 0.1), then at (0.5, 0.1): the first one is now 0.2 to the right."""
    glances = Glances(1, PATTERN, joints=1, task=1)
    eyes, zero = np.zeros(1, int), np.zeros((1, 1))
    glances.observe(attention_on(0), np.array([[0.3, 0.1]]), zero, zero, eyes)
    vector = glances.observe(attention_on(0), np.array([[0.5, 0.1]]), zero, zero, eyes)
    past = vector[0, -60:].reshape(10, 6)
    np.testing.assert_allclose(past[0, :2], [-0.2, 0.0], atol=1e-6)
    place = glances.reader.places[0]
    np.testing.assert_allclose(past[0, 2:4], [-0.2 + place[0], place[1]], atol=1e-6)
    np.testing.assert_array_equal(past[0, 4:], [1, 1])
    assert not past[1:].any()
    assert len(vector[0]) == vector_size(PATTERN, 1, 1)


def searching(*rows):
    """Ten glances at each of (gaze pan, attended token, its share, pan foreseen, how sure)."""
    glances = Glances(1, PATTERN, joints=1, task=1, foresees=True)
    zero = np.zeros((1, 1))
    for pan, token, share, end, sure in np.repeat(rows, 10, axis=0).tolist():
        foreseen = sure * direction_from_pan_tilt(np.array([end]), np.zeros(1))
        glances.observe(attention_on(int(token)) * share, np.array([[pan, 0.0]]), zero, zero,
                        np.zeros(1, int), None, foreseen)
    (away,), (wish,) = glances.search.wanted(np.zeros(1, int), np.array([[rows[-1][0], 0.0]]))
    return rows[-1][0] + away[0], wish


def test_what_a_hand_is_not_sure_of_is_not_looked_at():
    """Two buckets are alike; until the sign is read, none of them is to be looked at."""
    assert searching((0.0, 20, 1.0, 1.5, 0.3))[1] == 0.0
    assert searching((0.0, 20, 0.0, 1.5, 0.9))[1] == pytest.approx(0.9, abs=0.01)


def test_the_eye_stays_where_it_has_read_until_the_arm_has_set_out():
    """And goes where that led then, though it is out of view."""
    read = (0.1, 20, 0.0, 1.5, 0.9)
    assert searching(read)[0] == pytest.approx(0.1)
    assert searching(read, read)[0] == pytest.approx(0.1)
    assert searching(read, read, read, read)[0] == pytest.approx(1.5)


def test_what_a_sign_said_holds_where_it_led_the_eye():
    """The sign is out of view there, and the hand not sure any more."""
    read, there = [(0.0, 20, 0.0, 1.5, 0.9)] * 4, (1.45, 5, 0.7, -1.5, 0.2)
    place, wish = searching(*read, there)
    assert place == pytest.approx(1.45, abs=0.15)               # where it is seen now
    assert wish == pytest.approx(0.9, abs=0.01)
    place, _ = searching(*read, (0.4, 20, 1.0, -1.5, 0.2))      # something like it, on the way
    assert place == pytest.approx(1.5)


def test_what_is_seen_where_the_task_will_end_is_more_exact_than_foresight():
    reader, token = AttentionReader(PATTERN), 20
    seen = reader.places[token][0]
    assert searching((0.0, token, 0.8, seen + 0.3, 0.9))[0] == pytest.approx(seen, abs=1e-6)
    assert searching(*[(0.0, token, 0.8, seen + 0.6, 0.9)] * 4)[0] == pytest.approx(seen + 0.6)
    assert searching(*[(0.0, token, 0.1, seen + 0.3, 0.9)] * 4)[0] == pytest.approx(seen + 0.3)


def test_places_and_centring_of_attention():
    """Token 0 is the fovea's upper left one: to the left and up; pan is positive to the left, tilt
    down. The mean of all of the fovea's tokens is its middle.
    """
    reader = AttentionReader(PATTERN)
    (where,), (share,) = reader.peak(attention_on(0))
    assert where[0] > 0 > where[1]
    assert share == 1.0
    even = np.zeros((1, PATTERN.tokens), np.float32)
    even[0, :16] = 1 / 16
    assert reader.centred(even)[0] == pytest.approx(1.0, abs=1e-6)
    assert 0 < reader.centred(attention_on(5))[0] < 0.8
    assert reader.centred(attention_on(20))[0] == 0.0            # seen, but outside the fovea
    around = np.zeros((1, PATTERN.tokens), np.float32)
    around[0, [21, 22, 25, 26]] = 0.2                            # the next level's middle
    assert reader.centred(around)[0] == pytest.approx(0.8, abs=1e-6)
    assert reader.focus(around)[1] == pytest.approx(0.8, abs=1e-6)
    np.testing.assert_allclose(reader.focus(around)[0], 0.0, atol=1e-6)
    np.testing.assert_allclose(reader.focus(even)[0], 0.0, atol=0.03)
    np.testing.assert_allclose(reader.focus(attention_on(40))[0][0],
                               reader.places[40], atol=1e-6)
