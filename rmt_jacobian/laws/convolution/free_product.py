"""The free multiplicative convolution."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.laws.convolution.chart import MULTIPLICATIVE, Chart
from rmt_jacobian.laws.convolution.density import FreeConvolution
from rmt_jacobian.laws.convolution.subordination import System
from rmt_jacobian.laws.law import Law

__all__ = ["FreeProduct"]

_ATOM = 1e-13  # a smaller mass is the rounding of a sum of masses
_DECADES = 100.0  # the ratio of the ends of an interval that is seen in logarithms
_MARGIN = 1e-5  # angle to an edge inside which rounding decides; the error of the mass is its cube
_ANY_MARGIN = 1e-12
_LEAST = -690.0  # logarithm of a number that is not close to underflow
_MARGIN_AT_ZERO = 1e-4  # the same at 0, where the density goes on like a power of x
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
        known = (segment.x[inner] < 0) & np.all(points < 0, axis=0)  # others have underflown
        log_z, first = np.unique(np.log(-segment.x[inner][known]), return_index=True)
        return log_z, np.log(-points[:, known])[:, first]

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
        order, logarithms = self._order_at_zero
        return hard + ([0.0] if order > 1 + 1e-12 or logarithms > 1 else [])

    @cached_property
    def _order_at_zero(self) -> tuple[float, float]:
        r"""The order k of :math:`z \sim (1 + M(z) - \mu\{0\})^k` at 0, and of its logarithm.

        The logarithm comes from factors whose density at 0 is neither 0 nor infinite.
        """
        zero = max(_mass_at_zero(law) for law, _ in self.factors)
        order, logarithms = (0.0, 0.0) if zero > 0 else (1.0, 0.0)
        for law, times in self.factors:
            if _mass_at_zero(law) == zero:
                exponent = law.edge_exponent_at_zero
                order += times * (1 / (1 - (exponent or 0.0)) - (0 if zero > 0 else 1))
                logarithms += times if exponent == 0 and zero == 0 else 0.0
        return order, logarithms

    @property
    def edge_exponent_at_zero(self) -> float | None:
        r"""The exponent a of the hard edge :math:`\rho \sim x^{-a}` at 0; None without one.

        .. math:: \frac{1}{1 - a} - 1 = \sum_j t_j \Bigl(\frac{1}{1 - a_j} - 1\Bigr)

        With an atom at 0 only the factors with the largest one count, and the formula is
        :math:`1 / (1 - a) = \sum_j t_j / (1 - a_j)`.
        """
        order, logarithms = self._order_at_zero
        return 1 - 1 / order if order > 1 + 1e-12 or logarithms > 0 else None

    def _density(self, x: np.ndarray) -> np.ndarray:
        if self.edge_exponent_at_zero == 0 and 0.0 not in self._hard_edges():
            x = np.where(x == 0, math.exp(_LEAST) * self._intervals[0][1], x)  # finite there
        return super()._density(x)

    def _rounding_at(self, end: float) -> float:
        # Points are solved for by their logarithms, in which nothing is close to 0.
        return 1e-13 * end * (4 + abs(math.log(end))) if end > 0 else 0.0

    def var(self) -> float:
        """Return the variance, from those of the factors relative to the squares of the means."""
        relative = math.fsum(times * law.var() / law.mean() ** 2 for law, times in self.factors)
        mean = self.mean()
        return mean * mean * relative  # infinite where it is beyond the range of numbers

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

    def _power(self, k: int) -> float | None:
        """Return the power of the angle that flattens a hard edge at 0; None at other edges."""
        power = max(self._order_at_zero)
        return power if self._intervals[k][0] == 0 and power > 1 + 1e-12 else None

    def _in_logarithms(self, k: int) -> bool:
        """Return whether the angle is one of the logarithm of x: of an interval of many scales."""
        low, high = self._intervals[k]
        return low > 0 and high > _DECADES * low

    def _logarithm(self, k: int, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the logarithm of x and its slope, where the angle is one of it."""
        (low, high), power = self._intervals[k], self._power(k)
        angle = np.asarray(angle)
        with np.errstate(divide="ignore"):
            if power is not None:
                sine, cosine = np.sin(angle / 2), np.cos(angle / 2)
                half = np.where(sine < 0.7, np.log(sine), np.log1p(-(cosine**2)) / 2)
                return math.log(high) + 2 * power * half, power / np.tan(angle / 2)
            if self._in_logarithms(k):
                length = math.log(high) - math.log(low)
                from_low = math.log(low) + length * np.sin(angle / 2) ** 2
                from_high = math.log(high) - length * np.cos(angle / 2) ** 2
                nearer = np.where(angle < np.pi / 2, from_low, from_high)
                return nearer, length / 2 * np.sin(angle)
        return None

    def _point(self, k: int, angle: np.ndarray) -> np.ndarray:
        found = self._logarithm(k, angle)
        if found is None:
            return super()._point(k, angle)
        low, high = self._intervals[k]
        nearer = np.exp(found[0] - math.log(high)) * high  # exact at the upper edge
        return np.where(np.asarray(angle) > 0, np.clip(nearer, low, high), low)

    def _angle(self, k: int, x: np.ndarray) -> np.ndarray:
        (low, high), power = self._intervals[k], self._power(k)
        with np.errstate(divide="ignore"):
            below = -np.where(x < high / 2, np.log(x / high), np.log1p((x - high) / high))
            if power is not None:
                return 2 * np.arctan2(
                    np.exp(-below / power / 2), np.sqrt(-np.expm1(-below / power))
                )
            if self._in_logarithms(k):
                above = np.where(x > 2 * low, np.log(x / low), np.log1p((x - low) / low))
                return 2 * np.arctan2(np.sqrt(above), np.sqrt(below))
        return super()._angle(k, x)

    def _margins(self, k: int) -> tuple[float, float]:
        low, high = self._intervals[k]
        upper = self._rounding_at(high) / high
        if self._power(k) is not None:
            return self._margin_at_zero(k), max(_MARGIN, 2 * math.sqrt(upper))
        if self._in_logarithms(k):
            length = math.log(high) - math.log(low)
            lower = self._rounding_at(low) / low
            first, last = (max(_MARGIN, 2 * math.sqrt(end / length)) for end in (lower, upper))
            return first, last
        return super()._margins(k)

    def _margin_at_zero(self, k: int) -> float:
        """Return an angle below which the density goes on like a power of x.

        With a logarithm subordination points are as small as x, and must not underflow.
        """
        order, logarithms = self._order_at_zero
        if logarithms == 0:  # of the level next to an atom only the rounding is left
            return _MARGIN_AT_ZERO if self._atoms and self._atoms[0][0] == 0 else _ANY_MARGIN
        room = (_LEAST - math.log(self._intervals[k][1])) / (2 * max(order, logarithms))
        return max(_ANY_MARGIN, 2 * math.exp(room))

    def _solved_rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        rate = super()._solved_rate(k, angle)
        if self._power(k) is None:
            return rate
        return rate * np.minimum(1.0, angle / self._margin_at_zero(k))  # as x**(1/power) says

    def _rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        """Return the density by the angle, from the logarithm of the point where there is one."""
        found = self._logarithm(k, angle)
        if found is None:
            return super()._rate(k, angle)
        v = found[0] + 0j
        solved = self._system.solve(v)
        level = 1 / np.expm1(v - solved.energy)  # z G - 1, whose imaginary part is that of z G
        return np.where(solved.converged, -np.imag(level) / np.pi * found[1], np.nan)

    def _stretch(self, k: int, angle: np.ndarray) -> np.ndarray:
        found = self._logarithm(k, angle)
        return super()._stretch(k, angle) if found is None else np.exp(found[0]) * found[1]


def _mass_at_zero(law: Law) -> float:
    return sum(mass for location, mass in law.atoms() if location == 0)
