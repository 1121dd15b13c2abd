"""Weights with their configuration and origin: safetensors beside a meta.json, loaded strictly.

A checkpoint is a folder. Nothing in it is executed when it is read.
"""

from collections.abc import Mapping
import dataclasses
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open, SafetensorError
from safetensors.torch import load_file, save_file
import torch

from gaze_robot import __version__
from gaze_robot.backbones.backbone import BackboneConfig
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.foveation import FoveationPattern, FrontEnd, make_front_end
from gaze_robot.perception import PerceptionNetwork
from gaze_robot.policy.network import EyePolicy
from gaze_robot.policy.observation import vector_size
from gaze_robot.schema import from_mapping

FORMAT = 1
META, WEIGHTS = 'meta.json', 'weights.safetensors'
SHIPPED = Path(__file__).parent / 'weights' / 'search'
"""The default weights, part of the package."""


@dataclass(frozen=True, eq=False)
class Policy:
    """Everything learned: perception and, once trained, the eye."""

    perception: PerceptionNetwork
    eye: EyePolicy | None
    meta: Mapping[str, Any]
    """Origin: seed, command, commit, metrics."""


def make_policy(front_end: FrontEnd | FoveationPattern, encoder: EncoderConfig | BackboneConfig,
                discrete: bool = True) -> Policy:
    """Untrained weights from torch's current random state, but those of a backbone.

    Raises:
        ConfigError, CheckpointError: see `PerceptionNetwork`.
    """
    perception = PerceptionNetwork(front_end, encoder)
    eye = EyePolicy(perception.front_end.tokens, perception.encoder.config.width,
                    vector_size(perception.pattern), discrete)
    return Policy(perception.eval(), eye.eval(), {})


def save_policy(path: str | Path, policy: Policy) -> None:
    """Write a checkpoint; the folder appears whole or not at all.

    A frozen backbone is named with the hashes of its files, not copied.
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    tensors = {f'perception.{name}': tensor
               for name, tensor in policy.perception.learned_state().items()}
    if policy.eye is not None:
        tensors.update({f'eye.{name}': tensor for name, tensor in policy.eye.state_dict().items()})
    weights = path / (WEIGHTS + '.part')
    front_end = policy.perception.front_end
    model = {'pattern': dataclasses.asdict(front_end.pattern),
             'front_end': {'name': front_end.name, 'config': front_end.config},
             'encoder': {name: value for name, value in dataclasses.asdict(
                 policy.perception.encoder.config).items() if name != 'folder'},
             'eye': None if policy.eye is None else {'discrete': policy.eye.discrete}}
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
              weights, metadata={'model': json.dumps(model)})
    meta = {**policy.meta, 'format': FORMAT, 'gaze_robot_version': __version__,
            'weights_sha256': sha256(weights), **model}
    part = path / (META + '.part')
    part.write_text(json.dumps(meta, indent=2) + '\n')
    weights.chmod(0o644)                                 # safetensors writes for the owner only
    weights.replace(path / WEIGHTS)
    part.replace(path / META)


def load_policy(path: str | Path = '', device: str = 'cpu') -> Policy:
    """Read a checkpoint; '' is the one shipped with the package, a run directory its policy.

    Raises:
        CheckpointError: missing, altered, of another format, or with keys that do not fit; or
            the backbone that it names is not in the weight store, or another than it was.
    """
    path = Path(path) if path else SHIPPED
    if (path / 'policy' / META).is_file():
        path = path / 'policy'
    meta = _read_meta(path)
    actual = sha256(path / WEIGHTS)
    if actual != meta['weights_sha256']:
        raise CheckpointError(
            f'{path / WEIGHTS} does not match its {META} (sha256 {actual[:12]}, expected '
            f'{str(meta["weights_sha256"])[:12]}): a damaged or partial copy; fetch or train it '
            'again')
    _check_model(path, meta)
    try:
        policy = make_policy(_front_end(meta), _encoder(meta),
                             (meta.get('eye') or {}).get('discrete', True))
        tensors = load_file(path / WEIGHTS, device=device)
    except CheckpointError as error:
        raise CheckpointError(f'{path} needs its backbone: {error}') from error
    except (ConfigError, SafetensorError, KeyError, TypeError) as error:
        raise CheckpointError(f'{path} cannot be read: {error}') from error
    eye = None if meta.get('eye') is None else policy.eye
    if any(name.startswith('perception.people.') for name in tensors):
        policy.perception.add_people()                   # optional: see `train heads`
    fill(policy.perception, policy.perception.learned_state(), tensors, 'perception.', path)
    if eye is not None:
        fill(eye, eye.state_dict(), tensors, 'eye.', path)
        eye.to(device)
    return Policy(policy.perception.to(device), eye, meta)


def _front_end(meta: Mapping[str, Any]) -> FrontEnd:
    """What a checkpoint's eye samples with; one written before there was a choice: a pyramid."""
    given = meta.get('front_end', {'name': 'pyramid', 'config': {}})
    if (not isinstance(given, dict) or given.keys() != {'name', 'config'}
            or not isinstance(given['config'], dict)):
        raise ConfigError(f'front_end holds a name and a config, got {given!r}')
    return make_front_end(given['name'], from_mapping(FoveationPattern, meta['pattern']),
                          given['config'])


def _encoder(meta: Mapping[str, Any]) -> EncoderConfig | BackboneConfig:
    """The size of our own encoder, or which backbone: only that has a name."""
    given = meta['encoder']
    if 'name' not in given:
        return from_mapping(EncoderConfig, given)
    if not given.get('sha256') or 'folder' in given:
        raise ConfigError('a backbone is named with the hashes of its files and without a folder')
    return from_mapping(BackboneConfig, given)


def _check_model(path: Path, meta: Mapping[str, Any]) -> None:
    """The weights carry the model's description too: a changed digit in meta.json is noticed."""
    try:
        with safe_open(path / WEIGHTS, 'pt') as file:
            written = json.loads((file.metadata() or {}).get('model', '{}'))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f'{path / WEIGHTS} cannot be read: {error}') from error
    if not isinstance(written, dict):
        raise CheckpointError(f'{path / WEIGHTS} cannot be read: its metadata does not describe a '
                              'model')
    wrong = [name for name, value in written.items() if meta.get(name) != value]
    if wrong:
        raise CheckpointError(
            f'{path / META} was changed: {", ".join(wrong)} differ from what {WEIGHTS} was '
            'written with; restore it, or train again')


def _read_meta(path: Path) -> dict[str, Any]:
    for name in (META, WEIGHTS):
        if not (path / name).is_file():
            raise CheckpointError(f'no {name} in {path}: not a checkpoint folder; train one with '
                                  '`gaze-robot train search --out DIR`')
    try:
        meta = json.loads((path / META).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f'{path / META} is not JSON: {error}') from error
    if not isinstance(meta, dict) or meta.get('format') != FORMAT:
        found = meta.get('format') if isinstance(meta, dict) else None
        raise CheckpointError(f'{path} has format {found}, this code reads {FORMAT}; it was '
                              'written by another version of gaze_robot')
    missing = {'weights_sha256', 'pattern', 'encoder'} - meta.keys()
    if missing:
        raise CheckpointError(f'{path / META} lacks {sorted(missing)}')
    if not (isinstance(meta['pattern'], dict) and isinstance(meta['encoder'], dict)):
        raise CheckpointError(f'{path} cannot be read: pattern and encoder in {META} are objects')
    eye = meta.get('eye')
    if eye is not None and not (isinstance(eye, dict)
                                and isinstance(eye.get('discrete', True), bool)):
        raise CheckpointError(f'{path} cannot be read: eye in {META} is an object or null')
    return meta


def fill(module: torch.nn.Module, own: Mapping[str, torch.Tensor],
          tensors: Mapping[str, torch.Tensor], prefix: str, path: Path) -> None:
    """Fill a module's `own` tensors: these, all of them, and no others."""
    given = {name[len(prefix):]: tensor for name, tensor in tensors.items()
             if name.startswith(prefix)}
    wrong = ([f'missing {prefix}{name}' for name in own.keys() - given.keys()]
             + [f'unknown {prefix}{name}' for name in given.keys() - own.keys()]
             + [f'{prefix}{name} has shape {tuple(given[name].shape)}, not '
                f'{tuple(own[name].shape)}' for name in own.keys() & given.keys()
                if own[name].shape != given[name].shape]
             + [f'{prefix}{name} is not finite' for name, tensor in given.items()
                if not tensor.isfinite().all()])
    if wrong:
        raise CheckpointError(f'{path} does not fit: {"; ".join(sorted(wrong))}')
    module.load_state_dict(given, strict=False)          # `own` may leave out a backbone


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
