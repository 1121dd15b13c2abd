"""A checkpoint folder to the pipeline that runs it."""

import json
from pathlib import Path

from gaze_robot.checkpoint import META
from gaze_robot.config import GazeConfig
from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.hand_eye import KIND
from gaze_robot.hand_pipeline import HandPipeline
from gaze_robot.pipeline import GazePipeline
from gaze_robot.shipped import shipped, WORKSPACE


def load_pipeline(config: GazeConfig) -> GazePipeline | HandPipeline:
    """The pipeline of `config.model_path`: with a hand if the checkpoint has one.

    'bcrl', 'workspace:press' and so on are hands and eyes shipped with the package, unless there
    is a folder of that name.

    Raises:
        CheckpointError: it cannot be loaded; see `load_policy` and `load_hand_eye`.
        ConfigError: a setting that does not go with it.
    """
    path = config.model_path
    if not Path(path).exists():
        path = str(shipped().get(path, path))
    if path.startswith(WORKSPACE) and not Path(path).exists():
        raise CheckpointError(f'no hand ships for {path}, only {", ".join(shipped())}; train one '
                              f'with `gaze-robot train bcrl --demos {path} --out DIR` and give '
                              'DIR as model.path')
    if path and _has_hand(Path(path)):
        return HandPipeline.from_checkpoint(path, config.limits, config)
    if config.task:
        raise ConfigError(f'task is {config.task!r} and the checkpoint has no hand to do it; give '
                          'one of `gaze-robot train bcrl` as model.path, or leave task empty')
    return GazePipeline.from_checkpoint(config.model_path, config.limits, config)


def _has_hand(path: Path) -> bool:
    """Whether a folder, or the run directory it is, names itself one of hand and eye."""
    for file in (path / 'policy' / META, path / META):
        if file.is_file():
            try:
                meta = json.loads(file.read_text())
            except ValueError:
                return False                         # whose loader says what is wrong with it
            return isinstance(meta, dict) and meta.get('kind') == KIND
    return False
