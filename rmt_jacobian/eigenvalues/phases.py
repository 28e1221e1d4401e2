r"""Where eigenvalues are absent: the phases of an irreducible block and their stability.

Outside the support the block is ruled by one of its monomials, :math:`b_R a_C |q_{RC}|^2`.  With
the first one, C empty, W is small there: :math:`a = b = 0`.  With others the W of C are so large
that they are better inverted: these are the holes inside a support, as that of a single ring.  A
phase is stable, and the point outside the support, where the spectral radius :math:`\rho` of the
linearised equations is below 1: for C empty of

.. math:: N_{jj'} = \sum_{k \to j} \sigma_k^2 \, \langle |H_{j'k}(\lambda)|^2 \rangle ,

the sum running over the W that multiply source j; others exchange the :math:`e_C` and the
:math:`y_R`, and have :math:`\sigma^{-2} \langle |H|^{-2} \rangle` in the plainest case.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.eigenvalues.sites import Block, TermValues

__all__ = ["Phase", "phases"]

_INFINITE = 1e100  # stands for averages that diverge
_LARGEST = 1e60
_SMALLEST = 1e-250  # and for squares that vanish


@dataclass(frozen=True, eq=False)
class Phase:
    r"""A monomial that may rule the block, and its neighbours in the linearised equations.

    Attributes
    ----------
    ruling
        Its index; 0 for the phase in which W is small.
    neighbours
        Indices of the monomials that differ from it by one row and one column.
    rows
        For each neighbour, the source whose small quantity it multiplies.
    gains
        Shape (sources, neighbours): how it acts back on the small quantities of all sources.
    inverted
        The groups whose W are inverted, by source.
    ends
        :math:`1 / S(-1)` of the inverted group of each source, 1 where there is none.
    """

    ruling: int
    neighbours: tuple[int, ...]
    rows: tuple[int, ...]
    gains: np.ndarray
    inverted: Mapping[int, int]
    ends: np.ndarray

    def log_radius(self, values: TermValues, weights: Any) -> np.ndarray:
        r"""Return :math:`\log \rho` at the points of the terms."""
        with np.errstate(divide="ignore"):
            return np.log(_spectral_radius(self.linearised(values, weights)))

    def linearised(self, values: TermValues, weights: Any) -> np.ndarray:
        """Return the matrices of the linearised equations, shape (points, sources, sources)."""
        share = self._share(values, weights)
        size = self.gains.shape[0]
        matrices = np.zeros((share.shape[0], size, size))
        for n, (m, row) in enumerate(zip(self.neighbours, self.rows, strict=True)):
            average = np.minimum(values.sum(m, share), _INFINITE)
            matrices[:, :, row] += average[:, None] * self.gains[:, n]
        return matrices

    def start(self, block: Block, values: TermValues, weights: Any) -> np.ndarray:
        r"""Return a first guess of the logarithms of (a, b) inside the support.

        On the edge of the phase it is exact: the small quantities are :math:`b_j` and :math:`1 /
        a_t` on one side, :math:`a_k` and :math:`1 / b_{j(t)}` on the other, t being inverted, and
        they are the two eigenvectors of the linearised equations.  Their product grows like
        :math:`1 - 1 / \rho`, which is exact for equal sites and Gaussian W.
        """
        matrices = np.minimum(self.linearised(values, weights), _LARGEST)
        matrices = matrices + 1e-12 * matrices.max(axis=(1, 2), keepdims=True)
        right, left = _perron(matrices), _perron(np.swapaxes(matrices, 1, 2))
        radius = np.einsum("pij,pj->p", matrices, right)
        level = np.log(np.maximum(1 - 1 / radius, 1e-14) / (right * left).sum(axis=1))[:, None] / 2
        rows, columns = np.log(right) + level, np.log(left / self.ends) + level
        groups = len(block.groups)
        logs = np.empty((len(radius), groups + block.sources))
        for g, group in enumerate(block.groups):
            j = group.source
            logs[:, g] = columns[:, j] + np.log(group.ensemble.variance)
            if self.inverted.get(j) == g:
                logs[:, g] = -rows[:, j]
        for j in range(block.sources):
            logs[:, groups + j] = -columns[:, j] if j in self.inverted else rows[:, j]
        return logs

    def effective_sites(self, values: TermValues, weights: Any) -> np.ndarray:
        """Return the number of equal sites whose averages would be as uneven, shape (points,)."""
        share = to_numpy(self._share(values, weights))
        each = np.zeros(share.shape)
        for n, m in enumerate(self.neighbours):
            each += self.gains[:, n].max() * to_numpy(values.term(m)) * share
        each /= np.maximum(each.max(axis=1, keepdims=True), _SMALLEST)
        return each.sum(axis=1) ** 2 / (each**2).sum(axis=1)

    def _share(self, values: TermValues, weights: Any) -> Any:
        xp = array_namespace(weights)
        ruling = values.term(self.ruling)
        # Where the ruling square vanishes the phase is infinitely unstable.
        return weights / xp.maximum(ruling, xp.full_like(ruling, _SMALLEST))


def _perron(matrices: np.ndarray) -> np.ndarray:
    """Return the positive right eigenvectors, of sum 1, by repeated squaring."""
    power = matrices / matrices.sum(axis=(1, 2), keepdims=True)
    for _ in range(40):
        power = power @ power
        power /= power.sum(axis=(1, 2), keepdims=True)
    vector = power.sum(axis=2)
    return np.maximum(vector / vector.sum(axis=1, keepdims=True), 1e-200)


def _spectral_radius(matrices: np.ndarray) -> np.ndarray:
    if matrices.shape[-1] == 1:
        return matrices[:, 0, 0]
    if matrices.shape[-1] == 2:
        a, b, c, d = (matrices[:, i, j] for i in range(2) for j in range(2))
        return (a + d) / 2 + np.sqrt(((a - d) / 2) ** 2 + b * c)
    return np.abs(np.linalg.eigvals(matrices)).max(axis=-1)


def phases(block: Block) -> tuple[Phase, ...]:
    """Return the phase in which W is small, and those in which some W can be inverted."""
    ends = [group.inverse_variance for group in block.groups]
    invertible = [g for g, end in enumerate(ends) if end > 0]
    found = []
    for order in range(block.sources + 1):
        for chosen in combinations(invertible, order):
            sources = {block.groups[g].source for g in chosen}
            if len(sources) == order:
                phase = _phase(block, chosen, ends)
                if phase is not None:
                    found.append(phase)
    return tuple(found)


def _phase(block: Block, chosen: tuple[int, ...], ends: list[float]) -> Phase | None:
    count = len(block.groups)
    exponent = np.zeros(block.exponents.shape[1], dtype=int)
    exponent[list(chosen)] = 1
    exponent[[count + block.groups[g].source for g in chosen]] = 1
    (places,) = np.nonzero((block.exponents == exponent).all(axis=1))
    if not places.size or not _nowhere_zero(block, int(places[0])):
        return None
    inverted = {block.groups[g].source: g for g in chosen}
    neighbours, rows, gains = [], [], []
    for m, other in enumerate(block.exponents):
        if np.abs(other - exponent).sum() != 2:
            continue
        row = column = None
        gain = np.zeros(block.sources)
        for place in np.flatnonzero(other - exponent).tolist():
            sign = other[place] - exponent[place]
            if place >= count and sign > 0:  # b_j, of a source that is not inverted
                row = place - count
            elif place < count and sign < 0:  # 1 / a_t
                row = block.groups[place].source
            elif place >= count:  # 1 / b_j
                column = place - count
                gain[column] = 1 / ends[inverted[column]]
            else:  # a_g
                column = block.groups[place].source
                gain[column] = float(block.groups[place].ensemble.variance)
                if column in inverted:
                    gain[column] /= ends[inverted[column]]
        if row is not None and column is not None:
            neighbours.append(m)
            rows.append(int(row))
            gains.append(gain)
    if not neighbours:
        return None
    factors = np.array([ends[inverted[j]] if j in inverted else 1.0 for j in range(block.sources)])
    return Phase(
        int(places[0]), tuple(neighbours), tuple(rows), np.array(gains).T, inverted, factors
    )


def _nowhere_zero(block: Block, m: int) -> bool:
    """Return whether every site has a coefficient of monomial m that is not 0."""
    there = False
    for square in block.monomials[m]:
        for coefficient in square.coefficients:
            there = there | (coefficient != 0)
    return bool(array_namespace(there).all(there))
