"""By what squared gradients grow in layers of PyTorch, by how they are initialised.

Run as ``python -m benchmarks.schemes`` (3 minutes): the table of docs/networks.md.
"""

import argparse
from typing import Any, get_args

import numpy as np
from tqdm import tqdm

import rmt_jacobian as rj
from rmt_jacobian.torch.initialize import Scheme


def growth(kind: str, scheme: Any, inputs: int, hidden: int, seeds: int) -> np.ndarray:
    """Return the growth a step over 100 steps of modules with Gaussian inputs."""
    import torch

    found = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        module = getattr(torch.nn, kind)(inputs, hidden)
        found.append(rj.torch.initialize_(module, scheme).growth_rate)
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--seeds", type=int, default=4)
    asked = parser.parse_args()
    schemes = ("pytorch", "keras", "chrono", "untied-critical", "critical")
    assert sorted(schemes) == sorted(get_args(Scheme))
    cases = [(kind, scheme) for scheme in schemes for kind in ("GRU", "LSTM", "RNN")]
    cases.remove(("RNN", "chrono"))  # which has no gates
    for kind, scheme in tqdm(cases, delay=2):
        rates = growth(kind, scheme, asked.inputs, asked.hidden, asked.seeds)
        print(
            f"{kind:<5} {scheme:<16} {rates.mean():.4f}, from {rates.min():.4f} to "
            f"{rates.max():.4f}; over 100 steps x {rates.mean() ** 100:.2g}",
            flush=True,
        )


if __name__ == "__main__":
    main()
