r"""The real points off the support of a law, cut into arms on which a level is monotone.

On a gap of the support the Cauchy transform decreases, and so does :math:`z G(z) - 1` for a law
on the half line.  An arm is a part of a gap between two of the levels at which a subordination
point or a self-energy is 0 or infinite; on it the level has an inverse.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from rmt_jacobian.laws.convolution.chart import Chart
from rmt_jacobian.laws.law import Law
from rmt_jacobian.laws.monotone import invert_increasing
from rmt_jacobian.laws.self_energy import real_gaps

__all__ = ["Arms", "arms_of"]

_NEAR = 12.0  # decades: how close to the ends of an arm points are laid
_NEAR_ZERO = (
    30.0  # the same at 0 for a sum, where any level may be that of a law on a smaller scale
)
_NEAR_INSIDE = 10.0  # the same where the level vanishes inside a gap, and loses digits
_FAR = 20.0  # decades: how far out on an infinite arm, in units of the width of the support

_EPS = np.finfo(float).eps
_LEAST = float(np.finfo(float).tiny)

_End: TypeAlias = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Arms:
    """All arms of a law, with points that increase along each row.

    Attributes
    ----------
    law, chart
        The law, and the convolution it enters.
    ends
        The ends of the arms, of shape (arms, 2).
    through
        Whether the gap goes on beyond an end, or beyond infinity.
    units
        The distances from the ends to the next special points: closer by, the law has no scale.
    points
        Real points of the gaps, of shape (arms, count), dense at both ends of every arm.
    levels
        Their levels, which decrease along each row.
    """

    law: Law
    chart: Chart
    ends: np.ndarray
    through: np.ndarray
    units: np.ndarray
    points: np.ndarray
    levels: np.ndarray

    def energies(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the real self-energy and its slope."""
        with np.errstate(all="ignore"):
            sigma, slope = self.law._self_energy(x.astype(complex))
        return np.real(sigma), np.real(slope)

    def at_level(self, arm: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Return the points of some arms that have given levels, within the table."""
        first = np.empty(level.shape, dtype=int)
        for k in np.unique(arm):
            first[arm == k] = np.searchsorted(-self.levels[k], -level[arm == k], side="right") - 1
        first = np.clip(first, 0, self.points.shape[1] - 2)
        low, high = self.points[arm, first], self.points[arm, first + 1]
        above, below = self.levels[arm, first], self.levels[arm, first + 1]
        with np.errstate(all="ignore"):
            share = (above - level) / (above - below)
        share = np.where(np.isfinite(share), np.clip(share, 0, 1), 0.5)
        start = low + (high - low) * share
        return invert_increasing(self._falling, -level, low, high, start, rounding=16.0)

    def _falling(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sigma, slope = self.energies(x)
        with np.errstate(all="ignore"):
            level = self.chart.level(x, sigma)
            return -level, -self.chart.level_slope(x, level, slope)


def arms_of(law: Law, chart: Chart, count: int) -> Arms:
    """Cut the gaps of a law into arms and lay some points on each."""
    low, high = law.support()
    scale = (high - low) or abs(low) or 1.0
    ends: list[_End] = []
    for gap in real_gaps(law):
        cuts = [cut for cut in chart.cuts if gap[0] < cut < gap[1]]
        ends += pairwise([gap[0], *cuts, gap[1]])
    whole = _table(law, chart, ends, scale, count)
    parts: list[_End] = []
    for (low, high), row, levels in zip(ends, whole.points, whole.levels, strict=True):
        inner = [split for split in chart.splits if levels[-1] < split < levels[0]]
        cuts = [_crossing(whole, row, levels, split) for split in sorted(inner, reverse=True)]
        parts += pairwise([low, *cuts, high])
    return _on_one_side(_table(law, chart, parts, scale, count))


def _table(law: Law, chart: Chart, ends: list[_End], scale: float, count: int) -> Arms:
    corners = np.array(ends)
    support = [point for interval in law.support_intervals() for point in interval]
    support += [location for location, _ in law.atoms()]
    through = ~np.isin(corners, support)
    units = _units(corners, np.unique([*support, *chart.cuts]), scale)
    near = _clearances(law, chart, corners, through, units)
    points = np.array([_laid(*entry, scale, count) for entry in zip(ends, near, strict=True)])
    arms = Arms(law, chart, corners, through, units, points, points)
    sigma, _ = arms.energies(points)
    with np.errstate(all="ignore"):
        levels = chart.level(points, sigma)
    # A law that is itself solved for may not know its transform at the far end of an arm.
    known = np.fmax.reduce(levels, axis=1, keepdims=True)
    levels = np.where(np.isnan(levels) & np.isinf(corners[:, :1]), known, levels)
    return replace(arms, levels=np.fmin.accumulate(levels, axis=1))


def _on_one_side(arms: Arms) -> Arms:
    """Keep the levels of every arm on their side of the splits, which rounding may have crossed."""
    levels = arms.levels
    for split in arms.chart.splits:
        above = levels[:, levels.shape[1] // 2, None] > split
        bound = np.nextafter(split, np.where(above, np.inf, -np.inf))
        levels = np.where(above, np.maximum(levels, bound), np.minimum(levels, bound))
    return replace(arms, levels=levels)


def _units(ends: np.ndarray, special: np.ndarray, scale: float) -> np.ndarray:
    """Return the distances from the ends of arms to the next special points, below a scale."""
    distances = np.abs(ends[..., None] - special)
    distances[~(distances > 0)] = np.inf
    lengths = np.minimum(ends[:, 1:] - ends[:, :1], scale)
    return np.minimum(np.min(distances, axis=-1), lengths)


def _clearances(
    law: Law, chart: Chart, ends: np.ndarray, through: np.ndarray, units: np.ndarray
) -> np.ndarray:
    """Return how close to the ends of arms points are laid.

    The level of a product differs from its limit at 0 like x to the power 1 - a, for a density
    like x to the power -a, and has lost its digits where that is below rounding.
    """
    inner = np.where(through, _NEAR_INSIDE, _NEAR)
    lost = _NEAR / (1 - (law.edge_exponent_at_zero or 0.0))
    reach = np.where(ends == 0, lost if chart.cuts else _NEAR_ZERO, inner)
    return np.maximum(units * 10**-reach, np.maximum(_EPS * np.abs(ends), _LEAST))


def _laid(ends: _End, near: np.ndarray, scale: float, count: int) -> np.ndarray:
    """Return points whose distances to both ends go down geometrically, strictly inside."""
    low, high = ends
    if np.isinf(low):
        points = high - np.geomspace(near[1], scale * 10**_FAR, count)[::-1]
    elif np.isinf(high):
        points = low + np.geomspace(near[0], scale * 10**_FAR, count)
    else:
        length = high - low
        first, last = np.minimum(near / max(length, _LEAST), 1)
        ratio = np.geomspace(first, 1 / last, count)
        points = np.where(
            ratio < 1, low + length * ratio / (1 + ratio), high - length / (1 + ratio)
        )
    return np.clip(points, np.nextafter(low, np.inf), np.nextafter(high, -np.inf))


def _crossing(arms: Arms, row: np.ndarray, levels: np.ndarray, split: float) -> float:
    """Return the point of a gap with a given level."""
    first = int(np.searchsorted(-levels, -split, side="right")) - 1
    low, high = row[first], row[first + 1]
    length = high - low

    def shifted(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, slope = arms._falling(low + share * length)
        return value + split, slope * length

    share = invert_increasing(shifted, np.zeros(1), 0.0, 1.0, np.full(1, 0.5))
    return float(low + share[0] * length)
