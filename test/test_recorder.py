"""The report of a composed run accounts for every picture, whoever took it."""

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('torch', reason='gaze_node needs torch')

from gaze_robot.nodes._recorder import Recorder
from gaze_robot.nodes._stats import LoopStats

pytestmark = pytest.mark.ros


def part(name, **attributes):
    return SimpleNamespace(get_name=lambda: name, **attributes)


@pytest.mark.parametrize('source', ['world', 'camera'])
@pytest.mark.parametrize('published, lost', [(7, 2), (5, 0)])
def test_pictures_that_did_not_arrive_were_lost_in_transport(source, published, lost):
    gaze = part('gaze', stats=LoopStats())
    for second in range(5):
        gaze.stats.frame(float(second))
    game = SimpleNamespace(log=SimpleNamespace(report=dict))
    taker = part(source, published=published, game=game)
    report = Recorder(SimpleNamespace(nodes=[gaze, taker]), film=False).report()
    assert report['dropped'].get('lost in transport', 0) == lost
    assert report['frames_in'] + lost == published
