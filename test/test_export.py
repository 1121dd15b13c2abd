"""Exported folders: what is written, what is refused, what int8 costs."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

from gaze_robot.checkpoint import load_policy, make_policy, save_policy
from gaze_robot.config import GazeConfig
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.pipeline import GazePipeline
from gaze_robot.runtime import graph as graphs
from gaze_robot.runtime.base import sample_inputs, TorchRuntime
from gaze_robot.runtime.choose import choose
from gaze_robot.runtime.exported import EXPORT, FILES, read_export
from gaze_robot.runtime.graph import difference
from gaze_robot.runtime.sessions import OnnxRuntime
from gaze_robot_sim.exporting import export, ExportConfig, moved, quantize

for _name in ('onnx', 'onnxruntime'):
    pytest.importorskip(_name, reason=f'{_name} is not installed')

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
ENCODER = EncoderConfig(width=16, depth=1, heads=2, registers=2, patch=8)


def save(folder, seed=0):
    torch.manual_seed(seed)
    save_policy(folder, make_policy(PATTERN, ENCODER))
    return folder


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return save(tmp_path_factory.mktemp('checkpoint'))


@pytest.fixture(scope='module')
def written(checkpoint, tmp_path_factory):
    """An exported folder; copy it before changing it."""
    folder = tmp_path_factory.mktemp('exported')
    export(ExportConfig(folder, str(checkpoint)))
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / 'copy')


def read(folder):
    return read_export(folder, load_policy(folder))


def test_an_export_is_a_checkpoint_that_brings_its_graph(checkpoint, written):
    assert {path.name for path in written.iterdir()} == {
        'meta.json', 'weights.safetensors', EXPORT, *FILES['onnx']}
    found = read(written)
    assert found.meta['weights_sha256'] == json.loads(
        (written / 'meta.json').read_text())['weights_sha256']
    assert found.meta['measured']['parity']['onnxruntime'] <= 1e-4
    network = load_policy(checkpoint).perception
    runtime = choose(network, 'onnxruntime', found).runtime
    assert runtime.name == 'onnxruntime'
    assert max(difference(network, runtime).values()) < 1e-4


def test_the_graph_in_the_folder_is_what_runs(folder):
    """Not one made anew: here one is put there whose answers are known."""
    policy = load_policy(folder)
    with torch.no_grad():
        policy.perception.encoder.norm.bias.add_(1.0)
    other = graphs.to_onnx(policy.perception)
    meta = json.loads((folder / EXPORT).read_text())
    meta['files'] = {FILES['onnx'][0]: hashlib.sha256(other).hexdigest()}
    (folder / EXPORT).write_text(json.dumps(meta))
    (folder / FILES['onnx'][0]).write_bytes(other)
    with pytest.raises(CheckpointError, match='otherwise than torch'):
        GazePipeline.from_checkpoint(str(folder), config=GazeConfig(model_runtime='onnxruntime'))


def test_a_run_folder_stands_for_its_policy(written, tmp_path):
    shutil.copytree(written, tmp_path / 'policy')
    assert read(tmp_path).path == tmp_path / 'policy'


def test_a_checkpoint_without_a_graph_has_none(checkpoint):
    assert read(checkpoint) is None
    assert read_export('', load_policy(checkpoint)) is None


def test_openvino_reads_its_own_format(checkpoint, tmp_path):
    pytest.importorskip('openvino', reason='openvino is not installed')
    result = export(ExportConfig(tmp_path, str(checkpoint), 'openvino'))
    assert result['parity']['openvino'] <= 1e-4
    assert choose(load_policy(tmp_path).perception, 'auto', read(tmp_path)
                  ).runtime.name == 'openvino'
    with pytest.raises(ConfigError, match=r'export for openvino, not for onnxruntime'):
        choose(load_policy(tmp_path).perception, 'onnxruntime', read(tmp_path))


def test_writing_again_leaves_nothing_of_the_last_export(checkpoint, tmp_path):
    pytest.importorskip('openvino', reason='openvino is not installed')
    for kind in ('openvino', 'onnx'):
        export(ExportConfig(tmp_path, str(checkpoint), kind))
        assert {path.name for path in tmp_path.iterdir()} == {
            'meta.json', 'weights.safetensors', EXPORT, *FILES[kind]}


# --- refused


def change(**values):
    def apply(folder):
        meta = json.loads((folder / EXPORT).read_text())
        (folder / EXPORT).write_text(json.dumps({**meta, **values}))
    return apply


def cut(folder):
    path = folder / FILES['onnx'][0]
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize('spoil, said', [
    (change(format=0), r'exported by gaze_robot \S+ \(format 0\)'),
    (change(gaze_robot_version='0.0.1'), r'exported by gaze_robot 0\.0\.1'),
    (change(kind='tflite'), 'does not name a known kind'),
    (change(files=[]), 'does not name a known kind'),
    (change(kind=['onnx']), 'does not name a known kind'),
    (change(int8='false'), 'does not name a known kind'),
    (change(int8=None), 'does not name a known kind'),
    (change(weights_sha256='0' * 64), 'from other weights'),
    (lambda folder: (folder / EXPORT).write_text('[]'), r'exported by gaze_robot unknown'),
    (lambda folder: (folder / EXPORT).write_text('{'), 'is not JSON'),
    (lambda folder: (folder / FILES['onnx'][0]).unlink(), r'no perception\.onnx in'),
    (cut, 'a damaged or partial copy')], ids=str)
def test_what_is_refused_says_to_export_again(folder, spoil, said):
    spoil(folder)
    with pytest.raises(CheckpointError, match=rf'{said}(.|\n)*export again'):
        read(folder)


def test_weights_trained_on_are_other_weights(folder):
    save(folder, seed=1)
    with pytest.raises(CheckpointError, match='from other weights.*export again'):
        read(folder)


def test_a_graph_that_differs_is_not_kept(checkpoint, tmp_path, monkeypatch):
    """As if the exporter had a fault: it writes other weights than it is given."""
    other = load_policy(save(tmp_path / 'other', seed=7)).perception
    other.use_sources(other.offers)
    real = graphs.to_onnx
    monkeypatch.setattr('gaze_robot_sim.exporting.to_onnx', lambda _: real(other))
    with pytest.raises(CheckpointError, match='otherwise than torch'):
        export(ExportConfig(tmp_path / 'out', str(checkpoint)))
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('values', [
    {'views': 0}, {'seed': -1}, {'int8': True, 'format': 'openvino'}], ids=str)
def test_impossible_options_are_refused(tmp_path, values):
    with pytest.raises(ConfigError):
        ExportConfig(tmp_path, **values)


def test_a_folder_that_cannot_be_written_is_named(checkpoint, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ConfigError, match=r'--out .*file.*cannot write there'):
        export(ExportConfig(tmp_path / 'file', str(checkpoint)))


def test_the_folder_of_a_run_is_not_exported_into(checkpoint, tmp_path):
    """Its own policy would be read instead, and the export's hash be that of other weights."""
    save(tmp_path / 'policy', seed=3)
    with pytest.raises(ConfigError, match=r'--out .*folder of a training run'):
        export(ExportConfig(tmp_path, str(checkpoint)))
    assert [path.name for path in tmp_path.iterdir()] == ['policy']


def test_an_export_is_of_all_tokens(folder):
    policy = load_policy(folder)
    policy.perception.keep_tokens(0.5)
    with pytest.raises(ConfigError, match=r'model\.keep to 1'):
        choose(policy.perception, 'auto', read(folder))


# --- int8


@pytest.fixture(scope='module')
def int8(checkpoint):
    network = load_policy(checkpoint).perception
    return network, quantize(graphs.to_onnx(network))


def test_int8_multiplies_integers_and_answers_differently(int8):
    network, graph = int8
    assert b'MatMulInteger' in graph
    assert b'MatMulInteger' not in graphs.to_onnx(network)
    found = difference(network, OnnxRuntime((graph,)))
    assert 1e-6 < found['tokens'] < 0.5


def test_int8_says_how_far_it_moves_targets(checkpoint, tmp_path):
    result = export(ExportConfig(tmp_path, str(checkpoint), int8=True, views=4))
    assert result['int8']['views'] == 4
    assert 0 <= result['int8']['share_of_views_with_another_surest_level'] <= 1
    assert result['int8']['largest_change_of_probability'] > 0
    found = read(tmp_path)
    assert found.int8
    pipeline = GazePipeline.from_checkpoint(str(tmp_path))     # differs from torch, and may
    assert pipeline.runtime.runtime.name in ('onnxruntime', 'openvino')
    inputs = sample_inputs(pipeline.policy.perception, 1)
    ours = TorchRuntime(pipeline.policy.perception)(*inputs)['tokens']
    assert np.abs(pipeline.runtime.runtime(*inputs)['tokens'] - ours).max() > 1e-6


def test_int8_of_another_network_is_refused(checkpoint, tmp_path):
    """Also where its hash was made to fit."""
    export(ExportConfig(tmp_path / 'out', str(checkpoint), int8=True, views=1))
    other = load_policy(save(tmp_path / 'other', seed=7)).perception
    other.use_sources(other.offers)
    graph = quantize(graphs.to_onnx(other))
    change(files={FILES['onnx'][0]: hashlib.sha256(graph).hexdigest()})(tmp_path / 'out')
    (tmp_path / 'out' / FILES['onnx'][0]).write_bytes(graph)
    with pytest.raises(CheckpointError, match='by more than 8-bit integers explain'):
        GazePipeline.from_checkpoint(str(tmp_path / 'out'))


def test_what_is_the_same_moves_nothing(checkpoint):
    network = load_policy(checkpoint).perception
    found = moved(network, TorchRuntime(network), views=3, seed=0)
    assert found['largest_change_of_probability'] == 0
    assert found['share_of_views_with_another_surest_level'] == 0


def test_a_shifted_peak_is_measured(checkpoint):
    """One cell to the right everywhere: every sure peak is in another cell."""
    network = load_policy(checkpoint).perception

    class Sure(TorchRuntime):
        shift = 0

        def __call__(self, *inputs):
            out = super().__call__(*inputs)
            log_p = np.full_like(out['search'], -30.0)
            log_p[..., 100 + self.shift] = -1e-3
            return {**out, 'search': log_p}
    one, other = Sure(network), Sure(network)
    other.shift = 1
    found = moved(network, other, views=2, seed=0, reference=one)
    assert found['sure_peaks'] == 2 * PATTERN.levels
    assert found['share_of_peaks_in_another_cell'] == 1
    cell_deg = [np.degrees(2 * PATTERN.half_tangent(level) / 16) for level in range(3)]
    assert min(cell_deg) / 2 < found['moved_deg_median'] < max(cell_deg)


def test_nothing_sure_is_no_figure_but_no_crash(checkpoint):
    network = load_policy(checkpoint).perception

    class Blind(TorchRuntime):
        def __call__(self, *inputs):
            out = super().__call__(*inputs)
            return {**out, 'search': np.full_like(out['search'], -5.5)}
    found = moved(network, Blind(network), views=2, seed=0, reference=Blind(network))
    assert found['sure_peaks'] == 0
    assert found['moved_deg_median'] is None
