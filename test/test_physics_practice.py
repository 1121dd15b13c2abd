"""Practice: an expert takes turns with a hand, and shows what to do where that gets to."""

from dataclasses import replace
import json

import numpy as np
import pytest

pytest.importorskip('mujoco', reason='needs mujoco')
pytest.importorskip('mink', reason='needs mink')
torch = pytest.importorskip('torch', reason='needs torch')

from gaze_robot.errors import CheckpointError, ConfigError  # noqa: E402
from gaze_robot.hand_eye import HandEye, load_hand_eye, Looking  # noqa: E402
from gaze_robot.policy.glances import vector_size  # noqa: E402
from gaze_robot.policy.hand import HandConfig  # noqa: E402
from gaze_robot.policy.looking import LookingPolicy  # noqa: E402
from gaze_robot_sim.bcrl.batch import PATTERN  # noqa: E402
from gaze_robot_sim.bcrl.distributed import Crew  # noqa: E402
from gaze_robot_sim.bcrl.hand_learner import make_hand  # noqa: E402
from gaze_robot_sim.bcrl.plays import Scale  # noqa: E402
from gaze_robot_sim.bcrl.team import Team  # noqa: E402
from gaze_robot_sim.physics import pupil, shown  # noqa: E402
from gaze_robot_sim.physics.conditions import condition_of, PATCH  # noqa: E402
from gaze_robot_sim.physics.expert import Expert  # noqa: E402
from gaze_robot_sim.physics.hands import train_workspace, TrainWorkspaceConfig  # noqa: E402
from gaze_robot_sim.physics.views import can_draw  # noqa: E402
from gaze_robot_sim.physics.world import PhysicsWorld  # noqa: E402
from gaze_robot_sim.training.bcrl import train_bcrl, TrainBcrlConfig  # noqa: E402

if can_draw():
    pytest.skip(can_draw(), allow_module_level=True)


@pytest.fixture(scope='module')
def both():
    """A hand and an eye that know nothing."""
    torch.manual_seed(0)
    world, condition = PhysicsWorld('press', 0, 0), condition_of('learned')
    joints, task = len(world.joint_names), len(world.task.embedding)
    scale = Scale(world.joints().astype(np.float32), np.ones(joints, np.float32),
                  np.full(joints, 0.1, np.float32))
    hand = make_hand(HandConfig(joints, task, joints, 10, (joints - 1,), condition.levels, PATCH),
                     scale, condition.places)
    eye = LookingPolicy(PATTERN.tokens, PATCH, vector_size(PATTERN, joints, task))
    return HandEye(hand, eye, PATTERN, world.joint_names, world.joint_names,
                   world.config.rate_hz, {}, waits=False)


@pytest.fixture
def short(monkeypatch):
    """Episodes of four seconds at most."""
    monkeypatch.setattr(shown, '_ALONE_S', 2.0)
    monkeypatch.setattr(shown, 'PRACTICE', replace(shown.PRACTICE, time_limit_s=4.0))


def test_turns_end_and_the_expert_finishes():
    turns = shown._Turns(np.random.default_rng(1), 30.0)
    whose = np.array([turns.hand_acts(step) for step in range(600)])
    changes = np.flatnonzero(np.diff(whose))
    assert len(changes) >= 4
    assert np.diff(changes).max() <= 3.0 * 30 + 1
    assert not whose[300:].any()


def test_what_the_expert_says_counts_as_long_as_it_follows():
    """At the hand's turn the next step alone; at its own up to the hand's; never past a part."""
    own = np.array([0, 0, 1, 1, 0, 0, 0, 1, 0, 0], bool)
    nothing = np.zeros(10, int)
    assert shown._known_until(own, nothing).tolist() == [2, 2, 3, 4, 7, 7, 7, 8, 10, 10]
    assert shown._known_until(~own, nothing).tolist() == [1, 2, 4, 4, 5, 6, 7, 8, 9, 10]
    taken = np.array([0] * 5 + [1] * 15)
    assert shown._known_until(np.arange(20) < 2, taken).tolist() == [1, 2] + [5] * 3 + [20] * 15
    assert shown._known_until(np.zeros(20, bool), taken).tolist() == [20] * 20


def test_where_a_thing_was_before_the_hand_came_near_it_is_not_known():
    goals = np.zeros((8, 3))
    goals[5:] = [1.0, 0.0, 0.0]
    goals[7] = np.nan
    tips = np.tile([0.5, 0.0, 0.2], (8, 1))
    own = np.array([0, 0, 1, 0, 0, 1, 0, 0], bool)
    assert not shown._meddled(own, tips, goals).any()               # far from either
    tips[2] = [0.05, 0.0, 0.2]
    assert shown._meddled(own, tips, goals).tolist() == [True] * 3 + [False] * 5
    assert not shown._meddled(np.zeros(8, bool), tips, goals).any()     # the expert may


def test_it_is_labelled_with_what_the_expert_would_do_there(both, short, monkeypatch):
    told, acted = [], []
    act, step = Expert.act, PhysicsWorld.step

    def spy(self):
        told.append((self.world.joints(), act(self)))
        return told[-1][1]

    def stepped(self, action, gaze=None):
        acted.append(np.array(action))
        return step(self, action, gaze)
    monkeypatch.setattr(Expert, 'act', spy)
    monkeypatch.setattr(PhysicsWorld, 'step', stepped)
    one = shown.practise(both, 'learned', 'press', 0, 1)
    steps = len(one.joints)
    assert len(told) == len(acted) == steps
    np.testing.assert_allclose(one.joints, [joints for joints, _ in told], atol=1e-6)
    np.testing.assert_allclose(one.actions, [action for _, action in told], atol=1e-6)
    # The hand's own acts are far from them, and are none of the labels.
    off = np.abs(np.array(acted) - one.actions).max(axis=1)
    hands = one.until == np.arange(steps) + 1
    assert hands.any()
    assert (off[hands] > 0.02).mean() > 0.5
    relative, real = one.chunks(10)
    assert real.any(axis=1).all()
    at = np.flatnonzero(hands[one.kept])[0]
    assert real[at].tolist() == [True] + [False] * 9
    np.testing.assert_allclose(relative[at, 0],
                               one.actions[one.kept[at]] - one.joints[one.kept[at]])
    assert len(one.kept) <= shown.MOST
    assert np.ptp(one.gaze, axis=0).max() > 0.05            # its own eye looks about


def test_the_same_practice_twice(both, short):
    one, two = (shown.practise(both, 'learned', 'press', 0, 2) for _ in range(2))
    np.testing.assert_array_equal(one.view, two.view)
    np.testing.assert_array_equal(one.actions, two.actions)
    assert not np.array_equal(one.joints[:20],
                              shown.practise(both, 'learned', 'press', 1, 2).joints[:20])


def test_a_hand_that_waits_does_so_where_others_have_put_it(both):
    waiting = HandEye(both.hand, both.eye, both.pattern, both.joint_names, both.action_names,
                      both.rate_hz, {}, waits=True)
    looking, task = Looking(waiting), PhysicsWorld('press', 0, 0).task.embedding
    levels = [np.full((32, 32, 3), 128, np.uint8)] * 3
    joints = np.zeros(len(both.joint_names), np.float32)
    assert looking.step(levels, joints, np.zeros(2), task).waits
    back = looking.step(levels, joints + 0.5, np.zeros(2), task).actions[0]
    np.testing.assert_allclose(back, -0.5)
    told = joints + 0.5
    told[-1] = 0.45                                     # the gripper squeezes what it holds
    looking.taken_over(told)
    here = looking.step(levels, joints + 0.5, np.zeros(2), task).actions
    np.testing.assert_allclose(here[:, :-1], 0.0)
    np.testing.assert_allclose(here[:, -1], -0.05, atol=1e-6)


def test_cameras_that_do_not_turn_practise_too(tmp_path, short):
    base = {'task': 'press', 'condition': 'exo', 'episodes': 2, 'updates': 4, 'batch': 16,
            'device': 'cpu'}
    alone = train_workspace(TrainWorkspaceConfig(**base, out=str(tmp_path / 'alone')))
    more = train_workspace(TrainWorkspaceConfig(**base, out=str(tmp_path / 'more'), practice=2,
                                                practice_updates=6))
    assert more['glances'] > alone['glances']


def test_a_camera_s_hand_goes_on_bit_for_bit(tmp_path, short, monkeypatch):
    settings = {'task': 'press', 'condition': 'exo', 'episodes': 21, 'every': 20, 'updates': 6,
                'batch': 4, 'device': 'cpu', 'practice': 3, 'practice_updates': 9,
                'keep_every': 4}

    def hand(out):
        return load_hand_eye(tmp_path / out / 'exo').hand.state_dict()

    whole = train_workspace(TrainWorkspaceConfig(**settings, out=str(tmp_path / 'whole')))
    really, stops = pupil.practise, [2]

    def cut_off(both, condition, task, seed, index):
        if stops and index == stops[0]:
            stops.clear()
            raise KeyboardInterrupt
        return really(both, condition, task, seed, index)
    monkeypatch.setattr(pupil, 'practise', cut_off)
    config = TrainWorkspaceConfig(**settings, out=str(tmp_path / 'cut'))
    with pytest.raises(KeyboardInterrupt):
        train_workspace(config)
    with pytest.raises(CheckpointError, match='--resume'):
        train_workspace(config)
    with pytest.raises(CheckpointError, match='begun with other batch'):
        train_workspace(replace(config, batch=8, resume=True))
    newest = sorted((tmp_path / 'cut' / 'exo' / 'checkpoints').iterdir())[-1]
    (newest / 'state.safetensors').write_bytes(b'half')
    with pytest.warns(UserWarning, match='passed over'):
        result = train_workspace(replace(config, resume=True))
    assert {**result, 'out': 0, 'policy': 0, 'minutes': 0} == {
        **whole, 'out': 0, 'policy': 0, 'minutes': 0}
    for name, value in hand('whole').items():
        assert torch.equal(value, hand('cut')[name]), name
    run = tmp_path / 'cut' / 'exo'
    assert [row['updates'] for row in json.loads((run / 'curve.json').read_text())] == [
        4, 6, 8, 9, 12, 15]
    assert json.loads((run / 'result.json').read_text()) == result
    assert (run / 'curve.png').stat().st_size > 1000
    assert list((run / 'tb').iterdir())


def test_hand_and_eye_practise_together(short, monkeypatch):
    config = TrainBcrlConfig(demos='workspace:press', angles=True, eyes=2, warm_up=0, steps=0,
                             follow=4, replay=400, device='cpu', practice=3,
                             practice_updates=3, foresight=4, warm_glances=2, waits=True,
                             recall=False)
    team = Team(config, torch.device('cpu'), Crew())
    team.restart()
    practised, sizes, really = [], [], shown.practise

    def spy(both, condition, task, seed, index):
        practised.append(index)
        one = really(both, condition, task, seed, index)
        sizes.append(len(one.kept))
        return one
    monkeypatch.setattr(shown, 'practise', spy)
    before = {name: value.clone() for name, value in team.tensors().items()}
    while team.practising:
        team.practise()
    after = team.tensors()
    assert practised == [0, 1, 2]
    assert team.facts()['practised'] == 3
    assert team.replay.size == sum(sizes)
    for name in ('hand.act.weight', 'hand.foresee.0.weight', 'eye.action_net.weight'):
        assert not torch.equal(before[name], after[name])
    with pytest.raises(ConfigError, match='practice is for'):
        TrainBcrlConfig(practice=3)
    with pytest.raises(ConfigError, match='--follow'):
        TrainBcrlConfig(demos='workspace:press', practice=3, follow=0)
    with pytest.raises(ConfigError, match='practice is at least 0'):
        TrainBcrlConfig(practice=-1)


def test_practice_goes_on_after_the_round_that_was_cut_off(short, monkeypatch, tmp_path):
    settings = {'demos': 'workspace:press', 'angles': True, 'eyes': 2, 'warm_up': 2,
                'warm_glances': 1, 'steps': 0, 'follow': 4, 'replay': 400, 'plays': 2,
                'device': 'cpu', 'practice': 3, 'practice_updates': 3, 'eval_episodes': 1,
                'out': str(tmp_path / 'run')}
    indices, really = [], shown.practise

    def cut_off(both, condition, task, seed, index):
        indices.append(index)
        if len(indices) == 2:
            raise KeyboardInterrupt
        return really(both, condition, task, seed, index)
    monkeypatch.setattr(shown, 'practise', cut_off)
    with pytest.raises(KeyboardInterrupt):
        train_bcrl(TrainBcrlConfig(**settings))
    assert (tmp_path / 'run' / 'policy' / 'meta.json').exists()     # what there is, can be used
    result = train_bcrl(TrainBcrlConfig(**settings, resume=True))
    assert indices == [0, 1, 1, 2]
    meta = json.loads((tmp_path / 'run' / 'policy' / 'meta.json').read_text())
    assert meta['workspace'] == 'press'
    assert result['end']['hand_error'] > 0
