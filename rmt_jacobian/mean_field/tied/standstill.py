r"""Tied networks at a standstill: every site at a fixed point under constant preactivations.

.. math:: e_k = \mu_k + \sqrt{q_k} \, z_k, \qquad
          q_k = \sigma_k^2 E[y_k^2] + \nu_k^2 R + \rho_k^2, \qquad s = f(s, e, x)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.cells import Cell, Parameters, StepDerivatives, compile_cell
from rmt_jacobian.mean_field.sites.paths import low_discrepancy_normals
from rmt_jacobian.mean_field.sites.weighted import Sites

__all__ = ["Standstill", "fluctuation_growth", "standstill"]

_PLAIN_STEPS = 64  # of every site, which choose its fixed point where there are several
_NEWTON_STEPS = 30
_LIMIT = 400
_TOLERANCE = 1e-9
_DEAD = 1e-10  # of the variance along the start: sources below it have gone to 0
_MEMORY = 4  # of the acceleration, and the share of a plain step that it has to keep
_KEPT = 0.2
_REGULARISATION = 1e-12
_FREQUENCIES = np.concatenate([[0.0], np.geomspace(1e-6, np.pi, 60)])


@dataclass(frozen=True, eq=False)
class Standstill:
    """A self-consistent fixed point on one set of sites.

    Attributes
    ----------
    source_squares
        E[y_k^2], shape (K,).
    sites
        The sites at rest.
    residual, iterations, converged
        Of the self-consistency, relative to E[y_k^2]; of the sites where that is larger.
    """

    source_squares: np.ndarray
    sites: Sites
    residual: float
    iterations: int
    converged: bool


def standstill(
    cell: Cell, parameters: Parameters, start: np.ndarray, *, reference: np.ndarray,
    sites: int, start_variance: float, rng: np.random.Generator,
) -> Standstill:  # fmt: skip
    """Iterate E[y_k^2] to self-consistency on scrambled Sobol points.

    Parameters
    ----------
    start
        E[y_k^2] to begin with, shape (K,).
    reference
        Variances against which a source counts as dead, shape (K,).
    """
    K, d = len(cell.gates), len(cell.states)
    normal = _whitened(low_discrepancy_normals(K + 1 + d, sites, rng))
    x = parameters.inputs.from_normal(normal[K])
    states = np.sqrt(start_variance) * normal[K + 1 :]
    squares, history, iteration = start, [], 0
    while True:
        iteration += 1
        if np.all(squares <= _DEAD * reference):
            squares = np.zeros(K)
        here, rest = _at_rest(_sites(cell, parameters, squares, normal, states, x))
        image = np.array([np.mean(here.source(k) ** 2) for k in range(K)])
        states, size = np.stack(here.states), np.maximum(image, squares)
        change = np.abs(image - squares)[size > 0] / size[size > 0]
        residual = max(rest, float(change.max(initial=0.0)))
        if residual <= _TOLERANCE or iteration == _LIMIT:
            break
        history = [*history, (squares[:, None], (image - squares)[:, None])][-_MEMORY:]
        squares = image
        if len(history) > 2:
            squares = np.maximum(_accelerated(history)[:, 0], _KEPT * image)
    return Standstill(squares, here, residual, iteration, residual <= _TOLERANCE)


def _accelerated(history: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the next point after a history of points and their changes, newest last.

    Walker & Ni 2011, Algorithm AA.
    """
    points, changes = (np.stack(column) for column in zip(*history, strict=True))
    # Sources of different size count alike.
    scale = 1 / np.maximum(points[-1].sum(axis=-1, keepdims=True), 1e-300)
    D = ((changes[1:] - changes[:-1]) * scale).reshape(len(points) - 1, -1)
    normal = D @ D.T
    normal += (_REGULARISATION * np.trace(normal) + 1e-300) * np.eye(len(D))
    weights = np.linalg.solve(normal, D @ (changes[-1] * scale).ravel())
    moves = (points + changes)[1:] - (points + changes)[:-1]
    return points[-1] + changes[-1] - np.tensordot(weights, moves, axes=1)


def _whitened(normal: np.ndarray) -> np.ndarray:
    """Make means 0 and the covariance 1 over the sites: the tails are what points miss."""
    centred = normal - normal.mean(axis=1, keepdims=True)
    covariance = centred @ centred.T / centred.shape[1]
    return np.linalg.solve(np.linalg.cholesky(covariance), centred)


def _sites(
    cell: Cell, parameters: Parameters, squares: np.ndarray, normal: np.ndarray,
    states: np.ndarray, x: np.ndarray,
) -> Sites:  # fmt: skip
    gates = []
    for k, each in enumerate(cell.preactivations):
        group = parameters[each.name]
        q = group.preactivation_variance(squares[k], parameters.input_variance)
        gates.append(group.bias_mean + np.sqrt(q) * normal[k])
    return Sites.of(cell, parameters, states, gates, x)


def _at_rest(sites: Sites) -> tuple[Sites, float]:
    """Return the sites at their fixed points, and how far the worst one is from it, relative."""
    compiled, gates, x = compile_cell(sites.cell), list(sites.gates), sites.x
    states = list(sites.states)
    for _ in range(_PLAIN_STEPS):
        states = [state + 0 * x for state in compiled.update(states, gates, x)]
    gap = np.inf
    for _ in range(_NEWTON_STEPS):
        here = Sites.of(sites.cell, sites.parameters, states, gates, x)
        gaps = np.stack([new - old for new, old in zip(here.next_states, states, strict=True)])
        gap = float(np.abs(gaps).max() / max(1e-300, np.abs(np.stack(states)).max()))
        if gap <= _TOLERANCE or not sites.cell.memory:
            break
        # A gate that is shut for ever, to rounding, keeps its state: any state is at rest there.
        slopes = np.eye(len(states)) - _table(here.derivatives.state, len(states), x.shape)
        slopes[np.all(gaps == 0, axis=0)] = np.eye(len(states))
        moves = np.linalg.solve(slopes, gaps.T[..., None])[..., 0].T
        states = list(np.stack(states) + moves)
    return Sites.of(sites.cell, sites.parameters, states, gates, x), gap


def _table(
    entries: Mapping[tuple[int, int], Any], rows: int, shape: tuple[int, ...],
    columns: int | None = None,
) -> np.ndarray:  # fmt: skip
    """Return diagonals with keys (row, column) as one matrix for every site."""
    table = np.zeros((*shape, rows, columns or rows))
    for (i, j), values in entries.items():
        table[..., i, j] = values
    return table


def fluctuation_growth(sites: Sites) -> float:
    r"""Return the largest factor by which a standstill amplifies small fluctuations.

    .. math:: \max_\omega \; \mathrm{radius} \left( \sigma_l^2 E |T_{kl}(\omega)|^2 \right), \qquad
              T = Y_s (e^{i \omega} - A)^{-1} B + Y_e

    It is below 1 exactly where no eigenvalue of the Jacobian lies on the unit circle, so that the
    standstill is stable.
    """
    d, K = len(sites.cell.states), len(sites.cell.gates)
    slopes: StepDerivatives = sites.derivatives
    shape = sites.x.shape
    A, B = _table(slopes.state, d, shape), _table(slopes.gate, d, shape, K)
    Ys, Ye = _table(slopes.source_state, K, shape, d), _table(slopes.source_gate, K, shape)
    variances = np.array([sites.parameters[each.name].weight_std ** 2
                          for each in sites.cell.preactivations])  # fmt: skip
    growth = 0.0
    for omega in _FREQUENCIES:
        resolvent = np.exp(1j * omega) * np.eye(d) - A
        stuck = np.all(resolvent == 0, axis=(-2, -1))
        resolvent[stuck] = np.eye(d)
        T = Ys @ np.linalg.solve(resolvent, B.astype(complex)) + Ye
        gains = np.tensordot(sites.weights, np.abs(T) ** 2, axes=1) * variances
        growth = max(growth, float(np.abs(np.linalg.eigvals(gains)).max()))
    return growth
