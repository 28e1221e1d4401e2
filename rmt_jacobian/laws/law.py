"""The interface of a probability law on the line, after the frozen distributions of scipy.stats.

A law states where it lives and what its density and its Cauchy transform are.  Everything else
has a generic implementation here, which a law overrides where it knows a closed form.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.arrays import generator
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws.manners import Manners
from rmt_jacobian.laws.monotone import invert_increasing
from rmt_jacobian.laws.near_zero import r_transform_near_zero, s_transform_near_zero
from rmt_jacobian.laws.self_energy import self_energy_by_differences
from rmt_jacobian.laws.solution import LawSolution
from rmt_jacobian.laws.spectral import antiderivative, integral

__all__ = ["Law"]

_GRID = 129  # of the first guess of a quantile


class _Piece(NamedTuple):
    """An atom (no interval) or a stretch of a continuous interval, between two angles."""

    position: float
    mass: float
    interval: int | None = None
    low: float = 0.0
    high: float = 0.0


class Law(Manners):
    r"""A probability law on the line: intervals with a density, and atoms.

    Methods of one argument take scalars or arrays and return the same shape; nan stays nan.
    Transforms follow the conventions of the package: :math:`G(z) = \int \mu(dx) / (z - x)`,
    :math:`R(w) = G^{-1}(w) - 1/w` and :math:`S(u) = \frac{1+u}{u} \chi(u)`, always complex.

    A law defines :meth:`support_intervals`, ``_density`` and ``_cauchy_above``.  On each interval
    the generic code uses the angle :math:`\theta` of
    :math:`x = \text{mid} - \text{half} \cos\theta`, in which square-root edges are smooth.
    """

    @abstractmethod
    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the intervals of the continuous part, in increasing order."""

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Return the pairs (location, mass) of the atoms, in increasing order."""
        return ()

    @abstractmethod
    def _density(self, x: np.ndarray) -> np.ndarray:
        """Return the density at points of the closed intervals."""

    @abstractmethod
    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        """Return G on the closed upper half plane, where the imaginary part is never -0."""

    @property
    def edge_exponent_at_zero(self) -> float | None:
        r"""The exponent a of a hard edge :math:`\rho \sim x^{-a}` at 0; None without one."""
        return None

    def support(self) -> tuple[float, float]:
        """Return the least and the greatest point of the support."""
        points = [point for interval in self.support_intervals() for point in interval]
        points += [location for location, _ in self.atoms()]
        return min(points), max(points)

    def pdf(self, x: ArrayLike) -> np.ndarray:
        """Return the density of the continuous part; infinite at a hard edge, 0 off the support."""
        x = np.asarray(x, dtype=float)
        density = np.where(np.isnan(x), np.nan, 0.0)
        for low, high in self.support_intervals():
            inside = (x >= low) & (x <= high)
            with np.errstate(divide="ignore"):
                density[inside] = self._density(x[inside])
        return density[()]

    def cdf(self, x: ArrayLike) -> np.ndarray:
        """Return the mass of the points up to and including x."""
        x = np.asarray(x, dtype=float)
        total = np.zeros(x.shape)
        for k, (low, high) in enumerate(self.support_intervals()):
            total += self._mass_below(k, self._angle(k, np.clip(x, low, high)))
        for location, mass in self.atoms():
            total += mass * (x >= location)
        total = np.where(x < self.support()[0], 0.0, np.clip(total, 0.0, 1.0))
        return np.where(x >= self.support()[1], 1.0, total)[()]

    def ppf(self, p: ArrayLike) -> np.ndarray:
        """Return the least x whose cdf is at least p; nan for p outside [0, 1]."""
        p = np.asarray(p, dtype=float)
        x = np.full(p.shape, np.nan)
        below = 0.0
        for piece in self._pieces:
            inside = (p > below) & (p <= below + piece.mass)
            x[inside] = self._quantile(piece, p[inside] - below)
            below += piece.mass
        x[p == 0] = self.support()[0]
        x[(p <= 1) & (p >= min(below, 1.0))] = self.support()[1]
        return x[()]

    def rvs(
        self,
        size: int | tuple[int, ...] | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> np.ndarray:
        """Draw independent values, the quantiles of uniform variables."""
        rng = np.random.default_rng() if random_state is None else generator(random_state)
        return self.ppf(rng.random(size))

    def solve(self, x: ArrayLike) -> LawSolution:
        """Return the law at real points, with residuals and certificates.

        A closed form is certified wherever it is a number, with residual 0.
        """
        x = np.asarray(x, dtype=float)
        g, density = self.cauchy(x), self.pdf(x)
        return LawSolution(x, g, density, np.zeros(x.shape), ~np.isnan(density))

    def moment(self, n: int) -> float:
        """Return the mean of the n-th power.

        Raises
        ------
        ParameterError
            If n is not an integer, or is negative; or if the moment is beyond the range of numbers.
        """
        order = _count(n)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                moment = self._moment(order)
        except OverflowError:
            moment = math.inf
        if not math.isfinite(moment):
            raise ParameterError(
                f"the moment of order {order} is beyond the range of numbers: take a lower order, "
                "or a law in other units"
            )
        return moment

    def mean(self) -> float:
        """Return the mean."""
        return self._moment(1)

    def var(self) -> float:
        """Return the variance."""
        return self._moment(2) - self._moment(1) ** 2

    def std(self) -> float:
        """Return the standard deviation."""
        return math.sqrt(self.var())

    def free_cumulants(self, n: int) -> np.ndarray:
        """Return the first n free cumulants, the coefficients of the R-transform.

        Raises
        ------
        ParameterError
            If n is not an integer, or is negative.
        """
        return self._free_cumulants(_count(n))

    def cauchy(self, z: ArrayLike) -> np.ndarray:
        """Return the Cauchy transform; on the support its limit from above, infinite at a pole."""
        z = np.asarray(z, dtype=complex)
        above = np.where(np.signbit(np.imag(z)), np.conj(z), z)
        with np.errstate(all="ignore"):
            values = np.asarray(self._cauchy_above(above))
        values = np.where(np.imag(z) < 0, np.conj(values), values)
        values = np.where(np.isinf(z), 0.0, values)
        singular = (np.imag(z) == 0) & ~np.isfinite(values)
        if np.any(singular):
            poles = [point for interval in self.support_intervals() for point in interval]
            poles += [location for location, _ in self.atoms()]
            values[singular & np.isin(np.real(z), poles)] = complex(math.inf, 0.0)
        return values[()]

    def r_transform(self, w: ArrayLike) -> np.ndarray:
        """Return the R-transform, by default :func:`.r_transform_near_zero`."""
        return r_transform_near_zero(self, np.asarray(w, dtype=complex))[()]

    def s_transform(self, u: ArrayLike) -> np.ndarray:
        """Return the S-transform, by default :func:`.s_transform_near_zero`.

        Raises
        ------
        UndefinedTransformError
            If the mean is zero.
        """
        return s_transform_near_zero(self, np.asarray(u, dtype=complex))[()]

    def boxplus(self, other: "Law") -> "Law":
        """Return the law of the sum with a free variable: :func:`.boxplus`."""
        from rmt_jacobian.laws.convolution.operations import boxplus  # which knows the laws

        return boxplus(self, other)

    def boxtimes(self, other: "Law") -> "Law":
        """Return the law of the product with a free variable: :func:`.boxtimes`."""
        from rmt_jacobian.laws.convolution.operations import boxtimes

        return boxtimes(self, other)

    def boxplus_power(self, times: float) -> "Law":
        """Return the free convolution of some copies: :func:`.boxplus_power`."""
        from rmt_jacobian.laws.convolution.operations import boxplus_power

        return boxplus_power(self, times)

    def boxtimes_power(self, times: float) -> "Law":
        """Return the free product of some copies: :func:`.boxtimes_power`."""
        from rmt_jacobian.laws.convolution.operations import boxtimes_power

        return boxtimes_power(self, times)

    def _self_energy(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return z - 1/G(z) and its derivative, on the closed upper half plane off the support."""
        return self_energy_by_differences(self, z)

    def _free_cumulants(self, n: int) -> np.ndarray:
        from rmt_jacobian.freeprob import free_cumulants_from_moments  # which loads sympy

        moments = [self._moment(k) for k in range(1, n + 1)]
        return np.array([float(cumulant) for cumulant in free_cumulants_from_moments(moments)])

    def _moment(self, n: int) -> float:
        total = sum(mass * location**n for location, mass in self.atoms())
        for k in range(len(self.support_intervals())):
            total += antiderivative(lambda t, k=k: self._mass_rate(k, t) * self._point(k, t) ** n)(
                np.pi
            )
        return float(total)

    def _continuous_part(
        self, function: Callable[[np.ndarray], np.ndarray], low: float, high: float
    ) -> float:
        total = 0.0
        for k, ends in enumerate(self.support_intervals()):
            start, end = self._angle(k, np.clip([low, high], *ends))
            total += integral(
                lambda t, k=k: self._mass_rate(k, t) * function(self._point(k, t)), start, end
            )
        return total

    def _point(self, k: int, angle: np.ndarray) -> np.ndarray:
        low, high = self.support_intervals()[k]
        from_low = low + (high - low) * np.sin(angle / 2) ** 2
        from_high = high - (high - low) * np.cos(angle / 2) ** 2
        return np.where(angle < np.pi / 2, from_low, from_high)

    def _angle(self, k: int, x: np.ndarray) -> np.ndarray:
        low, high = self.support_intervals()[k]
        return 2 * np.arctan2(np.sqrt(x - low), np.sqrt(high - x))

    def _mass_rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        """Return the derivative of ``_mass_below``."""
        low, high = self.support_intervals()[k]
        return self._density(self._point(k, angle)) * (high - low) / 2 * np.sin(angle)

    def _mass_below(self, k: int, angle: np.ndarray) -> np.ndarray:
        """Return the mass of the k-th interval below an angle, atoms excluded."""
        return self._antiderivatives[k](angle)

    @cached_property
    def _antiderivatives(self) -> tuple[Callable[[np.ndarray], np.ndarray], ...]:
        count = len(self.support_intervals())
        return tuple(antiderivative(lambda t, k=k: self._mass_rate(k, t)) for k in range(count))

    @cached_property
    def _pieces(self) -> tuple[_Piece, ...]:
        pieces = [_Piece(location, mass) for location, mass in self.atoms()]
        for k, (low, high) in enumerate(self.support_intervals()):
            cuts = [low, *(at for at, _ in self.atoms() if low < at < high), high]
            angles = self._angle(k, np.array(cuts))
            masses = np.diff(self._mass_below(k, angles))
            for at, mass, start, end in zip(
                cuts[:-1], masses, angles[:-1], angles[1:], strict=True
            ):
                pieces.append(_Piece(at, float(mass), k, float(start), float(end)))
        return tuple(sorted(pieces, key=lambda piece: (piece.position, piece.interval is not None)))

    def _quantile(self, piece: _Piece, mass: np.ndarray) -> Any:
        if piece.interval is None:
            return piece.position
        k = piece.interval
        grid = np.linspace(piece.low, piece.high, _GRID)
        below = self._mass_below(k, grid)
        target = mass + below[0]
        angle = invert_increasing(
            lambda t: (self._mass_below(k, t), self._mass_rate(k, t)),
            target,
            piece.low,
            piece.high,
            np.interp(target, below, grid),
        )
        return self._point(k, angle)


def _count(n: int) -> int:
    if not math.isfinite(n) or n != int(n) or n < 0:
        raise ParameterError(f"the order of a moment must be an integer >= 0, not {n}")
    return int(n)
