r"""Stretches between solved points of the distribution of singular values, and the table they make.

At a spectral point the solution of the Dyson equation gives the distribution function itself (from
the potential), the density, and its slope (from the derivative of the solution).  So the table
interpolates between its nodes by quintic polynomials, in the logarithm of s, or in the square root
of the logarithmic distance to an edge of the support, where the density starts like a square root.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Node", "Panel", "Table"]

_GAUSS, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Node:
    r"""What the Dyson equation says at one point s = exp(position).

    Attributes
    ----------
    position
        log s.
    below
        The distribution function.
    density, bend
        Its first and second derivative in log s.
    interior
        Whether the point is inside the support.
    sigma, sigma_slope
        The self-energies and their derivatives in log s.
    residual
        Of the Dyson equation, relative.
    straight
        Whether self-energies are interpolated as they are, and not by their logarithms.
    """

    position: float
    below: float
    density: float
    bend: float
    interior: bool
    sigma: np.ndarray = field(repr=False)
    sigma_slope: np.ndarray = field(repr=False)
    residual: float
    straight: bool = False


@dataclass(frozen=True)
class Panel:
    """The stretch between two nodes, with the edge that it starts from or ends at, if any.

    The variable x is log s, or the square root of the distance of log s to the edge.
    """

    left: Node
    right: Node
    edge: float | None = None

    @property
    def _direction(self) -> float:
        assert self.edge is not None
        return 1.0 if self.right.position > self.edge else -1.0

    def variable(self, position: Any) -> Any:
        """Return x at log s."""
        if self.edge is None:
            return position
        distance = np.maximum(0.0, self._direction * (position - self.edge))
        return self._direction * np.sqrt(distance)

    def position(self, x: Any) -> Any:
        """Return log s at x."""
        return x if self.edge is None else self.edge + self._direction * x * x

    def at(self, share: float) -> float:
        """Return log s at a share of the panel, counted in x."""
        start, end = self.variable(self.left.position), self.variable(self.right.position)
        return float(self.position(start + share * (end - start)))

    @cached_property
    def polynomial(self) -> tuple[float, float, np.ndarray]:
        """The start, the length and the coefficients in (x - start) / length."""
        start, end = (float(self.variable(node.position)) for node in (self.left, self.right))
        length = (end - start) or 1.0
        values = [
            self._derivatives(node, x, length)
            for node, x in ((self.left, start), (self.right, end))
        ]
        return start, length, _quintic(*values)

    def nodes(self, low: float = -math.inf, high: float = math.inf) -> tuple[Any, Any]:
        """Return nodes in x and weights of integrals over what lies between two values of log s."""
        ends = np.clip([low, high], self.left.position, self.right.position)
        start, end = (float(self.variable(position)) for position in ends)
        return start + (end - start) * (_GAUSS + 1) / 2, (end - start) * _GAUSS_WEIGHTS / 2

    def _derivatives(self, node: Node, x: float, length: float) -> tuple[float, float, float]:
        """Return the distribution function and its two derivatives in x / length."""
        if self.edge is None:
            return node.below, node.density * length, node.bend * length**2
        first = 2 * abs(x) * node.density
        second = 4 * x * x * node.bend + 2 * self._direction * node.density
        return node.below, first * length, second * length**2

    @cached_property
    def _turns(self) -> list[tuple[float, float]]:
        """The places in [0, 1] at which the polynomial has an extremum, and its value there."""
        coefficients = self.polynomial[2]
        roots = np.polynomial.polynomial.polyroots(_derivative(coefficients))
        places = [float(r.real) for r in roots if abs(r.imag) < 1e-9 and 0 < r.real < 1]
        return [(t, float(np.polynomial.polynomial.polyval(t, coefficients))) for t in places]

    def evaluate(self, position: Any) -> tuple[Any, Any]:
        """Return the distribution function and its derivative in log s."""
        start, length, coefficients = self.polynomial
        x = self.variable(np.asarray(position, dtype=float))
        t = (x - start) / length
        below = np.polynomial.polynomial.polyval(t, coefficients)
        for turn, highest in self._turns:  # where the density is tiny, a quintic may fall a little
            below = np.where(t > turn, np.maximum(below, highest), below)
        below = np.clip(below, self.left.below, max(self.left.below, self.right.below))
        slope = np.polynomial.polynomial.polyval(t, _derivative(coefficients)) / length
        if self.edge is not None:
            # The derivative vanishes like x at the edge, so the quotient is finite there.
            slope = slope / np.maximum(2 * np.abs(x), 1e-150)
        return below, np.maximum(0.0, slope)

    @property
    def empty(self) -> bool:
        """Whether no mass lies in the panel."""
        return not self.left.interior and not self.right.interior

    def self_energies(self, position: float) -> np.ndarray:
        """Return self-energies to start from inside a panel."""
        left, right = self.left, self.right
        if not (left.interior and right.interior):
            return left.sigma if left.interior else right.sigma
        width = right.position - left.position
        t = (position - left.position) / width
        if left.straight:
            ends = (left.sigma, right.sigma), (width * left.sigma_slope, width * right.sigma_slope)
            return _cubic(t, *ends)
        moves = (left.sigma != 0) & (right.sigma != 0)
        start, end = (np.where(moves, node.sigma, -1j) for node in (left, right))
        first, last = np.log(start), np.log(end)
        straight = (1 - t) * first + t * last
        ends = (
            first - last + width * left.sigma_slope / start,
            last - first - width * right.sigma_slope / end,
        )
        curved = straight + t * (1 - t) * ((1 - t) * ends[0] + t * ends[1])
        below = np.all((curved.imag < 0) & (curved.imag > -math.pi))
        return np.where(moves, np.exp(curved if below else straight), left.sigma)


def _cubic(t: float, values: tuple[Any, Any], slopes: tuple[Any, Any]) -> np.ndarray:
    """Interpolate on [0, 1] by values and slopes at the ends."""
    straight = (1 - t) * values[0] + t * values[1]
    ends = values[0] - values[1] + slopes[0], values[1] - values[0] - slopes[1]
    return np.asarray(straight + t * (1 - t) * ((1 - t) * ends[0] + t * ends[1]))


def _quintic(left: tuple[float, float, float], right: tuple[float, float, float]) -> np.ndarray:
    """Return the coefficients on [0, 1] that match value and two derivatives at the ends."""
    a, b, c = left[0], left[1], left[2] / 2
    rest = right[0] - a - b - c, right[1] - b - 2 * c, right[2] - 2 * c
    d = 10 * rest[0] - 4 * rest[1] + rest[2] / 2
    e = -15 * rest[0] + 7 * rest[1] - rest[2]
    f = 6 * rest[0] - 3 * rest[1] + rest[2] / 2
    return np.array([a, b, c, d, e, f])


def _derivative(coefficients: np.ndarray) -> np.ndarray:
    return coefficients[1:] * np.arange(1, len(coefficients))


@dataclass(frozen=True)
class Table:
    """Panels from the least to the greatest singular value that is resolved.

    Attributes
    ----------
    panels
        Neighbours share a node.
    edges
        The intervals of the support, in s.
    lost
        The mass at 0.
    """

    panels: tuple[Panel, ...]
    edges: tuple[tuple[float, float], ...]
    lost: float = 0.0

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes in increasing order."""
        return (*(panel.left for panel in self.panels), self.panels[-1].right)

    @cached_property
    def _cuts(self) -> np.ndarray:
        return np.array([node.position for node in self.nodes])

    def evaluate(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the distribution function and its derivative in log s; shape of the argument."""
        below, slope = np.empty_like(position), np.empty_like(position)
        index = np.clip(
            np.searchsorted(self._cuts, position, side="right") - 1, 0, len(self.panels) - 1
        )
        for k in np.unique(index):
            here = index == k
            below[here], slope[here] = self.panels[k].evaluate(position[here])
        first, last = self.nodes[0], self.nodes[-1]
        above, under = position >= last.position, position < first.position
        below = np.where(above, 1.0, below)
        slope = np.where(above, 0.0, slope)
        power = self.first_power
        tail = self.tail * np.exp(power * np.minimum(0.0, position - first.position))
        below = np.where(under, self.lost + tail, below)
        return np.clip(below, self.lost, 1.0), np.where(under, power * tail, slope)

    def self_energies(self, position: np.ndarray) -> np.ndarray:
        """Return self-energies close to the solution at log s, shape (points, blocks)."""
        last = len(self.panels) - 1
        index = np.clip(np.searchsorted(self._cuts, position, side="right") - 1, 0, last)
        inside = np.clip(position, self._cuts[0], self._cuts[-1])
        return np.array(
            [self.panels[k].self_energies(at) for k, at in zip(index, inside, strict=True)]
        )

    @property
    def tail(self) -> float:
        """The mass between 0 and the first node."""
        return max(0.0, self.nodes[0].below - self.lost)

    @property
    def first_power(self) -> float:
        """The exponent a of the power law c s^a that continues the table to 0; 0 if none."""
        first = self.nodes[0]
        return first.density / self.tail if first.interior and self.tail > 0 else 0.0
