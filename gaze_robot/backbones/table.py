"""The pretrained weights that can be had, where, under which licence, and their published hashes.

A row more is all that a new model needs: files of a hub repository at a pinned revision, or any
file with a `url` of its own and its sha256.
"""

from dataclasses import dataclass

from gaze_robot.errors import ConfigError


@dataclass(frozen=True)
class Licence:
    """Under what terms weights may be used."""

    name: str
    url: str
    is_open: bool
    """Whether it may be taken without agreeing to anything first."""


GAZELLE = Licence('MIT', 'https://github.com/fkryan/gazelle/blob/main/LICENSE', True)
GAZELLE_ONNX = Licence('MIT', 'https://github.com/PINTO0309/gazelle-dinov3/blob/main/LICENSE',
                       True)
APACHE = Licence('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0', True)
DINOV3 = Licence('DINOv3 License',
                 'https://ai.meta.com/resources/models-and-libraries/dinov3-license/', False)


@dataclass(frozen=True)
class File:
    """One file of a model."""

    name: str

    sha256: str | None = None
    """As published; None where no public record of it was found: then what the hub announces is
    compared on the first pull, and kept for every check after."""

    url: str = ''
    """Where it is; '' is its name in the hub repository."""


@dataclass(frozen=True)
class Weights:
    """One model."""

    name: str
    kind: str
    """What it is; for backbones the model_type of transformers."""

    licence: Licence
    files: tuple[File, ...]
    megabytes: int
    """Of all files together, about."""

    repo: str = ''
    """Hub repository."""

    revision: str = ''
    """Commit of the hub repository, pinned."""

    width: int = 0
    """Channels of a backbone's tokens."""


def _hub(name: str, kind: str, licence: Licence, width: int, megabytes: int, repo: str,
         revision: str, config: str | None, weights: str | None) -> Weights:
    files = File('config.json', config), File('model.safetensors', weights)
    return Weights(name, kind, licence, files, megabytes, f'facebook/{repo}', revision, width)


def _gazelle(name: str) -> Weights:
    """A decoder of Gaze-LLE, for `gaze-robot people`; it needs dinov2-base or dinov2-large too.

    No hash of these files is published: the first pull's is kept and checked ever after, and a
    decoder that is not exactly one is refused when it is loaded.
    """
    url = f'https://github.com/fkryan/gazelle/releases/download/v1.0.0/{name}.pt'
    return Weights(name, 'gaze-lle', GAZELLE, (File(f'{name}.pt', url=url),), 12)


def _gazelle_onnx(name: str, side: int, megabytes: int, licence: Licence = GAZELLE_ONNX
                  ) -> Weights:
    """A whole model of gazelle-dinov3; for its hash the same holds."""
    file = f'{name}_1x3x{side}x{side}_1xNx4.onnx'
    url = f'https://github.com/PINTO0309/gazelle-dinov3/releases/download/weights/{file}'
    return Weights(name, 'gaze-onnx', licence, (File(file, url=url),), megabytes)


_ROWS = (
    _hub('dinov2-small', 'dinov2', APACHE, 384, 88, 'dinov2-small',
         'ed25f3a31f01632728cabb09d1542f84ab7b0056',
         '1809f83e3bdb1609a501a610ad4a742f4fd8ae44d72ca4aa0df52d1f2ac8628d',
         'ae1e99fcefd534ed978cdeb8326f08030c96e28b7a81ffcbc98a857c84d14be1'),
    _hub('dinov2-base', 'dinov2', APACHE, 768, 346, 'dinov2-base',
         'f9e44c814b77203eaa57a6bdbbd535f21ede1415',
         'f7ff4cfa73d2f70647dbf6950541ad25d73082d54c2e7e9bded160c7656b2a70',
         'd73036b56966966d07975d696bde331762f37297e2f095de8cea0040c3aa0841'),
    _hub('dinov2-large', 'dinov2', APACHE, 1024, 1218, 'dinov2-large',
         '47b73eefe95e8d44ec3623f8890bd894b6ea2d6c',
         '12df51c069a2dc1305e34ba71ef58bc2407ea553b75f4722a1715c1bce3bbed0',
         '399fba97a95f22c36834418bc69373364a99af3a1153da1c0fb31db567c92e23'),
    _hub('dinov2-small-registers', 'dinov2_with_registers', APACHE, 384, 88,
         'dinov2-with-registers-small', '0d9846e56b43a21fa46d7f3f5070f0506a5795a9', None, None),
    _hub('dinov2-base-registers', 'dinov2_with_registers', APACHE, 768, 346,
         'dinov2-with-registers-base', 'a1d738ccfa7ae170945f210395d99dde8adb1805',
         '6af60aa760138fc90db0ba37b7701730b140b9bf1742514412d03050e72bf7e0',
         '7a6f7b3b9fa4b8732e707476a03cd6cdce210048582f21aafb7991c17d98e362'),
    _hub('dinov2-large-registers', 'dinov2_with_registers', APACHE, 1024, 1218,
         'dinov2-with-registers-large', 'e4c89a4e05589de9b3e188688a303d0f3c04d0f3',
         '03eee42f646659a9480f8911a81fdd81efeedd7ff39083c8e36398068daf72f5',
         'edccedab2c4e164e80833096de89a32a6e8d7365870499a066a61dbc8894b42b'),
    _hub('dinov3-small', 'dinov3_vit', DINOV3, 384, 86, 'dinov3-vits16-pretrain-lvd1689m',
         '114c1379950215c8b35dfcd4e90a5c251dde0d32', None,
         '4610ad75edef83e75afdebf162d148dc628045ea6cbb83d67d4708c709c4f91d'),
    _hub('dinov3-base', 'dinov3_vit', DINOV3, 768, 343, 'dinov3-vitb16-pretrain-lvd1689m',
         '5931719e67bbdb9737e363e781fb0c67687896bc', None,
         '9a21ac3df0c63839d62612dda6f454d816c25611cc7a52966ed5a5a94921dc8b'),
    _hub('dinov3-large', 'dinov3_vit', DINOV3, 1024, 1213, 'dinov3-vitl16-pretrain-lvd1689m',
         'ea8dc2863c51be0a264bab82070e3e8836b02d51',
         '135ecd23e34a70b6fbed8b083fdecb319b7e3a54e3d849258bbe4ddcf1783bb5',
         'dcb2e45127cccbf1601e5f42fef165eea275c8e5213197e8dcf3f48822718179'),
    _gazelle('gazelle_dinov2_vitb14'),
    _gazelle('gazelle_dinov2_vitl14'),
    _gazelle('gazelle_dinov2_vitb14_inout'),
    _gazelle('gazelle_dinov2_vitl14_inout'),
    _gazelle_onnx('gazelle_hgnetv2_atto_inout_distill', 320, 12),
    _gazelle_onnx('gazelle_hgnetv2_femto_inout_distill', 416, 13),
    _gazelle_onnx('gazelle_hgnetv2_pico_inout_distill', 640, 14),
    _gazelle_onnx('gazelle_hgnetv2_n_inout_distill', 640, 18),
    _gazelle_onnx('gazelle_dinov3_vit_tiny_inout', 640, 33),
    _gazelle_onnx('gazelle_dinov3_vit_tinyplus_inout', 640, 50),
    _gazelle_onnx('gazelle_dinov3_vits16_inout', 640, 97, DINOV3),
    _gazelle_onnx('gazelle_dinov3_vits16plus_inout', 640, 126, DINOV3),
    _gazelle_onnx('gazelle_dinov3_vitb16_inout', 640, 354, DINOV3),
)

TABLE: dict[str, Weights] = {row.name: row for row in _ROWS}
"""By name."""


def row_of(name: str) -> Weights:
    """A row of the table.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in TABLE:
        raise ConfigError(f'there are no weights "{name}"; known: {", ".join(TABLE)}')
    return TABLE[name]


def backbone_row(name: str) -> Weights:
    """The row of a backbone.

    Raises:
        ConfigError: there is none of that name, or it is no backbone.
    """
    row = row_of(name)
    if not row.width:
        raise ConfigError(f'{name} is a {row.kind}, not a backbone; backbones: '
                          f'{", ".join(each.name for each in TABLE.values() if each.width)}')
    return row
