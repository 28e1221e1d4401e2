r"""Averages over Gaussian variables of one variance and many means, taken together.

For two correlated variables the average over the second is a function of one place alone,

.. math:: E[f(e_1) g(e_2)] = E[f(e_1) \, G(\mu + c (e_1 - \mu))] , \qquad
          G(x) = E\bigl[g\bigl(x + \sigma \sqrt{1 - c^2} \, z\bigr)\bigr] ,

which is smooth and the same for all means: it is found once and interpolated.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rmt_jacobian.gaussian_panels import (
    REACH,
    Bends,
    PanelRule,
    normal_density,
    panel_ends,
)
from rmt_jacobian.interpolation import Interpolant

__all__ = ["ManyAverages", "PairOfFunctions", "averages_at"]

_CHUNK = 1 << 15  # panels at once
# Standard deviations that are reached, and the widest panels: the few means whose average comes
# from the tail of the density take more.
_REACHES = ((REACH, 2.0), (37.0, 0.5))
_EXACT = 1e-12  # error in units of the average of the absolute value
_PAIR_REACH = ((REACH, 0.5),)  # where f, G and the density may all be steep
_PROBES = 17
_ROUNDING = 1e-16  # of an average, in units of the average of the absolute value
_BETWEEN = 1e-13  # last coefficients of interpolated averages, relative to all of them

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ManyAverages:
    """Averages, the estimates of their errors and those of the absolute values, shape (means,).

    What the last panels hold counts as an error; it is infinite where a value is.
    """

    values: np.ndarray
    errors: np.ndarray
    sizes: np.ndarray


def averages_at(
    function: Function, means: np.ndarray, std: float, bends: Bends, *, far: bool = True
) -> ManyAverages:
    """Return E f(e), e ~ N(mean, std^2), for every mean on panels of its own.

    Parameters
    ----------
    function
        f, on arrays of any shape.
    means, std
        Shape (means,), and above 0.
    bends
        Of f, for all means, or for each in its row.
    far
        Whether averages that come from the tail of the density are to have all digits as well.

    Examples
    --------
    >>> bends = Bends.at([(0.0, np.inf)])
    >>> averages_at(lambda e: np.abs(e), np.array([0.0, 9.0]), 1.0, bends).values.round(12)
    array([0.79788456, 9.        ])
    """

    def values(e: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return function(e), np.zeros(1)

    return _at_all_means(values, means, std, bends, _REACHES if far else _REACHES[:1])


@dataclass(frozen=True, eq=False)
class PairOfFunctions:
    """The average of f(e_1) g(e_2) at many means of both.

    Attributes
    ----------
    one, two
        f and g, on arrays of any shape.
    bends
        Of f and of g.
    means
        The smallest and the largest.
    std, correlation
        Of the variables; correlation between -1 and 1, ends excluded.

    Examples
    --------
    >>> def step(e):
    ...     return 1.0 * (e > 0)
    >>> bends = Bends.at([(0.0, np.inf)])
    >>> pair = PairOfFunctions(step, step, (bends, bends), (-1.0, 1.0), 1.0, 0.5)
    >>> pair.averages(np.array([-1.0, 0.0])).values.round(9)
    array([0.0625141 , 0.33333333])
    """

    one: Function
    two: Function
    bends: tuple[Bends, Bends]
    means: tuple[float, float]
    std: float
    correlation: float

    def averages(self, means: np.ndarray) -> ManyAverages:
        """Return the averages at means between the smallest and the largest.

        What comes from the tail of the density has larger errors, in units of its size.
        """
        c = self.correlation
        bends = self.bends[0].beside(self.bends[1].seen_through(means, self.std, c))

        def values(e: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            own = self.one(e)
            other, doubts = self._of_the_other.with_errors(means + c * (e - means))
            return own * other, np.abs(own) * doubts

        return _at_all_means(values, means, self.std, bends, _PAIR_REACH)

    @cached_property
    def largest(self) -> float:
        """About the largest E|f g| at any mean."""
        return float(self.averages(np.linspace(*self.means, _PROBES)).sizes.max())

    @cached_property
    def _of_the_other(self) -> Interpolant:
        """G as far as the reach takes it."""
        own_std = self.std * math.sqrt((1 - self.correlation) * (1 + self.correlation))

        def smoothed(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            found = averages_at(self.two, x, own_std, self.bends[1], far=False)
            return found.values, found.errors + _ROUNDING * found.sizes

        further = REACH * self.std * abs(self.correlation)
        ends = self.means[0] - further, self.means[1] + further
        return Interpolant.of(smoothed, *ends, tolerance=_BETWEEN)


def _at_all_means(
    function: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    means: np.ndarray,
    std: float,
    bends: Bends,
    reaches: tuple[tuple[float, float], ...] = _REACHES,
) -> ManyAverages:
    """Return averages of a function of variable and mean, which also gives its errors."""
    found = np.zeros((3, len(means)))  # averages, errors, sizes
    some, seen = np.arange(len(means)), bends.seen_from(means, std)
    for reach, widest in reaches:
        own, centres = Bends(seen.positions[some], seen.scales[some]), means[some]

        def of_some(
            z: np.ndarray, rows: np.ndarray, centres: np.ndarray = centres
        ) -> tuple[np.ndarray, np.ndarray]:
            return function(centres[rows] + std * z, centres[rows])

        found[:, some] = _on_panels(of_some, own, reach, widest)
        some = np.flatnonzero(~(found[1] < _EXACT * found[2]))  # what is 0 may lie further away
        if not some.size:
            break
    return ManyAverages(*found)


def _on_panels(
    function: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    bends: Bends,
    reach: float,
    widest: float,
) -> np.ndarray:
    """Return averages over a standard Gaussian variable, errors and sizes for each row of bends."""
    cuts = panel_ends(bends, reach, widest)
    rows, columns = np.nonzero(np.diff(cuts, axis=1))
    left, right = cuts[rows, columns], cuts[rows, columns + 1]
    table = []
    for start in range(0, len(rows), _CHUNK):
        some = slice(start, start + _CHUNK)
        rule = PanelRule.on(left[some], right[some])
        values, doubts = function(rule.nodes, rows[some, None])
        finite = np.isfinite(values)
        density = normal_density(rule.nodes)
        values = np.where(finite, values, 0.0) * density
        size = np.sum(rule.weights * np.abs(values), axis=1)
        beyond = np.where((left[some] <= -reach) | (right[some] >= reach), size, 0.0)
        errors = rule.errors(values) + beyond + np.sum(rule.weights * density * doubts, axis=1)
        errors = np.where(finite.all(axis=1), errors, np.inf)
        table.append([np.sum(rule.weights * values, axis=1), errors, size])
    parts = np.concatenate(table, axis=1)
    return np.array([np.bincount(rows, part, len(cuts)) for part in parts])
