r"""What one W at T places makes of the averages: matrix functions of U, and their derivatives.

.. math::
    \Sigma_e = \gamma(U)\, g_y, \qquad \Sigma_y = g_e\, \gamma(U), \qquad
    U = \Sigma_e g_e = (\Sigma_y g_y)^T .

For Gaussian W :math:`\gamma = \sigma^2`, and for orthogonal ones :math:`\sigma^2 / (1 + U)`, which
is the same as :math:`\Sigma_e = \sigma^2 (g_y^{-1} + \Sigma_y)^{-1}` and its mirror image.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.pencils.ensembles import BiInvariant, GaussianWeights, OrthogonalWeights
from rmt_jacobian.pencils.shared.matrices import (
    determinant_above,
    inverse,
    packed,
    symmetric,
    unpacked,
)

__all__ = ["Coupled", "coupled", "coupled_potential", "sandwich"]

_CLOSE = 1e-6  # relative distance of eigenvalues whose divided difference is a derivative


@dataclass(frozen=True, eq=False)
class Coupled:
    """The self-energies that averages give back, and the derivatives.

    Attributes
    ----------
    spread, cost
        Of e and of y, shape (T, T).
    by_self_energies, by_averages
        The derivatives of both in (Sigma_e, Sigma_y) and in (g_e, g_y), packed; shape (2 m, 2 m)
        with m = T (T + 1) / 2.
    """

    spread: np.ndarray
    cost: np.ndarray
    by_self_energies: np.ndarray
    by_averages: np.ndarray


def sandwich(X: np.ndarray) -> np.ndarray:
    r"""Return :math:`d \mapsto X d X^T` for packed symmetric d, shape (m, m).

    Examples
    --------
    >>> bool(np.allclose(sandwich(2 * np.eye(3)), 4 * np.eye(6)))
    True
    """
    T = X.shape[-1]
    rows, columns = np.triu_indices(T)
    both = X[rows][:, rows] * X[columns][:, columns] + X[rows][:, columns] * X[columns][:, rows]
    return both * np.where(rows == columns, 0.5, 1.0)


def coupled(
    ensemble: BiInvariant, spread: np.ndarray, cost: np.ndarray, g_e: np.ndarray, g_y: np.ndarray
) -> Coupled:
    """Return what the averages give back.

    Parameters
    ----------
    ensemble
        The law of W.
    spread, cost
        The self-energies of e and y, symmetric, shape (T, T).
    g_e, g_y
        The averages.
    """
    m = len(packed(spread))
    nothing, one = np.zeros((m, m)), np.eye(m)
    if isinstance(ensemble, GaussianWeights):
        gain = ensemble.variance
        swap = gain * np.block([[nothing, one], [one, nothing]])
        return Coupled(gain * g_y, gain * g_e, np.zeros((2 * m, 2 * m)), swap)
    if isinstance(ensemble, OrthogonalWeights):
        first, second = (
            _reflected(ensemble.variance, g, sigma) for g, sigma in ((g_y, cost), (g_e, spread))
        )
        return Coupled(
            first[0], second[0],
            np.block([[nothing, first[1]], [second[1], nothing]]),
            np.block([[nothing, first[2]], [second[2], nothing]]),
        )  # fmt: skip
    return _of_function(ensemble, spread, cost, g_e, g_y)


def _reflected(
    variance: float, g: np.ndarray, sigma: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Return :math:`\sigma^2 (g^{-1} + \Sigma)^{-1}` and its derivatives in Sigma and in g."""
    inner = inverse(g)
    image = inverse(inner + sigma)
    return variance * image, -variance * sandwich(image), variance * sandwich(image @ inner)


def _of_function(
    ensemble: BiInvariant, spread: np.ndarray, cost: np.ndarray, g_e: np.ndarray, g_y: np.ndarray
) -> Coupled:
    """Return the same by the eigenvectors of U, the mean of its two expressions."""
    u = (spread @ g_e + g_y @ cost) / 2
    values, vectors = np.linalg.eig(u)
    back = np.linalg.inv(vectors)
    gain, slope = ensemble.gain(values), ensemble.gain_derivative(values)
    function = (vectors * gain) @ back
    gaps = values[:, None] - values[None, :]
    size = np.abs(values[:, None]) + np.abs(values[None, :])
    near = np.abs(gaps) <= _CLOSE * size
    means = (slope[:, None] + slope[None, :]) / 2
    quotients = np.where(
        near, means, (gain[:, None] - gain[None, :]) / np.where(near, 1.0, gaps)
    )  # fmt: skip

    def moved(change: np.ndarray) -> np.ndarray:
        """Return what a change of U makes of the function, the rule of Daleckii and Krein."""
        return np.asarray(vectors @ (quotients * (back @ change @ vectors)) @ back)

    T = len(u)
    basis = unpacked(np.eye(T * (T + 1) // 2), T)  # (m, T, T)

    def columns(d_u: np.ndarray, d_e: Any = 0.0, d_y: Any = 0.0) -> np.ndarray:
        change = moved(d_u)
        first = packed(symmetric(change @ g_y + function @ d_y)).T
        second = packed(symmetric(g_e @ change + d_e @ function)).T
        return np.concatenate([first, second])

    zero = np.zeros_like(basis)
    by_sigma = [columns(basis @ g_e / 2, zero, zero), columns(g_y @ basis / 2, zero, zero)]
    by_g = [columns(spread @ basis / 2, basis, zero), columns(basis @ cost / 2, zero, basis)]
    return Coupled(
        symmetric(function @ g_y), symmetric(g_e @ function),
        np.concatenate(by_sigma, axis=1), np.concatenate(by_g, axis=1),
    )  # fmt: skip


def _applied(ensemble: BiInvariant, u: np.ndarray) -> np.ndarray:
    """Return the matrix gamma(U)."""
    if isinstance(ensemble, GaussianWeights):
        return ensemble.variance * np.eye(len(u))
    if isinstance(ensemble, OrthogonalWeights):
        return ensemble.variance * np.linalg.inv(np.eye(len(u)) + u)
    values, vectors = np.linalg.eig(u)
    return np.asarray((vectors * ensemble.gain(values)) @ np.linalg.inv(vectors))


def coupled_potential(
    ensemble: BiInvariant, spread: np.ndarray, cost: np.ndarray, g_e: np.ndarray, g_y: np.ndarray
) -> complex:
    r"""Return what one W adds to the potential of the chain.

    .. math:: \mathrm{Tr} \bigl( U + p(U) - \gamma(U)\, g_y g_e \bigr), \qquad
        U = \tfrac12 (\Sigma_e g_e + g_y \Sigma_y)

    which is Tr p(U) at a solution, and makes the potential stationary there.
    """
    u = (spread @ g_e + g_y @ cost) / 2
    values = np.linalg.eigvals(u)
    total = np.trace(u) + np.sum(ensemble.potential(values))
    total -= np.trace(_applied(ensemble, u) @ g_y @ g_e)
    if isinstance(ensemble, GaussianWeights):  # p = U has no branches
        return complex(total)
    # 1 + U = (1/g + Sigma) g, and both 1/g and the subordination function 1/g + Sigma are in the
    # upper half space: so the angle of its determinant is known, that of its eigenvalues but for
    # turns.
    inner = inverse(g_e)
    angle = np.imag(determinant_above(inner + spread) - determinant_above(inner))
    turns = round(float(angle - np.sum(np.imag(np.log(1 + values)))) / (2 * math.pi))
    return complex(total + 2j * math.pi * turns)
