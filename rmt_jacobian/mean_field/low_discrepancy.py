"""Low-discrepancy Gaussian variables."""

import math

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

__all__ = ["low_discrepancy_normals", "normal_quantiles"]

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
