"""The free additive convolution."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.laws.convolution.chart import ADDITIVE, Chart
from rmt_jacobian.laws.convolution.density import FreeConvolution
from rmt_jacobian.laws.convolution.gaps import solve_in_gaps
from rmt_jacobian.laws.convolution.subordination import System

__all__ = ["FreeSum"]

_ATOM = 1e-13  # a smaller mass is the rounding of a sum of masses


@dataclass(frozen=True)
class FreeSum(FreeConvolution):
    r"""The law of a sum of free variables, some of them taken many times.

    .. math:: R(w) = \sum_j t_j \, R_j(w)

    Made by :func:`.boxplus` and :func:`.boxplus_power`.  For a number t of copies that is not a
    whole number, :math:`t \ge 1`, this is the convolution power, the law of t times a corner of
    size 1/t of the matrix.

    Attributes
    ----------
    factors
        Pairs (law, times), with ``times >= 1``.

    References
    ----------
    S. Belinschi and H. Bercovici (2007), A new approach to subordination results in free
    probability; H. Bercovici and D. Voiculescu (1998), Regularity questions for free convolution
    (the atoms); A. Nica and R. Speicher (1996), On the multiplication of free N-tuples of
    noncommutative random variables (the powers).

    Examples
    --------
    >>> from rmt_jacobian.laws import Semicircle, boxplus
    >>> law = boxplus(Semicircle(1.5), Semicircle(2.0))
    >>> [round(end, 12) for end in law.support()]
    [-2.5, 2.5]
    """

    @property
    def _chart(self) -> Chart:
        return ADDITIVE

    @cached_property
    def _system(self) -> System:
        laws = tuple(law for law, _ in self.factors)
        low, high = self.support()
        return System(ADDITIVE, laws, self._times, 2 * (high - low))

    def atoms(self) -> tuple[tuple[float, float], ...]:
        r"""Return the atoms, at the sums of atoms whose masses leave more than 0.

        .. math:: \mu\{a\} = \sum_j t_j \mu_j\{a_j\} - \Bigl(\sum_j t_j - 1\Bigr)
        """
        return self._atoms

    @cached_property
    def _atoms(self) -> tuple[tuple[float, float], ...]:
        return tuple(sorted(entry for entry in self._corners if entry[1] > _ATOM))

    @cached_property
    def _corners(self) -> list[tuple[float, float]]:
        """The sums of atoms of the factors whose masses leave 0 or more."""
        partial = [(0.0, 1.0)]
        for law, times in self.factors:  # what a partial sum has lost, no term brings back
            partial = [
                (at + times * location, mass + times * weight - times)
                for at, mass in partial
                for location, weight in law.atoms()
                if mass + times * weight - times >= -_ATOM
            ]
        return partial

    def _hard_edges(self) -> list[float]:
        return [at for at, mass in self._corners if mass <= _ATOM]

    def _rounding_at(self, end: float) -> float:
        return self._roundings.get(end) or 4e-13 * max(abs(point) for point in self.support())

    @cached_property
    def _roundings(self) -> dict[float, float]:
        """The rounding of every end of an interval, from the terms that add up to it there."""
        ends = np.array([end for pair in self._intervals for end in pair])
        sizes = self._strands.sizes(solve_in_gaps(self._strands, self._segments, ends))
        known = np.isfinite(sizes)
        return dict(zip(ends[known].tolist(), (4e-13 * sizes[known]).tolist(), strict=True))

    def var(self) -> float:
        """Return the sum of the variances."""
        return math.fsum(times * law.var() for law, times in self.factors)

    def _free_cumulants(self, n: int) -> np.ndarray:
        """Return the sums of the free cumulants of the factors."""
        rows = [times * np.asarray(law.free_cumulants(n)) for law, times in self.factors]
        return np.sum(rows, axis=0)

    def r_transform(self, w: ArrayLike) -> np.ndarray:
        """Return the sum of the R-transforms of the factors."""
        total = sum(times * np.asarray(law.r_transform(w)) for law, times in self.factors)
        return np.asarray(total)[()]

    def _moment(self, n: int) -> float:
        if n == 0:
            return 1.0
        mean = math.fsum(times * law.mean() for law, times in self.factors)
        if n <= 2:
            return mean if n == 1 else self.var() + mean**2
        from rmt_jacobian.freeprob import moments_from_free_cumulants  # which loads sympy

        return float(moments_from_free_cumulants(self.free_cumulants(n).tolist())[-1])
