"""Closed curves on which a function in the plane that is even about the real axis vanishes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["LevelSet", "zero_crossings"]

_SHARP = 3.0  # values beyond do not count: the function has poles
_SCAN_STEPS = 12  # of root finding on the edges of the grid
_STEPS = 150  # of root finding on the curves; it rarely takes 12
_DOUBLINGS = 8

Function = Callable[[np.ndarray], np.ndarray]
"""From complex points to real values, positive inside."""


def zero_crossings(
    function: Function, inside: np.ndarray, outside: np.ndarray, *, steps: int = _STEPS,
    tolerance: float = 1e-13,
) -> np.ndarray:  # fmt: skip
    """Find a zero on each segment between a point where the function is positive and one where not.

    The Illinois variant of regula falsi with bisections in between, all segments side by side.

    Parameters
    ----------
    function
        From complex points to real values.
    inside, outside
        Ends of the segments.
    steps
        Most evaluations.
    tolerance
        Length of a segment that counts as a point, relative to its start.

    Examples
    --------
    >>> zero_crossings(lambda z: 2 - abs(z), np.array([0j, 1j]), np.array([5 + 0j, 3j]))
    array([2.+0.j, 0.+2.j])
    """
    low, high = inside.astype(complex), outside.astype(complex)
    size = np.abs(high - low)
    values = np.clip(function(np.concatenate([low, high])), -_SHARP, _SHARP)
    at_low, at_high = np.maximum(values[: len(low)], 0), np.minimum(values[len(low) :], 0)
    best, side = low.copy(), np.zeros(len(low), dtype=int)
    active = np.arange(len(low))
    for step in range(steps):
        if not active.size:
            break
        a, b = low[active], high[active]
        fa, fb = at_low[active], at_high[active]
        share = np.clip(np.where(fa > fb, fa / np.maximum(fa - fb, 1e-300), 0.5), 1e-9, 1 - 1e-9)
        if step % 3 == 2:  # next to a pole secants creep
            share = np.full_like(share, 0.5)
        middle = a + share * (b - a)
        value = np.clip(function(middle), -_SHARP, _SHARP)
        best[active] = middle
        within = value > 0
        # An end that stays twice loses half of its weight.
        at_high[active] = np.where(within, np.where(side[active] > 0, fb / 2, fb), value)
        at_low[active] = np.where(within, value, np.where(side[active] < 0, fa / 2, fa))
        low[active], high[active] = np.where(within, middle, a), np.where(within, b, middle)
        side[active] = np.where(within, 1, -1)
        open_ = np.abs(high[active] - low[active]) > tolerance * size[active]
        active = active[open_ & (np.abs(value) > 1e-14)]
    return best


@dataclass(frozen=True, eq=False)
class LevelSet:
    """The function on a grid of the upper half plane, whose first row is the real axis.

    Attributes
    ----------
    function
        Positive inside, even about the real axis.
    x, y
        The lines of the grid, increasing; ``y[0]`` is 0.
    values
        Of the function, shape (x, y).
    """

    function: Function
    x: np.ndarray
    y: np.ndarray
    values: np.ndarray

    @classmethod
    def on(cls, function: Function, x: np.ndarray, y: np.ndarray) -> "LevelSet":
        """Evaluate the function on a grid."""
        lam = x[:, None] + 1j * y[None, :]
        return cls(function, x, y, function(lam.ravel()).reshape(lam.shape))

    def curves(self, points: int) -> list[np.ndarray]:
        """Return closed curves with the inside on their left, the first point repeated at the end.

        Parameters
        ----------
        points
            About how many points each curve has.
        """
        found = []
        for chain in self._chains():
            closed = chain[0] == chain[-1]
            nodes = self._nodes(chain)
            if closed:
                loop = self._polished(nodes, points, closed=True)
                if len(loop) > 3:
                    found += [loop, np.conj(loop[::-1])]
            else:
                half = self._polished(nodes, points // 2 + 1, closed=False)
                if len(half) > 2:
                    found.append(np.concatenate([half, np.conj(half[-2::-1])]))
        return found

    def _chains(self) -> list[list[tuple[int, int, int]]]:
        """Return the curves as sequences of edges (i, j, 0 along x or 1 along y)."""
        following = self._segments()
        ends = set(following.values())
        chains, left = [], dict(following)
        starts = [edge for edge in following if edge not in ends]
        while left:
            edge = starts.pop() if starts else next(iter(left))
            chain = [edge]
            while edge in left:
                edge = left.pop(edge)
                chain.append(edge)
            chains.append(chain)
        return chains

    def _segments(self) -> dict[tuple[int, int, int], tuple[int, int, int]]:
        """Return for each edge that a curve crosses the edge where it leaves the cell."""
        positive = self.values > 0
        corners = np.stack(
            [positive[:-1, :-1], positive[1:, :-1], positive[1:, 1:], positive[:-1, 1:]], axis=-1
        )
        mixed = corners.any(axis=-1) & ~corners.all(axis=-1)
        following = {}
        for i, j in np.argwhere(mixed).tolist():
            edges = [(i, j, 0), (i + 1, j, 1), (i, j + 1, 0), (i, j, 1)]
            around = corners[i, j]
            exits = [k for k in range(4) if around[k] and not around[(k + 1) % 4]]
            entries = [k for k in range(4) if around[(k + 1) % 4] and not around[k]]
            if len(exits) == 1:
                following[edges[exits[0]]] = edges[entries[0]]
                continue
            centre = (self.x[i] + self.x[i + 1]) / 2 + 0.5j * (self.y[j] + self.y[j + 1])
            turn = 1 if self.function(np.array([centre]))[0] > 0 else 3
            for k in exits:
                following[edges[k]] = edges[(k + turn) % 4]
        return following

    def _nodes(self, chain: list[tuple[int, int, int]]) -> np.ndarray:
        """Return where the curve crosses the edges; exactly so on the real axis."""
        i, j, along = np.array(chain).T
        first = self.x[i] + 1j * self.y[j]
        second = self.x[i + (along == 0)] + 1j * self.y[j + (along == 1)]
        inside = self.values[i, j] > 0
        low, high = np.where(inside, first, second), np.where(inside, second, first)
        nodes = zero_crossings(self.function, low, high, steps=_SCAN_STEPS)
        real = (j == 0) & (along == 0)
        if real.any():
            nodes[real] = zero_crossings(self.function, low[real], high[real])
        return nodes

    def _polished(self, nodes: np.ndarray, points: int, *, closed: bool) -> np.ndarray:
        """Spread points along a polygon and move them along its normals onto the curve."""
        places, tangents, spacing = _spread(nodes, points, closed=closed)
        middle = slice(0, None) if closed else slice(1, -1)
        moved, found = self._onto(places[middle], tangents[middle] / 1j, spacing[middle])
        kept = moved[found]
        if closed:
            return np.concatenate([kept, kept[:1]])
        return np.concatenate([nodes[:1], kept, nodes[-1:]])

    def _onto(
        self, places: np.ndarray, outward: np.ndarray, spacing: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move points along the normals, no further than about their spacing."""
        if not places.size:
            return places, np.zeros(0, dtype=bool)
        values = self.function(places)
        ahead = np.where(values > 0, outward, -outward)
        reach = spacing * 2.0 ** (1 - _DOUBLINGS)
        ends, found = places.copy(), np.zeros(len(places), dtype=bool)
        starts = places.copy()
        for _ in range(_DOUBLINGS):
            open_ = np.flatnonzero(~found)
            if not open_.size:
                break
            trial = places[open_] + reach[open_] * ahead[open_]
            crossed = (self.function(trial) > 0) != (values[open_] > 0)
            ends[open_] = trial
            starts[open_[~crossed]] = trial[~crossed]
            found[open_[crossed]] = True
            reach *= 2
        low = np.where(values > 0, starts, ends)
        high = np.where(values > 0, ends, starts)
        moved = places.copy()
        if found.any():
            moved[found] = zero_crossings(self.function, low[found], high[found])
        return moved, found


def _spread(
    nodes: np.ndarray, points: int, *, closed: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points on a polygon, their tangents, and their distance to the next.

    They are equally spaced in a mean of length and turning angle, so that bends are drawn.
    """
    apart = np.concatenate([[True], np.abs(np.diff(nodes)) > 0])
    nodes = nodes[apart]
    sides = np.diff(nodes)
    length = np.abs(sides)
    angles = np.abs(np.angle(sides[1:] / sides[:-1])) if len(sides) > 1 else np.zeros(0)
    turn = np.zeros(len(sides))
    turn[:-1] += angles / 2
    turn[1:] += angles / 2
    share = length / max(length.sum(), 1e-300) + 0.5 * turn / max(turn.sum(), 1e-300)
    along = np.concatenate([[0.0], np.cumsum(share)])
    wanted = np.linspace(0, along[-1], points, endpoint=not closed)
    travelled = np.interp(wanted, along, np.concatenate([[0.0], np.cumsum(length)]))
    places = np.interp(wanted, along, np.real(nodes)) + 1j * np.interp(
        wanted, along, np.imag(nodes)
    )
    which = np.clip(np.searchsorted(along, wanted, side="right") - 1, 0, len(sides) - 1)
    spacing = np.gradient(travelled) if points > 1 else np.ones(points)
    # Nearby chords turn the normal gently from one side to the next.
    tangents = sides[which] / length[which]
    return places, tangents, np.maximum(spacing, length[which] / 2)
