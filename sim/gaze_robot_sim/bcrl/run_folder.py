"""The run directory of BC-RL: what it holds, and in which order it is written."""

import json
import math
from pathlib import Path
import time
from typing import Any, TYPE_CHECKING
import warnings

from gaze_robot.errors import CheckpointError
from gaze_robot.film import Film
from gaze_robot.hand_eye import save_hand_eye
from gaze_robot_sim.bcrl import saving
from gaze_robot_sim.bcrl.filming import film_episode
from gaze_robot_sim.bcrl.looking_ppo import eye_of
from gaze_robot_sim.bcrl.team import Team
from gaze_robot_sim.bcrl.watching import learned, player_of, scores, summary, watch
from gaze_robot_sim.oracles import Player
from gaze_robot_sim.training.origin import origin

if TYPE_CHECKING:
    from gaze_robot_sim.training.bcrl import TrainBcrlConfig

_NOT_OF_THE_MODEL = ('out', 'resume', 'device', 'keep_replay', 'eval_episodes', 'steps', 'jobs')
"""Settings that may differ when a run goes on."""


class RunFolder:
    """Opens, keeps and finishes a run; on any process but the leading one it writes nothing."""

    def __init__(self, config: 'TrainBcrlConfig', team: Team) -> None:
        self.config, self.team, self.together = config, team, team.together
        self.out = Path(config.out)
        self.curve: list[dict[str, float | None]] = []
        self._before_s = 0.0
        self._begun = time.monotonic()
        self._kept = -1
        self.fresh = True
        """Whether the run has just begun."""
        watching = config.watching(episode_s=4.0, pause_steps=30, surveys=1.0)
        self.unseen = team.studio.batch(min(64, config.eval_episodes), team.hand, watching,
                                        config.seed, unseen=True)

    @property
    def seconds(self) -> float:
        """Of training so far, those before a resumption too."""
        return self._before_s + time.monotonic() - self._begun

    def open(self) -> None:
        """Begin a run, or go on with one.

        Raises:
            CheckpointError: it is somebody else's, or cannot be read.
        """
        there = saving.begun(self.out, self.config.resume)
        self.together.wait()                    # nobody writes before all have looked
        if there:
            self._resume()
        if self.together.leads:
            saving.claim(self.out, self.config)
            self.team.log_to(str(self.out / 'tb'))
        self.team.restart()

    def _resume(self) -> None:
        found = saving.cut_off(self.out, self.config, _NOT_OF_THE_MODEL)
        if found is None:
            return
        tensors, replay, facts = found
        try:
            self.team.restore(tensors, replay, facts)
            self.curve, self._before_s = list(facts['curve']), float(facts['seconds'])
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(f'{self.out} is a run of another version, or was changed: '
                                  f'{error}; begin again in another --out') from error
        self.fresh = False
        self._begun = time.monotonic()
        self._kept = self.team.steps if self.curve else -1
        if not replay and self.config.replay:
            warnings.warn('the checkpoint holds no replay: the hand collects glances anew',
                          stacklevel=2)

    def due(self) -> bool:
        """Whether `keep` is."""
        return self.team.steps >= self._kept + self.config.keep_every or self._kept < 0

    def keep(self) -> None:
        """Measure on unseen demonstrations, write, and start all streams anew."""
        self._kept = self.team.steps
        if self.together.leads:
            first = not self.curve
            self.curve.append({'steps': float(self.team.steps), 'seconds': self.seconds,
                               'hand_loss': self.team.loss, **self._measure()})
            for name, value in self.curve[-1].items():
                if value is not None:
                    self.team.logger.record(f'unseen/{name}', value)
            self.team.logger.dump(self.team.steps)
            if first:
                self._film('before.gif')
            (self.out / 'curve.json').write_text(json.dumps(self.curve) + '\n')
        self.write()

    def write(self) -> None:
        """Write what there is, and start all streams anew."""
        if self.together.leads:
            saving.write(self.out / saving.CHECKPOINTS, self.team.steps, self.team.tensors(),
                         self.team.replay.state() if self.config.keep_replay else {},
                         {**self.team.facts(), 'curve': self.curve, 'seconds': self.seconds})
            save_hand_eye(self.out / 'policy', self.team.result(self._origin()))
        self.together.wait()
        self.team.restart()

    def log(self) -> None:
        """To TensorBoard: what a rollout was like."""
        for name, value in self.team.recorder.taken().items():
            self.team.logger.record(name if '/' in name else f'gaze/{name}', value)
        self.team.logger.record('hand/loss', self.team.loss)
        self.team.logger.dump(self.team.steps)

    def finish(self) -> dict[str, Any]:
        """Keep the end of a run; what result.json holds."""
        if self._kept != self.team.steps:
            self.keep()
        if not self.together.leads:
            return {'rank': self.together.rank, 'steps': self.team.steps}
        result = {'out': str(self.out), 'seed': self.config.seed, 'steps': self.team.steps,
                  'minutes': round(self.seconds / 60, 2), 'policy': str(self.out / 'policy'),
                  'start': self.curve[0], 'end': self.curve[-1]}
        self._film('after.gif')
        draw_curve(self.curve, self.out / 'curve.png')
        (self.out / 'result.json').write_text(json.dumps(result, indent=2) + '\n')
        return result

    def player(self) -> Player:
        """Who moves the eye when it is measured."""
        if self.team.ppo:
            return learned(eye_of(self.team.ppo))
        return player_of(self.config.gaze, self.config.seed)

    def _measure(self) -> dict[str, float | None]:
        self.unseen.reseed(self.config.seed)
        watched = watch(self.unseen, self.player(), self.config.eval_episodes)
        found = summary(scores(watched, self.unseen.config.rate_hz,
                               self.team.studio.pattern.fov_deg[0]))
        return {name: value if math.isfinite(value) else None for name, value in found.items()}

    def _film(self, name: str) -> None:
        self.unseen.reseed(self.config.seed)
        film: Film = film_episode(self.unseen, self.player())
        film.save(str(self.out / name))

    def _origin(self) -> dict[str, Any]:
        return {**origin('train bcrl', self.config), 'recorded': bool(self.config.demos),
                'minutes': round(self.seconds / 60, 2),
                'validation': self.curve[-1] if self.curve else None}


def draw_curve(curve: list[dict[str, float | None]], path: Path) -> None:
    """Hand error and gaze error on unseen demonstrations against steps, as a picture."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure, left = pyplot.subplots(figsize=(7, 4))
    steps = [row['steps'] for row in curve]
    left.plot(steps, [row['hand_error'] for row in curve], 'o-', color='tab:blue')
    left.set(xlabel='glances of all eyes', ylabel='hand error', ylim=(0, None))
    right = left.twinx()
    right.plot(steps, [math.nan if row['gaze_error_deg'] is None else row['gaze_error_deg']
                       for row in curve], 's--', color='tab:red')
    right.set(ylabel='median gaze error, degrees', ylim=(0, None))
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
