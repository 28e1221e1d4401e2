r"""The linear response of a site in closed form, where its memory is affine and so are its sources.

With :math:`D = E[\delta s_1 \delta s_2^T]` on the memory and the coefficients of one step fresh,

.. math::
    \lambda D = E[A_1 D A_2^T] + \sum_l v_l E[B_1^l (B_2^l)^T], \qquad
    v_k = \sigma_k^2 \Bigl( \sum_l E[Y_{e,1}^{kl} Y_{e,2}^{kl}] v_l
    + E[Y_{s,1}^k D (Y_{s,2}^k)^T] \Bigr) .
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.mean_field.fresh import FreshPairs
from rmt_jacobian.mean_field.memory import linear_in_memory, memory_moments, second_moment
from rmt_jacobian.mean_field.memory_pairs import pair_memory_covariance
from rmt_jacobian.mean_field.response import Responses
from rmt_jacobian.solvers import Solution

__all__ = ["ClosedResponses", "closed_responses"]


@dataclass(frozen=True, eq=False)
class ClosedResponses(Responses):
    r"""Averages of products of derivatives in two networks.

    Attributes
    ----------
    reads
        Of dy_k / de_l, shape (preactivations, preactivations).
    sources
        Of dy_k / ds, shape (preactivations, memory^2).
    carry
        Of ds' / ds, shape (memory^2, memory^2).
    gates
        Of ds' / de_l, shape (memory^2, preactivations).
    scale
        sigma_k^2, shape (preactivations,).
    """

    reads: np.ndarray
    sources: np.ndarray
    carry: np.ndarray
    gates: np.ndarray
    scale: np.ndarray

    @property
    def kept(self) -> float:
        """The spectral radius of what the memory carries on."""
        return float(np.max(np.abs(np.linalg.eigvals(self.carry)), initial=0.0))

    def growth_rate(self) -> Solution[float]:
        """Return the leading eigenvalue of the map of D over one step, which is finite here."""
        scaled = self.scale[:, None] * self.reads
        through = np.linalg.solve(np.eye(len(scaled)) - scaled, self.scale[:, None] * self.sources)
        values = np.linalg.eigvals(self.carry + self.gates @ through)
        leading = values[np.argmax(np.abs(values))]
        return Solution(float(np.real(leading)), bool(abs(np.imag(leading)) < 1e-9), 0.0, 1)

    def matrix(self, rate: float) -> np.ndarray:
        r"""Return the response matrix at growth rate :math:`\lambda`."""
        resolvent = np.linalg.solve(rate * np.eye(len(self.carry)) - self.carry, self.gates)
        return self.scale[:, None] * (self.reads + self.sources @ resolvent)


@dataclass(frozen=True)
class _Coefficients:
    """Derivatives of a cell as affine functions of its memory, their coefficients fresh."""

    states: tuple[sp.Expr, ...]
    gates: tuple[tuple[sp.Expr, ...], ...]
    sources: tuple[tuple[sp.Expr, ...], ...]
    reads: tuple[tuple[tuple[sp.Expr, ...], ...], ...]


@cache
def _coefficients(cell: Cell) -> _Coefficients | None:
    memory, symbols = cell.memory, {cell.states[i] for i in cell.memory}
    others = set(cell.states) - symbols
    if not memory or any(source.free_symbols & others for source in cell.sources):
        return None
    states = tuple(cell.state_derivatives[i][j] for i in memory for j in memory)
    sources = tuple(tuple(row[j] for j in memory) for row in cell.source_state_derivatives)
    if any(entry.has(*symbols) for entry in (*states, *(e for row in sources for e in row))):
        return None
    gates = [[linear_in_memory(cell, cell.gate_derivatives[i][k]) for i in memory]
             for k in range(len(cell.gates))]  # fmt: skip
    reads = [[linear_in_memory(cell, e) for e in row] for row in cell.source_gate_derivatives]
    flat = [entry for row in (*gates, *reads) for entry in row]
    if any(entry is None for entry in flat):
        return None
    return _Coefficients(
        states,
        tuple(tuple(row) for row in gates),  # pyright: ignore[reportArgumentType]
        sources,
        tuple(tuple(row) for row in reads),  # pyright: ignore[reportArgumentType]
    )


def closed_responses(
    cell: Cell,
    parameters: Parameters,
    variances: tuple[float, ...],
    correlations: tuple[float, ...],
    input_correlation: float,
) -> ClosedResponses | None:
    """Return the responses in closed form; None where the cell does not allow it.

    Parameters
    ----------
    cell, parameters
        The cell and its hyperparameters.
    variances, correlations
        Of the preactivations, all of which are fresh.
    input_correlation
        Sigma_12.
    """
    found = _coefficients(cell)
    known = memory_moments(cell, parameters, variances)
    shared = pair_memory_covariance(cell, parameters, variances, correlations, input_correlation)
    if found is None or known is None or shared is None:
        return None
    second = second_moment(known.mean, shared)
    pairs = FreshPairs(cell, parameters, variances, correlations, input_correlation)
    m, K = len(cell.memory), len(cell.gates)
    carry = pairs.averages([(a, b) for a in found.states for b in found.states])
    sources = [pairs.averages([(a, b) for a in row for b in row]) for row in found.sources]
    gates = [_affine_products(pairs, row, second) for row in found.gates]
    reads = [[_affine_products(pairs, (entry,), second) for entry in row] for row in found.reads]
    parts = [carry, *sources, *gates, *(entry for row in reads for entry in row)]
    if any(part is None for part in parts):
        return None
    kron = np.asarray(carry).reshape(m, m, m, m).transpose(0, 2, 1, 3).reshape(m * m, m * m)
    stds = np.array([group.weight_std for _, group in parameters.groups])
    return ClosedResponses(
        np.array(reads, dtype=float).reshape(K, K),
        np.array(sources, dtype=float),
        kron,
        np.array(gates, dtype=float).T,
        stds**2,
    )


def _affine_products(
    pairs: FreshPairs, row: tuple[tuple[sp.Expr, ...], ...], second: np.ndarray
) -> np.ndarray | None:
    """Return E[f_i(1) f_j(2)] of affine functions of the memory, flattened."""
    products = []
    for left in row:
        for right in row:
            found = pairs.averages([(one, two) for one in left for two in right])
            if found is None:
                return None
            products.append(float(found @ second.ravel()))
    return np.array(products)
