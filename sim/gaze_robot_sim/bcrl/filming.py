"""A film of one demonstration being watched: where the eye looks, and what it sees there."""

import cv2
import numpy as np

from gaze_robot.draw_panorama import draw_marker, draw_view
from gaze_robot.film import Film
from gaze_robot_sim.bcrl.batch import WatchBatch
from gaze_robot_sim.oracles import Player

_WIDTH = 720
_SIDE = 160
"""Pixels across a level."""
_MARK = (255, 255, 255)


def film_episode(batch: WatchBatch, player: Player) -> Film:
    """Watch one episode with a batch's first eye; half as quick as it happened."""
    film = Film(every_s=2 / batch.config.rate_hz, most=90)
    batch.start(range(batch.eyes))
    observation = batch.look()
    for step in range(batch.config.length):
        now_s = step / batch.config.rate_hz
        if film.wants(now_s):
            film.add(_frame(batch), now_s)
        batch.step(player(observation, batch))
        observation = batch.look()
    return film


def _frame(batch: WatchBatch) -> np.ndarray:
    """The first eye now: (height, _WIDTH, 3) uint8 RGB."""
    scene, play = batch.scene[0], batch.play[0]
    assert scene is not None
    assert play is not None
    around = cv2.resize(scene.panorama(batch.scene_time(0)).image, (_WIDTH, _WIDTH // 2),
                        interpolation=cv2.INTER_AREA)
    pan, tilt = batch.pose[0].tolist()
    draw_view(around, pan, tilt, [(batch.pattern.half_tangent(level),) * 2
                                  for level in range(batch.pattern.levels)])
    if batch.present[0]:
        draw_marker(around, batch.aim[0], 3, _MARK)
    views = np.full((_SIDE, _WIDTH, 3), 24, np.uint8)
    for level, view in enumerate(batch.retina.views[:_WIDTH // (_SIDE + 8)]):
        left = level * (_SIDE + 8)
        views[:, left:left + _SIDE] = cv2.resize(view[0], (_SIDE, _SIDE),
                                                 interpolation=cv2.INTER_NEAREST)
    text = f'hand error {batch.hand_error[0]:.2f}'
    for row, words in enumerate((play.episode.instruction, text)):
        cv2.putText(around, words, (8, 20 + 20 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _MARK, 1,
                    cv2.LINE_AA)
    return np.concatenate([around, views])
