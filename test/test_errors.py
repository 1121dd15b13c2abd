"""The error tree: edges catch one class and get everything, with a text that helps."""

import inspect

import pytest

from gaze_robot import errors

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize('cls', CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_is_a_gaze_robot_error_and_documented(cls):
    assert issubclass(cls, errors.GazeRobotError)
    assert cls.__doc__


@pytest.mark.parametrize('cls, builtin', [
    (errors.ConfigError, ValueError), (errors.ImageError, ValueError),
    (errors.CameraModelError, ValueError), (errors.CommandError, ValueError),
    (errors.MissingDependencyError, ImportError)])
def test_callers_who_do_not_know_us_can_catch_the_builtin(cls, builtin):
    with pytest.raises(builtin, match='why'):
        raise cls('why')


def test_timeout_says_who_how_long_and_what_to_check():
    error = errors.DriverTimeoutError('pan motor', 0.25)
    assert str(error) == 'pan motor did not answer within 0.25 s; is it powered and connected?'
    assert (error.device, error.waited_s) == ('pan motor', 0.25)
    assert isinstance(error, errors.DriverError)
