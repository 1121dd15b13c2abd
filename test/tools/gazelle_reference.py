"""Golden outputs of upstream's Gaze-LLE, for test_gazelle.py.

Run where upstream's code can be imported (torch 2.12.0, torchvision 0.27.0, timm 1.0.31,
matplotlib, scikit-learn; github.com/fkryan/gazelle at c845713 and github.com/facebookresearch/
dinov2 at b8931f7 on PYTHONPATH), which the project itself needs not:

    python test/tools/gazelle_reference.py test/data/gazelle_golden.npz

Weights, features and pictures are random and too large to keep: `recipe` makes the same ones
again from a seed. What is kept are outputs: heatmaps thinned to every third cell, in/out whole.
"""

from pathlib import Path
import sys
from typing import Any
import zlib

import numpy as np

BOXES = (((0.1, 0.2, 0.3, 0.5), (0.62, 0.08, 0.81, 0.33), (0.0, 0.0, 1.0, 1.0), None),
         ((0.4, 0.515625, 0.46, 0.578125),))
"""Two pictures: three people and nobody in particular, and one small head with edges on halves."""

THIN = slice(None, None, 3)
DECODERS = {'vitb14_inout': (768, True), 'vitl14_inout': (1024, True), 'vitb14': (768, False),
            'vitl14': (1024, False)}
MEASURED = 12
"""Cases of the measures: see `_measures`."""
DEPTH = 2
"""Blocks of the backbone of the case with a picture: all else is a ViT-B/14's."""


def recipe(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Random weights by name: each its own stream, of a scale that keeps signals alive."""
    out = {}
    for name, shape in shapes.items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        matrix = len(shape) > 1 and 'token' not in name and 'pos_embed' not in name
        scale = np.prod(shape[1:]) ** -0.5 * 1.5 if matrix else 0.5
        out[name] = (rng.standard_normal(shape) * scale).astype(np.float32)
    return out


def features(width: int, seed: int) -> np.ndarray:
    """What a stub in a backbone's place gives: (2, width, 32, 32) float32."""
    return np.random.default_rng([seed, width]).standard_normal((2, width, 32, 32)).astype('f4')


def picture(seed: int) -> np.ndarray:
    """(301, 517, 3) uint8 RGB of coarse and fine noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (43, 47, 3)).repeat(7, axis=0).repeat(11, axis=1)
    return (coarse + rng.integers(0, 56, (301, 517, 3))).astype(np.uint8)


def measured(seed: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """A heatmap of few levels, so that ties are many, annotators' places, a picture's size."""
    rng = np.random.default_rng(seed)
    heatmap = np.floor(rng.random((64, 64)) * 6).astype(np.float32) / 8
    return (heatmap, rng.uniform(0, 1, (rng.integers(1, 11), 2)),
            (int(rng.integers(40, 300)), int(rng.integers(40, 300))))


def told(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores with ties, of people inside and outside."""
    rng = np.random.default_rng(seed)
    return (rng.random(50) < 0.7).astype(int), np.round(rng.random(50), 1)


def main(path: Path) -> None:
    """Compute and write."""
    import torch

    torch.hub.load = lambda repo, name: _dinov2()           # its network access, replaced
    out = {}
    with torch.no_grad():
        for name, (width, inout) in DECODERS.items():
            model = _upstream(width, inout)
            boxes = [list(row) for row in BOXES]
            found = model({'images': torch.from_numpy(features(width, 1)), 'bboxes': boxes})
            out.update(_kept(name, found))
        out.update(_kept('picture', _with_picture()))
    out['metrics'] = np.array([_measures(seed) for seed in range(MEASURED)])
    np.savez_compressed(path, **out)
    print({key: value.shape for key, value in out.items()}, path.stat().st_size, 'bytes')


def _kept(name: str, found: dict[str, Any]) -> dict[str, np.ndarray]:
    import torch

    out = {f'{name}/heatmap': torch.cat(found['heatmap'])[:, THIN, THIN].numpy()}
    if found['inout'] is not None:
        out[f'{name}/inout'] = torch.cat(found['inout']).numpy()
    return out


def _upstream(width: int, inout: bool, backbone: Any = None) -> Any:
    from gazelle.model import GazeLLE
    import torch

    class Stub(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images

        def get_dimension(self) -> int:
            return width

        def get_out_size(self, size: tuple[int, int]) -> tuple[int, int]:
            return size[0] // 14, size[1] // 14

    model = GazeLLE(backbone or Stub(), inout=inout).eval()
    own = {key: tuple(value.shape) for key, value in model.get_gazelle_state_dict().items()
           if key != 'pos_embed'}
    model.load_gazelle_state_dict({
        **{key: torch.from_numpy(value) for key, value in recipe(own, 2).items()},
        'pos_embed': model.pos_embed})
    return model


def _dinov2() -> Any:
    from dinov2.models.vision_transformer import DinoVisionTransformer
    import torch

    model = DinoVisionTransformer(img_size=518, patch_size=14, embed_dim=768, depth=DEPTH,
                                  num_heads=12, init_values=1.0, block_chunks=0)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    model.load_state_dict({key: torch.from_numpy(value)
                           for key, value in recipe(shapes, 3).items()})
    return model.eval()


def _with_picture() -> Any:
    from gazelle.backbone import DinoV2Backbone
    from PIL import Image
    import torch

    backbone = DinoV2Backbone('dinov2_vitb14')
    images = backbone.get_transform((448, 448))(Image.fromarray(picture(4)))[None]
    return _upstream(768, True, backbone)({
        'images': torch.as_tensor(images), 'bboxes': [list(BOXES[0])]})


def _measures(seed: int) -> list[float]:
    """GazeFollow's AUC and both distances, VideoAttentionTarget's AUC, distance and AP."""
    from gazelle.utils import gazefollow_auc, gazefollow_l2, vat_auc, vat_l2
    from sklearn.metrics import average_precision_score
    import torch

    heatmap, places, (width, height) = measured(seed)
    plane = torch.from_numpy(heatmap)
    x, y = places.T
    return [gazefollow_auc(plane, x, y, height, width), *gazefollow_l2(plane, x, y),
            vat_auc(plane, *places[0]), vat_l2(plane, *places[0]),
            average_precision_score(*told(seed))]


if __name__ == '__main__':
    main(Path(sys.argv[1]))
