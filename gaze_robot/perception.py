"""Foveated views in, tokens and heatmaps out: one encoder pass per view, for one eye or many.

The robot runs it with one eye, the simulator with hundreds; there is no other code path.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
import math

import numpy as np
import torch
from torch import nn

from gaze_robot.backbones.backbone import Backbone, BackboneConfig, load_backbone
from gaze_robot.encoder import (
    Cutter,
    EncoderConfig,
    FoveatedViT,
    patchify,
    TokenBudget,
    TokenLayout,
)
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern, FrontEnd, PyramidFrontEnd
from gaze_robot.gaze_target.evidence import (
    CELLS,
    correlate,
    EXEMPLAR_PX,
    make_templates,
    square,
    square_width_rad,
)
from gaze_robot.gaze_target.people import PeopleHead
from gaze_robot.gaze_target.salience import cell_features, Salience
from gaze_robot.gaze_target.search import SearchHead
from gaze_robot.runtime import Runtime, TorchRuntime
from gaze_robot.runtime.base import Inputs
from gaze_robot.types import Exemplar


class PerceptionNetwork(nn.Module):
    """The weights of perception: one encoder, and heads that all read its tokens."""

    def __init__(self, front_end: FrontEnd | FoveationPattern,
                 encoder: EncoderConfig | BackboneConfig) -> None:
        """Make untrained weights, or read a backbone's from the weight store under new heads.

        Args:
            front_end: a pattern alone means the pyramid.
            encoder: a size of the package's own encoder, or which backbone.

        Raises:
            ConfigError: front end and encoder do not fit, or there is no such backbone.
            CheckpointError: the backbone's files are missing or not those that are wanted.
        """
        super().__init__()
        if isinstance(front_end, FoveationPattern):
            front_end = PyramidFrontEnd(front_end)
        pattern = front_end.pattern
        if encoder.patch != front_end.token_side or EXEMPLAR_PX % encoder.patch:
            raise ConfigError(f'the encoder reads patches of {encoder.patch}, the front end '
                              f'gives {front_end.token_side}; make them equal, and a divisor of '
                              f'{EXEMPLAR_PX}')
        if any(window % CELLS for window in pattern.window):
            raise ConfigError(f'windows {pattern.window} must be multiples of {CELLS}, the '
                              "heatmap's cells")
        self.front_end, self.pattern = front_end, pattern
        self.encoder: FoveatedViT | Backbone = (
            FoveatedViT(encoder) if isinstance(encoder, EncoderConfig)
            else load_backbone(encoder, pattern.half_tangent(pattern.levels - 1)))
        self.cut = Cutter(front_end)
        self.search = SearchHead(self.encoder.config.width, front_end)
        self.salience = Salience()
        self.people: PeopleHead | None = None
        self.sources: frozenset[str] = frozenset()
        """What `forward` computes besides tokens and search; see `use_sources`."""

        self.layout = TokenLayout.of(front_end)
        self.budget: TokenBudget | None = None

    def learned_state(self) -> dict[str, torch.Tensor]:
        """`state_dict` without a frozen backbone, whose weights the weight store keeps."""
        state = self.state_dict()
        if not isinstance(self.encoder, Backbone) or not self.encoder.config.frozen:
            return state
        return {name: tensor for name, tensor in state.items() if not name.startswith('encoder.')}

    def keep_tokens(self, keep: float, heads: Iterable[int] = ()) -> None:
        """Let only this share of the tokens through all blocks; 1 is all.

        Args:
            heads: tokens that stay whatever their attention, besides those of the fovea.

        Raises:
            ConfigError: the encoder cannot do with fewer.
        """
        if keep < 1 and not isinstance(self.encoder, FoveatedViT):
            raise ConfigError(f'keep {keep}: only the encoder of this package can do with fewer '
                              'tokens; set model.keep to 1')
        self.budget = TokenBudget.of(self.front_end, keep, heads) if keep < 1 else None

    @property
    def offers(self) -> frozenset[str]:
        """The sources that these weights can feed besides search."""
        return frozenset(('salience',) if self.people is None else ('salience', 'people'))

    def use_sources(self, names: Iterable[str]) -> None:
        """Compute these of `offers` from now on, and no other: what nobody uses costs nothing.

        Raises:
            ConfigError: one that these weights do not offer.
        """
        names = frozenset(names)
        if 'people' in names and self.people is None:
            raise ConfigError('sources.people is above 0 and these weights have no head for '
                              'people; add one with `gaze-robot train heads --policy DIR --out '
                              'DIR`, set people.model to coarse, which judges where people look, '
                              'or set sources.people to 0')
        if names - self.offers:
            raise ConfigError(f'sources are {", ".join(sorted(self.offers))}, got '
                              f'{", ".join(sorted(names))}')
        self.sources = names

    def add_people(self) -> PeopleHead:
        """Give it an untrained head for people, in place of one it may have."""
        self.people = PeopleHead(self.encoder.config.width, self.front_end).to(
            self.search.query.weight.device)
        return self.people

    def encode(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Tokens (B, N, D) of views, one (B, window, window, 3) uint8 tensor per level."""
        if self.layout.position_rad.device != levels[0].device:
            self.layout = self.layout.to(levels[0].device)
        patches = self.cut(levels)
        if self.budget is not None:
            return self.encoder(patches, self.layout, self.budget)
        return self.encoder(patches, self.layout)

    def encode_exemplar(self, image: torch.Tensor, width_rad: torch.Tensor) -> torch.Tensor:
        """Tokens (B, M, D) of exemplars (B, EXEMPLAR_PX, EXEMPLAR_PX, 3) uint8."""
        patch = self.front_end.token_side
        layout = TokenLayout.of_squares(width_rad, EXEMPLAR_PX, patch)
        return self.encoder(patchify([image], [patch]), layout)

    def forward(self, levels: Sequence[torch.Tensor], exemplar: torch.Tensor,
                evidence: torch.Tensor, valid: torch.Tensor, size: torch.Tensor
                ) -> dict[str, torch.Tensor]:
        """One encoder pass, all heads: what every runtime computes.

        Args:
            levels: one (B, window, window, 3) uint8 tensor per level.
            exemplar: (B, M, D) of `encode_exemplar`; zeros where nothing is looked for.
            evidence, valid, size: see `SearchHead`.

        Returns:
            tokens (B, N, D); search (B, L, C * C + 1), log-probabilities; and of `sources`
            salience (B, L, C, C) in [0, 1), people (B, L, C, C), probabilities.
        """
        tokens = self.encode(levels)
        out = {'tokens': tokens, 'search': self.search(tokens, exemplar, evidence, valid, size)}
        features = cell_features(levels) if self.sources else None
        if features is not None and 'salience' in self.sources:
            out['salience'] = self.salience(features, valid)
        if features is not None and 'people' in self.sources and self.people is not None:
            out['people'] = self.people(tokens, features, valid).sigmoid()
        return out


def size_in_cells(width_rad: float, pattern: FoveationPattern) -> np.ndarray:
    """Log of an exemplar's width in heatmap cells, (levels,) float32."""
    tangent = math.tan(width_rad / 2)
    return np.array([math.log(tangent / pattern.half_tangent(level) * CELLS)
                     for level in range(pattern.levels)], np.float32)


@dataclass(frozen=True, eq=False)
class Percept:
    """What perception says of a batch of views."""

    tokens: np.ndarray
    """(B, N, D) float32."""

    heat: np.ndarray
    """(B, L, CELLS, CELLS) float32: probability that the target is in this cell, per level."""

    absent: np.ndarray
    """(B, L) float32: probability that it is not in this level's view."""

    salience: np.ndarray | None = None
    """(B, L, CELLS, CELLS) float32 in [0, 1): how much this cell stands out of its level.
    None: not in use, as below; see `PerceptionNetwork.use_sources`."""

    people: np.ndarray | None = None
    """(B, L, CELLS, CELLS) float32: probability that a head is here."""


class Perception:
    """Runs the network for a fixed number of eyes, each with its own exemplar (or none)."""

    def __init__(self, network: PerceptionNetwork, eyes: int = 1,
                 map_eyes: Callable[[Callable, Iterable], Iterable] = map,
                 runtime: Runtime | None = None) -> None:
        """Take weights.

        Args:
            network: moved to its device and set to eval by the caller.
            eyes: batch size of every call.
            map_eyes: how to run the per-eye correlation; a thread pool's `map` uses more cores.
            runtime: what computes `network`'s forward pass; torch if None.
        """
        self.network = network
        self.runtime = TorchRuntime(network) if runtime is None else runtime
        self.pattern = network.pattern
        self._map = map_eyes
        tokens = (EXEMPLAR_PX // network.front_end.token_side) ** 2
        self._exemplar = torch.zeros(eyes, tokens, network.encoder.config.width)
        self._size = torch.zeros(eyes, self.pattern.levels)
        self._templates: list = [None] * eyes

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.encoder.embed.weight.device

    def look_for(self, exemplars: dict[int, Exemplar | None]) -> None:
        """Set what some eyes look for; None clears."""
        for eye, exemplar in exemplars.items():
            self._templates[eye] = (None if exemplar is None
                                    else make_templates(exemplar, self.pattern))
        given = {eye: exemplar for eye, exemplar in exemplars.items() if exemplar is not None}
        if not given:
            return
        image = torch.from_numpy(np.stack([square(e) for e in given.values()]))
        width = [square_width_rad(e) for e in given.values()]
        with torch.inference_mode():
            tokens = self.network.encode_exemplar(image.to(self.device),
                                                  torch.tensor(width, device=self.device)).cpu()
        for row, (eye, angle) in enumerate(zip(given, width)):
            self._exemplar[eye] = tokens[row]
            self._size[eye] = torch.from_numpy(size_in_cells(angle, self.pattern))

    def __call__(self, levels: Sequence[np.ndarray], valid: np.ndarray,
                 eyes: np.ndarray) -> Percept:
        """Look at one view for each of some eyes.

        Args:
            levels: per level (B, window, window, 3) uint8.
            valid: (B, L, CELLS, CELLS) bool, False outside the picture.
            eyes: (B,) whose views these are.
        """
        out = self.runtime(*self.inputs(levels, valid, eyes))
        p = np.exp(out['search'])
        heat = p[..., :-1].reshape(valid.shape)
        absent = p[..., -1]
        idle = [row for row, eye in enumerate(eyes) if self._templates[eye] is None]
        heat[idle], absent[idle] = 0.0, 1.0
        return Percept(out['tokens'], heat, absent, out.get('salience'), out.get('people'))

    def inputs(self, levels: Sequence[np.ndarray], valid: np.ndarray, eyes: np.ndarray) -> Inputs:
        """What the network is given for these views; see `__call__`."""
        return (levels, self._exemplar[eyes].numpy(), self.evidence(levels, eyes), valid,
                self._size[eyes].numpy())

    def evidence(self, levels: Sequence[np.ndarray], eyes: np.ndarray) -> np.ndarray:
        """Correlation evidence (B, L, CELLS, CELLS) float32."""
        shape = (self.pattern.levels, CELLS, CELLS)

        def one(row: int) -> np.ndarray:
            templates = self._templates[eyes[row]]
            if templates is None:
                return np.zeros(shape, np.float32)
            return correlate([level[row] for level in levels], templates)
        return np.stack(list(self._map(one, range(len(eyes)))))


def valid_cells(valid: Sequence[np.ndarray]) -> np.ndarray:
    """Cells at least half of which lies in the picture: (L, CELLS, CELLS) bool."""
    rows = []
    for mask in valid:
        block = mask.shape[0] // CELLS
        rows.append(mask.reshape(CELLS, block, CELLS, block).mean(axis=(1, 3)) >= 0.5)
    return np.stack(rows)
