r"""The distribution of singular values of a chain, tabulated where it bends.

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
from threadpoolctl import threadpool_limits

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.pencils.chain import ProductChain
from rmt_jacobian.pencils.chain_continuation import descend, solve_chain
from rmt_jacobian.pencils.chain_newton import ChainSolution, drift

__all__ = ["Node", "Panel", "Table", "measure", "tabulate"]

_LEAST = 1e-140  # moduli below it would overflow when squared
_UNRESOLVED = 1e-6  # mass below the first node that is left to a power law
_NARROW = 1e-13  # relative width of the smallest panel
_SEEDS = 12
_SHARES = (0.5, 0.45, 0.55, 0.4, 0.62)  # of a panel, where it is split
_EDGE_STEPS, _EDGE_WIDTH = 60, 1e-10


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
    """

    position: float
    below: float
    density: float
    bend: float
    interior: bool
    sigma: np.ndarray = field(repr=False)
    sigma_slope: np.ndarray = field(repr=False)
    residual: float


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

    def _derivatives(self, node: Node, x: float, length: float) -> tuple[float, float, float]:
        """Return the distribution function and its two derivatives in x / length."""
        if self.edge is None:
            return node.below, node.density * length, node.bend * length**2
        first = 2 * abs(x) * node.density
        second = 4 * x * x * node.bend + 2 * self._direction * node.density
        return node.below, first * length, second * length**2

    def evaluate(self, position: Any) -> tuple[Any, Any]:
        """Return the distribution function and its derivative in log s."""
        start, length, coefficients = self.polynomial
        x = self.variable(np.asarray(position, dtype=float))
        t = (x - start) / length
        below = np.polynomial.polynomial.polyval(t, coefficients)
        slope = np.polynomial.polynomial.polyval(t, _derivative(coefficients)) / length
        if self.edge is not None:
            # The derivative vanishes like x at the edge, so the quotient is finite there.
            slope = slope / np.maximum(2 * np.abs(x), 1e-150)
        return below, np.maximum(0.0, slope)

    @property
    def empty(self) -> bool:
        """Whether no mass lies in the panel."""
        return not self.left.interior and not self.right.interior


def _quintic(left: tuple[float, float, float], right: tuple[float, float, float]) -> np.ndarray:
    """Return the coefficients on [0, 1] that match value, slope and second derivative at the ends."""
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
    """

    panels: tuple[Panel, ...]
    edges: tuple[tuple[float, float], ...]

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
        tail = first.below * np.exp(power * np.minimum(0.0, position - first.position))
        below = np.where(under, tail, below)
        return np.clip(below, 0.0, 1.0), np.where(under, power * tail, slope)

    def self_energies(self, position: np.ndarray) -> np.ndarray:
        """Return self-energies close to the solution at log s, shape (points, 2T)."""
        last = len(self.panels) - 1
        index = np.clip(np.searchsorted(self._cuts, position, side="right") - 1, 0, last)
        inside = np.clip(position, self._cuts[0], self._cuts[-1])
        return np.array([_between(self.panels[k], at) for k, at in zip(index, inside, strict=True)])

    @property
    def first_power(self) -> float:
        """The exponent a of the power law c s^a that continues the table to 0; 0 if none."""
        first = self.nodes[0]
        return first.density / first.below if first.interior and first.below > 0 else 0.0


def measure(chain: ProductChain, solution: ChainSolution) -> list[Node]:
    """Return the nodes at real spectral points; those that did not converge are left out."""
    xp = array_namespace(solution.s)
    s = to_numpy(xp.real(solution.s))
    potential = chain.potential(solution.s, solution.sigma, solution.averages)
    sigma_drift, cauchy_drift = drift(chain, solution)
    density = -2 / math.pi * to_numpy(xp.imag(solution.averages[:, 0]))
    slope = -2 / math.pi * to_numpy(xp.imag(cauchy_drift[:, 0]))
    below = 1 - to_numpy(xp.imag(potential)) / math.pi
    inside = to_numpy(solution.inside)
    sigma, sigma_drift = to_numpy(solution.sigma), to_numpy(sigma_drift)
    residual, converged = to_numpy(solution.residual), to_numpy(solution.converged)
    nodes = []
    for j in np.flatnonzero(converged):
        interior = bool(inside[j]) and bool(density[j] > 0)
        nodes.append(
            Node(
                position=math.log(s[j]),
                below=float(below[j]),
                density=float(s[j] * density[j]) if interior else 0.0,
                bend=float(s[j] * density[j] + s[j] ** 2 * slope[j]) if interior else 0.0,
                interior=interior,
                sigma=sigma[j],
                sigma_slope=s[j] * sigma_drift[j],
                residual=float(residual[j]),
            )
        )
    return nodes


class _Tabulation:
    """The work of :func:`tabulate`: solving, comparing, splitting."""

    def __init__(self, chain: ProductChain, tolerance: float, workers: int | None) -> None:
        self.chain, self.tolerance, self.workers = chain, tolerance, workers
        self.xp = array_namespace(chain.sites.direct)
        self.ladder = descend(chain, least=_LEAST, unresolved=_UNRESOLVED)

    def solve(self, positions: list[float], starts: list[np.ndarray] | None) -> list[Node | None]:
        """Return the nodes at log s, None where the solver did not converge."""
        if not positions:
            return []
        xp = self.xp
        s = xp.asarray(np.exp(np.array(positions)) + 0j)
        start = None if starts is None else xp.asarray(np.array(starts))
        found = solve_chain(self.chain, s, start, ladder=self.ladder, workers=self.workers)
        nodes = iter(measure(self.chain, found))
        return [next(nodes) if ok else None for ok in to_numpy(found.converged)]

    def seeds(self) -> list[Node]:
        """Return nodes that span the whole range, closer together where there is more mass."""
        moduli = np.log([float(self.xp.abs(rung.s[0])) for rung in self.ladder])
        shares = np.array(
            [
                -float(self.xp.imag(rung.s[0]) * self.xp.imag(rung.averages[0, 0]))
                for rung in self.ladder
            ]
        )
        at_shares = np.interp(np.linspace(0.02, 0.98, _SEEDS), shares[::-1], moduli[::-1])
        beyond = np.linspace(at_shares[-1], at_shares[-1] + 3, 4)[1:]
        tail = np.linspace(moduli.min(), at_shares[0], _SEEDS // 2)
        positions = sorted(
            {*at_shares.tolist(), *beyond.tolist(), *tail.tolist(), float(moduli.max())}
        )
        nodes = [node for node in self.solve(positions, None) if node is not None]
        if len(nodes) < 2:
            raise ConvergenceError(
                "the Dyson equation was not solved on the axis: use fewer steps or more sites"
            )
        return self._capped(nodes)

    def _capped(self, nodes: list[Node]) -> list[Node]:
        """Drop points far above the support, and make sure that one is above it."""
        first_above = next((j for j, n in enumerate(nodes) if _is_top(n)), None)
        if first_above is None:
            raise ConvergenceError("no point above the support was found: scale weight_std down")
        return nodes[: first_above + 1]

    def run(self) -> Table:
        nodes = self.seeds()
        waiting = [Panel(a, b) for a, b in zip(nodes[:-1], nodes[1:], strict=True)]
        done: list[Panel] = []
        while waiting:
            waiting = self._round(waiting, done)
        done.sort(key=lambda panel: panel.left.position)
        return Table(tuple(done), _edges(done))

    def _round(self, waiting: list[Panel], done: list[Panel]) -> list[Panel]:
        """Sort panels into finished ones and the halves of the others."""
        asked: list[Panel] = []
        again: list[Panel] = []
        for panel in waiting:
            if panel.empty and abs(panel.right.below - panel.left.below) <= self.tolerance / 100:
                done.append(panel)
            elif panel.edge is None and panel.left.interior != panel.right.interior:
                again += self._cut_at_edge(panel, done)
            else:
                asked.append(panel)
        for panel, node in zip(asked, self._split_points(asked), strict=True):
            halves = [Panel(panel.left, node, panel.edge), Panel(node, panel.right, panel.edge)]
            (done if self._agrees(panel, node) else again).extend(halves)
        return again

    def _split_points(self, panels: list[Panel]) -> list[Node]:
        """Solve at a point inside each panel, in the middle unless the solver fails there.

        It may fail within rounding of an edge, where the solution is not differentiable.
        """
        found: list[Node | None] = [None] * len(panels)
        for share in _SHARES:
            missing = [j for j, node in enumerate(found) if node is None]
            positions = [panels[j].at(share) for j in missing]
            starts = [_between(panels[j], at) for j, at in zip(missing, positions, strict=True)]
            for j, node in zip(missing, self.solve(positions, starts), strict=True):
                found[j] = node
        for panel, node in zip(panels, found, strict=True):
            if node is None:
                raise ConvergenceError(
                    f"the Dyson equation was not solved near s = {math.exp(panel.at(0.5)):.6g}; "
                    "use other sites or fewer steps"
                )
        return [node for node in found if node is not None]

    def _agrees(self, panel: Panel, node: Node) -> bool:
        width = abs(panel.right.position - panel.left.position)
        if width < _NARROW:
            return True
        if panel.empty or not node.interior:
            return False
        below, density = panel.evaluate(node.position)
        wrong_mass = abs(density - node.density) * width
        return abs(below - node.below) <= self.tolerance and wrong_mass <= 20 * self.tolerance

    def _cut_at_edge(self, panel: Panel, done: list[Panel]) -> list[Panel]:
        r"""Find the edge between a point inside and one outside of the support.

        Close to it the squared density is linear, so Newton's step is half of density over slope.
        """
        inside, outside = panel.left, panel.right
        if not inside.interior:
            inside, outside = outside, inside
        near, far = inside, outside
        for _ in range(_EDGE_STEPS):
            at = _edge_guess(near, far)
            if at is not None and abs(at - near.position) <= _EDGE_WIDTH * max(1.0, abs(at)):
                break
            middle = (near.position + far.position) / 2
            at = middle if at is None else near.position + 0.999 * (at - near.position)
            (node,) = self.solve([at], [near.sigma])
            if node is None:
                break
            near, far = (node, far) if node.interior else (near, node)
            if abs(near.position - far.position) <= _EDGE_WIDTH * max(1.0, abs(at)):
                break
        at = _edge_guess(near, far)
        at = (near.position + far.position) / 2 if at is None else at
        edge = Node(at, far.below, 0.0, 0.0, False, near.sigma, near.sigma_slope, near.residual)
        # If another band lies beyond the gap that was found, its mass shows in the last panel.
        done.append(_ordered(edge, far))
        return [_ordered(inside, edge, at), _ordered(far, outside)]


def _ordered(one: Node, other: Node, edge: float | None = None) -> Panel:
    left, right = sorted((one, other), key=lambda node: node.position)
    return Panel(left, right, edge)


def _is_top(node: Node) -> bool:
    return not node.interior and node.below > 1 - 1e-9


def _edge_guess(near: Node, far: Node) -> float | None:
    """Return Newton's estimate of the edge, if it lies between the two nodes."""
    if near.bend == 0:
        return None
    at = near.position - near.density / (2 * near.bend)
    low, high = sorted((near.position, far.position))
    return at if low <= at <= high else None


def _between(panel: Panel, position: float) -> np.ndarray:
    """Return self-energies to start from inside a panel."""
    left, right = panel.left, panel.right
    if not (left.interior and right.interior):
        return left.sigma if left.interior else right.sigma
    width = right.position - left.position
    t = (position - left.position) / width
    mean = (1 - t) * left.sigma + t * right.sigma
    ends = (
        left.sigma - right.sigma + width * left.sigma_slope,
        right.sigma - left.sigma - width * right.sigma_slope,
    )
    curved = mean + t * (1 - t) * ((1 - t) * ends[0] + t * ends[1])
    return curved if np.all(curved.imag < 0) else mean


def _edges(panels: list[Panel]) -> tuple[tuple[float, float], ...]:
    """Return the intervals of s that panels with mass make up."""
    intervals: list[list[float]] = []
    touching = False
    for k, panel in enumerate(panels):
        if panel.empty:
            touching = False
            continue
        low, high = math.exp(panel.left.position), math.exp(panel.right.position)
        if k == 0 and panel.left.interior:
            low = 0.0
        if touching and intervals:
            intervals[-1][1] = high
        else:
            intervals.append([low, high])
        touching = panel.right.interior
    return tuple((low, high) for low, high in intervals)


def tabulate(chain: ProductChain, *, tolerance: float = 1e-6, workers: int | None = None) -> Table:
    """Tabulate the distribution of the singular values of a chain.

    Parameters
    ----------
    chain
        T steps on weighted sites.
    tolerance
        Bound on the error of the distribution function between the nodes.
    workers
        How many chunks of points are solved at a time; by default one for each core.

    Raises
    ------
    ConvergenceError
        If a point that is needed does not converge.
    """
    # Small matrices gain nothing from threads of the linear algebra, which get in each other's way.
    with threadpool_limits(1):
        return _Tabulation(chain, tolerance, workers).run()
