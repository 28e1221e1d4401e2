"""Points at which a density is worth tabulating."""

from collections.abc import Iterator

import numpy as np

from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.laws.law import Law

__all__ = ["angular_grid", "trapezoidal_grid"]

_FIRST = 5  # points on an interval to begin with
_SHARE = 0.2  # of the intervals that are split at a time
_WIDE = 1.5  # neighbours whose distances differ more than this are split in the logarithm
_HARD = 1e-7  # mass left out next to an edge where the density is infinite


def angular_grid(law: Law, count: int) -> np.ndarray:
    r"""Return equal steps of the angle of :math:`x = \text{mid} - \text{half} \cos\theta`.

    The intervals share the points equally; the ends, where the density may be infinite, are left
    out.  Needs no cdf.

    Examples
    --------
    >>> from rmt_jacobian.laws import Semicircle
    >>> [float(x) for x in angular_grid(Semicircle(), 3).round(3) + 0.0]
    [-1.414, 0.0, 1.414]
    """
    grids = []
    shares = np.array_split(np.arange(count), max(1, len(law.support_intervals())))
    for (low, high), share in zip(law.support_intervals(), shares, strict=True):
        angles = np.pi * np.arange(1, len(share) + 1) / (len(share) + 1)
        grids.append(low + (high - low) * np.sin(angles / 2) ** 2)
    return np.concatenate(grids)


def trapezoidal_grid(law: Law, count: int) -> np.ndarray:
    """Place points so that the trapezoidal rule on the density finds the mass between them.

    Starting from a few points, the intervals on which the rule errs most from the cdf are split
    until there are enough.  Edges of the support are points, but for those where the density is
    infinite, of which a mass of 1e-7 is left out.

    Parameters
    ----------
    law
        With a continuous part.
    count
        How many points, at least 5 for each interval of the support.

    Returns
    -------
    numpy.ndarray
        Increasing, shape (count,); empty for a law of atoms alone.

    Raises
    ------
    ParameterError
        If there are too few points.
    ConvergenceError
        If the density is not found at a point.

    Examples
    --------
    >>> from rmt_jacobian.laws import Semicircle
    >>> law = Semicircle()
    >>> x = trapezoidal_grid(law, 200)
    >>> bool(abs(np.trapezoid(law.pdf(x), x) - 1) < 1e-4)
    True
    """
    intervals = law.support_intervals()
    if not intervals:
        return np.empty(0)
    if count < _FIRST * len(intervals):
        raise ParameterError(
            f"the support has {len(intervals)} interval(s): ask for at least "
            f"{_FIRST * len(intervals)} points, not {count}"
        )
    grids = [_first_points(law, low, high) for low, high in intervals]
    hard = [[edge for edge in interval if np.isinf(law.pdf(edge))] for interval in intervals]
    while (missing := count - sum(map(len, grids))) > 0:
        errors = [_errors(law, grid) for grid in grids]
        total = sum(map(len, errors))
        split = max(1, min(missing, int(_SHARE * total)))
        limit = np.sort(np.concatenate(errors))[-split]
        chosen = [np.flatnonzero(error >= limit) for error in errors]
        grids = [
            np.insert(grid, at + 1, _middles(grid[at], grid[at + 1], anchors))
            for grid, at, anchors in zip(grids, _first(chosen, missing), hard, strict=True)
        ]
    return np.concatenate(grids)


def _first_points(law: Law, low: float, high: float) -> np.ndarray:
    ends = []
    for edge, other, sign in ((low, high, 1), (high, low, -1)):
        if np.isfinite(law.pdf(edge)):
            ends.append(edge)
        else:
            inward = law.cdf(edge) + _HARD if sign > 0 else law.cdf(np.nextafter(edge, low)) - _HARD
            ends.append(float(law.ppf(inward)))
        assert np.isfinite(other)
    angles = np.linspace(0, np.pi, _FIRST)
    grid = ends[0] + (ends[1] - ends[0]) * np.sin(angles / 2) ** 2
    grid[0], grid[-1] = ends
    return grid


def _errors(law: Law, grid: np.ndarray) -> np.ndarray:
    """Return how far the rule is from the mass on every interval, atoms left out."""
    density = law.pdf(grid)
    if np.any(np.isnan(density)):
        missing = np.count_nonzero(np.isnan(density))
        raise ConvergenceError(
            f"no certified density at {missing} of {len(grid)} points: use laws of more similar "
            "scales, or tabulate the rest of the support by hand"
        )
    rule = np.diff(grid) * (density[1:] + density[:-1]) / 2
    below = law.cdf(grid)
    for location, mass in law.atoms():
        below = below - mass * (grid >= location)
    return np.abs(rule - np.diff(below))


def _middles(low: np.ndarray, high: np.ndarray, anchors: list[float]) -> np.ndarray:
    """Halve intervals, in the logarithm of the distance to 0 or a hard edge if that is near."""
    middles = (low + high) / 2
    for anchor in (0.0, *anchors):
        near, far = np.sort(np.abs(np.stack([low, high]) - anchor), axis=0)
        wide = (near > 0) & (far > _WIDE * near) & ((low >= anchor) | (high <= anchor))
        middles = np.where(
            wide, anchor + np.sign(low + high - 2 * anchor) * np.sqrt(near * far), middles
        )
    return middles


def _first(chosen: list[np.ndarray], limit: int) -> Iterator[np.ndarray]:
    """Return the chosen intervals of every grid, no more than the limit in all."""
    for at in chosen:
        yield at[:limit]
        limit -= min(limit, len(at))
