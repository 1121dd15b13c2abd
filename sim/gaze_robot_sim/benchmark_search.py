"""Does foveation cost searches? The same weights behind the fovea and behind a uniform view."""

from concurrent.futures import ThreadPoolExecutor
import math
from typing import Any

import numpy as np
import torch

from gaze_robot.foveation import FoveationPattern
from gaze_robot.perception import PerceptionNetwork
from gaze_robot_sim.cores import available_cores
from gaze_robot_sim.envs.search import SearchConfig
from gaze_robot_sim.envs.seeing import SeeingBatch
from gaze_robot_sim.evaluate import found_and_held, opened, run_episodes, score
from gaze_robot_sim.rule import SearchRule

_SECONDS = 3.0
_EYES = 50


def with_pattern(network: PerceptionNetwork, pattern: FoveationPattern) -> PerceptionNetwork:
    """The same weights over another pyramid; nothing is trained for it.

    The encoder reads any pattern. The search head compares parts of tokens with cells: where a
    token has another number of parts, all its parts are compared by the mean of the weights.
    """
    made = PerceptionNetwork(pattern, network.encoder.config).eval()
    made.encoder.load_state_dict(network.encoder.state_dict())
    weights = network.search.state_dict()
    parts, compared = network.search.subdivision ** 2, network.search.compared
    if made.search.subdivision != network.search.subdivision:
        for name in ('view.weight', 'view.bias'):
            mean = weights[name].reshape(parts, compared, -1).mean(dim=0)
            weights[name] = mean.repeat(made.search.subdivision ** 2, 1).reshape(
                made.search.state_dict()[name].shape)
    made.search.load_state_dict(weights)
    return made


def search_beside_uniform(network: PerceptionNetwork, uniform: FoveationPattern, n: int, seed: int
                          ) -> dict[str, Any]:
    """Success of the searcher written by hand, in rooms, with both views; no training for either.

    The learned eye policy reads tokens by number and cannot read another pattern, so the rule
    searches with both. The uniform view's head was never trained on such a view, and its heatmap
    has the cells of the widest level: what it loses is not all foveation's gain. Both search for
    the same things from the same starts.

    Returns:
        foveated and uniform, see `score`; difference of their success rates, foveated minus
        uniform, and its 95 % interval, difference_low and difference_high.
    """
    task = SearchConfig(episode_s=_SECONDS, scene_uses=10 ** 9)
    result: dict[str, Any] = {}
    success: dict[str, np.ndarray] = {}
    torch.set_num_threads(available_cores())
    with ThreadPoolExecutor(available_cores()) as pool:
        for name, made in (('foveated', network), ('uniform', with_pattern(network, uniform))):
            with opened('procedural', seed, rooms=min(_EYES, n)) as worlds:
                batch = SeeingBatch(min(_EYES, n), worlds, made, task, seed, pool.map)
                run = run_episodes(batch, SearchRule(), n)
            result[name] = score(run['error_deg'], task.rate_hz)
            success[name] = found_and_held(run['error_deg'], task.rate_hz)
    return {**result, **paired_difference(success['foveated'], success['uniform'])}


def paired_difference(one: np.ndarray, other: np.ndarray, z: float = 1.96) -> dict[str, float]:
    """Difference of two success rates over the same searches, (n,) bool each, with its interval.

    Of 95 %, by Agresti and Min (2005): Wald's, with half a search more of each of four outcomes.
    """
    gained, lost = int((one & ~other).sum()) + 0.5, int((other & ~one).sum()) + 0.5
    n = len(one) + 2
    half = z * math.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    middle = (gained - lost) / n
    return {'difference': float(one.mean() - other.mean()),
            'difference_low': middle - half, 'difference_high': middle + half}
