"""Read a model's folder as the hub lays it out, strictly, into transformers' own classes."""

from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
import torch

from gaze_robot.errors import CheckpointError
from gaze_robot.optional import require

CLASSES = {'dinov2': 'Dinov2', 'dinov2_with_registers': 'Dinov2WithRegisters',
           'dinov3_vit': 'DINOv3ViT'}
"""model_type of a config.json -> what the classes of transformers are called."""

CONFIG, WEIGHTS = 'config.json', 'model.safetensors'

_FIELDS = frozenset((
    'apply_layernorm', 'attention_dropout', 'attention_probs_dropout_prob', 'drop_path_rate',
    'hidden_act', 'hidden_dropout_prob', 'hidden_size', 'image_size', 'initializer_range',
    'intermediate_size', 'key_bias', 'layer_norm_eps', 'layerscale_value', 'mlp_bias', 'mlp_ratio',
    'num_attention_heads', 'num_channels', 'num_hidden_layers', 'num_register_tokens',
    'patch_size', 'pos_embed_jitter', 'pos_embed_rescale', 'pos_embed_shift', 'proj_bias',
    'qkv_bias', 'query_bias', 'reshape_hidden_states', 'rope_theta', 'use_gated_mlp',
    'use_mask_token', 'use_swiglu_ffn', 'value_bias'))
"""What is read of a config.json: the architecture, and nothing of how it is loaded or computed,
where a value may name code to fetch and run."""


def read_model(folder: Path, kind: str, width: int = 0) -> Any:
    """Read config.json and model.safetensors.

    Args:
        folder: where both lie.
        kind: the model_type that is expected, see `CLASSES`.
        width: the hidden size that is expected; 0 is any.

    Returns:
        A model of transformers in float32, in eval mode.

    Raises:
        CheckpointError: a file is missing or damaged, belongs to another model, lacks tensors or
            has too many, or has one of the wrong shape or with values that are not finite.
        MissingDependencyError: transformers is not installed.
    """
    own = _read_config(folder, kind, width)
    transformers = require('transformers')
    strict: Any = require('huggingface_hub.errors')
    tensors = _read_tensors(folder)
    try:
        config = getattr(transformers, CLASSES[kind] + 'Config')(**own)
        if config.patch_size == 0 or config.hidden_size % config.num_attention_heads:
            raise ValueError(f'hidden_size {config.hidden_size}, num_attention_heads '
                             f'{config.num_attention_heads}, patch_size {config.patch_size}')
        with _quiet(transformers):
            model, report = getattr(transformers, CLASSES[kind] + 'Model').from_pretrained(
                None, config=config, state_dict=tensors, output_loading_info=True,
                ignore_mismatched_sizes=True, dtype=torch.float32, attn_implementation='sdpa')
    except (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError,
            strict.StrictDataclassError) as error:
        raise CheckpointError(f'{folder / CONFIG} is not that of a {kind}, get it again: '
                              f'{" ".join(str(error).split())}') from error
    wrong = ([f'missing {name}' for name in report['missing_keys']]
             + [f'unknown {name}' for name in report['unexpected_keys']]
             + [f'{name} has shape {tuple(given)}, not {tuple(wanted)}'
                for name, given, wanted in report['mismatched_keys']])
    if wrong:
        raise CheckpointError(f'{folder / WEIGHTS} does not fit its {CONFIG} ({kind}): '
                              f'{"; ".join(sorted(wrong))}')
    return model.eval()


def _read_config(folder: Path, kind: str, width: int) -> dict[str, Any]:
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(f'no {name} in {folder}: not the folder of a pretrained model')
    try:
        own = json.loads((folder / CONFIG).read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f'{folder / CONFIG} is not JSON: {error}') from error
    found = own.get('model_type') if isinstance(own, dict) else None
    if found != kind:
        raise CheckpointError(f'{folder} holds a model of type {found}, a {kind} is wanted: name '
                              'the backbone that these files are of, or another folder')
    if width and own.get('hidden_size') != width:
        raise CheckpointError(f'{folder} holds a {kind} {own.get("hidden_size")} wide, one of '
                              f'{width} is wanted: these are the files of another size')
    if own.get('quantization_config'):
        raise CheckpointError(f'{folder / CONFIG} has a quantization_config, and float32 weights '
                              'are wanted: get the files that are not quantized')
    return {name: value for name, value in own.items() if name in _FIELDS}


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f'{folder / WEIGHTS} cannot be read, a damaged or partial copy: '
                              f'{error}') from error
    broken = sorted(name for name, tensor in tensors.items() if not tensor.isfinite().all())
    if broken:
        raise CheckpointError(f'{folder / WEIGHTS} is not finite in {"; ".join(broken)}: a '
                              'damaged file; get it again')
    return tensors


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No progress bar and no report: what is wrong is raised instead."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
