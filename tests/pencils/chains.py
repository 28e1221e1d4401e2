"""Chains that several tests solve."""

from typing import Any

import numpy as np

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.pencils import BiInvariant, GaussianWeights, ProductChain, SiteHistory
from rmt_jacobian.pencils.chain.balance import Balance
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


def differences_are_derivatives(chain: Any, s: Any, sigma: Any) -> None:
    """Compare the derivatives of both forms of the equation with differences."""
    h, xp = 1e-5, chain.namespace
    g = chain.averages(s, sigma)

    def forms(s: Any, sigma: Any) -> tuple[np.ndarray, np.ndarray]:
        averages = chain.averages(s, sigma)
        balance = Balance.of(chain, sigma, averages)
        return to_numpy(g * balance.gap(averages)), np.log(to_numpy(balance.ratio(averages)))

    at = chain.responses(s, sigma)
    balance = Balance.of(chain, sigma, g)
    slopes = [to_numpy(slope) for slope in balance.slopes(at)]
    for b in range(chain.blocks):
        unit = xp.asarray(np.exp(h * np.eye(chain.blocks)[b : b + 1]) + 0j)
        above, below = forms(s, sigma * unit), forms(s, sigma / unit)
        for slope, one, other in zip(slopes, above, below, strict=True):
            assert np.allclose(slope[:, :, b], (one - other) / (2 * h), rtol=1e-7, atol=1e-7)
    above, below = forms(s + h, sigma)[1], forms(s - h, sigma)[1]
    assert np.allclose(to_numpy(balance.drift(at)), (above - below) / (2 * h), rtol=1e-7, atol=1e-7)
