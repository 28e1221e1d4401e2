"""Chains that several tests solve."""

from typing import Any

import numpy as np

from rmt_jacobian.pencils import BiInvariant, GaussianWeights, ProductChain, SiteHistory
from tests.pencils.examples import ENSEMBLES, gates


def gated(name: str, steps: int = 3, sites: int = 5, seed: int = 0, xp: Any = np) -> ProductChain:
    """A chain of gated sites with unequal weights, of a named ensemble."""
    A, B = gates(sites, steps, seed)
    weights = np.linspace(1, 2, sites) / np.linspace(1, 2, sites).sum()
    history = SiteHistory.of(xp.asarray(A), xp.asarray(B), xp.asarray(weights))
    return ProductChain(history, ENSEMBLES[name])


def constant(
    direct: float, gate: float, ensemble: BiInvariant | None = None, *, steps: int = 1
) -> ProductChain:
    """A chain with the same numbers A and B at every step of its one site."""
    sites = SiteHistory.of(np.full((steps, 1), direct), np.full((steps, 1), gate))
    return ProductChain(sites, ensemble or GaussianWeights(1.0))


def below_axis(points: int, blocks: int, seed: int = 1) -> np.ndarray:
    """Draw self-energies in the open lower half plane."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(points, blocks)) - 1j * rng.uniform(0.1, 1, (points, blocks))
