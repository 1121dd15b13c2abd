"""Eyes in front of demonstrations: what their reward is, and that the truth is no part of it."""

import dataclasses

import numpy as np
import pytest
import torch

from gaze_robot.errors import ConfigError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot.policy.hand import HandOutput
from gaze_robot_sim.bcrl.batch import WatchConfig
from gaze_robot_sim.bcrl.plays import Play
from gaze_robot_sim.bcrl.salient import detailed_gazes, salient_gazes
from gaze_robot_sim.bcrl.studio import Studio
from gaze_robot_sim.bcrl.watching import player_of, scores, summary, watch, Watched
from gaze_robot_sim.envs.vec import GazeVecEnv

EYES = 3


@pytest.fixture(scope='module')
def studio():
    return Studio.open('', 'foveated', 30, seed=5, measured=8)


@pytest.fixture(scope='module')
def hand(studio):
    torch.manual_seed(0)
    return studio.hand(width=16, hidden=32)


def made(studio, hand, source=None, **options):
    chosen = dataclasses.replace(studio, source=source) if source else studio
    batch = chosen.batch(EYES, hand, WatchConfig(**options), seed=7)
    batch.start(range(EYES))
    return batch, batch.look()


class Changed:
    """The same plays, changed by a function."""

    def __init__(self, source, change):
        self.name, self.count, self.source, self.change = 'changed', source.count, source, change

    def play(self, index):
        return self.change(self.source.play(index))


def run(batch, observation, steps=6):
    """Everything that reaches a learner."""
    rng = np.random.default_rng(0)
    seen = [observation]
    rewards = []
    for _ in range(steps):
        reward, parts = batch.step(rng.uniform(-1, 1, (EYES, 2)))
        rewards.append(reward)
        rewards += [part for name, part in parts.items() if name.startswith('reward/')]
        seen.append(batch.look())
        sight = batch.sight()
        seen.append({name: getattr(sight, name) for name in ('view', 'gaze', 'joints', 'chunk')})
    return seen, np.array(rewards)


def test_the_truth_reaches_neither_reward_nor_observation(studio, hand):
    """Say that what matters lies elsewhere, without changing picture or actions: bit for bit the
    same comes out, although the truth in `info` is another.
    """
    def elsewhere(play):
        return Play(play.episode, play.ends, aim=-play.aim)
    honest, first = made(studio, hand, pause_steps=0)
    lied, second = made(studio, hand, Changed(studio.source, elsewhere), pause_steps=0)
    assert not np.allclose(honest.error_rad(), lied.error_rad())
    seen, rewards = run(honest, first)
    seen_lied, rewards_lied = run(lied, second)
    np.testing.assert_array_equal(rewards, rewards_lied)
    for one, other in zip(seen, seen_lied):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_without_any_truth_it_works_the_same(studio, hand):
    def unknown(play):
        return Play(play.episode, play.ends)
    honest, first = made(studio, hand, pause_steps=0)
    blind, second = made(studio, hand, Changed(studio.source, unknown), pause_steps=0)
    assert not blind.present.any()
    np.testing.assert_array_equal(run(honest, first)[1], run(blind, second)[1])


def test_other_demonstrated_actions_give_another_reward(studio, hand):
    def mirrored(play):
        episode = dataclasses.replace(play.episode, actions=2 * play.episode.joints
                                      - play.episode.actions)
        return Play(episode, play.ends, aim=play.aim)
    honest, first = made(studio, hand, pause_steps=0)
    other, second = made(studio, hand, Changed(studio.source, mirrored), pause_steps=0)
    assert not np.allclose(run(honest, first)[1], run(other, second)[1])


def test_reward_is_the_hands_error_by_hand(studio, hand):
    """A hand that always says 0 errs by the mean size of the demonstrated chunk."""
    class Silent(torch.nn.Module):
        rays, config = hand.rays, hand.config

        def forward(self, view, *_):
            tokens = view.shape[1]
            return HandOutput(torch.zeros(len(view), 30, 5),
                              torch.full((len(view), tokens), 1 / tokens),
                              torch.zeros(len(view), dtype=torch.long), torch.zeros(len(view), 3),
                              None)
    batch, _ = made(studio, Silent(), pause_steps=0, rewards={'hand': 0.2})
    reward, parts = batch.step(np.zeros((EYES, 2)))
    for eye, play in enumerate(batch.play):
        chunk, real = play.episode.chunk(1, 30)
        real &= 1 + np.arange(30) < play.ends[1]
        by_hand = np.abs(chunk[real] / batch.scale.action_spread).mean()
        assert batch.hand_error[eye] == pytest.approx(by_hand, rel=1e-4)
        assert reward[eye] == pytest.approx(-0.2 * by_hand, rel=1e-4)
    assert set(parts) >= {'reward/hand', 'hand_error', 'error_rad'}


def test_reward_is_of_what_is_seen_whatever_the_hand_remembers(studio, hand, monkeypatch):
    still = np.zeros((EYES, 2))
    plain, _ = made(studio, hand, pause_steps=0, recalls=True, surveys=0.0)
    reward, parts = plain.step(still)
    batch, _ = made(studio, hand, pause_steps=0, recalls=True, surveys=0.0)
    monkeypatch.setattr(batch.recall, 'act', lambda *given: given[-1] + 9.0)
    same, others = batch.step(still)
    np.testing.assert_array_equal(same, reward)
    assert (others['hand_error'] > parts['hand_error'] + 5.0).all()


def test_some_eyes_look_around_whatever_they_are_told(studio, hand):
    """Theirs is another move than that of those who do not, who do as they are told."""
    still = np.zeros((EYES, 2))
    for surveys, recalls, moves in ((1.0, True, True), (0.0, True, False), (1.0, False, False)):
        batch, _ = made(studio, hand, recalls=recalls, surveys=surveys)
        before = batch.reported.copy()
        batch.step(still)
        assert (np.abs(batch.reported - before).max(axis=1) > 0.1).all() == moves
        assert (batch.reported == before).all() != moves
    seen = made(studio, hand, recalls=True)[0]
    pans = []
    for _ in range(30):
        seen.step(still)
        pans.append(seen.reported[:, 0].copy())
    assert np.ptp(pans, axis=0).min() > 0.9             # a way round, and then as they are told
    np.testing.assert_array_equal(pans[-1], pans[-5])
    with pytest.raises(ConfigError, match='surveys'):
        WatchConfig(surveys=1.5)


def test_chunks_end_where_the_task_hands_over(studio, hand):
    batch, _ = made(studio, hand, pause_steps=0)
    handed = [eye for eye, play in enumerate(batch.play) if play.hand_over]
    while not handed:
        batch.start(range(EYES))
        handed = [eye for eye, play in enumerate(batch.play) if play.hand_over]
    batch.steps[:] = 50
    real = batch.sight().real[handed[0]]
    assert real.tolist() == [True] * 10 + [False] * 20
    batch.steps[:] = 60
    assert batch.sight().real[handed[0]].all()


def test_judged_before_is_the_error_of_the_view_before(studio, hand):
    after, _ = made(studio, hand, pause_steps=0)
    before, _ = made(studio, hand, pause_steps=0, judged='before')
    action = np.full((EYES, 2), 0.5)
    first, _ = after.step(action)
    start = before.hand_error.copy(), before.glances.reader.centred(before.attention)
    reward, _ = before.step(action)
    np.testing.assert_allclose(reward, -0.2 * start[0] + 0.02 * start[1])
    assert not np.allclose(first, reward)


def test_while_time_is_paused_the_demonstration_waits(studio, hand):
    batch, _ = made(studio, hand, pause_steps=4)
    joints = [batch.sight().joints]
    for _ in range(6):
        batch.step(np.zeros((EYES, 2)))
        joints.append(batch.sight().joints)
    for step in range(1, 5):
        np.testing.assert_array_equal(joints[step], joints[0])
    assert not np.array_equal(joints[5], joints[0])


def test_episodes_restart_by_themselves_with_other_plays(studio, hand):
    batch, _ = made(studio, hand, pause_steps=2, episode_s=0.2)
    env = GazeVecEnv(batch)
    env.reset()
    names = {play.episode.name for play in batch.play}
    ends = 0
    for _ in range(18):
        _, _, done, _ = env.step(np.zeros((EYES, 2)))
        ends += int(done.sum())
        names |= {play.episode.name for play in batch.play}
    assert ends == 2 * EYES
    assert len(names) == 3 * EYES


def test_scattered_eyes_look_at_things_that_stand_out():
    """Two bright squares on grey: nearly all gazes hit one of them."""
    image = np.full((180, 360, 3), 100, np.uint8)
    image[86:96, 120:130] = (250, 20, 20)                           # pan 55, tilt 1
    image[70:80, 230:240] = (20, 20, 250)                           # pan -55, tilt -15
    gazes = np.degrees(salient_gazes(np.random.default_rng(0), image, (1.7, 0.4), 200))
    away = np.minimum(np.hypot(gazes[:, 0] - 55, gazes[:, 1] - 1),
                      np.hypot(gazes[:, 0] + 55, gazes[:, 1] + 15))
    assert np.mean(away < 12) > 0.9
    assert 0.2 < np.mean(gazes[:, 0] > 0) < 0.8


def test_detail_is_what_has_stripes_not_what_has_a_colour():
    image = np.full((360, 720, 3), 100, np.uint8)
    image[170:190, 240:260] = (250, 20, 20)                         # plain, pan 55
    image[170:190, 460:480] = np.where(np.arange(20) % 2, 160, 40)[:, None, None]   # pan -55
    gazes = np.degrees(detailed_gazes(np.random.default_rng(0), image, (1.7, 0.4), 200))
    assert np.mean(np.hypot(gazes[:, 0] + 55, gazes[:, 1]) < 12) > 0.9


@pytest.mark.parametrize('share', [0.0, 0.5, 1.0])
def test_scattered_eyes_look_where_the_demonstrating_hand_ends_up(studio, hand, share):
    """It ends up at a corner where nothing stands out; how near gazes are is drawn, from 3
    degrees to 30, so that most of those that go there are within 25.
    """
    corner = direction_from_pan_tilt(np.array(1.7), np.array(-0.5))

    def ending(play):
        return Play(play.episode, play.ends, np.tile(corner, (play.episode.steps, 1)), play.aim)
    batch, _ = made(studio, hand, Changed(studio.source, ending), own_hand=share)
    near = []
    for _ in range(40):
        batch.scatter()
        np.testing.assert_allclose(batch.sight().goal, np.tile(corner, (EYES, 3, 1)), atol=1e-6)
        near += (angle_between(direction_from_pan_tilt(*batch.reported.T), corner)
                 < np.radians(25)).tolist()
    assert abs(np.mean(near) - 0.85 * share) < 0.17


def test_gazes_at_goals_come_before_and_after_the_hand_over_equally_often(studio, hand):
    """Although a fifth of the demonstration comes before it; never where nothing is left to do;
    half of them in the last second of what comes before or after.
    """
    def short_first(play):
        steps = np.arange(play.episode.steps)
        over, done = play.episode.steps // 5, play.episode.steps * 4 // 5
        goal = np.tile([1.0, 0.0, 0.0], (len(steps), 1))
        goal[done:] = np.nan
        return Play(play.episode, np.where(steps < over, over, len(steps)), goal, play.aim)
    batch, _ = made(studio, hand, Changed(studio.source, short_first), own_hand=1.0,
                    pause_steps=5, episode_s=4.0)
    before, late = [], []
    for _ in range(60):
        batch.scatter()
        assert np.isfinite(batch.sight().goal).all()
        before += (batch.now < (batch.last + 1) // 5).tolist()
        late += (batch.now >= (batch.last + 1) * 4 // 5 - 30).tolist()
    assert abs(np.mean(before) - 0.5) < 0.13
    share = np.mean(np.array(late)[~np.array(before)])
    assert abs(share - (0.5 + 0.5 * 30 / 72)) < 0.15           # of 72 steps, 0.42 without


def test_the_oracle_gets_there_and_a_fixed_eye_does_not(studio, hand):
    batch, _ = made(studio, hand)
    seen = {name: summary(scores(watch(batch, player_of(name, 0), 3), 30.0, 15.0))
            for name in ('oracle', 'fixed')}
    assert seen['oracle']['in_fovea'] > 0.9
    assert seen['oracle']['gaze_error_deg'] < 1
    assert seen['fixed']['in_fovea'] < 0.5


def test_scores_by_hand():
    """Two episodes of 6 steps at 2 Hz, a hand-over at step 3 in the first; the first second, two
    steps, does not count. Inside is at most 7.5 degrees.
    """
    error = np.radians([[90, 90, 0, 20, 20, 2], [0, 0, 6, 6, 6, 10]])
    hand = np.array([[9, 9, 1, 2, 3, 4], [9, 9, 1, 1, 1, 1]], float)
    rows = scores(Watched(hand, error, np.zeros((2, 6, 2)), np.array([3, 6])), 2.0, 15.0)
    assert rows['hand_error'].tolist() == [2.5, 1.0]
    assert rows['in_fovea'].tolist() == [0.5, 0.75]
    np.testing.assert_allclose(rows['gaze_error_deg'], [11.0, 6.0])      # medians of 0 2 20 20
    assert rows['switched'][0] == 1
    assert rows['switch_s'][0] == 1.0                                    # two steps later
    assert np.isnan(rows['switched'][1])


@pytest.mark.parametrize('wrong', [{'rewards': {'gaze': 1.0}}, {'judged': 'never'}, {'chunk': 0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        WatchConfig(**wrong)
