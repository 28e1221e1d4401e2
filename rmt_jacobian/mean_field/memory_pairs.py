"""Stationary moments of what a site remembers in two networks that share their weights."""

import numpy as np

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.mean_field.fresh import FreshPairs
from rmt_jacobian.mean_field.memory import (
    affine_memory,
    linear_sources,
    memory_moments,
    second_moment,
    solved,
)

__all__ = ["pair_memory_covariance", "pair_source_products"]


def pair_memory_covariance(
    cell: Cell,
    parameters: Parameters,
    variances: tuple[float, ...],
    correlations: tuple[float, ...],
    input_correlation: float,
) -> np.ndarray | None:
    r"""Solve for the covariance of an affine memory s' = a s + b in two networks.

    .. math:: E[s_1 s_2^T] = E[a_1 s_1 s_2^T a_2^T] + E[a_1 s_1 b_2^T] + E[b_1 s_2^T a_2^T]
              + E[b_1 b_2^T]

    Parameters
    ----------
    cell, parameters, variances
        As in :func:`.memory_moments`.
    correlations, input_correlation
        Of the preactivations and of the inputs of the two networks.

    Returns
    -------
    numpy.ndarray or None
        Shape (memory, memory); None where :func:`.memory_moments` is, or averages do not factorise.
    """
    affine, known = affine_memory(cell), memory_moments(cell, parameters, variances)
    if affine is None or known is None:
        return None
    slopes, rests = affine
    m, mean = len(cell.memory), known.mean
    pairs = FreshPairs(cell, parameters, variances, correlations, input_correlation)
    found = pairs.averages(
        [(a, b) for a in slopes for b in slopes]
        + [(a, b) for a in slopes for b in rests]
        + [(a, b) for a in rests for b in rests]
    )
    if found is None:
        return None
    squares, crosses, own = np.split(found, [m**4, m**4 + m**3])
    kron = squares.reshape(m, m, m, m).transpose(0, 2, 1, 3).reshape(m * m, m * m)
    cross = np.einsum("ikj,k->ij", crosses.reshape(m, m, m), mean)
    right = (cross + cross.T + own.reshape(m, m)).ravel()
    covariance = solved(np.eye(m * m) - kron, right).reshape(m, m) - np.outer(mean, mean)
    return (covariance + covariance.T) / 2 if np.all(np.isfinite(covariance)) else None


def pair_source_products(
    cell: Cell,
    parameters: Parameters,
    variances: tuple[float, ...],
    correlations: tuple[float, ...],
    input_correlation: float,
) -> np.ndarray | None:
    r"""Return :math:`E[y_k^{(1)} y_k^{(2)}]` where sources are affine in an affine memory."""
    sources = linear_sources(cell)
    if sources is None:
        return None
    shared = pair_memory_covariance(cell, parameters, variances, correlations, input_correlation)
    known = memory_moments(cell, parameters, variances)
    if shared is None or known is None:
        return None
    second = second_moment(known.mean, shared)
    pairs = FreshPairs(cell, parameters, variances, correlations, input_correlation)
    products = []
    for terms in sources:
        found = pairs.averages([(one, two) for one in terms for two in terms])
        if found is None:
            return None
        products.append(float(found @ second.ravel()))
    return np.array(products)
