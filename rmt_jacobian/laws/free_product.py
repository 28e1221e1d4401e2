"""The free multiplicative convolution."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.laws.chart import MULTIPLICATIVE, Chart
from rmt_jacobian.laws.convolution import FreeConvolution
from rmt_jacobian.laws.law import Law
from rmt_jacobian.laws.subordination import System

__all__ = ["FreeProduct"]

_ATOM = 1e-13  # a smaller mass is the rounding of a sum of masses
_HEIGHT = 2.5  # argument at which the continuation to the positive axis starts


@dataclass(frozen=True)
class FreeProduct(FreeConvolution):
    r"""The law of a product of free positive variables, some of them taken many times.

    .. math:: S(u) = \prod_j S_j(u)^{t_j}

    Made by :func:`.boxtimes` and :func:`.boxtimes_power`.

    Attributes
    ----------
    factors
        Pairs (law, times), with laws on the half line other than the point mass at 0, and
        ``times >= 1``.

    References
    ----------
    S. Belinschi and H. Bercovici (2007), A new approach to subordination results in free
    probability; S. Belinschi (2003), The atoms of the free multiplicative convolution of two
    probability distributions; S. Belinschi and H. Bercovici (2005), Partially defined semigroups
    relative to multiplicative free convolution.

    Examples
    --------
    >>> from rmt_jacobian.laws import MarchenkoPastur, boxtimes
    >>> law = boxtimes(MarchenkoPastur(), MarchenkoPastur())  # Fuss-Catalan of order 2
    >>> [round(end, 12) for end in law.support()], [law.moment(k) for k in range(4)]
    ([0.0, 6.75], [1.0, 1.0, 3.0, 12.0])
    >>> law.edge_exponent_at_zero
    0.666666...
    """

    @property
    def _chart(self) -> Chart:
        return MULTIPLICATIVE

    @cached_property
    def _system(self) -> System:
        laws = tuple(law for law, _ in self.factors)
        return System(MULTIPLICATIVE, laws, self._times, _HEIGHT, self._negative_axis())

    def _negative_axis(self) -> tuple[np.ndarray, np.ndarray]:
        """Return logarithms of -z and of minus the subordination points, in order of the first."""
        segment = self._segments[0]
        inner = slice(1, -1)
        like = self._strands.levels[segment.strand, self._strands.levels.shape[1] // 2]
        levels = MULTIPLICATIVE.exponential(segment.logs[inner], np.array(like))
        points = self._strands.points(np.full(levels.shape, segment.strand), levels)
        log_z, first = np.unique(np.log(-segment.x[inner]), return_index=True)
        return log_z, np.log(-points)[:, first]

    def atoms(self) -> tuple[tuple[float, float], ...]:
        r"""Return the atoms, at products of atoms whose masses leave more than 0, and at 0.

        .. math:: \mu\{a\} = \sum_j t_j \mu_j\{a_j\} - \Bigl(\sum_j t_j - 1\Bigr), \quad a \ne 0;
            \qquad \mu\{0\} = \max_j \mu_j\{0\}
        """
        return self._atoms

    @cached_property
    def _atoms(self) -> tuple[tuple[float, float], ...]:
        zero = max(_mass_at_zero(law) for law, _ in self.factors)
        inner = [entry for entry in self._corners if entry[1] > _ATOM]
        return tuple(sorted(inner + ([(0.0, zero)] if zero > 0 else [])))

    @cached_property
    def _corners(self) -> list[tuple[float, float]]:
        """The products of positive atoms of the factors whose masses leave 0 or more."""
        partial = [(1.0, 1.0)]
        for law, times in self.factors:  # what a partial product has lost, no term brings back
            partial = [
                (at * location**times, mass + times * weight - times)
                for at, mass in partial
                for location, weight in law.atoms()
                if location > 0 and mass + times * weight - times >= -_ATOM
            ]
        return partial

    def _hard_edges(self) -> list[float]:
        hard = [at for at, mass in self._corners if mass <= _ATOM]
        return hard + ([] if self._decay_at_zero is None else [0.0])

    @cached_property
    def _decay_at_zero(self) -> float | None:
        r"""The power d of :math:`1 + M(z) - \mu\{0\} \sim z^d` at 0; None without a hard edge."""
        zero = max(_mass_at_zero(law) for law, _ in self.factors)
        inverse = 0.0 if zero > 0 else 1.0
        for law, times in self.factors:
            if _mass_at_zero(law) == zero:
                exponent = law.edge_exponent_at_zero or 0.0
                inverse += times * (1 / (1 - exponent) - (0 if zero > 0 else 1))
        return 1 / inverse if inverse > 1 + 1e-12 else None

    @property
    def edge_exponent_at_zero(self) -> float | None:
        r"""The exponent a of the hard edge :math:`\rho \sim x^{-a}` at 0; None without one.

        .. math:: \frac{1}{1 - a} - 1 = \sum_j t_j \Bigl(\frac{1}{1 - a_j} - 1\Bigr)

        With an atom at 0 only the factors with the largest one count, and the formula is
        :math:`1 / (1 - a) = \sum_j t_j / (1 - a_j)`.
        """
        return None if self._decay_at_zero is None else 1 - self._decay_at_zero

    def _rounding_at(self, end: float) -> float:
        # Points are solved for by their logarithms, in which nothing is close to 0.
        return 1e-13 * end * (4 + abs(math.log(end))) if end > 0 else 0.0

    def var(self) -> float:
        """Return the variance, from those of the factors relative to the squares of the means."""
        relative = math.fsum(times * law.var() / law.mean() ** 2 for law, times in self.factors)
        return self.mean() ** 2 * relative

    def s_transform(self, u: ArrayLike) -> np.ndarray:
        """Return the product of the S-transforms of the factors."""
        total = np.ones(np.shape(u), dtype=complex)
        for law, times in self.factors:
            total = total * np.asarray(law.s_transform(u)) ** times
        return total[()]

    def _moment(self, n: int) -> float:
        mean = math.prod(law.mean() ** times for law, times in self.factors)
        if n <= 1:
            return mean**n
        if n == 2:
            return self.var() + mean**2
        return mean**n * self._normalised_moments(n)[-1]

    def _normalised_moments(self, n: int) -> list[float]:
        """Return the first n moments of the law scaled to the mean 1, from S-series."""
        from rmt_jacobian.freeprob import (  # which loads sympy
            moments_from_s_series,
            multiply_series,
            power_of_series,
            s_coefficients,
        )

        product = [1.0] + [0.0] * (n - 1)
        for law, times in self.factors:
            unit = [law.moment(k) / law.mean() ** k for k in range(1, n + 1)]
            series = (1.0, *s_coefficients(unit))
            exponent = int(times) if times == int(times) else times
            product = list(multiply_series(product, power_of_series(series, exponent)))
        return [float(moment) for moment in moments_from_s_series(product)]

    def _stretched(self, k: int) -> float | None:
        """Return the power of the angle that flattens a hard edge at the lower end."""
        decay = self._decay_at_zero
        return None if decay is None or self._intervals[k][0] > 0 else 1 / decay

    def _point(self, k: int, angle: np.ndarray) -> np.ndarray:
        power = self._stretched(k)
        if power is None:
            return super()._point(k, angle)
        low = np.sin(np.asarray(angle) / 2) ** 2
        high = np.cos(np.asarray(angle) / 2) ** 2
        with np.errstate(divide="ignore"):
            logarithm = np.where(low < 0.5, np.log(low), np.log1p(-high))
        return self._intervals[k][1] * np.exp(power * logarithm)

    def _angle(self, k: int, x: np.ndarray) -> np.ndarray:
        power = self._stretched(k)
        if power is None:
            return super()._angle(k, x)
        high = self._intervals[k][1]
        with np.errstate(divide="ignore"):
            logarithm = np.where(x < high / 2, np.log(x / high), np.log1p((x - high) / high))
        return 2 * np.arctan2(np.exp(logarithm / power / 2), np.sqrt(-np.expm1(logarithm / power)))

    def _solved_rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        """Return the density by the angle; at a hard edge from the logarithm of the point."""
        power = self._stretched(k)
        if power is None:
            return super()._solved_rate(k, angle)
        high = self._intervals[k][1]
        last = 2 * math.sqrt(self._rounding_at(high) / high)
        angle = np.minimum(angle, np.pi - last)
        v = math.log(high) + 2 * power * np.log(np.sin(angle / 2)) + 0j
        solved = self._system.solve(v)
        if not np.all(solved.converged):
            raise ConvergenceError(
                "the density was not found everywhere on the support, so there is no cdf; see "
                "solve for the points"
            )
        level = 1 / np.expm1(v - solved.energy)  # z G - 1, whose imaginary part is that of z G
        return -np.imag(level) / np.pi * power / np.tan(angle / 2)

    def _stretch(self, k: int, angle: np.ndarray) -> np.ndarray:
        power = self._stretched(k)
        if power is None:
            return super()._stretch(k, angle)
        return self._point(k, angle) * power / np.tan(angle / 2)


def _mass_at_zero(law: Law) -> float:
    return sum(mass for location, mass in law.atoms() if location == 0)
