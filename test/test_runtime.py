"""Torch, ONNX Runtime and OpenVINO answer alike, for every front end and batch size."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.checkpoint import make_policy, save_policy
from gaze_robot.config import GazeConfig, parameters
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CheckpointError, ConfigError, MissingDependencyError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.foveation.registry import FRONT_ENDS, make_front_end
from gaze_robot.perception import PerceptionNetwork
from gaze_robot.pipeline import GazePipeline
from gaze_robot.runtime import choose as chooser
from gaze_robot.runtime.base import sample_inputs, TorchRuntime
from gaze_robot.runtime.choose import choose, NAMES
from gaze_robot.runtime.graph import check, to_onnx, TOLERANCE
from gaze_robot.runtime.sessions import OnnxRuntime, SESSIONS
from gaze_robot.types import Exemplar, Frame, PanTiltState

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
ENCODER = EncoderConfig(width=16, depth=2, heads=2, registers=2, patch=8)


OWN_PATTERN = {'rings': {'patch': 8}}
"""Front ends that make their pattern themselves, from this."""


def network(front_end='pyramid', seed=0):
    torch.manual_seed(seed)
    made = make_front_end(front_end, None if front_end in OWN_PATTERN else PATTERN,
                          OWN_PATTERN.get(front_end))
    return PerceptionNetwork(made, ENCODER).eval()


@pytest.fixture(params=sorted(SESSIONS))
def session(request):
    """A class that runs graphs; skips where its library is not installed."""
    pytest.importorskip('onnx', reason='onnx writes the graph')
    pytest.importorskip(request.param, reason=f'{request.param} is not installed')
    return SESSIONS[request.param]


@pytest.mark.parametrize('front_end', sorted(FRONT_ENDS))
def test_every_runtime_answers_as_torch_does(session, front_end):
    """For batches of one and three; what the trace took for constant would show."""
    made = network(front_end)
    runtime = session((to_onnx(made),))
    for batch in (1, 3):
        inputs = sample_inputs(made, batch, seed=batch)
        with torch.inference_mode():
            wanted = made([torch.from_numpy(level) for level in inputs[0]],
                          *map(torch.from_numpy, inputs[1:]))
        found = runtime(*inputs)
        assert found.keys() == wanted.keys() >= {'tokens', 'search'}
        for name, value in wanted.items():
            assert found[name].shape == tuple(value.shape)
            np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-4, atol=1e-4)


def test_rows_of_a_batch_do_not_mix(session):
    made = network()
    runtime = session((to_onnx(made),))
    levels, *rest = sample_inputs(made, 4, seed=5)
    together = runtime(levels, *rest)
    for row in range(4):
        alone = runtime([level[row:row + 1] for level in levels],
                        *(array[row:row + 1] for array in rest))
        for name, value in alone.items():
            np.testing.assert_allclose(value[0], together[name][row], atol=2e-5)


def test_a_runtime_for_one_view_answers_the_same(session):
    made = network()
    graph = (to_onnx(made),)
    inputs = sample_inputs(made, 1)
    for name, value in session(graph)(*inputs).items():
        np.testing.assert_allclose(session(graph, batch=1)(*inputs)[name], value, atol=2e-5)


def test_answers_are_kept_when_the_next_view_comes(session):
    made = network()
    runtime = session((to_onnx(made),), batch=1)
    first = runtime(*sample_inputs(made, 1, seed=1))
    kept = {name: value.copy() for name, value in first.items()}
    runtime(*sample_inputs(made, 1, seed=2))
    for name, value in kept.items():
        np.testing.assert_array_equal(first[name], value)


def test_a_graph_of_other_weights_is_noticed(session):
    with pytest.raises(CheckpointError, match=r'otherwise than torch.*export again'):
        check(network(seed=1), session((to_onnx(network(seed=0)),)))


def test_a_graph_of_another_pattern_is_noticed(session):
    other = PerceptionNetwork(FoveationPattern((45.0, 90.0), (16, 32), (8, 16)), ENCODER).eval()
    with pytest.raises(CheckpointError, match=r'the graph takes.*export again'):
        check(network(), session((to_onnx(other),)))


@pytest.mark.parametrize('graph', [b'', b'not a graph', None], ids=['empty', 'text', 'cut'])
def test_what_is_no_graph_is_refused(session, graph):
    data = to_onnx(network())[:2000] if graph is None else graph
    with pytest.raises(CheckpointError, match='cannot read this graph; export again'):
        session((data,))


# --- choosing


def test_auto_takes_the_fastest_of_those_that_answer(session, monkeypatch):
    """The fastest is told by the clock; here by one that is certain."""
    monkeypatch.setattr(chooser, '_FASTEST', {})
    monkeypatch.setattr(chooser, '_times', lambda candidates, *_: {
        name: 1.0 if name == session.name else 2.0 for name in candidates})
    choice = choose(network(), batch=1)
    assert choice.runtime.name == session.name
    assert choice.times_ms[session.name] == 1.0
    assert f'{session.name} 1.0' in str(choice)
    assert 'torch 2.0' in str(choice)
    assert choose(network(seed=3), batch=1).runtime.name == session.name     # remembered


def test_the_times_compared_are_of_the_calls_themselves():
    """A runtime that waits 3 ms takes 3 ms longer than one that does not."""
    import time

    class Slow(TorchRuntime):
        name = 'slow'

        def __call__(self, *inputs):
            time.sleep(3e-3)
            return super().__call__(*inputs)
    made = network()
    times = chooser._times({'slow': Slow(made), 'torch': TorchRuntime(made)}, made, 1)
    assert times['slow'] > times['torch'] + 2.5


def test_auto_is_torch_where_nothing_else_is_installed(monkeypatch):
    monkeypatch.setattr(chooser, 'available', lambda name: False)
    choice = choose(network())
    assert choice.runtime.name == 'torch'
    assert choice.remarks == ()


@pytest.mark.parametrize('name', sorted(SESSIONS))
def test_a_runtime_asked_for_and_not_installed_names_the_extra(monkeypatch, name):
    monkeypatch.setattr(chooser, 'available', lambda module: False)
    with pytest.raises(ConfigError, match=rf'{name}.*not installed.*\[runtimes\]'):
        choose(network(), name)


def test_an_unknown_runtime_is_refused():
    with pytest.raises(ConfigError, match=r'model\.runtime is one of auto, torch'):
        choose(network(), 'tensorrt')


@pytest.mark.parametrize('wanted', ['auto', 'torch'])
def test_away_from_the_cpu_torch_computes(wanted):
    """The device without memory stands for a GPU: nothing is computed on it here."""
    assert choose(network().to('meta'), wanted).runtime.name == 'torch'


def test_a_runtime_of_cpus_is_refused_elsewhere(session):
    with pytest.raises(ConfigError, match=r'set model\.device to cpu, or model\.runtime to torch'):
        choose(network().to('meta'), session.name)


@pytest.mark.parametrize('error', [
    MissingDependencyError('onnx is needed here', name='onnx'),
    CheckpointError('this network cannot be exported'),
    OSError('libtbb.so.12: cannot open shared object file')],
    ids=['no onnx', 'no export', 'broken'])
def test_where_no_graph_can_be_written_auto_is_torch_and_says_why(session, monkeypatch, error):
    def fail(_):
        raise error
    monkeypatch.setattr(chooser, '_FASTEST', {})
    monkeypatch.setattr(chooser, 'to_onnx', fail)
    choice = choose(network())
    assert choice.runtime.name == 'torch'
    assert len(choice.remarks) == 1
    assert str(error) in choice.remarks[0]
    with pytest.raises(CheckpointError, match=str(error)):
        choose(network(), session.name)


def test_a_runtime_that_answers_otherwise_is_not_chosen(session, monkeypatch):
    """As one would that computes in bfloat16."""
    class Rounding(session):
        def __call__(self, *inputs):
            return {name: (value * 64).round() / 64
                    for name, value in super().__call__(*inputs).items()}
    monkeypatch.setattr(chooser, '_FASTEST', {})
    monkeypatch.setitem(SESSIONS, session.name, Rounding)
    with pytest.raises(CheckpointError, match='otherwise than torch'):
        choose(network(), session.name)
    assert any('otherwise than torch' in remark for remark in choose(network()).remarks)


def test_the_parameter_offers_what_there_is():
    offered = next(one for one in parameters(GazeConfig) if one.name == 'model.runtime')
    assert tuple(offered.choices) == NAMES


# --- in the pipeline


def glances(runtime, path):
    pipeline = GazePipeline.from_checkpoint(str(path), config=GazeConfig(model_runtime=runtime))
    assert runtime in ('auto', pipeline.runtime.runtime.name)
    rng = np.random.default_rng(0)
    camera = CameraModel.from_hfov(160, 120, math.pi / 2)
    pipeline.look_for(Exemplar(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8), 0.15))
    picture = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    return [pipeline.step(Frame(picture, index / 30, camera), PanTiltState(0.1 * index, 0.0))
            for index in range(3)]


def test_the_eye_decides_the_same_with_every_runtime(session, tmp_path):
    torch.manual_seed(0)
    save_policy(tmp_path, make_policy(PATTERN, ENCODER))
    for one, other in zip(glances('torch', tmp_path), glances(session.name, tmp_path)):
        np.testing.assert_allclose(one.fixation, other.fixation, atol=1e-4)
        for ours, theirs in zip(one.heatmaps, other.heatmaps):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_openvino_is_imported_without_its_telemetry():
    """Nothing of ours may call home; seen in a fresh interpreter."""
    pytest.importorskip('openvino', reason='openvino is not installed')
    code = ('import sys; from gaze_robot.runtime.sessions import import_openvino\n'
            'import_openvino().Core()\n'
            "print(sorted(name for name in sys.modules if 'openvino_telemetry' in name))")
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                         timeout=120, check=True)
    assert run.stdout.strip() == '[]'


LET_GO = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)     # a job in the background ignores it
from gaze_robot.runtime.sessions import SESSIONS
graph = sys.stdin.buffer.read()
first, second = (SESSIONS['openvino']((graph,)) for _ in range(2))
third = [second]
del first
del second
thread = threading.Thread(target=third.clear)
thread.start()
thread.join()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print('interrupted')
"""


def test_ctrl_c_is_heard_when_runtimes_have_been_let_go():
    """A node that has loaded its model twice is stopped like any other: its motors go off."""
    pytest.importorskip('onnx', reason='onnx writes the graph')
    pytest.importorskip('openvino', reason='openvino is not installed')
    run = subprocess.run([sys.executable, '-c', LET_GO], input=to_onnx(network()), timeout=120,
                         capture_output=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, b'interrupted'), run.stderr.decode()


def test_the_tolerance_is_what_is_promised():
    assert TOLERANCE == 1e-4


def test_onnxruntime_waits_without_spinning():
    """Other processes of the robot share these cores."""
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    pytest.importorskip('onnx', reason='onnx writes the graph')
    options = OnnxRuntime((to_onnx(network()),), threads=2)._session.get_session_options()
    assert options.get_session_config_entry('session.intra_op.allow_spinning') == '0'
    assert options.intra_op_num_threads == 2


@pytest.mark.parametrize('front_end', sorted(FRONT_ENDS))
def test_a_token_budget_and_all_heads_are_in_the_graph(session, front_end):
    made = network(front_end)
    made.add_people().eval()
    made.use_sources(made.offers)
    made.keep_tokens(0.6)
    found = check(made, session((to_onnx(made),)))
    assert found.keys() == {'tokens', 'search', 'salience', 'people'}
