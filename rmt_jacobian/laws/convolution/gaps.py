"""The gaps of a free convolution, their edges, and the solution inside them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.laws.convolution.brackets import least_in_brackets, zeros_in_brackets
from rmt_jacobian.laws.convolution.strands import Strands

__all__ = ["Segment", "gaps_of", "segments_of", "solve_in_gaps"]

_SEARCHES = 40
_STILL = 2e-15  # of a logarithm of a level, where it is a solution and not stationary
_FLAT = 1e-9  # of the logarithm of a level; z is stationary at an edge, so its error is the square
_NEAR = 1e-6  # of the distance to the next special point: how far off a point is at a corner
_SNAP = 10.0  # how far from a corner a strand may end, in units of how far its points are
_ROUNDING = 1e-15  # of a level: its limit at the end of an arm is reached
_NARROW = 1e-13  # a narrower gap is the rounding of a remainder that is 0
_SAME = 3e-11  # segments closer than this, without an atom between, belong to one gap


@dataclass(frozen=True, eq=False)
class Segment:
    """A part of a strand on which z grows as the level falls.

    Attributes
    ----------
    strand
        Its number among the strands.
    logs
        Decreasing logarithms of levels.
    x
        The increasing points z that belong to them.
    through
        Whether the gap goes on beyond the two ends, on another strand.
    """

    strand: int
    logs: np.ndarray
    x: np.ndarray
    through: tuple[bool, bool]


def segments_of(strands: Strands) -> list[Segment]:
    """Find all parts of strands that belong to gaps, in order of z."""
    numbers = np.broadcast_to(np.arange(len(strands.levels))[:, None], strands.levels.shape)
    logs = strands.chart.logarithm(strands.levels)
    z, remainder, points = strands.locate(numbers, strands.levels)
    rows = [
        _Nodes(k, logs[k], z[k], remainder[k], points[:, k]) for k in range(len(strands.levels))
    ]
    rows = _with_extrema(strands, rows)
    rows = _with_zeros(strands, rows)
    segments = [segment for nodes in rows for segment in _runs(strands, nodes)]
    return sorted(segments, key=lambda segment: segment.x[0])


@dataclass(frozen=True, eq=False)
class _Nodes:
    """What is known at points along one strand."""

    strand: int
    logs: np.ndarray
    z: np.ndarray
    remainder: np.ndarray
    points: np.ndarray

    def with_node(self, log: float, z: float, remainder: float, points: np.ndarray) -> "_Nodes":
        at = int(np.searchsorted(-self.logs, -log))
        return _Nodes(
            self.strand,
            np.insert(self.logs, at, log),
            np.insert(self.z, at, z),
            np.insert(self.remainder, at, remainder),
            np.insert(self.points, at, points, axis=1),
        )


def _locator(strands: Strands, nodes: list[_Nodes]):
    """Return the function that takes one logarithm for each of some strands."""
    numbers = np.array([entry.strand for entry in nodes], dtype=int)
    like = strands.levels[numbers, strands.levels.shape[1] // 2]

    def locate(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return strands.locate(numbers, strands.chart.exponential(logs, like))

    return locate


def _with_extrema(strands: Strands, rows: list[_Nodes]) -> list[_Nodes]:
    """Add the extrema of the remainder on the other side of 0, where two zeros lie close."""
    found = []
    for row, nodes in enumerate(rows):
        found += [(row, k, sign) for k, sign in _turns(nodes.logs, nodes.remainder)]
    if not found:
        return rows
    locate = _locator(strands, [rows[row] for row, _, _ in found])
    signs = np.array([sign for *_, sign in found])
    low = np.array([rows[row].logs[k + 1] for row, k, _ in found])
    high = np.array([rows[row].logs[k - 1] for row, k, _ in found])
    at, _ = least_in_brackets(lambda logs: signs * locate(logs)[1], low, high, _SEARCHES)
    return _inserted(rows, [row for row, *_ in found], at, locate(at))


def _turns(x: np.ndarray, y: np.ndarray) -> list[tuple[int, float]]:
    """Return where the parabola through three neighbours turns back halfway to 0 or beyond it."""
    y0, y1, y2 = np.abs(y[:-2]), np.abs(y[1:-1]), np.abs(y[2:])
    left, right = np.diff(x)[:-1], np.diff(x)[1:]
    with np.errstate(all="ignore"):
        first, second = (y1 - y0) / left, (y2 - y1) / right
        curvature = (second - first) / (left + right)
        middle = (first * right + second * left) / (left + right)
        vertex = y1 - middle**2 / (4 * curvature)
    one_sign = (np.sign(y[:-2]) == np.sign(y[1:-1])) & (np.sign(y[2:]) == np.sign(y[1:-1]))
    turning = one_sign & (y1 <= y0) & (y1 <= y2) & (vertex < y1 / 2)
    return [(int(k) + 1, float(np.sign(y[k + 1]))) for k in np.flatnonzero(turning)]


def _with_zeros(strands: Strands, rows: list[_Nodes]) -> list[_Nodes]:
    """Add the zeros of the remainder between neighbours of opposite sign: the edges."""
    found = [
        (row, int(k))
        for row, nodes in enumerate(rows)
        for k in np.flatnonzero(np.diff(np.sign(nodes.remainder)) != 0)
    ]
    if not found:
        return rows
    locate = _locator(strands, [rows[row] for row, _ in found])

    def pick(name: str, shift: int) -> np.ndarray:
        return np.array([getattr(rows[row], name)[k + shift] for row, k in found])

    at = zeros_in_brackets(
        lambda logs: locate(logs)[1],
        pick("logs", 1),
        pick("logs", 0),
        pick("remainder", 1),
        pick("remainder", 0),
        _FLAT,
    )
    z, _, points = locate(at)
    return _inserted(rows, [row for row, _ in found], at, (z, np.zeros_like(z), points))


def _inserted(
    rows: list[_Nodes],
    where: Iterable[int],
    logs: np.ndarray,
    located: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> list[_Nodes]:
    rows = list(rows)
    z, remainder, points = located
    for n, row in enumerate(where):
        rows[row] = rows[row].with_node(logs[n], z[n], remainder[n], points[:, n])
    return rows


def _runs(strands: Strands, nodes: _Nodes) -> list[Segment]:
    """Cut a strand where the remainder is not positive."""
    open_steps = (nodes.remainder[:-1] >= 0) & (nodes.remainder[1:] >= 0)
    open_steps &= (nodes.remainder[:-1] > 0) | (nodes.remainder[1:] > 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], open_steps, [False]])))
    segments = []
    for start, stop in edges.reshape(-1, 2):
        kept = slice(start, stop + 1)
        x, through = nodes.z[kept].copy(), [False, False]
        for side, node in ((0, start), (1, stop)):
            if nodes.remainder[node] > 0:  # the end of the strand
                x[-side], through[side] = _limit(strands, nodes, node, side)
        x = np.maximum.accumulate(x)
        low, high = through
        segments.append(Segment(nodes.strand, nodes.logs[kept], x, (low, high)))
    return segments


def _limit(strands: Strands, nodes: _Nodes, node: int, side: int) -> tuple[float, bool]:
    """Return the limit of z at the end of a strand, and whether the gap goes on there."""
    pairs = list(zip(strands.arms, strands.choice[:, nodes.strand], strict=True))
    ends = np.array([arms.ends[k, side] for arms, k in pairs])
    through = np.array([arms.through[k, side] for arms, k in pairs])
    x = float(nodes.z[node])
    if np.all(through):
        return x, True
    lengths = np.array([np.abs(arms.points[k]).min() for arms, k in pairs])
    like = strands.levels[nodes.strand, strands.levels.shape[1] // 2]
    level = strands.chart.exponential(nodes.logs[node], like)
    limits = np.array([arms.levels[k, -side] for arms, k in pairs])
    reached = (np.abs(nodes.points[:, node]) <= 1e3 * lengths) | (
        np.abs(level - limits) <= _ROUNDING * np.abs(limits)
    )
    if strands.chart.cuts and np.any(~through & (ends == 0) & reached):
        return 0.0, False
    if not np.all(np.isfinite(ends)):
        return x, False
    off = np.abs(nodes.points[:, node] - ends)
    units = np.array([arms.units[k, side] for arms, k in pairs])
    limit, room = strands.chart.corner(ends, off, strands.times)
    at_corner = np.all(off <= _NEAR * units) and abs(x - limit) <= _SNAP * room
    return (limit if at_corner else x), False


def gaps_of(
    strands: Strands, segments: list[Segment], atoms: tuple[tuple[float, float], ...]
) -> list[tuple[float, float]]:
    """Join the segments that continue each other, or touch without an atom between.

    What is narrow is so in units of its own place, for a product, or of the terms that add up to
    it there, for a sum.

    Raises
    ------
    ConvergenceError
        If the two outermost gaps were not found.
    """
    if len(segments) < 2:
        raise ConvergenceError(
            "the support of the convolution was not found: bring the factors to more similar scales"
        )
    merged: list[tuple[float, float]] = []
    units: list[float] = []
    goes_on = False
    for segment, unit in zip(segments, _units(strands, segments), strict=True):
        low, high = float(segment.x[0]), float(segment.x[-1])
        if merged and (
            (goes_on and segment.through[0]) or _touch(merged[-1][1], low, atoms, _SAME * unit[0])
        ):
            goes_on = segment.through[1] if high >= merged[-1][1] else goes_on
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            units[-1] = max(units[-1], unit[1])
        else:
            merged.append((low, high))
            units.append(unit[1])
            goes_on = segment.through[1]
    narrow = [high - low <= _NARROW * unit for (low, high), unit in zip(merged, units, strict=True)]
    wide = [gap for gap, lost in zip(merged[1:-1], narrow[1:-1], strict=True) if not lost]
    merged = [merged[0], *wide, merged[-1]]
    merged[0] = (-np.inf, merged[0][1])
    merged[-1] = (merged[-1][0], np.inf)
    return merged


def _units(strands: Strands, segments: list[Segment]) -> np.ndarray:
    """Return the sizes beside which the ends of segments are exact but for rounding."""
    ends = np.array([segment.x[[0, -1]] for segment in segments])
    if strands.chart.cuts:
        return np.abs(ends)
    finite = ends.ravel()[1:-1]  # of the outermost two the far ends are at infinity
    sizes = np.full(ends.size, np.max(np.abs(finite), initial=0.0) or 1.0)
    terms = strands.sizes(solve_in_gaps(strands, segments, finite))
    sizes[1:-1] = np.where(np.isfinite(terms), terms, sizes[1:-1])
    return sizes.reshape(ends.shape)


def _touch(
    below: float, above: float, atoms: tuple[tuple[float, float], ...], slack: float
) -> bool:
    if any(below - slack <= at <= above + slack for at, _ in atoms):
        return False
    return above - below <= slack


def solve_in_gaps(strands: Strands, segments: list[Segment], x: np.ndarray) -> np.ndarray:
    """Return the subordination points, a row for a factor, of real points in gaps."""
    low = np.array([segment.x[0] for segment in segments])
    high = np.array([segment.x[-1] for segment in segments])
    chosen = np.clip(np.searchsorted(low, x, side="right") - 1, 0, None)
    after = np.minimum(chosen + 1, len(segments) - 1)
    chosen = np.where((x > high[chosen]) & (x - high[chosen] > low[after] - x), after, chosen)
    brackets = np.empty((4, len(x)))
    for k in np.unique(chosen):
        own, segment = chosen == k, segments[k]
        first = np.searchsorted(segment.x, x[own], side="right") - 1
        first = np.clip(first, 0, len(segment.x) - 2)
        brackets[:, own] = (
            segment.logs[first + 1], segment.logs[first], segment.x[first + 1], segment.x[first],
        )  # fmt: skip
    x = np.clip(x, brackets[3], brackets[2])
    numbers = np.array([segment.strand for segment in segments])[chosen]
    like = strands.levels[numbers, strands.levels.shape[1] // 2]
    tolerance = _STILL * (1 + np.max(np.abs(brackets[:2]), axis=0))
    logs = zeros_in_brackets(
        lambda c: strands.locate(numbers, strands.chart.exponential(c, like))[0] - x,
        brackets[0], brackets[1], brackets[2] - x, brackets[3] - x, tolerance,
    )  # fmt: skip
    return strands.points(numbers, strands.chart.exponential(logs, like))
