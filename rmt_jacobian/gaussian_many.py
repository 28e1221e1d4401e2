"""Averages over Gaussian variables of one variance and many means, taken together."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.gaussian_panels import (
    REACH,
    Bends,
    PanelRule,
    normal_density,
    panel_ends,
)

__all__ = ["ManyAverages", "averages_at"]

_CHUNK = 1 << 15  # panels at once
# Standard deviations that are reached, and the widest panels: the few means whose average comes
# from the tail of the density take more.
_REACHES = ((REACH, 2.0), (37.0, 0.5))
_EXACT = 1e-12  # error in units of the average of the absolute value

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ManyAverages:
    """Averages, the estimates of their errors and those of the absolute values, shape (means,).

    What the last panels hold counts as an error; it is infinite where a value is.
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

    Examples
    --------
    >>> bends = Bends.at([(0.0, np.inf)])
    >>> averages_at(lambda e: np.abs(e), np.array([0.0, 9.0]), 1.0, bends).values.round(12)
    array([0.79788456, 9.        ])
    """
    found = np.zeros((3, len(means)))  # averages, errors, sizes
    some, seen = np.arange(len(means)), bends.seen_from(means, std)
    for reach, widest in _REACHES:
        own = Bends(seen.positions[some], seen.scales[some])

        def of_some(z: np.ndarray, rows: np.ndarray, some: np.ndarray = some) -> np.ndarray:
            return function(means[some[rows]] + std * z)

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
        finite = np.isfinite(values)
        values = np.where(finite, values, 0.0) * normal_density(rule.nodes)
        size = np.sum(rule.weights * np.abs(values), axis=1)
        beyond = np.where((left[some] <= -reach) | (right[some] >= reach), size, 0.0)
        errors = np.where(finite.all(axis=1), rule.errors(values) + beyond, np.inf)
        table.append([np.sum(rule.weights * values, axis=1), errors, size])
    parts = np.concatenate(table, axis=1)
    return np.array([np.bincount(rows, part, len(cuts)) for part in parts])
