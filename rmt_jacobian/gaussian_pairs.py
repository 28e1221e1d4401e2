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
from rmt_jacobian.gaussian_panels import (
    Average,
    Bends,
    PanelRule,
    panel_average,
    standard_panels,
)

__all__ = ["GaussianFunction", "HermiteSeries", "pair_average"]

_TERMS = (32, 128, 512, 1024, 4096)
_FIRST, _LAST = 128, 1024  # fewer where c is small, more where panels are many
_MANY = 200  # panels, which take long to nest
_PHASE = 16.0  # of the last polynomial across a panel, whose nodes resolve it to rounding
_MOST_VALUES = 100_000_000  # of all polynomials at all nodes
_CHUNK = 2048  # nodes at once
# Errors in units of the average of the absolute value: what is tried for, and put up with.
_AIM, _ENOUGH = 1e-12, 1e-10
# What |c|^N and the share of the rest are at most where more terms than the first are tried.
_FORGOTTEN, _FALLING = 1e-8, 1e-6
_ROUNDING = 1e-15
_LARGEST = (2 * math.pi) ** -0.25  # of the polynomials times the root of the density


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
    def of(cls, functions: np.ndarray, rule: PanelRule, count: int) -> "list[HermiteSeries]":
        """Return the first terms for functions given by their values at the nodes of a rule.

        Examples
        --------
        >>> rule = PanelRule.between(np.array([-9.0, 9.0]), 1.0)
        >>> (found,) = HermiteSeries.of(rule.nodes[None] ** 2, rule, 4)  # 1 + sqrt(2) h_2
        >>> found.terms.round(12) + 0.0
        array([1.        , 0.        , 1.41421356, 0.        ])
        """
        root = np.exp(-(rule.nodes**2) / 4) * _LARGEST
        values = functions * root
        table = _integrals((values * rule.weights).reshape(len(values), -1), rule.nodes, count)
        return [
            cls(terms, float(np.sum(rule.weights * own**2)), _LARGEST * float(errors.sum()))
            for terms, own, errors in zip(table, values, map(rule.errors, values), strict=True)
        ]

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
        >>> (series,) = HermiteSeries.of(rule.nodes[None], rule, 9)
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


def _integrals(weighted: np.ndarray, nodes: np.ndarray, count: int) -> np.ndarray:
    """Return integrals with the Hermite polynomials times the root of the density.

    Parameters
    ----------
    weighted
        Functions times the weights of the nodes, shape (functions, nodes).
    nodes
        Of any shape.
    count
        Of the polynomials.
    """
    total = np.zeros((len(weighted), count))
    for start in range(0, nodes.size, _CHUNK):
        z, part = nodes.ravel()[start : start + _CHUNK], weighted[:, start : start + _CHUNK]
        rows = np.empty((count, z.size))  # h_n, as sqrt(n + 1) h_(n+1) = z h_n - sqrt(n) h_(n-1)
        rows[0] = np.exp(-z * z / 4) * _LARGEST
        rows[1] = z * rows[0]
        for n in range(1, count - 1):
            np.multiply(z, rows[n], out=rows[n + 1])
            rows[n + 1] -= math.sqrt(n) * rows[n - 1]
            rows[n + 1] /= math.sqrt(n + 1)
        total += part @ rows.T
    return total


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
    >>> relu = GaussianFunction(lambda e: np.maximum(e, 0), 0.0, 1.0, Bends.at([(0.0, np.inf)]))
    >>> found, size = relu.series(128)
    >>> found is size, found.terms[:2].round(12)
    (True, array([0.39894228, 0.5       ]))
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
            return standard_panels(self._under_the_root, places).edges
        except ConvergenceError:
            return standard_panels(self.at, places).edges

    def _under_the_root(self, z: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # is refused later
            return self.at(z) * np.exp(z * z / 4)

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
        with np.errstate(all="ignore"):  # what is not finite has no error that is small enough
            values = self.at(rule.nodes)
            signed = bool(np.any(values < 0))
            functions = np.stack([values, np.abs(values)] if signed else [values])
            found = HermiteSeries.of(functions, rule, count)
        return found[0], found[-1]


def pair_average(one: GaussianFunction, two: GaussianFunction, correlation: float) -> Average:
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
    if abs(correlation) == 1:
        return _of_one_variable(one, two, correlation)
    return _by_series(one, two, correlation) or _by_panels(one, two, correlation)


def _of_one_variable(one: GaussianFunction, two: GaussianFunction, correlation: float) -> Average:
    """Return the average for two variables of which one follows from the other."""

    def product(e: np.ndarray) -> np.ndarray:
        return one.function(e) * two.function(one.mean + correlation * (e - one.mean))

    found = panel_average(product, one.mean, one.variance, _seen_together(one, two, correlation))
    return Average(found.value, found.error, found.size)


def _by_series(one: GaussianFunction, two: GaussianFunction, correlation: float) -> Average | None:
    """Return the average with as many terms as it takes; None where it takes too many."""
    share, best = 0.0, None  # of the functions, beyond the terms
    most = math.inf if max(len(one.edges), len(two.edges)) > _MANY else _LAST
    for count in _TERMS:
        hard = share > _FALLING or count < _FIRST
        if (hard and abs(correlation) ** count > _FORGOTTEN) or count > most:
            continue
        left, right = one.series(count), two.series(count)
        if left is None or right is None:
            break
        value, error = left[0].product(right[0], correlation)
        size, doubt = left[1].product(right[1], correlation)
        found = Average(value, error, max(abs(value), size - doubt))
        if best is None or found.error < best.error:
            best = found
        share = math.sqrt(left[0].share_of_rest * right[0].share_of_rest)
        if error <= _AIM * found.size or abs(correlation) ** count * share <= 2 * _ROUNDING:
            break
    return best if best and best.error <= _ENOUGH * best.size else None


def _by_panels(one: GaussianFunction, two: GaussianFunction, correlation: float) -> Average:
    """Return the average over panels of e_2 for every e_1."""
    mean, std, c = one.mean, one.std, correlation
    own_std = std * math.sqrt((1 - c) * (1 + c))
    bends = _seen_together(one, two, correlation)

    def own(e: np.ndarray) -> tuple[np.ndarray, float]:
        return mean + c * (e - mean), own_std

    levels = [
        Level(lambda: (mean, std), lambda: bends),
        Level(own, lambda e: Bends.none(), mean + std * two.edges),
    ]
    found = nested_average(lambda e, other: one.function(e) * two.function(other), levels)
    return Average(found.value, found.error, found.size)


def _seen_together(one: GaussianFunction, two: GaussianFunction, c: float) -> Bends:
    """Return the bends of f, and those of g seen from e_1."""
    return one.bends.beside(two.bends.seen_through(np.array([one.mean]), one.std, c))
