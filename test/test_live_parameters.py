"""gaze's parameters set while it runs: what takes effect, what is refused and why; a real node."""

import dataclasses

import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('torch', reason='gaze_node needs torch')

from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from gaze_robot.config import GazeConfig, LIVE_GAZE, parameters  # noqa: E402
from gaze_robot.errors import ConfigError  # noqa: E402
from gaze_robot.nodes import _messages  # noqa: E402
from gaze_robot.nodes._params import current_config  # noqa: E402
from gaze_robot.nodes.gaze_node import GazeNode  # noqa: E402
from gaze_robot.pipeline import GazePipeline  # noqa: E402


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    from gaze_robot.checkpoint import make_policy, save_policy
    from gaze_robot.encoder import EncoderConfig
    from gaze_robot.foveation import FoveationPattern
    folder = tmp_path_factory.mktemp('checkpoint')
    save_policy(folder, make_policy(FoveationPattern(), EncoderConfig()))
    return str(folder)


@pytest.fixture(scope='module')
def node(checkpoint):
    rclpy.init()
    node = GazeNode(parameter_overrides=[
        Parameter('model.path', value=checkpoint), Parameter('model.runtime', value='torch'),
        Parameter('eye', value='picture'), Parameter('sources.salience', value=1.0)])
    node.autostart()
    assert node.state == 'active'
    yield node
    node.close()
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def change(node):
    """Sets parameters, all or none; returns '' or why not. The defaults come back afterwards."""
    before = current_config(node, GazeConfig)

    def set_them(**values):
        result = node.set_parameters_atomically([
            Parameter(name.replace('__', '.'), value=value) for name, value in values.items()])
        assert result.successful == (result.reason == '')
        return result.reason
    yield set_them
    node.set_parameters_atomically([
        Parameter(each.name, value=getattr(before, each.attribute))
        for each in parameters(GazeConfig) if each.attribute in LIVE_GAZE])


def settled(node):
    """After the worker thread has done what it was told."""
    node._worker.call(lambda: None)
    node._worker._jobs[-1].result(timeout=20)
    list(node._worker.collect())


def picture(stamp_s):
    message = Image(encoding='rgb8', width=32, height=32, step=96)
    message.data = np.zeros(32 * 32 * 3, np.uint8).tobytes()
    message.header.stamp = _messages.stamp(stamp_s)
    return message


OTHERS = {'processing_rate': 3.0, 'control_rate': 7.0, 'debug_rate': 1.0, 'max_image_age': 1.5,
          'target_timeout': 9.0, 'on_target_lost': 'hold', 'confidence_threshold': 0.9,
          'dead_time': 0.1, 'sources.search': 0.0, 'sources.salience': 2.0}


@pytest.mark.parametrize('name', OTHERS)
def test_a_live_parameter_reaches_whatever_goes_by_it(node, change, name):
    attribute = next(each.attribute for each in parameters(GazeConfig) if each.name == name)
    assert change(**{name.replace('.', '__'): OTHERS[name]}) == ''
    settled(node)
    for place in (node, node._desk, node._outputs, node._eye, node._eye.pipeline):
        assert getattr(place.config, attribute) == OTHERS[name]
        assert dataclasses.replace(place.config, **{attribute: getattr(
            GazeConfig(), attribute)}).eye == 'picture'


def test_every_live_field_is_tried_here_or_has_a_reason_not_to():
    names = {each.attribute: each.name for each in parameters(GazeConfig)}
    assert {names[attribute] for attribute in LIVE_GAZE} - OTHERS.keys() == {'sources.people'}


def test_a_lower_rate_lets_fewer_pictures_in(node, change):
    now_s = node.now_s()

    def admitted(offset_s):
        return sum(not isinstance(node._desk.admit(picture(now_s + offset_s + k / 30),
                                                   now_s + offset_s + k / 30, lambda: False), str)
                   for k in range(60))
    assert admitted(100.0) >= 58
    assert change(processing_rate=3.0) == ''
    assert 6 <= admitted(200.0) <= 9


def test_weights_of_sources_change_and_the_map_with_them(node, change):
    assert change(sources__salience=0.0) == ''
    settled(node)
    assert node._eye.pipeline._priority.weights == {}
    assert change(sources__salience=5.0) == ''
    settled(node)
    assert node._eye.pipeline._priority.weights == {'salience': 5.0}


@pytest.mark.parametrize('values, says', [
    ({'hfov_deg': 60.0}, 'hfov_deg of gaze is read at configure'),
    ({'model__path': '/nothing', 'task': 'x'}, 'model.path, task of gaze is read at configure'),
    ({'sources__people': 1.0}, 'sources.people cannot be turned on while the eye runs'),
    ({'max_image_age': -1.0}, 'out of range'), ({'max_image_age': 99}, 'at most 10'),
    ({'on_target_lost': 'panic'}, 'hold, home, search'), ({'target_timeout': 'long'}, 'float'),
    ({'processing_rate': float('nan')}, 'value: nan')])
def test_what_is_refused_says_why_and_changes_nothing(node, change, values, says):
    before = node.config
    assert says in change(control_rate=11.0, **values)
    assert node.config == before
    assert current_config(node, GazeConfig) == before


def test_an_eye_that_follows_people_takes_other_settings_too(checkpoint):
    config = GazeConfig(sources_people=1.0, people_model='figures', people_heads='figures')
    pipeline = GazePipeline.from_checkpoint(checkpoint, config=config)
    pipeline.check_change(dataclasses.replace(config, max_image_age=0.4, sources_people=0.5))
    with pytest.raises(ConfigError, match='salience'):
        pipeline.check_change(dataclasses.replace(config, sources_salience=1.0))
