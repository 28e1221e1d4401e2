r"""Averages over Gaussian variables of one variance and many means, taken together.

For two variables of correlation c > 0, what both share is told from what each has of its own,

.. math:: E[f(e_1) g(e_2)] = E[F(v) G(v)], \quad v \sim N(\mu, c q), \quad
          F(v) = E\bigl[f(v + \sqrt{(1 - c) q} \, z)\bigr] ;

F and G are smooth, belong to all means, and are interpolated.  For c < 0 it is G at
:math:`2 \mu - v`, with the modulus of c.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rmt_jacobian.gaussian_panels import (
    REACH,
    Bends,
    PanelRule,
    check_finite,
    normal_density,
    panel_ends,
)
from rmt_jacobian.interpolation import Interpolant

__all__ = ["ManyAverages", "SmoothedFunction", "averages_at", "pair_averages_at"]

_CHUNK = 1 << 15  # panels at once
# Standard deviations that are reached, and the widest panels: the few means whose average comes
# from the tail of the density take more.
_REACHES = ((REACH, 2.0), (37.0, 1.0))
_EXACT = 1e-12  # error in units of the average of the absolute value
_NARROWEST = 0.5  # panel of an interpolation, in standard deviations of the noise that smooths
_TOLERANCE = 4e-13  # of an interpolation, relative

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ManyAverages:
    """Averages, the estimates of their errors and those of the absolute values, shape (means,).

    What the last panels hold counts as an error.
    """

    values: np.ndarray
    errors: np.ndarray
    sizes: np.ndarray


def averages_at(function: Function, means: np.ndarray, std: float, bends: Bends) -> ManyAverages:
    """Return E f(e), e ~ N(mean, std^2), for every mean on panels of its own.

    Parameters
    ----------
    function
        f, on arrays of any shape.
    means, std
        Shape (means,), and above 0.
    bends
        Of f, for all means, or for each in its row.

    Raises
    ------
    ConvergenceError
        If the function is not finite.

    Examples
    --------
    >>> bends = Bends.at([(0.0, np.inf)])
    >>> averages_at(lambda e: np.abs(e), np.array([0.0, 9.0]), 1.0, bends).values.round(12)
    array([0.79788456, 9.        ])
    """

    def of_each(e: np.ndarray, rows: np.ndarray) -> np.ndarray:
        del rows
        return function(e)

    return _averages(of_each, means, std, bends)


def _averages(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    means: np.ndarray,
    std: float,
    bends: Bends,
) -> ManyAverages:
    """Do the same for a function that also knows which mean its values belong to."""
    found = np.zeros((3, len(means)))  # averages, errors, sizes
    some, seen = np.arange(len(means)), bends.seen_from(means, std)
    for reach, widest in _REACHES:
        own = Bends(seen.positions[some], seen.scales[some])

        def of_some(z: np.ndarray, rows: np.ndarray, some: np.ndarray = some) -> np.ndarray:
            return function(means[some[rows]] + std * z, some[rows])

        found[:, some] = _on_panels(of_some, own, reach, widest)
        some = np.flatnonzero(~(found[1] < _EXACT * found[2]))  # what is 0 may lie further away
        if not some.size:
            break
    return ManyAverages(*found)


def _on_panels(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
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
        values = function(rule.nodes, rows[some, None])
        check_finite(values, rule.nodes)
        values = values * normal_density(rule.nodes)
        size = np.sum(rule.weights * np.abs(values), axis=1)
        beyond = np.where((left[some] <= -reach) | (right[some] >= reach), size, 0.0)
        table.append([np.sum(rule.weights * values, axis=1), rule.errors(values) + beyond, size])
    parts = np.concatenate(table, axis=1)
    return np.array([np.bincount(rows, part, len(cuts)) for part in parts])


@dataclass(frozen=True, eq=False)
class SmoothedFunction:
    """A function and what Gaussian noise makes of it.

    Attributes
    ----------
    function, bends
        The function, and where it bends.
    noise
        Standard deviation of the noise; above 0.
    width
        Of the panels on which it is interpolated, where it does not bend.
    """

    function: Function
    bends: Bends
    noise: float
    width: float

    @cached_property
    def smoothed(self) -> Interpolant:
        """The average over the noise, as a function of its centre."""
        return Interpolant(
            lambda v: averages_at(self.function, v, self.noise, self.bends).values,
            width=self.width, narrowest=_NARROWEST * self.noise, tolerance=_TOLERANCE,
        )  # fmt: skip

    @cached_property
    def softened(self) -> Bends:
        """Where that still bends."""
        scales = np.where(np.isfinite(self.bends.scales), self.bends.scales, 0.0)
        return Bends(self.bends.positions, np.hypot(scales, self.noise))


def pair_averages_at(
    one: SmoothedFunction, two: SmoothedFunction, means: np.ndarray, shared: float, sign: float
) -> ManyAverages:
    """Return E[f(e_1) g(e_2)] for all means of two variables.

    Parameters
    ----------
    one, two
        f and g with the noise that each variable has of its own.
    means
        Shape (means,).
    shared
        Standard deviation of what they share.
    sign
        Of their correlation, 1 or -1.

    Examples
    --------
    >>> sizes = SmoothedFunction(np.abs, Bends.at([(0.0, np.inf)]), np.sqrt(0.4), 2.0)
    >>> found = pair_averages_at(sizes, sizes, np.zeros(1), np.sqrt(0.6), -1.0)
    >>> (np.pi / 2 * found.values).round(12)  # sqrt(1 - 0.36) + 0.6 asin(0.6)
    array([1.18610067])
    """
    if shared == 0:
        product = one.smoothed(means) * two.smoothed(means)
        return ManyAverages(product, np.zeros(len(means)), np.abs(product))

    def mirrored(v: np.ndarray, centre: np.ndarray) -> np.ndarray:
        return v if sign > 0 else 2 * centre - v

    def product_at(v: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return one.smoothed(v) * two.smoothed(mirrored(v, means[rows]))

    places, turned = one.softened, two.softened
    positions = np.concatenate(
        [
            np.broadcast_to(places.positions, (len(means), places.positions.size)),
            mirrored(np.broadcast_to(turned.positions, (len(means), turned.positions.size)),
                     means[:, None]),
        ],
        axis=1,
    )  # fmt: skip
    scales = np.broadcast_to(np.concatenate([places.scales, turned.scales]), positions.shape)
    return _averages(product_at, means, shared, Bends(positions, scales))
