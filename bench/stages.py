"""Milliseconds per stage, from picture to command, for three camera sizes. `make bench`.

Pictures come from a procedural room through the virtual camera, the exemplar from that room, the
weights from the package. Medians and 95th percentiles over the last rounds; the first ones, which
fill caches, are left out. Prints one table; --json FILE writes it too.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from gaze_robot_sim.benchmark_stages import measure_stages

SIZES = ((640, 480), (1280, 720), (3840, 2160))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n', 1)[0])
    parser.add_argument('--rounds', type=int, default=60)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--model-path', default='', help='a checkpoint; default: the shipped one')
    parser.add_argument('--runtime', default='auto', help='see the parameter model.runtime')
    parser.add_argument('--json', type=Path, metavar='FILE')
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    found = {size: measure_stages(given.model_path, size, given.rounds, given.seed, given.runtime)
             for size in SIZES}
    spent = {size: stages for size, (stages, _) in found.items()}
    result = {f'{width}x{height}': {
        name: {'p50': float(np.median(values)), 'p95': float(np.percentile(values, 95))}
        for name, values in spent[width, height].items()} for width, height in SIZES}
    print(f'ms, p50 / p95 of {given.rounds}; {found[SIZES[0]][1]}, {given.threads} threads')
    print(' ' * 20 + ''.join(f'{size:>18}' for size in result))
    for name in next(iter(result.values())):
        cells = (f'{row[name]["p50"]:.2f} / {row[name]["p95"]:.2f}' for row in result.values())
        print(f'{name:<20}' + ''.join(f'{cell:>18}' for cell in cells))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
    main()
