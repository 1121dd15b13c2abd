"""Whether the soak calls a leak a leak, and a real one, short."""

from dataclasses import replace
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from gaze_robot.errors import ConfigError
from gaze_robot.soak import SoakConfig
from gaze_robot.soak.processes import usage
from gaze_robot.soak.verdict import Fault, growth, judge, Sample

WELL = Fault('the camera hangs', 5.0, 2.0, 1.0, 'no image')


def life(grow_mib_per_s=0.0, seconds=1000.0, warm_s=100.0, noise_mib=0.3):
    """A process that warms up by 50 MiB and then grows so fast; shared pages are used anew."""
    rng = np.random.default_rng(0)
    return [Sample('gaze', 7, at_s, 600 + at_s / 10, 300 + 50 * min(at_s / warm_s, 1.0)
                   + grow_mib_per_s * max(0.0, at_s - warm_s) + rng.normal(0, noise_mib), 18, 26)
            for at_s in np.arange(0.0, seconds, 5.0).tolist()]


def test_a_flat_life_passes_whatever_the_warm_up_was():
    verdict = judge(life(), [WELL], [], [], from_s=100.0)
    assert verdict['passed']
    assert abs(verdict['processes']['gaze']['growth_percent']) < 0.5


def test_a_leak_of_more_than_two_percent_is_told():
    """350 MiB; 7 MiB are 2 percent; what counts are the middles of begin and end, 765 s apart."""
    assert judge(life(0.006), [WELL], [], [], 100.0)['passed']
    verdict = judge(life(0.012), [WELL], [], [], 100.0)
    assert not verdict['passed']
    assert 'gaze: own memory grew' in verdict['wrong'][0]


@pytest.mark.parametrize('what', ['threads', 'files'])
def test_one_more_thread_or_file_is_told(what):
    samples = [replace(sample, **{what: 30 + (sample.at_s > 500)}) for sample in life()]
    assert any(f'{what} grew from 30 to 31' in text
               for text in judge(samples, [WELL], [], [], 100.0)['wrong'])


def test_only_the_last_life_of_a_killed_process_counts():
    before = [replace(sample, pid=6, own_mib=100.0) for sample in life(seconds=200.0)]
    after = [replace(sample, at_s=sample.at_s + 200) for sample in life()]
    assert growth(before + after, 300.0)['wrong'] == []


@pytest.mark.parametrize('given, says', [
    ({'faults': [replace(WELL, shown_s=None)]}, 'never showed'),
    ({'faults': [replace(WELL, healed_s=None)]}, 'did not heal'),
    ({'beyond': ['pan at 9']}, 'left its limits'), ({'ended': ['gaze ended with -11']}, '-11')])
def test_everything_else_that_is_wrong_is_told(given, says):
    verdict = judge(life(), given.get('faults', [WELL]), given.get('beyond', []),
                    given.get('ended', []), 100.0)
    assert not verdict['passed']
    assert says in verdict['wrong'][0]


def test_a_run_too_short_to_judge_does_not_pass():
    assert 'samples' in judge(life(seconds=20.0), [WELL], [], [], 15.0)['wrong'][0]


def test_usage_is_this_process_own():
    sample = usage('me', os.getpid(), 3.0)
    assert sample.threads >= 1
    assert sample.resident_mib > sample.own_mib > 1
    with open(os.devnull), open(os.devnull):
        assert usage('me', os.getpid(), 3.0).files == sample.files + 2
    assert usage('nobody', 2 ** 30, 0.0) is None


def test_settings_out_of_range_are_refused():
    for wrong in ({'minutes': 0.0}, {'rest': -1.0}, {'domain': 500}):
        with pytest.raises(ConfigError):
            SoakConfig(**wrong)


@pytest.mark.long
@pytest.mark.ros
def test_a_minute_of_faults_on_the_real_graph(tmp_path):
    """Faults show and heal; a minute is too short to judge memory to two percent."""
    pytest.importorskip('rclpy', reason='needs rclpy')
    out = tmp_path / 'soak.json'
    done = subprocess.run([sys.executable, '-m', 'gaze_robot.cli', 'soak', '--minutes', '1',
                           '--rest', '1', '--out', str(out)], capture_output=True, text=True,
                          timeout=400)
    report = json.loads(out.read_text())
    assert 'Traceback' not in done.stderr
    assert (done.returncode == 0) == report['passed']
    assert len(report['faults']) >= 3
    assert [text for text in report['wrong'] if 'grew' not in text] == []
