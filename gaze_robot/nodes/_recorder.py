"""Watches a composed run: its film, the truth where there is one, the report."""

from collections import deque
import math
import time
from typing import Any

import cv2
import numpy as np

from gaze_robot.draw import panorama_strip, timeline
from gaze_robot.film import Film, panel
from gaze_robot.nodes._composed import Composed
from gaze_robot.nodes._eye import draw_glance, Glance

NO_SEARCHES = {'searches': 0, 'found_within_5deg': 0, 'median_time_to_target_s': None}
"""Without a simulated world nobody knows where the target truly is."""

STRIP_PX = 260


class Recorder:
    """Watches a composed run: its film, the truth where there is one, the report."""

    def __init__(self, run: Composed, film: bool) -> None:
        """Begin to watch; with `film`, keep pictures of it."""
        self._run = run
        by_name = {node.get_name(): node for node in run.nodes}
        self.gaze, camera = by_name['gaze'], by_name.get('world') or by_name.get('camera')
        self._camera = camera
        self.world = camera if hasattr(camera, 'game') else None
        """The simulated world, if it sets searches; a workspace sets tasks for a hand instead."""
        self.film = Film()
        self._wanted = film
        self._start_s = time.monotonic()
        self._times_s: deque[float] = deque(maxlen=200)
        self._errors_deg: deque[float] = deque(maxlen=200)
        self._place: tuple[Any, np.ndarray] | None = None
        self.crowded: list[str] = []
        self.gaze.on_glance = self._on_glance

    @property
    def searches(self) -> dict[str, Any]:
        """The simulated world's count of searches; zeros without one."""
        return dict(NO_SEARCHES) if self.world is None else self.world.game.log.report()

    def report(self) -> dict[str, Any]:
        """Call after the run has stopped."""
        report = self.gaze.stats.report()
        if self._camera is not None:
            lost = self._camera.published - report['frames_in']
            if lost > 0:
                report['dropped']['lost in transport'] = lost
        if self.crowded:
            report['crowded_topics'] = self.crowded
        outcomes = getattr(self._camera, 'outcomes', None)
        if outcomes is not None:
            return {**report, 'episodes': len(outcomes), 'successes': outcomes.count('success')}
        return {**report, **self.searches}

    def look_around(self) -> None:
        """Say so when somebody else's nodes took part in this run."""
        cameras = {'world', 'camera'} & {node.get_name() for node in self._run.nodes}
        self.crowded = self._run.crowded(['joint_trajectory'] + ['image_raw'] * len(cameras))
        for topic in self.crowded:
            self.gaze.get_logger().error(
                f'another node publishes {topic} too, so this run was not alone; give each robot '
                'a ROS_DOMAIN_ID of its own')

    def _on_glance(self, glance: Glance) -> None:
        now = time.monotonic() - self._start_s
        if not self._wanted or not self.film.wants(now):
            return
        eye = draw_glance(glance.frame, glance.result, glance.boxes, self.gaze.config, width=400)
        self.film.add(panel(eye, glance.result.view.levels, self._truth(now)), now)

    def _truth(self, now: float) -> list[np.ndarray]:
        """The surrounding with gaze and target, and the error over time."""
        if self.world is None or self.world.shot is None:
            return []
        target = self.world.game.target
        if target is not None:
            self._times_s.append(now)
            self._errors_deg.append(math.degrees(self.world.game.error_rad))
        place = panorama_strip(self._small(self.world.panorama), self.world.shot.gaze,
                               None if target is None else target.direction, STRIP_PX)
        return [place, timeline(self._times_s, self._errors_deg, 240, STRIP_PX // 2)]

    def _small(self, panorama: Any) -> np.ndarray:
        """The world's picture at the film's size; shrinking 4096 pixels anew is not cheap."""
        if self._place is None or self._place[0] is not panorama:
            self._place = (panorama, cv2.resize(panorama.image, (STRIP_PX, STRIP_PX // 2),
                                                interpolation=cv2.INTER_AREA))
        return self._place[1]
