"""`gaze-robot eval people`: how right a model is about where people look.

On made-up pictures of people and rooms that no training shows ('synthetic'), or on a published
data set in the layout in which it unpacks, by the protocol with which results on it are published.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
import time
from typing import Any

import cv2
import numpy as np
import torch
from tqdm import tqdm

from gaze_robot.errors import ConfigError
from gaze_robot.people.attention_read import AttentionGaze
from gaze_robot.people.metrics import (
    direction_of,
    goo_box_accuracy,
    goo_proximate_accuracy,
    mean_angular_error_rad,
)
from gaze_robot.people.records import GazeModel, people_of, PersonGaze
from gaze_robot.people.social import mutual_gaze, shared_target
from gaze_robot.people.watch import make_model
from gaze_robot_sim.people.cast import Cast, CastConfig
from gaze_robot_sim.people.datasets import open_data_set
from gaze_robot_sim.people.pictures import make_scene, save_picture, Scene, sheet
from gaze_robot_sim.people.scores import Example, inout_ap, judge, judge_gazes, mean_of

UNSEEN = 1_000_003
"""Added to the seed: people and rooms that training never shows."""

MUTUAL_SHARE = 0.06
"""Of two people in these pictures: how often they look at each other."""

JOINT_ODDS = 0.4
"""Chance of a shared target before anything is seen. Of 0.2 to 0.5 the best for the mean of both
answers, but for 0.001, on pictures of other seeds (11 to 13) than those measured by default."""

CAST = CastConfig(busts=800, wholes=240, things=150, views=60)


@dataclass(frozen=True)
class EvalPeopleConfig:
    """Measure a model of where people look."""

    data: str
    """'synthetic', or the folder of GazeFollow, VideoAttentionTarget, ChildPlay or GOO-Real."""

    model: str = 'attention'
    """'attention' (the shipped network), 'coarse', a gaze model of `weights list`, a run of `train
    people`, or the path of a .pt or .onnx file."""

    split: str = 'test'
    """Of a data set: train, val or test."""

    n: int = 500
    """Of synthetic: how many pictures."""

    every: int = 1
    """Of a data set: every so many-th picture only."""

    seed: int = 1
    """Of synthetic: people, rooms and what they look at."""

    picture: str = ''
    """Where to draw some of the synthetic pictures and what the model says, a .png."""

    threads: int = 1
    """Cores for the model."""

    def __post_init__(self) -> None:
        if min(self.n, self.every, self.threads) < 1 or self.seed < 0:
            raise ConfigError('n, every and threads are at least 1 and seed not negative, got '
                              f'{self.n}, {self.every}, {self.threads} and {self.seed}')
        if self.picture and not self.picture.endswith('.png'):
            raise ConfigError(f'--picture ends in .png, got {self.picture}')


def evaluate_people(config: EvalPeopleConfig) -> dict[str, Any]:
    """Measure.

    Raises:
        ConfigError, CheckpointError, MissingDependencyError: there is no such model.
        DemoError, ImageError: the data set cannot be read.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(config.threads)
    model = make_model(config.model, threads=config.threads, seed=config.seed)
    about = {'data': config.data, 'model': config.model}
    if config.data == 'synthetic':
        scenes = unseen_scenes(config.seed, config.n)
        if config.picture:
            save_picture(config.picture, looks(model, scenes[:12]))
        return {**about, 'seed': config.seed, **judge_scenes(model, scenes)}
    found = open_data_set(config.data, config.split)
    pictures = found.pictures[::config.every]
    bar = tqdm(found.examples(config.every), total=len(pictures), desc=found.name, unit='picture',
               mininterval=2)
    rows = judge(model, bar)
    return {**about, 'data_set': found.name, 'split': config.split, 'pictures': len(pictures),
            'people': len(rows), **published(found.name, rows)}


def published(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The measures with which results on a data set are published."""
    if name == 'gazefollow':
        return {'auc': mean_of(rows, 'gazefollow_auc'), 'mean_l2': mean_of(rows, 'mean_l2'),
                'min_l2': mean_of(rows, 'min_l2')}
    if name == 'goo':
        chosen = [row for row in rows if 'goo_chosen' in row]
        angle = mean_of(rows, 'angle_rad')
        return {'auc': mean_of(rows, 'goo_auc'), 'mean_l2': mean_of(rows, 'l2'),
                'angle_deg': None if angle is None else math.degrees(angle),
                'box_accuracy': goo_box_accuracy(
                    [row['goo_chosen'] for row in chosen],
                    [row['goo_gazed'] for row in chosen]) if chosen else None,
                'proximate_accuracy': {f'{share:g}': value for share, value in
                                       goo_proximate_accuracy(
                                           [row['l2'] for row in chosen]).items()}
                if chosen else None}
    return {'auc': mean_of(rows, 'auc'), 'mean_l2': mean_of(rows, 'l2'),
            'inout_ap': inout_ap(rows)}


def unseen_scenes(seed: int, count: int, cast: CastConfig = CAST, series: int = 0) -> list[Scene]:
    """Pictures of people and rooms that training with any usual seed never shows.

    Another series has others with the same seed.
    """
    rng = np.random.default_rng([seed + UNSEEN, 31, series])
    everyone = Cast(rng, cast)
    return [make_scene(rng, everyone) for _ in range(count)]


def judge_scenes(model: GazeModel, scenes: Sequence[Scene]) -> dict[str, Any]:
    """What `eval people synthetic` says.

    Returns:
        auc and mean_l2 by VideoAttentionTarget's protocol, of who looks into the picture;
        gazefollow_auc; inout_ap; mutual_accuracy and joint_attention_accuracy over all pairs of
        people of a picture, each the mean of the shares of right answers among the pairs that do
        and among those that do not, as most pairs do not. As both count alike, a pair is said to
        look at each other where that is likelier than it is of any two; see `JOINT_ODDS`;
        face_deg where the model tells which way faces look; counts; ms, the median time for a
        picture.
    """
    rows: list[dict[str, Any]] = []
    pairs: list[tuple[bool, bool, bool, bool]] = []
    angles: list[tuple[np.ndarray, np.ndarray]] = []
    took: list[float] = []
    for scene in scenes:
        heads = scene.records()
        start = time.perf_counter()
        gazes = model(scene.image, heads)
        took.append(time.perf_counter() - start)
        rows += judge_gazes(gazes, example_of(scene))
        pairs += _pairs(scene, people_of(gazes, heads, model.source))
        if isinstance(model, AttentionGaze):
            faces = model.look(scene.image, heads)[1]
            angles += [(direction_of(face.yaw_rad, face.pitch_rad), truth)
                       for face, truth in zip(faces, scene.direction)]
    mutual, said_mutual, joint, said_joint = np.array(pairs, bool).reshape(-1, 4).T
    return {'pictures': len(scenes), 'people': len(rows), 'pairs': len(pairs),
            'auc': mean_of(rows, 'auc'), 'mean_l2': mean_of(rows, 'l2'),
            'gazefollow_auc': mean_of(rows, 'gazefollow_auc'), 'inout_ap': inout_ap(rows),
            'mutual_accuracy': balanced(mutual, said_mutual),
            'joint_attention_accuracy': balanced(joint, said_joint),
            'shares': {'inside': mean_of(rows, 'inside'), **({
                'mutual': float(mutual.mean()), 'joint': float(joint.mean())} if pairs else {})},
            'all_pairs': {'mutual': float((mutual == said_mutual).mean()),
                          'joint': float((joint == said_joint).mean())} if pairs else {},
            'face_deg': math.degrees(mean_angular_error_rad(*map(np.array, zip(*angles))))
            if angles else None, 'ms': float(np.median(took)) * 1e3}


def _pairs(scene: Scene, people: Sequence[PersonGaze]) -> list[tuple[bool, bool, bool, bool]]:
    """Of every two: do they look at each other, is that said, do they look at the same, said."""
    together = mutual_gaze(people)
    return [(bool(scene.mutual[one, other]), bool(together[one, other] > MUTUAL_SHARE),
             bool(scene.joint[one, other]),
             shared_target(people[one], people[other], JOINT_ODDS) > 0.5)
            for one in range(len(people)) for other in range(one)]


def balanced(truth: np.ndarray, said: np.ndarray) -> float | None:
    """Mean of the shares of right answers where it is so and where it is not."""
    truth, said = np.asarray(truth, bool), np.asarray(said, bool)
    if not len(truth) or truth.all() or not truth.any():
        return None
    return float((said[truth].mean() + (~said[~truth]).mean()) / 2)


def example_of(scene: Scene) -> Example:
    """A made-up picture, to be judged by."""
    places = [place[None] if here else np.zeros((0, 2))
              for place, here in zip(scene.target, scene.inside)]
    return Example(scene.image, scene.records(), places, scene.inside.astype(float))


def looks(model: GazeModel, scenes: Sequence[Scene]) -> np.ndarray:
    """Pictures with the truth, and below them the same with what a model says, uint8 RGB."""
    said = []
    for scene in scenes:
        people = people_of(model(scene.image, scene.records()), scene.records(), model.source)
        said.append(replace(
            scene, target=np.array([person.gaze_point for person in people]),
            inside=np.array([person.in_frame is None or person.in_frame > 0.5
                             for person in people])))
    return np.concatenate([sheet(scenes, 6), sheet(said, 6)])
