"""Averages over several Gaussian variables: panels over each variable for every value of the outer.

The outermost panels are halved as needed; inner ones follow from the bends of the function, and
what they miss is part of the estimate of the error (:mod:`rmt_jacobian.gaussian_panels`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.gaussian_panels import (
    PROMISE,
    REACH,
    WIDTH,
    Bends,
    PanelAverage,
    PanelRule,
    check_finite,
    normal_density,
    panel_average,
    panel_ends,
)

__all__ = ["Level", "nested_average"]

_AIM = 1e-11  # inner averages bring rounding of their own
_MOST_NODES = 30_000_000
_CHUNK = 650  # values of outer variables at once
_NARROWER = (1, 2, 4)  # inner panels, where the tail of the density is all there is


@dataclass(frozen=True)
class Level:
    """One variable of a nested average.

    Attributes
    ----------
    law
        From the values of the outer variables to the mean and the standard deviation.
    bends
        From the values of the outer variables to the bends in this one.
    edges
        Further ends of panels.
    """

    law: Callable[..., tuple[np.ndarray | float, float]]
    bends: Callable[..., Bends]
    edges: np.ndarray | None = None


def nested_average(
    function: Callable[..., np.ndarray], levels: Sequence[Level], *, promise: float = PROMISE
) -> PanelAverage:
    """Return an average over several variables, from the outermost to the innermost.

    Parameters
    ----------
    function
        Of the values of all variables, arrays that broadcast.
    levels
        The variables; the law and the bends of each may depend on those before it.
    promise
        As in :func:`panel_average`.  The outermost panels are halved as needed; inner ones follow
        from the bends and the edges, and their error is part of the estimate.

    Raises
    ------
    ConvergenceError
        If the error is too large or the nodes are too many.

    Examples
    --------
    >>> def kink(x):
    ...     return Bends(-x[:, None], np.full((len(x), 1), np.inf))
    >>> levels = [Level(lambda: (0.0, 1.0), Bends.none), Level(lambda x: (0.0, 1.0), kink)]
    >>> round(nested_average(lambda x, y: np.maximum(x + y, 0), levels).value, 9)  # 1 / sqrt(pi)
    0.564189584
    """
    for times in _NARROWER:
        found = _with_panels(function, levels, promise, WIDTH / times)
        if found.error <= promise * found.size:
            return found
    raise ConvergenceError("the inner panels of a nested average are too wide")


def _with_panels(
    function: Callable[..., np.ndarray], levels: Sequence[Level], promise: float, widest: float
) -> PanelAverage:
    """Return the average over inner panels that are no wider than that."""
    outer, *inner = levels
    mean, std = outer.law()
    most, used = np.zeros(2), [0]  # error and absolute value, times the density

    def integrated(nodes: np.ndarray) -> np.ndarray:
        flat = nodes.ravel()
        values, *others = _inner(function, [flat], inner, used, widest)
        density = np.exp(-0.5 * ((flat - float(mean)) / std) ** 2) if std else np.ones(1)
        most[:] = np.maximum(most, np.max(np.stack(others) * density, axis=1))
        return values.reshape(nodes.shape)

    found = panel_average(
        integrated, float(mean), std * std, outer.bends(), aim=_AIM, promise=promise,
        unit=lambda: float(most[1]),
    )  # fmt: skip
    error, size = found.error + float(most[0]), max(found.size, float(most[1]))
    return PanelAverage(found.value, error, size, found.edges)


def _inner(
    function: Callable[..., np.ndarray],
    outer: list[np.ndarray],
    levels: Sequence[Level],
    used: list[int],
    widest: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return averages over the inner variables, their errors, and those of the absolute value."""
    level, *deeper = levels
    count = len(outer[0])
    if count > _CHUNK:
        parts = [
            _inner(function, [x[k : k + _CHUNK] for x in outer], levels, used, widest)
            for k in range(0, count, _CHUNK)
        ]
        values, errors, sizes = map(np.concatenate, zip(*parts, strict=True))
        return values, errors, sizes
    mean, std = level.law(*outer)
    means = np.broadcast_to(np.asarray(mean, dtype=float), (count,))
    if std == 0:
        rows, rule = np.arange(count), PanelRule(np.zeros((count, 1)), np.ones((count, 1)))
    else:
        rows, rule = _panels(means, std, level, outer, widest)
    nodes = means[rows, None] + std * rule.nodes
    used[0] += nodes.size
    if used[0] > _MOST_NODES:
        raise ConvergenceError("a nested average takes too many nodes")
    points = [x[rows] for x in outer]
    if deeper:
        flat = [np.repeat(x, nodes.shape[1]) for x in points] + [nodes.ravel()]
        values, errors, sizes = (
            part.reshape(nodes.shape) for part in _inner(function, flat, deeper, used, widest)
        )
    else:
        values = np.broadcast_to(function(*(x[:, None] for x in points), nodes), nodes.shape)
        errors, sizes = np.zeros(nodes.shape), np.abs(values)
    check_finite(values, nodes)
    density = normal_density(rule.nodes) if std else np.ones(1)
    own = rule.errors(values * density) if std else np.zeros(len(rows))
    weights = rule.weights * density
    of_panels = (np.sum(part * weights, axis=1) for part in (values, errors, sizes))
    value, error, size = (np.bincount(rows, part, count) for part in of_panels)
    return value, np.bincount(rows, own, count) + error, size


def _panels(
    means: np.ndarray, std: float, level: Level, outer: list[np.ndarray], widest: float
) -> tuple[np.ndarray, PanelRule]:
    """Return the index of the mean of every panel, and the rule in standard deviations from it."""
    cuts = panel_ends(level.bends(*outer).seen_from(means, std), REACH, widest)
    if level.edges is not None:
        further = Bends(level.edges, np.zeros(level.edges.shape)).seen_from(means, std).positions
        inside = np.any(np.abs(further) < REACH, axis=0)
        further = np.clip(further[:, inside], -REACH, REACH)
        cuts = np.sort(np.concatenate([cuts, further], axis=1), axis=1)
    rows, columns = np.nonzero(np.diff(cuts, axis=1))  # many coincide at the reach
    return rows, PanelRule.on(cuts[rows, columns], cuts[rows, columns + 1])
