"""A taste of test/tools/fuzz.py; `python test/tools/fuzz.py` is the whole meal."""

import importlib.util
from pathlib import Path

from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('rclpy', reason='needs rclpy')

SPEC = importlib.util.spec_from_file_location(
    'fuzz', Path(__file__).resolve().parent / 'tools' / 'fuzz.py')
fuzz = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)
each_target = pytest.mark.parametrize('target', fuzz.TARGETS)


@each_target
def test_random_cases_are_taken_or_refused_in_words(target):
    with fuzz.quiet():
        accepted = fuzz.cases(target, 100)
    # Both happen, or the cases are no test; joint states are never refused, only passed over.
    assert 0 < accepted < 100 or target == 'joint_states'


@each_target
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=200))
def test_what_hypothesis_thinks_of(target, data):
    with fuzz.quiet():
        fuzz.run(target, data)
