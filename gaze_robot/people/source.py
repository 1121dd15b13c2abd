"""The robot's own people path: a picture in, what each looks at in the robot's frame out."""

from collections.abc import Sequence
import dataclasses
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.gaze_target.company import Gazed
from gaze_robot.geometry import angle_between
from gaze_robot.people.around import as_angles, as_seen, ray_of, turned_towards
from gaze_robot.people.flow import FlowHeads
from gaze_robot.people.given import GivenHeads
from gaze_robot.people.heads import CascadeHeads, HeadFinder, make_finder
from gaze_robot.people.records import Box, GazeModel, Gazes, Head, people_of
from gaze_robot.people.seek import Seeker
from gaze_robot.people.social import gazed_object
from gaze_robot.people.steady import SteadyGaze, SteadyGazes
from gaze_robot.people.tracks import HeadTracks
from gaze_robot.people.watch import make_model
from gaze_robot.stages import Clock
from gaze_robot.types import Frame, GazeTarget, PanTiltState

SHIFTED_RAD = math.radians(6.0)
"""A thing that moves by more than this is another one."""

_ELSEWHERE_RAD = math.radians(15.0)
"""The same of places without a thing, which are the peaks of broad cones and waver."""

_NEWS_S = 2.0
"""Time constant with which a gaze shift gets old: what somebody turns to is news."""
_AWAY = 0.3
"""What a gaze that leaves the picture claims at least: turning along it will show more."""
_KEPT = 0.5
"""A thing stays the one that is looked at while it is so likely, of the likeliest of this picture:
which one that is may differ from one place of the eye to the next."""
_SURELY, _DOUBTFUL, _SURE_S = 0.5, 0.3, 0.5
"""A head less sure than the first claims less in proportion; less than the second, it is no reason
not to look for others. Time constant of how sure it is."""
_DULL_S = 6.0
"""After so long at no particular thing somebody is no reason, either."""
_UNSEEN_S = 0.2
"""Time constant with which the claim fades of who is not seen any more."""
_QUICK = 400, 1.2
"""Width of pictures and step of sizes with which cascades search while the robot runs."""
_OLD_NEWS, _FAR = 0.5, 0.5
"""What an old shift, and a head small beside the largest, leave of a claim at least."""


@dataclass(frozen=True, eq=False)
class PeopleSight:
    """Everything that one picture says of people."""

    people: tuple[SteadyGaze, ...] = ()
    """By id, smoothed; those of the last second and a half."""

    company: tuple[Gazed, ...] = ()
    """In the same order: what each looks at, as far as known; where to look for people when there
    are none comes last, with id 0."""

    things: tuple[Box, ...] = ()
    """What might be looked at, shares of the picture."""


class PeopleSource:
    """Heads, their ids, where their owners look, steady over time; for one camera."""

    def __init__(self, model: GazeModel, finder: HeadFinder) -> None:
        """Put the parts together; see `make_people_source`."""
        self._model, self._finder = model, finder
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._tracks = HeadTracks(self._finder, every=1)
        self._steady = SteadyGazes()
        self._shifted: dict[int, tuple[GazeTarget, float]] = {}
        """What they turned to last, and when."""

        self._camera: CameraModel | None = None
        self._chosen: dict[int, GazeTarget] = {}
        self._sure: dict[int, float] = {}
        """How surely the heads of those known are some, smoothed."""

        self._judged_s = -math.inf
        self._seeker = Seeker()

    def close(self) -> None:
        """End threads."""
        if isinstance(self._finder, FlowHeads):
            self._finder.close()

    @property
    def given(self) -> GivenHeads | None:
        """Where to put heads that somebody else finds; None: it finds them itself."""
        return self._finder if isinstance(self._finder, GivenHeads) else None

    def __call__(self, frame: Frame, pose: PanTiltState, clock: Clock | None = None
                 ) -> PeopleSight:
        """Look at the next picture of a camera that has this pose; `clock` takes the stages."""
        clock = Clock() if clock is None else clock
        if self._camera != frame.camera and hasattr(self._model, 'use_camera'):
            self._model.use_camera(frame.camera)
        self._camera = frame.camera
        if self.given is not None:
            self.given.now(frame, pose)
        found = as_angles(self._finder(frame.image), frame.camera, pose)
        heads = as_seen(self._tracks.update(found, everywhere=True), frame.camera, pose)
        clock.lap('heads')
        gazes = self._model(frame.image, heads)
        if self.given is not None:
            gazes = dataclasses.replace(gazes, things=(*gazes.things, *self.given.things()))
        people = people_of(gazes, heads, self._model.source)
        clock.lap('gaze')
        steady = self._steady(people, frame.camera, pose, frame.stamp_s)
        self._chosen = {known.person.id: self._choose(known, gazes, heads, frame, pose)
                        for known in steady}
        self._judge_heads(heads, frame.stamp_s)
        company = self._claims(steady, frame.stamp_s)
        if (sought := self._seek(
                steady, company, frame.camera, pose, frame.stamp_s)) is not None:
            company = (*company, sought)
        clock.lap('together')
        return PeopleSight(tuple(steady), company, gazes.things)

    def _choose(self, known: SteadyGaze, gazes: Gazes, heads: Sequence[Head],
                frame: Frame, pose: PanTiltState) -> GazeTarget:
        """What somebody looks at: a thing or another's head if one is likely, else a place.

        Of who looks out of the picture, a place on the way from which the head is still seen; of
        who is not seen any more, what it was.
        """
        person, target = known.person, dataclasses.replace(
            known.target, id=known.person.id, head_box=known.person.head_box,
            in_frame=known.person.in_frame)
        if known.stamp_s < frame.stamp_s and person.id in self._chosen:
            return dataclasses.replace(self._chosen[person.id], in_view=False)
        if not target.in_view:
            way = turned_towards(person, frame.camera, pose)
            return target if way is None else dataclasses.replace(target, direction=way)
        boxes = [*gazes.things, *(head.box for head in heads if head.id != person.id)]
        choice = gazed_object(person, boxes)
        if choice.index is None:
            return target
        places = [ray_of(_middle(box), frame.camera, pose) for box in boxes]
        index = _kept(self._chosen.get(person.id), places, choice.shares, choice.index)
        box = boxes[index]
        confidence = max(person.confidence, min(choice.probability, gazes.ceiling))
        return dataclasses.replace(target, direction=places[index],
                                   confidence=confidence, object_box=box)

    def _judge_heads(self, heads: Sequence[Head], now_s: float) -> None:
        """Smooth how sure they are: a doubtful one is sure now and then."""
        old = math.exp(min(self._judged_s - now_s, 0.0) / _SURE_S)
        for head in heads:
            before = self._sure.get(head.id, head.confidence)
            self._sure[head.id] = old * before + (1 - old) * head.confidence
        self._judged_s = now_s

    def _claims(self, steady: Sequence[SteadyGaze], now_s: float) -> tuple[Gazed, ...]:
        """Everybody's target with its claim."""
        largest = max((_height(target) for target in self._chosen.values()), default=1.0)
        for known_of in (self._shifted, self._sure):
            for key in known_of.keys() - self._chosen.keys():
                del known_of[key]
        found = []
        for known, target in zip(steady, self._chosen.values()):
            before, since_s = self._shifted.get(target.id, (target, now_s))
            apart = SHIFTED_RAD if target.object_box and before.object_box else _ELSEWHERE_RAD
            if angle_between(before.direction, target.direction) > apart:
                before, since_s = target, now_s
            self._shifted[target.id] = before, since_s
            news = _OLD_NEWS + (1 - _OLD_NEWS) * math.exp((since_s - now_s) / _NEWS_S)
            near = _FAR + (1 - _FAR) * _height(target) / largest
            seen = math.exp((known.stamp_s - now_s) / _UNSEEN_S) * min(
                self._sure[target.id] / _SURELY, 1.0)
            away = target.in_frame is not None and target.in_frame < 0.5
            claim = max(target.confidence, _AWAY * away) * news * near * seen
            found.append(Gazed(target, claim, since_s))
        return tuple(found)

    def _seek(self, steady: Sequence[SteadyGaze], company: Sequence[Gazed], camera: CameraModel,
              pose: PanTiltState, now_s: float) -> Gazed | None:
        """Where to look for people; None while somebody is there to follow."""
        seen = [gazed for known, gazed in zip(steady, company) if known.stamp_s == now_s
                and self._sure[known.person.id] >= _DOUBTFUL
                and (gazed.target.object_box or now_s - gazed.since_s < _DULL_S)]
        first = max(seen, key=_claim, default=None)
        if first is None or first.target.head_box is None:
            return self._seeker.look(camera, pose, now_s)
        self._seeker.found(ray_of(_middle(first.target.head_box), camera, pose), now_s)
        return None


def _kept(before: GazeTarget | None, places: Sequence[np.ndarray], shares: Sequence[float],
          best: int) -> int:
    """Number of the thing that was looked at before, if it is here and nearly as likely."""
    if before is None or before.object_box is None:
        return best
    same = min(range(len(places)), key=lambda k: float(angle_between(
        places[k], before.direction)))
    there = angle_between(places[same], before.direction) < SHIFTED_RAD
    return same if there and shares[same] > _KEPT * shares[best] else best


def _claim(gazed: Gazed) -> float:
    return gazed.claim


def make_people_source(model: str, heads: str, background: bool = True) -> PeopleSource:
    """The path that a robot runs.

    Args:
        model: see `make_model`.
        heads: see `make_finder`, or 'topic': somebody else finds them, see `PeopleSource.given`.
        background: let detectors too slow for every picture run in a second thread.

    Raises:
        ConfigError, CheckpointError, MissingDependencyError: see `make_model` and `make_finder`.
    """
    finder: HeadFinder
    if heads == 'topic':
        finder = GivenHeads()
    elif heads == 'figures':
        finder = make_finder(heads)
    else:
        found = CascadeHeads(width=_QUICK[0], step=_QUICK[1]) if heads == 'cascade' else \
            make_finder(heads)
        finder = FlowHeads(found, background=background)
    return PeopleSource(make_model(model), finder)


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _height(target: GazeTarget) -> float:
    return target.head_box[3] - target.head_box[1] if target.head_box else 1e-3

