"""`gaze-robot explain`: why these weights look where they do, for one picture."""

from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.checkpoint import load_policy, Policy
from gaze_robot.draw import eye_picture
from gaze_robot.errors import CheckpointError, ConfigError, ImageError
from gaze_robot.exemplars import exemplar_from_picture
from gaze_robot.explain.attention import METHODS
from gaze_robot.explain.drawing import Explanation, figure
from gaze_robot.explain.explainer import best_place, chosen_action, explain, Score, values
from gaze_robot.foveation import Foveator
from gaze_robot.perception import Percept, Perception, valid_cells
from gaze_robot.policy.actions import move
from gaze_robot.policy.observation import Observer
from gaze_robot.types import PanTiltLimits

_EYE = np.zeros(1, int)


@dataclass(frozen=True)
class ExplainConfig:
    """Draw what the eye sees of a picture, and which of it an answer comes from."""

    picture: str
    """The picture to look at."""

    exemplar: str = ''
    """Picture of what is looked for: a cut-out of PICTURE, or of one of the same scale."""

    exemplar_width_deg: float = 0.0
    """Angle that it covers, degrees; 0: it has the scale of PICTURE."""

    head: str = 'search'
    """The answer to explain: 'search' (the best place), 'policy' (the move chosen), or another
    head that reads the tokens ('people', where these weights have it)."""

    method: str = 'relevance'
    """'relevance' (attention weighed by gradients), 'rollout' (attention through all blocks), or
    'attention' (of the last block)."""

    fixation: tuple[float, float] | None = None
    """Pixel (u, v) that the eye looks at; unset: the middle."""

    hfov_deg: float = 90.0
    """Horizontal field of view of the picture, degrees."""

    policy: str = ''
    """Checkpoint folder; empty: the one shipped."""

    keep: float = 1.0
    """Share of the tokens that go through all of the encoder."""

    out: str = 'explain.png'
    """The picture to write."""

    seed: int = 0
    """Nothing here is random: taken as every command takes it."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f'--method is one of {", ".join(METHODS)}, got {self.method}')
        if not 5 <= self.hfov_deg <= 170 or not 0.1 <= self.keep <= 1:
            raise ConfigError('--hfov-deg lies between 5 and 170 and --keep between 0.1 and 1, '
                              f'got {self.hfov_deg} and {self.keep}')
        if not 0 <= self.exemplar_width_deg < 180:
            raise ConfigError('--exemplar-width-deg lies between 0 (the scale of PICTURE) and '
                              f'180, got {self.exemplar_width_deg}')
        if self.head == 'salience':
            raise ConfigError('salience is computed from the picture, not from tokens: there is '
                              'nothing to explain; give another --head')
        if self.head == 'search' and not self.exemplar:
            raise ConfigError('what is looked for? Give its picture with --exemplar, or explain '
                              'another answer: --head policy')
        if Path(self.out).suffix.lower() not in ('.png', '.jpg', '.jpeg'):
            raise ConfigError(f'--out {self.out}: name a .png or .jpg file')


def run_explain(config: ExplainConfig) -> dict[str, Any]:
    """Look once, explain, draw.

    Raises:
        ImageError: a file is no picture, or the exemplar is larger than the picture.
        ConfigError: the fixation is outside, or the weights have no such head.
        CheckpointError: see `load_policy`.
    """
    image = _read(config.picture, 'picture')
    camera = CameraModel.from_hfov(image.shape[1], image.shape[0], math.radians(config.hfov_deg))
    fixation = _fixation(config, camera)
    _make_folder(config.out)
    policy = load_policy(config.policy)
    network = policy.perception
    network.use_sources({config.head} & network.offers)
    network.keep_tokens(config.keep)
    perception = Perception(network)
    if config.exemplar:
        shown = _read(config.exemplar, 'exemplar')
        if config.exemplar_width_deg <= 0 and (shown.shape[0] > image.shape[0]
                                               or shown.shape[1] > image.shape[1]):
            raise ImageError(
                f'the exemplar ({shown.shape[1]}x{shown.shape[0]} pixels) is larger than the '
                f'picture ({image.shape[1]}x{image.shape[0]}); cut the thing out, or say how '
                'large it is with --exemplar-width-deg')
        perception.look_for({0: exemplar_from_picture(shown, camera, config.exemplar_width_deg)})
    foveator = Foveator(network.pattern, camera)
    view = foveator(image, fixation)
    valid = valid_cells(view.valid)[None]
    levels = [level[None] for level in view.levels]
    percept = perception(levels, valid, _EYE)
    score, answer = _answer(config, policy, percept, valid)
    inputs = perception.inputs(levels, valid, _EYE)
    shares = explain(network, inputs, score, config.method)[0]
    answer |= {'score': float(values(network, inputs, score)[0]),
               'score_on_grey': float(values(network, inputs, score, grey=True)[0])}
    explanation = Explanation(network.front_end, view.levels, shares)
    said = _draw_answer(config, image, foveator, fixation, percept)
    path = _write(config.out, figure(explanation, said, _title(config, answer), _notes(
        explanation, answer)))
    return {'head': config.head, 'method': config.method, **answer, 'out': path,
            **{f'top_{i + 1}': _words(row) for i, row in enumerate(explanation.top())},
            'shares': shares}


def _read(path: str, what: str) -> np.ndarray:
    if not Path(path).is_file():
        raise ImageError(f'{what}: there is no file {path}')
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    if image is None:
        raise ImageError(f'{what}: {path} is not a picture that OpenCV can read (try JPEG or PNG)')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _fixation(config: ExplainConfig, camera: CameraModel) -> tuple[float, float]:
    if config.fixation is None:
        return camera.cx, camera.cy
    u, v = config.fixation
    if not (0 <= u <= camera.width and 0 <= v <= camera.height):
        raise ConfigError(f'--fixation {u:g} {v:g} is outside the picture of '
                          f'{camera.width}x{camera.height} pixels')
    return u, v


def _answer(config: ExplainConfig, policy: Policy, percept: Percept, valid: np.ndarray
            ) -> tuple[Score, dict[str, Any]]:
    """What to explain, and what it says."""
    if config.head != 'policy':
        if config.head == 'search':
            return best_place(), {'probability': float(percept.heat.max())}
        return best_place(config.head), {}
    if policy.eye is None:
        raise CheckpointError(f'{config.policy} has no eye, so --head policy has nothing to say; '
                              'give a folder that `gaze-robot train search` wrote')
    observer = Observer(1, policy.perception.pattern, PanTiltLimits())
    vector, _ = observer.observe(percept, valid, np.zeros((1, 2)), np.zeros((1, 2)), np.zeros(1),
                                 _EYE)
    told = torch.from_numpy(vector)
    action = policy.eye.act(torch.from_numpy(percept.tokens), told).numpy()
    pan, tilt = np.degrees(move(action, policy.eye.discrete)[0])
    return chosen_action(policy.eye, told), {'pan_left_deg': float(pan),
                                             'tilt_down_deg': float(tilt)}


def _title(config: ExplainConfig, answer: dict[str, Any]) -> str:
    said = 'the most probable cell'
    if config.head == 'search':
        said += f', {answer["probability"]:.2f}'
    elif config.head == 'policy':
        said = f'turn {_place(-answer["pan_left_deg"], answer["tilt_down_deg"])}'
    return f'{config.head}: {said}   (method: {config.method})'


def _notes(explanation: Explanation, answer: dict[str, Any]) -> list[str]:
    """The legend: the largest shares, and how they fall to coarse and sharp tokens."""
    sizes = np.round(np.degrees(explanation.front_end.sample_rad)
                     * explanation.front_end.token_side, 1)
    groups = [(size, float(explanation.shares[sizes == size].sum()), int((sizes == size).sum()))
              for size in np.unique(sizes)]
    lines = [f'share of {_words(row)}' for row in explanation.top(3)]
    if len(groups) <= 6:
        lines.append('by width of token: ' + '; '.join(
            f'{size:g} deg: {share:.0%} ({count} tokens)' for size, share, count in groups))
    lines.append(f'score (log-odds or log-probability) {answer["score"]:.2f}; were the tokens all '
                 f'grey, and the correlation with the exemplar as it is: '
                 f'{answer["score_on_grey"]:.2f}')
    return lines


def _words(row: dict[str, float]) -> str:
    place = _place(row['right_deg'], row['down_deg'])
    return f'{row["share"]:.1%} {row["width_deg"]:.1f} deg wide, {place}'


def _place(right_deg: float, down_deg: float) -> str:
    return (f'{abs(right_deg):.1f} deg {"right" if right_deg >= 0 else "left"}, '
            f'{abs(down_deg):.1f} deg {"down" if down_deg >= 0 else "up"}')


def _draw_answer(config: ExplainConfig, image: np.ndarray, foveator: Foveator,
                 fixation: tuple[float, float], percept: Percept) -> np.ndarray:
    """The picture itself with the levels' squares and the head's map over it."""
    boxes = [foveator.box_px(level, fixation) for level in range(foveator.pattern.levels)]
    maps = percept.people if config.head == 'people' else percept.heat
    return eye_picture(image, boxes, () if maps is None else list(maps[0]), width=640)


def _make_folder(out: str) -> None:
    try:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f'--out {out}: cannot write there ({error.strerror})') from error


def _write(path: str, picture: np.ndarray) -> str:
    if not cv2.imwrite(path, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise ConfigError(f'--out {path}: cannot write there')
    return path
