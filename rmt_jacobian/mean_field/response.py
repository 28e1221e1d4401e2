r"""How a small change of a network grows: linear response of the covariances, site by site.

A change :math:`\delta e_l` at a site reaches the source :math:`y_k` of that site n steps later
along its memory.  With fresh weights the changes of different preactivations are independent
Gaussian variables of variance :math:`v_k = \sigma_k^2 E[(\delta y_k)^2]`, so that

.. math::
    v_k(t) = \sum_{n \ge 0} \sum_l R_n^{kl} \, v_l(t - n), \qquad
    R_n^{kl} = \sigma_k^2 \, E\Bigl[\Bigl(
    \frac{\partial y_k(t)}{\partial e_l(t - n)}\Bigr)^2\Bigr],

and the growth rate a step is the largest :math:`\lambda` at which
:math:`\sum_n R_n \lambda^{-n}` has the eigenvalue 1.  For two networks the square becomes the
product of the derivatives in both, and :math:`\lambda` is the slope :math:`\chi` of the correlation
map.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.cells import Cell, StepDerivatives
from rmt_jacobian.mean_field.sites import Sites
from rmt_jacobian.solvers import Solution, bracketed_root

__all__ = ["ResponseSeries", "Responses", "response_series"]

_NEGLIGIBLE = 1e-14


class Responses(ABC):
    """The responses of a site to changes of its preactivations, summed over delays."""

    @property
    @abstractmethod
    def kept(self) -> float:
        """What the memory keeps of a squared change a step, without any W."""

    @abstractmethod
    def matrix(self, rate: float) -> np.ndarray:
        r"""Return :math:`\sum_n R_n \lambda^{-n}`, shape (preactivations, preactivations)."""

    def excess(self, rate: float) -> float:
        """Return the largest real eigenvalue of the matrix, less 1."""
        values = np.linalg.eigvals(self.matrix(rate))
        real = np.real(values[np.abs(np.imag(values)) <= 1e-9 * (1e-300 + np.abs(values))])
        return float(np.max(real, initial=-math.inf)) - 1

    def growth_rate(self) -> Solution[float]:
        """Return the growth rate of the squared length of a change, a step."""
        low = max(self.kept * (1 + 1e-9), 1e-12)
        if self.excess(low) <= 0:
            return Solution(self.kept, True, 0.0, 1)  # nothing but the memory carries it on
        high = max(2 * low, 1.0)
        while self.excess(high) > 0 and high < 1e60:
            high *= 2
        return bracketed_root(self.excess, low, high, remedy="lower weight_std")


@dataclass(frozen=True, eq=False)
class ResponseSeries(Responses):
    r"""The responses :math:`R_0, \ldots, R_{n-1}`, shape (n, preactivations, preactivations)."""

    terms: np.ndarray

    @property
    def kept(self) -> float:
        """The mean ratio of successive terms over the last quarter of the series."""
        sizes = np.abs(self.terms).sum(axis=(1, 2))
        known = np.flatnonzero(sizes > _NEGLIGIBLE * np.max(sizes, initial=0.0))
        if not len(known) or known[-1] < 2:
            return 0.0
        last = int(known[-1])
        before = min(last - 1, 3 * last // 4)
        return float((sizes[last] / sizes[before]) ** (1 / (last - before)))

    def matrix(self, rate: float) -> np.ndarray:
        r"""Return :math:`\sum_n R_n \lambda^{-n}`, the tail continued as a geometric series."""
        with np.errstate(over="ignore", under="ignore"):
            powers = rate ** -np.arange(len(self.terms), dtype=float)
            total = np.einsum("n,nkl->kl", powers, self.terms)
            ratio = self.kept / rate
            if 0 < ratio < 1:
                total = total + self.terms[-1] * powers[-1] * ratio / (1 - ratio)
        return total


def response_series(
    history: list[Sites], other: list[Sites] | None = None, *, settle_at: float = _NEGLIGIBLE
) -> ResponseSeries:
    r"""Measure the responses along a history of sites, or along two of them.

    Parameters
    ----------
    history
        Successive steps of the same sites.
    other
        Those of a second network; by default the same.
    settle_at
        The series ends where its terms have fallen to this share of the largest.
    """
    other = other or history
    cell = history[0].cell
    stds = np.array([group.weight_std for _, group in history[0].parameters.groups])
    scale = (stds**2)[:, None]
    first = [_tables(cell, sites) for sites in (history[0], other[0])]
    weights = history[0].weights
    terms = [scale * np.einsum("kln,kln,n->kl", first[0].reads, first[1].reads, weights)]
    changes = [tables.gates for tables in first]
    for one, two in zip(history[1:], other[1:], strict=True):
        tables = [_tables(cell, sites) for sites in (one, two)] if two is not one else None
        pair = tables or [_tables(cell, one)] * 2
        seen = [np.einsum("kin,iln->kln", t.sources, x) for t, x in zip(pair, changes, strict=True)]
        terms.append(scale * np.einsum("kln,kln,n->kl", *seen, weights))
        size = np.abs(terms[-1]).max()
        if size <= settle_at * max(np.abs(term).max() for term in terms):
            break
        changes = [
            np.einsum("ijn,jln->iln", t.states, x) for t, x in zip(pair, changes, strict=True)
        ]
    return ResponseSeries(np.array(terms))


@dataclass(frozen=True, eq=False)
class _Tables:
    """The diagonals of a Jacobian as dense arrays, sites last."""

    states: np.ndarray  # A, (d, d, sites)
    gates: np.ndarray  # B, (d, K, sites)
    sources: np.ndarray  # Ys, (K, d, sites)
    reads: np.ndarray  # Ye, (K, K, sites)


def _tables(cell: Cell, sites: Sites) -> _Tables:
    d, K = len(cell.states), len(cell.gates)
    derivatives: StepDerivatives = sites.derivatives

    def dense(table, rows: int, columns: int) -> np.ndarray:
        found = np.zeros((rows, columns, sites.count))
        for (i, j), values in table.items():
            found[i, j] = values
        return found

    return _Tables(
        dense(derivatives.state, d, d),
        dense(derivatives.gate, d, K),
        dense(derivatives.source_state, K, d),
        dense(derivatives.source_gate, K, K),
    )
