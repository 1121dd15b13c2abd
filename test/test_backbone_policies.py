"""Policies that see through a pretrained backbone: trained, kept, loaded, run and refused.

The backbones are small and random, laid out in a weight store as the real ones are.
"""

from collections.abc import Iterator
import dataclasses
import json
from pathlib import Path
import shutil
import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
import torch

transformers = pytest.importorskip('transformers', reason="pip install -e '.[backbones]'")

from gaze_robot.backbones.backbone import Backbone, BackboneConfig, load_backbone  # noqa: E402
from gaze_robot.backbones.store import sha256_of  # noqa: E402
from gaze_robot.backbones.table import APACHE, File, TABLE, Weights  # noqa: E402
from gaze_robot.camera import CameraModel  # noqa: E402
from gaze_robot.checkpoint import load_policy, make_policy, save_policy  # noqa: E402
from gaze_robot.cli import main  # noqa: E402
from gaze_robot.config import GazeConfig  # noqa: E402
from gaze_robot.encoder import TokenLayout  # noqa: E402
from gaze_robot.errors import (  # noqa: E402
    CheckpointError,
    ConfigError,
    MissingDependencyError,
)
from gaze_robot.foveation import FoveationPattern, FRONT_ENDS, make_front_end  # noqa: E402
from gaze_robot.gaze_target.evidence import EXEMPLAR_PX  # noqa: E402
from gaze_robot.perception import PerceptionNetwork  # noqa: E402
from gaze_robot.pipeline import GazePipeline  # noqa: E402
from gaze_robot.runtime.base import sample_inputs, TorchRuntime  # noqa: E402
from gaze_robot.types import Exemplar, Frame, PanTiltState  # noqa: E402
from gaze_robot_sim.exporting import export, ExportConfig  # noqa: E402
from gaze_robot_sim.training.encoder import (  # noqa: E402
    EncoderTrainer,
    train_encoder,
    TrainEncoderConfig,
)
from gaze_robot_sim.training.search import train_search, TrainSearchConfig  # noqa: E402

WIDTH = 32
KINDS = {'toy2': ('dinov2', 'Dinov2', 14), 'toy3': ('dinov3_vit', 'DINOv3ViT', 16)}
PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))


def write_model(name: str, folder: Path, seed: int = 1) -> None:
    """A small model whose every weight is random, also those that start at 0 or 1."""
    kind, family, patch = KINDS[name]
    options = {'hidden_size': WIDTH, 'num_hidden_layers': 2, 'num_attention_heads': 2,
               'patch_size': patch, 'image_size': 4 * patch}
    if kind == 'dinov3_vit':
        options.update(intermediate_size=64, num_register_tokens=3)
    model = getattr(transformers, family + 'Model')(
        getattr(transformers, family + 'Config')(**options))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    model.save_pretrained(folder)


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of both models; copy them before changing anything."""
    folder = tmp_path_factory.mktemp('models')
    for name in KINDS:
        write_model(name, folder / name)
    return folder


@pytest.fixture(scope='module', autouse=True)
def table() -> Iterator[None]:
    """Both as rows of the table, without published hashes."""
    files = File('config.json'), File('model.safetensors')
    with pytest.MonkeyPatch.context() as patch:
        for name, (kind, _, _) in KINDS.items():
            patch.setitem(TABLE, name, Weights(name, kind, APACHE, files, 1, 'someone/' + name,
                                               'c' * 40, WIDTH))
        yield


@pytest.fixture(autouse=True)
def store(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weight store with both models."""
    folder = tmp_path / 'store'
    shutil.copytree(models, folder)
    monkeypatch.setenv('GAZE_ROBOT_WEIGHTS', str(folder))
    return folder


def config(name: str = 'toy2', patch: int = 8, **changes: Any) -> BackboneConfig:
    return BackboneConfig(name, patch=patch, **changes)


def saved(folder: Path, name: str = 'toy2', **changes: Any) -> Path:
    torch.manual_seed(0)
    save_policy(folder, make_policy(PATTERN, config(name, **changes)))
    return folder


# --- what it sees


@pytest.mark.parametrize('name', KINDS)
@pytest.mark.parametrize('front_end', sorted(FRONT_ENDS))
def test_every_front_end_is_read_by_every_kind(front_end: str, name: str) -> None:
    """Its tokens are the backbone's own of the patches that numpy cuts; heads read them."""
    eye = make_front_end(front_end)
    network = PerceptionNetwork(eye, config(name, eye.token_side)).eval()
    levels, *rest = sample_inputs(network, 2)
    out = TorchRuntime(network)(levels, *rest)
    backbone = load_backbone(config(name, eye.token_side),
                             eye.pattern.half_tangent(eye.pattern.levels - 1))
    patches = torch.from_numpy(eye.patches(levels)).flatten(2) / 127.5 - 1
    with torch.no_grad():
        tokens = backbone(patches, TokenLayout.of(eye)).numpy()
    assert out['tokens'].shape == (2, eye.tokens, WIDTH)
    np.testing.assert_allclose(out['tokens'], tokens, rtol=0, atol=1e-4)
    np.testing.assert_allclose(np.exp(out['search']).sum(axis=2), 1, atol=1e-5)


def test_exemplars_are_read_by_the_same_backbone() -> None:
    network = PerceptionNetwork(PATTERN, config('toy3')).eval()
    picture = torch.randint(0, 256, (2, EXEMPLAR_PX, EXEMPLAR_PX, 3), dtype=torch.uint8,
                            generator=torch.Generator().manual_seed(1))
    widths = torch.tensor([0.1, 0.5])
    with torch.no_grad():
        tokens = network.encode_exemplar(picture, widths)
        cut = picture.reshape(2, 8, 8, 8, 8, 3).transpose(2, 3).reshape(2, 64, 192)
        alone = load_backbone(config('toy3'), PATTERN.half_tangent(2))(
            cut / 127.5 - 1, TokenLayout.of_squares(widths, EXEMPLAR_PX, 8))
    torch.testing.assert_close(tokens, alone, rtol=0, atol=1e-4)


def test_patches_of_another_side_are_refused() -> None:
    with pytest.raises(ConfigError, match='reads patches of 16, the front end gives 8'):
        PerceptionNetwork(PATTERN, config(patch=16))


def test_the_core_does_without_transformers() -> None:
    code = ('import sys\nfrom gaze_robot.pipeline import GazePipeline\n'
            'GazePipeline.from_checkpoint().warm_up()\n'
            "sys.exit('transformers' in sys.modules)")
    subprocess.run([sys.executable, '-c', code], check=True, timeout=100)


# --- trained and kept


def training(out: Path, **changes: Any) -> TrainEncoderConfig:
    return dataclasses.replace(
        TrainEncoderConfig(samples=12, batch=4, seed=4, out=str(out), exam=4, backbone='toy2',
                           backbone_layers=(1, -1)), **changes)


def test_heads_are_trained_and_the_backbone_is_not(tmp_path: Path, store: Path) -> None:
    """The command's work: train, save, load, resume."""
    trainer = EncoderTrainer(training(tmp_path / 'run', samples=4))
    before = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
    out = train_encoder(training(tmp_path / 'run'))
    assert out['samples'] == 12
    network = load_policy(tmp_path / 'run').perception
    assert isinstance(network.encoder, Backbone)
    assert network.encoder.config.width == 2 * WIDTH
    changed = {name.split('.')[0] for name, tensor in network.state_dict().items()
               if not torch.equal(tensor, before[name])}
    assert changed == {'search'}
    levels = [torch.from_numpy(level) for level in sample_inputs(network, 1)[0]]
    assert not network.train().encode(levels).requires_grad
    assert not network.encoder.training
    kept = torch.load(tmp_path / 'run' / 'last.pt', weights_only=True)
    assert {name.split('.')[0] for name in kept['network']} == {'search'}
    again = EncoderTrainer(training(tmp_path / 'run', samples=16, resume=True))
    assert again.step == 3
    for name, tensor in again.network.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name
    for other in ({'backbone': 'toy3'}, {'backbone_layers': (0, -1)}, {'backbone': ''}):
        with pytest.raises(CheckpointError, match='of another network'):
            EncoderTrainer(training(tmp_path / 'run', resume=True, **other))


def test_the_checkpoint_names_the_backbone_and_holds_the_rest(tmp_path: Path, store: Path) -> None:
    made = make_policy(PATTERN, config('toy3', layers=(1, 2)))
    made.perception.add_people()
    save_policy(tmp_path / 'policy', made)
    meta = json.loads((tmp_path / 'policy' / 'meta.json').read_text())
    assert meta['encoder'] == {
        'name': 'toy3', 'layers': [1, 2], 'patch': 8, 'frozen': True, 'width': 2 * WIDTH,
        'revision': 'c' * 40, 'sha256': [sha256_of(store / 'toy3' / name) for name in
                                         ('config.json', 'model.safetensors')]}
    tensors = load_file(tmp_path / 'policy' / 'weights.safetensors')
    assert {'.'.join(name.split('.')[:2]) for name in tensors} == {
        'perception.search', 'perception.people', 'eye.trunk', 'eye.actor'}
    loaded = load_policy(tmp_path / 'policy')
    assert loaded.perception.encoder.config == made.perception.encoder.config
    inputs = sample_inputs(made.perception, 1)
    for name, value in TorchRuntime(made.perception)(*inputs).items():
        np.testing.assert_array_equal(TorchRuntime(loaded.perception)(*inputs)[name], value)


def test_a_backbone_that_learns_is_kept_whole(tmp_path: Path) -> None:
    made = make_policy(PATTERN, config(frozen=False))
    with torch.no_grad():
        made.perception.encoder.prefix.add_(1.0)
    save_policy(tmp_path, made)
    loaded = load_policy(tmp_path).perception.encoder
    assert isinstance(loaded, Backbone)
    for name, tensor in made.perception.encoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_a_search_is_learned_on_top(tmp_path: Path) -> None:
    """From a run whose pretraining is done; then not with another encoder."""
    out = tmp_path / 'run'
    made = make_policy(PATTERN, config())
    save_policy(out / 'encoder' / 'policy', dataclasses.replace(made, eye=None))
    options = TrainSearchConfig(str(out), seed=3, backbone='toy2', resume=True, steps=512, eyes=16,
                                rooms=1, eval_every=1, eval_episodes=1, warm_start=16)
    threads = torch.get_num_threads(), cv2.getNumThreads()
    try:
        result = train_search(options)
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
    policy = load_policy(result['policy'])
    assert policy.perception.encoder.config.name == 'toy2'
    assert '--backbone toy2' in policy.meta['command']
    assert policy.eye is not None
    assert policy.eye.trunk.squeeze.in_features == WIDTH
    with pytest.raises(CheckpointError, match='begun with --front-end pyramid --backbone toy2 '
                                              '--backbone-layers -1; resume'):
        train_search(dataclasses.replace(options, backbone=''))


# --- run


@pytest.mark.parametrize('runtime', ['torch', 'onnxruntime', 'openvino'])
@pytest.mark.parametrize('name', KINDS)
def test_the_pipeline_looks_through_it(name: str, runtime: str, tmp_path: Path) -> None:
    if runtime != 'torch':
        for module in ('onnx', runtime):
            pytest.importorskip(module)
    pipeline = GazePipeline.from_checkpoint(
        str(saved(tmp_path / 'policy', name)), config=GazeConfig(model_runtime=runtime))
    rng = np.random.default_rng(0)
    camera = CameraModel.from_hfov(320, 240, 1.5)
    plain = GazePipeline(load_policy(tmp_path / 'policy'))
    thing = Exemplar(rng.integers(0, 256, (40, 40, 3), np.uint8), 0.2)
    pipeline.look_for(thing)
    plain.look_for(thing)
    for step in range(2):
        frame = Frame(rng.integers(0, 256, (240, 320, 3), np.uint8), step / 10, camera)
        found = pipeline.step(frame, PanTiltState(0.0, 0.0))
        wanted = plain.step(frame, PanTiltState(0.0, 0.0))
        assert found.command is not None
        assert wanted.command is not None
        assert found.command.pan_rad == pytest.approx(wanted.command.pan_rad, abs=1e-5)
        assert found.command.tilt_rad == pytest.approx(wanted.command.tilt_rad, abs=1e-5)
    assert pipeline.runtime.runtime.name == runtime


@pytest.mark.parametrize('name', KINDS)
def test_an_export_answers_alike(name: str, tmp_path: Path) -> None:
    """The command checks and refuses beyond 1e-4; here by hand as well."""
    pytest.importorskip('onnx')
    ort = pytest.importorskip('onnxruntime')
    policy = saved(tmp_path / 'policy', name)
    result = export(ExportConfig(tmp_path / 'out', str(policy)))
    assert max(result['parity'].values()) < 1e-4
    network = load_policy(tmp_path / 'out').perception
    levels, *rest = sample_inputs(network, 3, seed=5)
    session = ort.InferenceSession(tmp_path / 'out' / 'perception.onnx',
                                   providers=['CPUExecutionProvider'])
    given = dict(zip([value.name for value in session.get_inputs()], [*levels, *rest]))
    wanted = TorchRuntime(network)(levels, *rest)
    for name, value in zip(wanted, session.run(list(wanted), given)):
        np.testing.assert_allclose(value, wanted[name], rtol=1e-4, atol=1e-4)


# --- refused


def test_missing_weights_say_how_to_get_them(tmp_path: Path, store: Path) -> None:
    policy = saved(tmp_path / 'policy')
    shutil.rmtree(store / 'toy2')
    with pytest.raises(CheckpointError, match='policy needs its backbone.*weights pull toy2'):
        load_policy(policy)
    with pytest.raises(CheckpointError, match='weights pull toy2'):
        EncoderTrainer(training(tmp_path / 'run'))
    with pytest.raises(CheckpointError, match='weights pull toy2'):
        train_search(TrainSearchConfig(str(tmp_path / 'run'), backbone='toy2'))
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('file', ['model.safetensors', 'config.json'])
def test_other_weights_than_it_was_trained_with_are_refused(file: str, tmp_path: Path, store: Path
                                                            ) -> None:
    policy = saved(tmp_path / 'policy')
    path = store / 'toy2' / file
    if file == 'config.json':
        path.write_text(path.read_text() + '\n')
    else:
        tensors = load_file(path)
        tensors['layernorm.bias'][0] += 1e-3
        save_file(tensors, path)
    with pytest.raises(CheckpointError, match=f'{file} of toy2 in .* differs from what the heads '
                                              'were trained with .*weights pull toy2'):
        load_policy(policy)


def test_another_architecture_in_its_place_is_refused(tmp_path: Path, store: Path) -> None:
    policy = saved(tmp_path / 'policy')
    shutil.rmtree(store / 'toy2')
    shutil.copytree(store / 'toy3', store / 'toy2')
    with pytest.raises(CheckpointError, match='config.json and model.safetensors of toy2 in .*'
                                              'differ'):
        load_policy(policy)
    with pytest.raises(CheckpointError, match='type dinov3_vit, a dinov2 is wanted'):
        PerceptionNetwork(PATTERN, config())


@pytest.mark.parametrize('change, text', [
    ({'name': 'toy9'}, 'no weights "toy9"'), ({'layers': [7]}, 'no layer 7'),
    ({'folder': '/elsewhere'}, 'without a folder'), ({'sha256': []}, 'hashes of its files'),
    ({'width': 5}, 'width 5 is not that'), ({'depth': 3}, "no parameter 'depth'")], ids=str)
def test_a_description_that_does_not_hold_is_refused(change: dict[str, Any], text: str,
                                                     tmp_path: Path) -> None:
    """Also where the weights were described with it."""
    policy = saved(tmp_path / 'policy')
    path = policy / 'meta.json'
    meta = json.loads(path.read_text())
    meta['encoder'] |= change
    path.write_text(json.dumps(meta))
    with pytest.raises(CheckpointError, match='was changed: encoder'):
        load_policy(policy)
    tensors = load_file(policy / 'weights.safetensors')
    save_file(tensors, policy / 'weights.safetensors')
    path.write_text(json.dumps({**meta, 'weights_sha256': sha256_of(
        policy / 'weights.safetensors')}))
    with pytest.raises(CheckpointError, match=text):
        load_policy(policy)


def test_without_transformers_it_says_how_to_get_it(tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    policy = saved(tmp_path / 'policy')
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(MissingDependencyError, match=r'transformers .*\.\[backbones\]'):
        load_policy(policy)


def test_fewer_tokens_and_explanations_are_refused(tmp_path: Path) -> None:
    """Both need an encoder that shows its attention."""
    policy = str(saved(tmp_path / 'policy'))
    with pytest.raises(ConfigError, match='keep 0.5: only the encoder of this package'):
        GazePipeline.from_checkpoint(policy, config=GazeConfig(model_keep=0.5))
    with pytest.raises(ConfigError, match='Backbone does not show its attention'):
        GazePipeline.from_checkpoint(policy, config=GazeConfig(debug_explain='relevance'))


def test_the_command_line_refuses_in_one_line(tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (('dinov9', 'no weights "dinov9"'),
                       ('dinov2-small', 'weights pull dinov2-small')):
        for command in ('encoder', 'search'):
            assert main(['train', command, '--backbone', name, '--backbone-layers', '2', '5',
                         '--out', str(tmp_path / 'run')]) == 2
            error = capsys.readouterr().err
            assert text in error
            assert error.count('\n') == 1
    assert not (tmp_path / 'run').exists()
