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

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.pencils.eigenvalue_sites import Block, TermValues
from rmt_jacobian.pencils.ensembles import BiInvariant, GaussianWeights

__all__ = ["Phase", "inverse_variance", "phases"]

_NEAR_FULL = 1e-7  # distance from u = -1 at which the end of an S-transform is read off
_INFINITE = 1e100  # stands for averages that diverge
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
    """

    ruling: int
    neighbours: tuple[int, ...]
    rows: tuple[int, ...]
    gains: np.ndarray

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

    def effective_sites(self, values: TermValues, weights: Any) -> np.ndarray:
        """Return the number of equal sites whose averages would be as uneven, shape (points,)."""
        share = to_numpy(self._share(values, weights))
        each = sum(
            self.gains[:, n].max() * to_numpy(values.term(m)) * share
            for n, m in enumerate(self.neighbours)
        )
        each = each / each.max(axis=1, keepdims=True)
        return each.sum(axis=1) ** 2 / (each**2).sum(axis=1)

    def _share(self, values: TermValues, weights: Any) -> Any:
        xp = array_namespace(weights)
        ruling = values.term(self.ruling)
        # Where the ruling square vanishes the phase is infinitely unstable.
        return weights / xp.maximum(ruling, xp.full_like(ruling, _SMALLEST))


def _spectral_radius(matrices: np.ndarray) -> np.ndarray:
    if matrices.shape[-1] == 1:
        return matrices[:, 0, 0]
    if matrices.shape[-1] == 2:
        a, b, c, d = (matrices[:, i, j] for i in range(2) for j in range(2))
        return (a + d) / 2 + np.sqrt(((a - d) / 2) ** 2 + b * c)
    return np.abs(np.linalg.eigvals(matrices)).max(axis=-1)


def inverse_variance(ensemble: BiInvariant) -> float:
    r"""Return :math:`1 / S(-1)`, one over the mean of :math:`(W W^T)^{-1}`; 0 where that diverges.

    Examples
    --------
    >>> from rmt_jacobian.pencils import OrthogonalWeights
    >>> round(inverse_variance(OrthogonalWeights(2.0)), 6)
    4.0
    """
    if isinstance(ensemble, GaussianWeights):
        return 0.0
    near, nearer = (
        distance * complex(ensemble.gain(np.array([distance - 1 + 0j]))[0]).real
        for distance in (100 * _NEAR_FULL, _NEAR_FULL)
    )
    converges = abs(near - nearer) <= 0.1 * nearer and nearer > 0
    return nearer if converges else 0.0


def phases(block: Block) -> tuple[Phase, ...]:
    """Return the phase in which W is small, and those in which some W can be inverted."""
    ends = [inverse_variance(group.ensemble) for group in block.groups]
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
        for place in np.flatnonzero(other - exponent):
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
    return Phase(int(places[0]), tuple(neighbours), tuple(rows), np.array(gains).T)


def _nowhere_zero(block: Block, m: int) -> bool:
    """Return whether every site has a coefficient of monomial m that is not 0."""
    there = False
    for square in block.monomials[m]:
        for coefficient in square.coefficients:
            there = there | (coefficient != 0)
    return bool(array_namespace(there).all(there))
