"""`gaze-robot bench latency`: its figures on a short run, and what it refuses."""

import pytest

from gaze_robot.errors import ConfigError
from gaze_robot_sim.benchmark_latency import bench_latency, BenchLatencyConfig, fastdds_profile


def test_the_profile_of_the_launch_files_is_found(root):
    assert fastdds_profile() == root / 'config' / 'fastdds.xml'


@pytest.mark.parametrize('wrong', [{'seconds': 0.0}, {'seconds': 1e6}, {'seed': -1}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ConfigError):
        BenchLatencyConfig(**wrong)


@pytest.mark.ros
@pytest.mark.long
def test_figures_hang_together(tmp_path):
    pytest.importorskip('rclpy', reason='needs rclpy')
    pytest.importorskip('torch', reason='gaze_node needs torch')
    from gaze_robot.checkpoint import make_policy, save_policy
    from gaze_robot.encoder import EncoderConfig
    from gaze_robot.foveation import FoveationPattern
    save_policy(tmp_path, make_policy(FoveationPattern(), EncoderConfig()))
    seen = bench_latency(BenchLatencyConfig(seconds=4.0, width=160, height=120, rate=10.0,
                                            policy=str(tmp_path)))
    assert seen['pictures'] > 20
    assert seen['commands'] >= 10
    assert 0 < seen['floor_p50_ms'] <= seen['floor_p99_ms']
    assert seen['floor_p50_ms'] < seen['p50_ms'] <= seen['p99_ms']
    assert seen['over_floor_p99_ms'] == pytest.approx(
        seen['p99_ms'] - seen['floor_p99_ms'], abs=0.02)
    assert seen['fastdds_profile'] is True
