"""Hand and eye in training: everything that changes, and what changes it."""

from collections.abc import Iterator, Mapping
import copy
from dataclasses import replace
import functools
from typing import Any, TYPE_CHECKING

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
import torch
from tqdm import tqdm

from gaze_robot.errors import ConfigError
from gaze_robot.hand_eye import HandEye
from gaze_robot.optional import require
from gaze_robot.policy.actions import MAX_STEP_RAD
from gaze_robot.policy.search_memory import SEEN_RAD
from gaze_robot_sim.bcrl.batch import WatchBatch
from gaze_robot_sim.bcrl.distributed import Crew
from gaze_robot_sim.bcrl.hand_learner import HandLearner
from gaze_robot_sim.bcrl.looking_ppo import begin, explore, eye_of, make_ppo, SearchReward
from gaze_robot_sim.bcrl.replay import Replay
from gaze_robot_sim.bcrl.saving import optimizer_tensors, restore_optimizer
from gaze_robot_sim.bcrl.scattering import FRESH, scattered, scattered_aside, studio_of
from gaze_robot_sim.bcrl.sight import Sight
from gaze_robot_sim.bcrl.watching import player_of
from gaze_robot_sim.envs.vec import GazeVecEnv
from gaze_robot_sim.training.warm_start import warm_start
from gaze_robot_sim.workers import workers

if TYPE_CHECKING:
    from gaze_robot_sim.training.bcrl import TrainBcrlConfig

ROLLOUT = 32
"""Steps of every eye between updates."""
_ROUND = 50
"""Updates of a hand between two signs of progress."""
_FORESIGHT_UPDATES = 600
_GENTLY = 0.6
"""Share of the way to what is near that a rule's eye goes at once: places are known to a token."""
_FRESH = 1_000_000_000
"""Number of the first part of glances, or demonstration, that no warm-up comes to."""
_PLAYS_OF_A_STREAM = 1_000_000
"""Numbers of demonstrations set apart for each process between two restarts."""


class Team:
    """The hand, its learner and replay; the eye, or whoever moves it; what they watch."""

    def __init__(self, config: 'TrainBcrlConfig', device: torch.device, together: Crew) -> None:
        """Make everything untrained, from the seed."""
        if config.hand_batch % together.size:
            raise ConfigError(f'{together.size} processes cannot share a hand_batch of '
                              f'{config.hand_batch} glances evenly')
        torch.manual_seed(config.seed)
        self.config, self.together = config, together
        self.studio = studio_of(config)
        play = self.studio.source.play(0)
        episode, told = play.episode, play.goal is not None
        if config.waits and episode.joint_names != episode.action_names:
            raise ConfigError('--waits needs demonstrations whose actions command the joints; '
                              f'these have joints {episode.joint_names} and actions '
                              f'{episode.action_names}')
        self.hand = self.studio.hand(layers=config.layers, angles=config.angles,
                                     shapes=config.shapes and told, fine=config.fine and told,
                                     foresees=bool(config.foresight)).to(device)
        together.follow(self.hand.state_dict().values())
        self.learner = HandLearner(self.hand, config.hand_learning_rate,
                                   self.config.hand_batch // together.size,
                                   config.joint_noise)
        parameters = list(self.hand.parameters())
        self.learner.before_step = lambda: together.average_gradients(parameters)
        self.batch = self.studio.batch(config.eyes, self.hand, config.watching(), 0)
        self.env = GazeVecEnv(self.batch, stagger=True)
        self.replay = Replay(config.replay or ROLLOUT * config.eyes)
        pattern = self.studio.pattern
        self.ppo = make_ppo(self.env, pattern.tokens, pattern.token_side, ROLLOUT,
                            config.learning_rate, config.exploration, config.seed, device,
                            together) if config.gaze == 'learned' else None
        self.fresh: Replay | None = None
        """What `foresee` learns from, and nothing else does."""
        self.steps = 0
        """Glances so far, of all processes, without the warm-up."""
        self.loss = 0.0
        """Of the hand, in the last rollout."""
        self.practised = 0
        """Rounds of practice that are done."""
        self.restarts = 0
        self.level_rad = 0.0
        """How far down things lie: mean tilt of the warm-up's gazes, or of what makes it sure."""
        self.recorder = _Recorder(self)
        self.logger = configure(None, [])
        """Where PPO and the run put what goes to TensorBoard."""

    def log_to(self, folder: str) -> None:
        """Send what is logged to TensorBoard; only the leader does."""
        self.logger = configure(folder, ['tensorboard'])

    @property
    def left(self) -> float:
        """Share of the training that is still to come."""
        return max(0.0, 1.0 - self.steps / max(1, self.config.steps))

    # --- what changes it

    def restart(self) -> None:
        """Begin every stream of random numbers, and every episode, anew: what follows depends on
        the networks, the replay, and how often this was done. So a resumed run goes on exactly.
        """
        seed = [self.config.seed, self.restarts, self.together.rank]
        streams = np.random.SeedSequence(seed).generate_state(3).tolist()
        torch.manual_seed(streams[0])
        np.random.seed(streams[1])                          # noqa: NPY002  PPO's minibatches
        self.random = np.random.default_rng(seed)
        self.env.seed(streams[2])
        self.batch.first = _PLAYS_OF_A_STREAM * (
            self.restarts * self.together.size + self.together.rank)
        self.restarts += 1
        self.player = None if self.ppo else player_of(self.config.gaze, streams[0])
        self.last = self.env.reset()
        if self.ppo:
            self.ppo._last_obs = self.last                  # else `begin` would reset once more
            self.ppo._last_episode_starts = np.ones(self.config.eyes, bool)
            self.callback = begin(self.ppo, self.recorder, self.logger)

    def warm_up(self) -> None:
        """Let the hand learn from glances at what stands out."""
        seen = self.replay if self.config.replay else Replay(max(1, self.config.warm_up))
        plays = self._plays(self.config.warm_up)
        quiet, tilts = not (plays and self.together.leads), []
        for sight, tilt in self._scattered(plays, quiet):
            seen.add(sight, np.arange(len(sight.view)))
            tilts.append(tilt)
        self.level_rad = float(np.mean(tilts)) if tilts else 0.0
        # Only now: the first few demonstrations alone would be learned by heart, joints and gaze
        # and all, and a hand that knows those does not look.
        rounds = -(-self.config.warm_up // self.config.hand_batch)
        for done in tqdm(range(rounds), 'warm-up, hand', disable=quiet):
            self.loss = self.learner.learn(seen, self.random, self.config.warm_updates,
                                           1.0 - done / rounds)

    def _scattered(self, plays: int, quiet: bool, fresh: bool = False
                   ) -> Iterator[tuple[Sight, float]]:
        """Glances, of so many demonstrations to every eye; fresh ones are always the same, of
        others than the warm-up's, see `FRESH`.
        """
        config, rank = self.config, self.together.rank
        if config.jobs > 1:
            with workers(config.jobs, quiet) as run:
                yield from run(functools.partial(scattered_aside, config, fresh),
                               [(rank, _FRESH * fresh + part) for part in range(plays)], 'glances')
            return
        batch = self.batch if not fresh else self.studio.batch(
            config.eyes, self.hand, config.watching(**FRESH), config.seed,
            first=_FRESH + rank * _PLAYS_OF_A_STREAM)
        for _ in tqdm(range(plays), 'glances', disable=quiet):
            yield from scattered(batch, config.warm_glances)

    def foresee(self) -> None:
        """Let the hand learn what it can be sure of now, from demonstrations it has not seen."""
        plays = self._plays(self.config.foresight)
        if not plays:
            return
        if self.fresh is None:
            self.fresh = Replay(plays * self.config.warm_glances * self.batch.eyes)
            for sight, _ in self._scattered(plays, not self.together.leads, fresh=True):
                self.fresh.add(sight, np.arange(len(sight.view)))
        level = self.learner.foresee(self.fresh, self.random, _FORESIGHT_UPDATES)
        if level is not None:
            self.level_rad = level              # the eye searches where there is something to read

    def _plays(self, glances: int) -> int:
        """How many demonstrations each eye has to see for so many glances of all processes."""
        return -(-glances // (self.config.warm_glances * self.batch.eyes * self.together.size))

    def follow(self) -> None:
        """Let the eye imitate a rule, before PPO: turn to what the hand attends to."""
        if self.ppo and self.config.follow:
            rule = functools.partial(follow_attention, level_rad=self.level_rad,
                                     found=self.config.found)
            warm_start(self.ppo, self.env, rule, self.config.follow, self.config.seed)
            explore(self.ppo, self.config.exploration)
            self.together.follow(self.ppo.policy.state_dict().values())

    @property
    def practising(self) -> bool:
        """Whether some of the practice is still to come."""
        return bool(self.config.practice) and self.practised < _shown().ROUNDS

    def practise(self) -> None:
        """A round of practice: let hand and eye live through workspaces themselves, in turns with
        the expert, and the hand learn what that did; at last, the eye to follow the hand again.
        """
        config, size, rounds, number = (self.config, self.together.size, _shown().ROUNDS,
                                        self.practised)
        quiet, task = not self.together.leads, self.studio.workspace
        share = -(-config.practice // (rounds * size))
        updates = -(-config.practice_updates // rounds)
        both = replace(self.result({}), hand=copy.deepcopy(self.hand).cpu())
        first = (number * size + self.together.rank) * share
        live = functools.partial(_shown().practise, both, 'learned', task, config.seed)
        with workers(config.jobs, quiet) as run:
            for one in run(live, range(first, first + share), 'practice'):
                self.replay.add(one.sight(self.studio.scale, config.chunk),
                                np.arange(len(one.kept)))
        for done in tqdm(range(0, updates, _ROUND), 'practice, hand', disable=quiet):
            left = _shown().AGAIN * (1.0 - (number + done / updates) / rounds)
            self.loss = self.learner.learn(self.replay, self.random, min(_ROUND, updates - done),
                                           left)
        self.practised += 1
        self.foresee()
        if not self.practising:
            self.follow()

    def search(self) -> None:
        """Let the eye learn to look at what matters by its true direction: an option only."""
        if self.ppo and self.config.search:
            self.ppo.set_env(SearchReward(self.env))
            self.ppo.learn(self.config.search, callback=self.recorder)
            self.ppo.set_env(self.env)
            self.ppo.num_timesteps = 0
            self.recorder.taken()

    def watch(self) -> None:
        """A rollout: move, look, remember."""
        if not self.config.replay:
            self.replay = Replay(ROLLOUT * self.batch.eyes)
        if self.ppo:
            self.ppo.collect_rollouts(self.env, self.callback, self.ppo.rollout_buffer, ROLLOUT)
        else:
            assert self.player is not None
            for _ in range(ROLLOUT):
                self.last, _, _, infos = self.env.step(self.player(self.last, self.batch))
                self.recorder.saw(infos)
        self.steps += ROLLOUT * self.batch.eyes * self.together.size

    def learn_hand(self) -> None:
        """Improve the hand on its replay, as often for so many steps whoever made them."""
        self.loss = self.learner.learn(self.replay, self.random,
                                       self.config.hand_updates * self.together.size, self.left)

    def learn_eye(self) -> None:
        """Improve the eye on the last rollout."""
        if self.ppo:
            self.ppo._update_current_progress_remaining(self.steps, max(1, self.config.steps))
            self.ppo.train()

    # --- as records

    def result(self, meta: Mapping[str, Any]) -> HandEye:
        """What the robot runs."""
        episode = self.studio.source.play(0).episode
        limits = self.batch.config.limits
        return HandEye(self.hand, eye_of(self.ppo) if self.ppo else None, self.studio.pattern,
                       episode.joint_names, episode.action_names, episode.rate_hz,
                       {**meta, 'tasks': self.studio.tasks(),
                        **({'workspace': self.studio.workspace} if self.studio.workspace else {}),
                        'looked_within_rad': [limits.min_position, limits.max_position]},
                       self.config.waits, self.batch.config.recalls)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Networks and optimisers."""
        out = {f'hand.{name}': value for name, value in self.hand.state_dict().items()}
        out |= optimizer_tensors('hand_adam.', self.learner.optimizer)
        if self.ppo:
            policy = self.ppo.policy
            out |= {f'eye.{name}': value for name, value in policy.state_dict().items()}
            out |= optimizer_tensors('eye_adam.', policy.optimizer)
        return out

    def restore(self, tensors: Mapping[str, torch.Tensor], replay: dict[str, np.ndarray],
                facts: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; `restart` follows.

        Raises:
            KeyError, RuntimeError: it is one of another model.
        """
        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {name[len(prefix):]: value for name, value in tensors.items()
                    if name.startswith(prefix)}
        self.hand.load_state_dict(part('hand.'))
        restore_optimizer('hand_adam.', self.learner.optimizer, tensors)
        if self.ppo:
            self.ppo.policy.load_state_dict(part('eye.'))
            restore_optimizer('eye_adam.', self.ppo.policy.optimizer, tensors)
            self.ppo.num_timesteps = int(facts['steps'])
            self.ppo._n_updates = int(facts['eye_updates'])
        if replay:
            self.replay.restore(replay, int(facts['replay_next']))
        self.steps, self.restarts = int(facts['steps']), int(facts['restarts'])
        self.practised, self.level_rad = int(facts['practised']), float(facts['level_rad'])

    def facts(self) -> dict[str, Any]:
        """What a checkpoint says besides."""
        return {'steps': self.steps, 'restarts': self.restarts, 'replay_next': self.replay.next,
                'practised': self.practised, 'level_rad': self.level_rad,
                'eye_updates': self.ppo._n_updates if self.ppo else 0}


def follow_attention(_: dict[str, np.ndarray], batch: WatchBatch, level_rad: float = 0.0,
                     found: float = 0.55) -> np.ndarray:
    """Moves (B, 2) in [-1, 1]: to what the hand wants to see, gently where it is near; while it
    wants nothing enough, on to where the eye has not looked yet, tilted by `level_rad`. Knows no
    truth, only `SearchMemory`.
    """
    eyes, gaze = np.arange(len(batch.reported)), batch.reported
    wanted, wish = batch.glances.search.wanted(eyes, gaze)
    near = np.linalg.norm(wanted, axis=1) < SEEN_RAD
    wanted *= np.where(near, _GENTLY, 1.0)[:, None]
    onwards = np.stack([batch.glances.search.frontier(eyes, gaze), level_rad - gaze[:, 1]], axis=1)
    return np.clip(np.where((wish < found)[:, None], onwards, wanted) / MAX_STEP_RAD, -1.0, 1.0)


def _shown() -> Any:
    """What practice is made of; there may be no MuJoCo."""
    return require('gaze_robot_sim.physics.shown')


class _Recorder(BaseCallback):
    """Puts part of what eyes see into the replay, and sums up what happens."""

    def __init__(self, team: Team) -> None:
        super().__init__()
        self.team = team
        self._sums: dict[str, float] = {}
        self._count = 0

    def _on_step(self) -> bool:
        self.saw(self.locals['infos'])
        return True

    def saw(self, infos: list[dict[str, Any]]) -> None:
        """Take note of a step of every eye."""
        team = self.team
        kept = team.random.random(team.batch.eyes) < team.config.replay_share
        team.replay.add(team.batch.sight(), np.nonzero(kept)[0])
        reach = np.radians(team.studio.pattern.fov_deg[0]) / 2
        for info in infos:
            figures = {name: value for name, value in info.items() if isinstance(value, float)}
            figures['in_fovea'] = float(info['error_rad'] <= reach)
            for name, value in figures.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += len(infos)

    def taken(self) -> dict[str, float]:
        """Means since the last call."""
        means = {name: value / max(1, self._count) for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return means
