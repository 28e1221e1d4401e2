"""Eigenvalues of the Jacobian of one step of a real network."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.cells import StepDerivatives
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import Sites
from rmt_jacobian.sampling.networks.network import NetworkStep
from rmt_jacobian.sampling.weights.ensembles import DenseMatrix, WeightMatrix

__all__ = ["dense_jacobian", "jacobian_eigenvalues"]


def dense_jacobian(
    step: NetworkStep | Sites, weights: Sequence[np.ndarray | WeightMatrix | None] | None = None
) -> np.ndarray:
    r"""Return the Jacobian of one step of a network of N units with d states.

    .. math::
        dE_k = W_k dY_k, \quad dY = Y_s dS + Y_e dE, \quad dS' = A dS + B dE

    Parameters
    ----------
    step
        A step of a network, or the N sites of one, all of the same share.
    weights
        For sites: one W of shape (N, N) for each preactivation, None for one without W.

    Returns
    -------
    numpy.ndarray
        Shape (dN, dN); the rows and columns of the first state come first.

    Raises
    ------
    ParameterError
        If sites come without their weights, or with a wrong number or shape of them.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> x = np.zeros(2)
    >>> sites = Sites.of(vanilla, Parameters.of(vanilla), [x], [x])
    >>> dense_jacobian(sites, [np.array([[0.0, 1.0], [2.0, 0.0]])])
    array([[0., 1.],
           [2., 0.]])
    """
    if isinstance(step, NetworkStep):
        width, states, matrices = step.x.shape[0], len(step.states), list(step.weights)
    else:
        width, states = step.count, len(step.states)
        matrices = _checked(step, weights)
    products = _products(step.derivatives, states, matrices)
    jacobian = np.zeros((states, width, states, width))
    diagonal = np.arange(width)
    for (i, s), value in step.derivatives.state.items():
        jacobian[i, diagonal, s, diagonal] += to_numpy(value) if np.ndim(value) else value
    for (i, k), value in step.derivatives.gate.items():
        for s, product in products[k].items():
            jacobian[i, :, s, :] += _rows(value, product)
    return jacobian.reshape(states * width, states * width)


def jacobian_eigenvalues(
    step: NetworkStep | Sites, weights: Sequence[np.ndarray | WeightMatrix | None] | None = None
) -> np.ndarray:
    """Return the dN eigenvalues of the Jacobian of one step; see :func:`dense_jacobian`.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> x = np.zeros(2)
    >>> sites = Sites.of(vanilla, Parameters.of(vanilla), [x], [x])
    >>> values = jacobian_eigenvalues(sites, [np.array([[0.0, 1.0], [4.0, 0.0]])])
    >>> sorted(values.real.round(12).tolist())
    [-2.0, 2.0]
    """
    return np.linalg.eigvals(dense_jacobian(step, weights)).astype(complex)


def _checked(
    sites: Sites, weights: Sequence[np.ndarray | WeightMatrix | None] | None
) -> list[WeightMatrix | None]:
    preactivations = sites.cell.preactivations
    if weights is None or len(weights) != len(preactivations):
        raise ParameterError(
            f"sites of {sites.cell.name} need {len(preactivations)} weights: "
            "one N x N matrix for each preactivation, None for one without W"
        )
    if np.ptp(to_numpy(sites.weights)) > 1e-12:
        raise ParameterError("the units of a network have equal shares: draw the sites instead")
    matrices = [DenseMatrix(W) if isinstance(W, np.ndarray) else W for W in weights]
    for preactivation, W in zip(preactivations, matrices, strict=True):
        if W is None and preactivation.reads_state:
            raise ParameterError(f"preactivation {preactivation.name!r} needs a W")
        if isinstance(W, DenseMatrix) and W.entries.shape != (sites.count, sites.count):
            raise ParameterError(f"weights of {sites.count} sites must be square, of that size")
    return matrices


def _products(
    derivatives: StepDerivatives, states: int, matrices: Sequence[WeightMatrix | None]
) -> list[dict[int, Any]]:
    """Return the matrices dE_k / dS_s, without those that vanish."""
    found: list[dict[int, Any]] = []
    for k, W in enumerate(matrices):
        changes: dict[int, Any] = {}
        if W is not None:
            W_dense = to_numpy(W.matrix())
            for s in range(states):
                inner: Any = None
                if (k, s) in derivatives.source_state:
                    inner = _columns(derivatives.source_state[k, s], W_dense)
                for j in range(k):
                    if (k, j) in derivatives.source_gate and s in found[j]:
                        scaled = _columns(derivatives.source_gate[k, j], W_dense)
                        inner = (0 if inner is None else inner) + scaled @ found[j][s]
                if inner is not None:
                    changes[s] = inner
        found.append(changes)
    return found


def _rows(diagonal: Any, matrix: np.ndarray) -> np.ndarray:
    return to_numpy(diagonal)[:, None] * matrix if np.ndim(diagonal) else diagonal * matrix


def _columns(diagonal: Any, matrix: np.ndarray) -> np.ndarray:
    return matrix * to_numpy(diagonal) if np.ndim(diagonal) else matrix * diagonal
