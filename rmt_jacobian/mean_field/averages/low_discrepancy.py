"""Low-discrepancy Gaussian variables."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from rmt_jacobian.arrays import spawn

__all__ = ["PointSets", "low_discrepancy_normals", "normal_quantiles"]

_SOBOL_DIMENSIONS = 21_201
_NEAREST_TO_ONE = 2.0**-32  # quantiles of 0 and 1 are infinite


def low_discrepancy_normals(dimensions: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return standard normal variables, shape (dimensions, count): a scrambled Sobol sequence.

    The first dimensions are the most even; those beyond the longest known sequence are random.

    Examples
    --------
    >>> z = low_discrepancy_normals(2, 1024, np.random.default_rng(0))
    >>> bool(np.max(np.abs(z.mean(axis=1))) < 1e-3)
    True
    """
    sobol = min(dimensions, _SOBOL_DIMENSIONS)
    points = np.empty((0, count))
    if sobol:
        exponent = max(0, math.ceil(math.log2(count)))
        points = qmc.Sobol(sobol, rng=rng).random_base2(exponent)[:count].T
    rest = rng.random((dimensions - sobol, count))
    return normal_quantiles(np.concatenate([points, rest]))


def normal_quantiles(uniform: np.ndarray) -> np.ndarray:
    """Return standard normal variables from uniform ones; 0 and 1 become large numbers."""
    return ndtri(np.clip(uniform, _NEAREST_TO_ONE, 1 - _NEAREST_TO_ONE))


@dataclass(frozen=True)
class PointSets:
    """Independent randomised low-discrepancy sets, for averages that entangle many variables.

    Attributes
    ----------
    replicates
        R, the number of sets.
    count
        Points of each, a power of 2.
    seed
        Of all.
    """

    replicates: int = 8
    count: int = 1024
    seed: int = 0

    def normals(self, dimensions: int, count: int, *, frozen: bool = False) -> np.ndarray:
        """Return standard normal variables, shape (R, dimensions, count); others if frozen."""
        return _normal_sets(dimensions, count, self.replicates, self.seed, frozen)


@lru_cache(maxsize=8)
def _normal_sets(
    dimensions: int, count: int, replicates: int, seed: int, frozen: bool
) -> np.ndarray:
    rngs = spawn(np.random.SeedSequence([seed, int(frozen)]), replicates)
    sets = [low_discrepancy_normals(dimensions, count, rng) for rng in rngs]
    # In the order of a sequence two sets depend on each other.
    return np.stack([z[:, rng.permutation(count)] for z, rng in zip(sets, rngs, strict=True)])
