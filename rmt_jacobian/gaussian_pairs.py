r"""Averages of products of functions of two correlated Gaussian variables.

Both functions are expanded in the Hermite polynomials that are orthonormal under the law of one
variable; Mehler's formula then says that with :math:`f_n = E[f h_n]`

.. math:: E[f(e_1) g(e_2)] = \sum_n c^n f_n g_n .

The coefficients belong to one function and one law, so that they serve all correlations and all
products.  By Parseval's identity they also tell what is left out,

.. math:: \Bigl|\sum_{n \ge N} c^n f_n g_n\Bigr|
          \le |c|^N \sqrt{\sum_{n \ge N} f_n^2 \sum_{n \ge N} g_n^2} ,

which is much only where both functions bend and c is close to :math:`\pm 1`.  There panels over one
variable are nested in panels over the other.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.gaussian_nested import Level, nested_average
from rmt_jacobian.gaussian_panels import Bends, PanelRule, standard_panels

__all__ = ["GaussianFunction", "HermiteSeries", "PairAverage", "pair_average"]

_TERMS = (128, 512, 1024)
_PHASE = 16.0  # of the last polynomial across a panel, whose nodes resolve it to rounding
_MOST_VALUES = 8_000_000  # of all polynomials at all nodes
# Errors in units of the average of the absolute value: what is tried for, and put up with.
_AIM, _ENOUGH = 1e-12, 1e-10
# What |c|^N and the share of the rest are at most where more terms than the first are tried.
_FORGOTTEN, _FALLING = 1e-8, 1e-6
_ROUNDING = 1e-15


@dataclass(frozen=True)
class PairAverage:
    """An average, the estimate of its error, and the average of the absolute value."""

    value: float
    error: float
    size: float


@dataclass(frozen=True)
class HermiteSeries:
    """The expansion of a function under a Gaussian law, with estimates of errors.

    Attributes
    ----------
    terms
        The coefficients.
    square
        Of the function, averaged.
    error
        Of each coefficient.
    """

    terms: np.ndarray
    square: float
    error: float

    @classmethod
    def of(cls, values: np.ndarray, rule: PanelRule, polynomials: np.ndarray) -> "HermiteSeries":
        """Expand a function.

        Parameters
        ----------
        values
            At the nodes of the rule.
        polynomials
            Those of Hermite times the root of the density, shape (terms, nodes).
        """
        root = polynomials[0].reshape(values.shape)
        terms = polynomials @ (rule.weights * values * root).ravel()
        square = float(np.sum(rule.weights * (values * root) ** 2))
        # No polynomial times the root of the density is larger than the first.
        return cls(terms, square, float(root.max()) * float(rule.errors(values * root).sum()))

    @property
    def rest(self) -> float:
        """The sum of the squares of all further coefficients."""
        return max(self.square - float(self.terms @ self.terms), 0.0) + _ROUNDING * self.square

    @property
    def share_of_rest(self) -> float:
        """How much of the average square that is."""
        return self.rest / self.square if self.square else 0.0

    def product(self, other: "HermiteSeries", correlation: float) -> tuple[float, float]:
        """Return the average of a product with a function of a correlated variable, and its error.

        Examples
        --------
        >>> rule = PanelRule.between(np.array([-9.0, 9.0]), 1.0)
        >>> series = HermiteSeries.of(rule.nodes, rule, _polynomials(rule.nodes, 9))
        >>> value, error = series.product(series, 0.3)
        >>> round(value, 12), error < 1e-12
        (0.3, True)
        """
        powers = float(correlation) ** np.arange(len(self.terms))
        value = float(powers @ (self.terms * other.terms))
        left_out = abs(correlation) ** len(powers) * math.sqrt(self.rest * other.rest)
        sizes = math.sqrt(self.square), math.sqrt(other.square)
        # By Cauchy and Schwarz, as every coefficient is off.
        off = self.error * sizes[1] + other.error * sizes[0] + self.error * other.error
        off *= math.sqrt(float(powers @ powers))
        return value, left_out + off + _ROUNDING * sizes[0] * sizes[1]


def _polynomials(nodes: np.ndarray, count: int) -> np.ndarray:
    """Return orthonormal Hermite polynomials times the root of the density, one in each row."""
    z = nodes.ravel()
    rows = np.empty((count, z.size))
    rows[0] = np.exp(-z * z / 4) / (2 * math.pi) ** 0.25
    rows[1] = z * rows[0]
    for n in range(1, count - 1):
        np.multiply(z, rows[n], out=rows[n + 1])
        rows[n + 1] -= math.sqrt(n) * rows[n - 1]
        rows[n + 1] /= math.sqrt(n + 1)
    return rows


@dataclass(frozen=True, eq=False)
class GaussianFunction:
    """A function of a Gaussian variable, with what has been found out about it.

    Attributes
    ----------
    function
        Of arrays of any shape.
    mean, variance
        Of the variable; the variance is positive.
    bends
        Where the function has kinks, jumps and steep places.

    Examples
    --------
    >>> square = GaussianFunction(np.square, 0.0, 1.0, Bends.none())
    >>> found, size = square.series(128)
    >>> found is size, found.terms[:4].round(12) + 0.0  # z^2 = 1 + sqrt(2) h_2
    (True, array([1.        , 0.        , 1.41421356, 0.        ]))
    """

    function: Callable[[np.ndarray], np.ndarray]
    mean: float
    variance: float
    bends: Bends
    _series: dict[int, tuple[HermiteSeries, HermiteSeries] | None] = field(default_factory=dict)

    @property
    def std(self) -> float:
        """The standard deviation of the variable."""
        return math.sqrt(self.variance)

    def at(self, z: np.ndarray) -> np.ndarray:
        """Return values at so many standard deviations from the mean."""
        return np.broadcast_to(self.function(self.mean + self.std * z), z.shape)

    @cached_property
    def edges(self) -> np.ndarray:
        """Ends of panels that resolve the function, in standard deviations from the mean."""
        places = self.bends.seen_from(np.array([self.mean]), self.std)
        try:  # under the root of the density, as the series need it
            return standard_panels(lambda z: self.at(z) * np.exp(z * z / 4), places).edges
        except ConvergenceError:
            return standard_panels(self.at, places).edges

    def series(self, count: int) -> tuple[HermiteSeries, HermiteSeries] | None:
        """Return the first terms for the function and its absolute value.

        None where they take too many nodes.
        """
        if count not in self._series:
            self._series[count] = self._expanded(count)
        return self._series[count]

    def _expanded(self, count: int) -> tuple[HermiteSeries, HermiteSeries] | None:
        rule = PanelRule.between(self.edges, _PHASE / math.sqrt(count))
        if rule.nodes.size * count > _MOST_VALUES:
            return None
        values, polynomials = self.at(rule.nodes), _polynomials(rule.nodes, count)
        series = HermiteSeries.of(values, rule, polynomials)
        if np.all(values >= 0):
            return series, series
        return series, HermiteSeries.of(np.abs(values), rule, polynomials)


def pair_average(one: GaussianFunction, two: GaussianFunction, correlation: float) -> PairAverage:
    """Return E[f(e_1) g(e_2)] for two Gaussian variables of equal law.

    Raises
    ------
    ConvergenceError
        If the average is infinite, or not known to nine digits.

    Examples
    --------
    >>> step = GaussianFunction(lambda e: 1.0 * (e > 0), 0.0, 4.0, Bends.at([(0.0, np.inf)]))
    >>> [round(pair_average(step, step, c).value, 9) for c in (0.5, 1.0)]
    [0.333333333, 0.5]
    """
    return _by_series(one, two, correlation) or _by_panels(one, two, correlation)


def _by_series(
    one: GaussianFunction, two: GaussianFunction, correlation: float
) -> PairAverage | None:
    """Return the average with as many terms as it takes; None where it takes too many."""
    share, best = 0.0, None  # of the functions, beyond the terms
    for count in _TERMS:
        if share > _FALLING and abs(correlation) ** count > _FORGOTTEN:
            continue
        left, right = one.series(count), two.series(count)
        if left is None or right is None:
            break
        value, error = left[0].product(right[0], correlation)
        size, doubt = left[1].product(right[1], correlation)
        found = PairAverage(value, error, max(abs(value), size - doubt))
        if best is None or found.error < best.error:
            best = found
        share = math.sqrt(left[0].share_of_rest * right[0].share_of_rest)
        if error <= _AIM * found.size or abs(correlation) ** count * share <= 2 * _ROUNDING:
            break
    return best if best and best.error <= _ENOUGH * best.size else None


def _by_panels(one: GaussianFunction, two: GaussianFunction, correlation: float) -> PairAverage:
    """Return the average over panels of e_2 for every e_1."""
    mean, std, c = one.mean, one.std, correlation
    own_std = std * math.sqrt((1 - c) * (1 + c))
    bends = one.bends
    # What g turns at, seen from e_1, is smoothed by what e_2 has of its own.
    if c:
        positions = mean + (two.bends.positions - mean) / c
        softness = np.where(np.isfinite(two.bends.scales), two.bends.scales, 0.0)
        scales = np.hypot(softness, own_std) / abs(c)
        scales = np.where(scales > 0, scales, np.inf)
        bends = Bends(
            np.concatenate([bends.positions, positions]), np.concatenate([bends.scales, scales])
        )

    def own(e: np.ndarray) -> tuple[np.ndarray, float]:
        return mean + c * (e - mean), own_std

    levels = [
        Level(lambda: (mean, std), lambda: bends),
        Level(own, lambda e: Bends.none(), mean + std * two.edges),
    ]
    found = nested_average(lambda e, other: one.function(e) * two.function(other), levels)
    return PairAverage(found.value, found.error, found.size)
