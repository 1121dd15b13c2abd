"""BC-RL: train a hand on demonstrations and, by nothing but how well it does, the eye that looks
for it. No gaze is ever labelled.

A run directory holds config.json, curve.json and curve.png, result.json, checkpoints/ (to resume
from), tb/ (TensorBoard), policy/ (what the robot loads), before.gif and after.gif.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import math
from typing import Any, Literal

import cv2
import torch
from tqdm import tqdm

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.errors import ConfigError
from gaze_robot.shipped import WORKSPACE
from gaze_robot_sim.bcrl.batch import WatchConfig
from gaze_robot_sim.bcrl.distributed import crew, pick_device
from gaze_robot_sim.bcrl.run_folder import RunFolder
from gaze_robot_sim.bcrl.team import Team

_EARLY = 0.3
"""`WatchConfig.early` where there is something to be read."""
_SURVEYS = 0.5
"""`WatchConfig.surveys`."""


@dataclass(frozen=True)
class TrainBcrlConfig:
    """Training of a hand and of the eye that looks for it, from nothing."""

    out: str = 'runs/bcrl'
    """Run directory."""

    seed: int = 0
    """Seed of demonstrations, weights and exploration."""

    resume: bool = False
    """Go on from the run directory's last good checkpoint; the first comes when the warm-up and
    the eye's imitation are done."""

    demos: str = ''
    """Folder of demonstrations, see `gaze-robot demos`; 'workspace:press' and so on: those of a
    workspace in physics, without recording them; empty: a made-up workspace, never twice the
    same."""

    plays: int = 0
    """How many different demonstrations a workspace in physics shows; 0: never the same twice.
    From 1500 a hand learned by heart what to do in front of which table."""

    look_alikes: float = 0.8
    """Share of the made-up workspaces of the training where something else has the right colour
    and another shape; of those that measure it is 0.3. A hand that has seen few takes them for
    the thing itself, and the eye then stays with them."""

    steps: int = 450_000
    """Glances of all eyes together, after the warm-up."""

    gaze: Literal['learned', 'oracle', 'random', 'fixed'] = 'learned'
    """Who moves the eye. All but the first are for comparison: a hand learns alone."""

    eye: Literal['foveated', 'uniform', 'wide'] = 'foveated'
    """What it samples; the others are for comparison (`bcrl.studio.EyeKind`). A wide one is fixed.
    """

    eyes: int = 64
    """Demonstrations watched at once, by each process."""

    chunk: int = 30
    """Steps ahead that the hand predicts."""

    shapes: bool = True
    """Let the hand see shapes (`HandConfig.shapes`), for things that colours do not tell apart; of
    workspaces, where it is known what it goes to: recordings do not tell which shape is right."""

    fine: bool = True
    """Let the hand tell where things are to a fraction of a token (`HandConfig.fine`); of
    workspaces, as `shapes`."""

    layers: int = 0
    """Transformer blocks over the hand's tokens, before they are pooled."""

    angles: bool = False
    """Tell the hand directions as angles too: for arms, whose joints are angles."""

    warm_up: int = 60_000
    """Glances at what stands out, from which the hand alone learns before the eye starts."""

    warm_glances: int = 8
    """Of each demonstration. More cost less where it takes long to make one, as in physics."""

    warm_updates: int = 20
    """Of the hand for every 512 of those glances."""

    own_hand: float = 0.25
    """Share of those glances that go where the demonstrating hand will act, in workspaces in
    physics (`bcrl.batch.WatchConfig`)."""

    details: float = 0.0
    """Share of the warm-up's glances at what stands out that go to fine detail, in workspaces in
    physics; for signs to be read (`bcrl.batch.WatchConfig`)."""

    foresight: int = 0
    """Glances at other demonstrations, of a workspace in physics, from which the hand then learns
    to say where this part of its task will end, seen or not, and how sure it is of that
    (`HandConfig.foresees`). The eye looks for what makes the hand sure, such as a sign, and then
    goes where that leads; 0: it follows the hand's attention alone. Learned before the eye, and
    after each round of practice, not beside PPO: leave the hand alone then, --hand-updates 0."""

    follow: int = 20_000
    """Steps in which the eye imitates a rule before PPO: turn to what the hand attends to. The
    rule knows what the eye sees, and no truth; 0: none, PPO begins with noise."""

    practice: int = 0
    """Episodes of a workspace in physics through which hand and eye then live themselves, in turns
    with the expert: what to do where they get to of themselves, demonstrations hardly show. In
    three rounds, at least one for each process, of which each is learned from before the next.
    Their glances go into the replay, some 90 of each episode, and need room there besides the
    warm-up's."""

    practice_updates: int = 3000
    """Of the hand in all of these."""

    found: float = 0.55
    """With this much of its attention on what it sees the hand has found what it looks for, says
    that rule. Made-up workspace: 0.55 kept the thing in the fovea the longest of 0.4, 0.55 and
    0.65; see sim/README.md for those of workspaces in physics."""

    replay: int = 60_000
    """Glances that the hand learns from; 0: those of the last rollout only."""

    replay_share: float = 0.25
    """Share of all glances that is kept there."""

    hand_batch: int = 512
    """Glances of each of the hand's updates, of all processes together."""

    hand_updates: int = 12
    """Of the hand, for every rollout of every process."""

    joint_noise: float = 1.5
    """On the joints that the hand learns from, over their spread. The fewer demonstrations there
    are, the sooner it knows them by their joints; where precise joints matter, try 0.3."""

    waits: bool = False
    """Let the hand, at work, stay where it is until the eye has found what the hand looks for and
    has come near it (`HandEye.waits`). For arms whose mistakes cannot be taken back."""

    recall: bool = True
    """Let the eye look around first, and where its task comes to another phase look through what
    it saw before, on which the hand then acts (`HandEye.recalls`). Not with --foresight."""

    search: int = 0
    """Steps of learning to look at what matters by its true direction, before the rest: a
    shortcut where the truth is known, and the only place where it is used. Off by default."""

    pause_steps: int = 15
    """Time-pausing: for so many steps at the start of an episode the world waits."""

    episode_s: float = 1.5
    """Seconds of a demonstration that an episode shows after that."""

    judged: Literal['after', 'before'] = 'after'
    """Which view the hand's prediction is judged on: that which a move leads to, or before it."""

    centring: float = 0.06
    """Scale of the reward for having what the hand attends to in the middle of the fovea; 0: off.
    The scale of the hand's own error is 0.2."""

    learning_rate: float = 4e-4
    """Of the eye; falls to a tenth."""

    exploration: float = 0.2
    """Standard deviation of the eye's moves as PPO begins, over 10 degrees."""

    hand_learning_rate: float = 3e-3
    """Of the hand; falls to a twentieth."""

    jobs: int = 1
    """Processes for the warm-up's glances and for practice, of each that torchrun starts: for a
    GPU with many cores beside it. From two on the glances are others than those of one."""

    device: str = 'auto'
    """Where networks learn: auto, cpu, cuda, cuda:1 ..."""

    keep_every: int = 50_000
    """Steps between evaluations on unseen demonstrations, and checkpoints, at which all random
    streams start anew."""

    keep_replay: bool = True
    """Whether checkpoints hold the replay, up to 0.6 GB, without which a resumed hand has to
    collect glances anew."""

    eval_episodes: int = 64
    """Episodes of an evaluation."""

    def __post_init__(self) -> None:
        least = {'steps': 0, 'eyes': 1, 'chunk': 1, 'layers': 0, 'plays': 0, 'warm_up': 0,
                 'warm_updates': 0, 'warm_glances': 1, 'follow': 0, 'replay': 0,
                 'hand_updates': 0, 'hand_batch': 1, 'search': 0, 'keep_every': 1, 'practice': 0,
                 'practice_updates': 0, 'foresight': 0, 'eval_episodes': 1, 'seed': 0, 'jobs': 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ConfigError(f'{name} is at least {value}, got {getattr(self, name)}')
        if self.seed >= 1 << 32:
            raise ConfigError(f'seed is less than 2**32, got {self.seed}')
        for name in ('joint_noise', 'centring', 'learning_rate', 'hand_learning_rate'):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f'{name} is a number, not negative, got {getattr(self, name)}')
        if 0 < self.replay < self.warm_up:
            raise ConfigError(f"the warm-up's {self.warm_up} glances need as much room in the "
                              f'replay, which has {self.replay}: raise --replay')
        for name in ('look_alikes', 'own_hand', 'details'):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f'{name} is a share from 0 to 1, got {getattr(self, name)}')
        if not 0 < self.exploration <= 1:
            raise ConfigError(f'exploration is above 0 and at most 1, got {self.exploration}')
        for name in ('replay_share', 'found'):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f'{name} is above 0 and at most 1, got {getattr(self, name)}')
        if self.eye == 'wide' and self.gaze != 'fixed':
            raise ConfigError('a wide camera does not turn: add --gaze fixed')
        if self.waits and self.gaze != 'learned':
            raise ConfigError('a hand waits for an eye that learns: leave --waits out, or --gaze')
        if self.practice and not (self.demos.startswith(WORKSPACE) and self.gaze == 'learned'
                                  and self.eye == 'foveated' and self.replay and self.follow):
            raise ConfigError('practice is for workspaces in physics, --demos workspace:..., and '
                              'for an eye that learns; it needs --replay and --follow')
        if self.details and not (self.demos.startswith(WORKSPACE) and self.eye == 'foveated'):
            raise ConfigError('--details is for workspaces in physics, --demos workspace:..., and '
                              'the foveated eye')
        if self.foresight and not (self.demos.startswith(WORKSPACE) and self.gaze == 'learned'
                                   and self.eye == 'foveated' and self.follow):
            raise ConfigError('--foresight is for workspaces in physics, --demos workspace:..., '
                              'and for an eye that learns; it needs --follow')
        if self.foresight and self.plays:
            raise ConfigError('--foresight needs demonstrations that the hand has not learned '
                              'from: leave --plays out')
        if self.recall and self.foresight:
            raise ConfigError('--foresight leads the eye by itself: add --no-recall')
        if self.search and (self.demos or self.gaze != 'learned'):
            raise ConfigError('--search needs the truth, which a made-up workspace has, and '
                              '--gaze learned')

    def watching(self, **changes: Any) -> WatchConfig:
        """How training watches demonstrations."""
        return WatchConfig(**{
            'episode_s': self.episode_s, 'pause_steps': self.pause_steps, 'chunk': self.chunk,
            'judged': self.judged, 'own_hand': self.own_hand, 'details': self.details,
            'early': _EARLY if self.details else 0.0,
            'recalls': self.recall and self.gaze == 'learned', 'surveys': _SURVEYS,
            'rewards': {'hand': 0.2, 'centring': self.centring}, **changes})


def train_bcrl(config: TrainBcrlConfig) -> dict[str, Any]:
    """Train, resume or finish a run; returns what result.json holds.

    Raises:
        CheckpointError: the run directory is not empty and `resume` is not set, or nothing in it
            can be resumed from.
        DemoError: the demonstrations cannot be used.
    """
    keep_large_blocks()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)                    # small products: a second thread only waits
    device = pick_device(config.device)
    with crew(device) as together, ThreadPoolExecutor(1) as aside:
        return _train(config, Team(config, device, together), aside)


def _train(config: TrainBcrlConfig, team: Team, aside: ThreadPoolExecutor) -> dict[str, Any]:
    """The whole of BC-RL: watch, remember, let the hand and the eye learn; again."""
    folder = RunFolder(config, team)
    folder.open()
    if folder.fresh:
        team.warm_up()                          # the hand alone, on glances at what stands out
        team.foresee()                          # only with --foresight: what it can be sure of
        team.follow()                           # the eye begins by turning to what the hand heeds
        team.search()                           # only with --search
    while team.practising:                      # only with --practice
        folder.write()
        team.practise()                         # hand and eye, in turns with the expert
    with tqdm(total=config.steps, initial=team.steps, unit='step',
              disable=not team.together.leads) as bar:
        while team.steps < config.steps:
            if folder.due():
                folder.keep()                   # measure, write, start all streams anew
            begun = team.steps
            team.watch()                        # the reward: how right the hand is
            if team.together.size == 1:
                learning = aside.submit(team.learn_hand)
                team.learn_eye()                # beside the hand: they share nothing that changes
                learning.result()
            else:                               # gradients meet in the same order everywhere
                team.learn_hand()
                team.learn_eye()
            folder.log()
            bar.update(team.steps - begun)
    return folder.finish()
