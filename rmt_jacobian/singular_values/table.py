"""Where the distribution of singular values of a chain is solved, so that a table can be made.

Between two solved points the table is an interpolation; it is compared with a third point, and the
stretch is halved until they agree.  Edges of the support are found by Newton's method.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.pencils.chain.continuation import descend, follow, solve_chain
from rmt_jacobian.pencils.chain.newton import drift, newton
from rmt_jacobian.pencils.chain.protocol import Chain
from rmt_jacobian.pencils.chain.solution import ChainSolution
from rmt_jacobian.singular_values.panels import Node, Panel, Table

__all__ = ["measure", "tabulate"]

_LEAST = 1e-140  # moduli below it would overflow when squared
_UNRESOLVED = 1e-6  # mass below the first node that is left to a power law
_ROUNDED = 1e-11  # error of the distribution function by rounding
_NARROW = 1e-12  # relative width of the smallest panel, in which rounding decides what is solved
_ATOM = 1e-6  # mass of a band of no width, from which on it counts as part of the support
_JUMP = 1e-6  # relative width of a band that is an atom for all we can tell
_MANY = 3_000  # panels; more lie where rounding lets nothing agree
_SEEDS = 12
_COMB = 150  # panels; smooth laws need about half of that, and a few more for every band
_SHARES = (0.5, 0.45, 0.55, 0.4, 0.62)  # of a panel, where it is split
_EDGE_STEPS, _EDGE_WIDTH = 60, 1e-10
_APPROACH = 0.97  # of the way to the estimate of an edge, so as to stay inside


@np.errstate(all="ignore")  # points that did not converge may overflow, and are left out
def measure(chain: Chain, solution: ChainSolution) -> list[Node]:
    """Return the nodes at real spectral points; those that did not converge are left out."""
    xp = array_namespace(solution.s)
    s = to_numpy(xp.real(solution.s))
    # Off the support the solution is real, and the potential must not see the last digits.
    sigma, averages = (
        xp.where(solution.inside[:, None], array, xp.real(array) + 0j)
        for array in (solution.sigma, solution.averages)
    )
    potential = chain.potential(solution.s, sigma, averages)
    sigma_drift, cauchy_drift = drift(chain, solution)
    density = -2 / math.pi * to_numpy(xp.imag(solution.symmetric))
    slope = -2 / math.pi * to_numpy(xp.imag(cauchy_drift))
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
                straight=chain.straight,
            )
        )
    return nodes


class _Tabulation:
    """The work of :func:`tabulate`: solving, comparing, splitting."""

    def __init__(
        self, chain: Chain, tolerance: float, grain: float, workers: int | None, bar: tqdm
    ) -> None:
        self.chain, self.tolerance, self.workers, self.bar = chain, tolerance, workers, bar
        self.grain = grain
        self.xp = chain.namespace
        self.nothing = max(tolerance / 100, _ROUNDED)  # a mass that does not count
        left = tolerance / 10
        self.ladder = descend(
            chain, least=_LEAST, unresolved=max(_UNRESOLVED, left), tolerated=left
        )

    def solve(self, positions: list[float], starts: list[np.ndarray] | None) -> list[Node | None]:
        """Return the nodes at log s, None where the solver did not converge."""
        if not positions:
            return []
        xp = self.xp
        s = xp.asarray(np.exp(np.array(positions)) + 0j)
        start = None if starts is None else xp.asarray(np.array(starts))
        found = solve_chain(self.chain, s, start, ladder=self.ladder, workers=self.workers)
        self.bar.update(len(positions))
        nodes = iter(measure(self.chain, found))
        return [next(nodes) if ok else None for ok in to_numpy(found.converged)]

    def seeds(self) -> list[Node]:
        """Return nodes that span the whole range, closer together where there is more mass."""
        moduli = np.log([float(self.xp.abs(rung.s[0])) for rung in self.ladder])
        shares = np.array(
            [
                -float(self.xp.imag(rung.s[0]) * self.xp.imag(rung.symmetric[0]))
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
        waiting = [Panel(a, b) for a, b in pairwise(nodes)]
        done: list[Panel] = []
        while waiting:
            waiting = self._round(waiting, done)
        if not done:
            raise ConvergenceError(
                "no singular values were found in the range of numbers: the gates of all sites are "
                "saturated; lower weight_std or input_std"
            )
        done.sort(key=lambda panel: panel.left.position)
        table = Table(tuple(done), _edges(done), self.chain.lost)
        falls = -min(np.diff([node.below for node in table.nodes]))
        if falls > self.tolerance:
            raise ConvergenceError(
                f"the distribution function falls by {falls:.2g}: use other sites or fewer steps"
            )
        return table

    def _round(self, waiting: list[Panel], done: list[Panel]) -> list[Panel]:
        """Sort panels into finished ones and the halves of the others."""
        asked: list[Panel] = []
        across: list[Panel] = []
        # So many panels mean a comb, whose teeth are single sites: they are not worth resolving.
        light = self.grain if len(waiting) + len(done) > _COMB else 0.0
        narrow = _NARROW if len(waiting) + len(done) < _MANY else _JUMP
        for panel in waiting:
            mass = abs(panel.right.below - panel.left.below)
            nothing = (panel.empty and mass <= self.nothing) or mass < light
            if nothing or _is_jump(panel) or _width(panel) < narrow:
                done.append(panel)
            elif panel.edge is None and panel.left.interior != panel.right.interior:
                across.append(panel)
            else:
                asked.append(panel)
        again = self._cut_at_edges(across)
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
            starts = [panels[j].self_energies(at) for j, at in zip(missing, positions, strict=True)]
            for j, node in zip(missing, self.solve(positions, starts), strict=True):
                found[j] = node
        for j, panel in enumerate(panels):
            found[j] = found[j] or self._crept(panel)
            if found[j] is None:
                raise ConvergenceError(
                    f"the Dyson equation was not solved near s = {math.exp(panel.at(0.5)):.6g}; "
                    "use other sites or fewer steps"
                )
        return [node for node in found if node is not None]

    def _crept(self, panel: Panel) -> Node | None:
        """Follow the axis itself from an end of the panel into it, where nothing else led there."""
        target = self.xp.asarray(np.exp([panel.at(0.5)]) + 0j)
        for end in (panel.right, panel.left):
            s = self.xp.asarray(np.exp([end.position]) + 0j)
            start = newton(self.chain, s, self.xp.asarray(end.sigma[None, :]))
            if not bool(start.converged[0]):
                continue
            reached = follow(self.chain, start, target)
            self.bar.update()
            if bool(reached.converged[0]):
                return measure(self.chain, reached)[0]
        return None

    def _agrees(self, panel: Panel, node: Node) -> bool:
        width = _width(panel)
        if panel.empty or not node.interior:
            return False
        below, density = panel.evaluate(node.position)
        wrong_mass = abs(density - node.density) * width
        return abs(below - node.below) <= self.tolerance and wrong_mass <= 20 * self.tolerance

    def _cut_at_edges(self, panels: list[Panel]) -> list[Panel]:
        """Cut panels at the edges of the support that lie in them, all searched for together."""
        searches = [_EdgeSearch.between(panel, self.nothing) for panel in panels]
        for _ in range(_EDGE_STEPS):
            active = [k for k, search in enumerate(searches) if not search.ended]
            if not active:
                break
            asked = [searches[k].next_point() for k in active]
            found = self.solve([at for at, _ in asked], [start for _, start in asked])
            for k, node in zip(active, found, strict=True):
                searches[k] = searches[k].narrowed(node)
        return [panel for search in searches for panel in search.panels()]


@dataclass(frozen=True)
class _EdgeSearch:
    r"""The search for an edge between a point inside and one outside of the support.

    Close to it the squared density is linear, so Newton's step is half of density over slope.

    Attributes
    ----------
    inside, outside
        Where it began.
    near, far
        The closest points inside and outside.
    nothing
        A mass that does not count.
    before
        The last estimate of the edge.
    failures
        Of the solver, one after the other: a second start, from outside, is worth a try.
    """

    inside: Node
    outside: Node
    near: Node
    far: Node
    nothing: float
    before: float = math.nan
    failures: int = 0

    @classmethod
    def between(cls, panel: Panel, nothing: float) -> "_EdgeSearch":
        """Begin with the ends of a panel."""
        inside, outside = panel.left, panel.right
        if not inside.interior:
            inside, outside = outside, inside
        return cls(inside, outside, inside, outside, nothing)

    @property
    def guess(self) -> float | None:
        """Newton's estimate of the edge."""
        return _edge_guess(self.near, self.far)

    @property
    def ended(self) -> bool:
        """Whether the edge is known, as far as it can be."""
        exact = _EDGE_WIDTH * max(1.0, abs(self.near.position))
        guess = self.guess
        settled = guess is not None and abs(guess - self.before) <= exact
        return self.failures > 1 or settled or abs(self.near.position - self.far.position) <= exact

    def next_point(self) -> tuple[float, np.ndarray]:
        """Return where to solve next, and self-energies to start from."""
        near, guess = self.near, self.guess
        if self.failures or guess is None:
            start = self.far if self.failures else near
            return (near.position + self.far.position) / 2, start.sigma
        return near.position + _APPROACH * (guess - near.position), _towards_edge(near, guess)

    def narrowed(self, node: Node | None) -> "_EdgeSearch":
        """Return the search with another point solved, or not."""
        before = math.nan if self.guess is None else self.guess
        if node is None:
            return replace(self, before=math.nan, failures=self.failures + 1)
        if node.interior:
            return replace(self, before=before, near=node, failures=0)
        return replace(self, before=before, far=node, failures=0)

    def panels(self) -> list[Panel]:
        """Return the panels on both sides of the edge."""
        near, far, guess = self.near, self.far, self.guess
        at = (near.position + far.position) / 2 if guess is None else guess
        below = far.below
        rest = near.density * (at - near.position)
        if abs(far.below - near.below) > 3 * abs(rest) + self.nothing:
            # More mass than that lies in another band, beyond the gap that was found.
            below = near.below + 2 / 3 * rest  # the density ends like a square root
        edge = replace(near, position=at, below=below, density=0.0, bend=0.0, interior=False)
        return [
            _ordered(self.inside, edge, at), _ordered(edge, far), _ordered(far, self.outside)
        ]  # fmt: skip


def _ordered(one: Node, other: Node, edge: float | None = None) -> Panel:
    left, right = sorted((one, other), key=lambda node: node.position)
    return Panel(left, right, edge)


def _width(panel: Panel) -> float:
    return abs(panel.right.position - panel.left.position)


def _is_jump(panel: Panel) -> bool:
    return panel.empty and _width(panel) < _JUMP


def _is_top(node: Node) -> bool:
    return not node.interior and node.below > 1 - 1e-9


def _edge_guess(near: Node, far: Node) -> float | None:
    """Return Newton's estimate of the edge, if it lies between the two nodes."""
    if near.bend == 0:
        return None
    at = near.position - near.density / (2 * near.bend)
    low, high = sorted((near.position, far.position))
    return at if low <= at <= high else None


def _towards_edge(near: Node, edge: float) -> np.ndarray:
    """Return self-energies to start from close to an edge, where they are linear in its root."""
    distance = 2 * (1 - math.sqrt(1 - _APPROACH)) * (edge - near.position)
    if near.straight:
        return np.asarray(near.sigma + distance * near.sigma_slope)
    moves = near.sigma != 0
    slope = near.sigma_slope / np.where(moves, near.sigma, 1)
    moved = np.asarray(near.sigma * np.exp(distance * slope))
    return moved if np.all((np.imag(moved) < 0) | ~moves) else near.sigma


def _edges(panels: list[Panel]) -> tuple[tuple[float, float], ...]:
    """Return the intervals of s that panels with mass make up."""
    intervals: list[list[float]] = []
    touching = False
    for k, panel in enumerate(panels):
        if panel.empty and not (_is_jump(panel) and panel.right.below - panel.left.below > _ATOM):
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


def tabulate(
    chain: Chain,
    *,
    tolerance: float = 1e-6,
    grain: float = 0.0,
    workers: int | None = None,
    progress: str | None = None,
) -> Table:
    """Tabulate the distribution of the singular values of a chain.

    Parameters
    ----------
    chain
        T steps on weighted sites.
    tolerance
        Bound on the error of the distribution function between the nodes.
    grain
        Mass below which a stretch is not resolved any further once the law of the sites has turned
        out to be a comb; 0 resolves everything.
    workers
        How many chunks of points are solved at a time; by default see :func:`solve_chain`.
    progress
        Title of a progress bar on standard error, shown after two seconds; none by default.

    Raises
    ------
    ConvergenceError
        If a point that is needed does not converge.
    """
    # Small matrices gain nothing from threads of the linear algebra, which get in each other's way.
    bar = tqdm(desc=progress, unit="point", disable=progress is None, delay=2, mininterval=0.5)
    with bar, threadpool_limits(1):
        return _Tabulation(chain, tolerance, grain, workers, bar).run()
