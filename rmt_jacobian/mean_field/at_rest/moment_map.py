"""Second moments of the sources of a site at rest, and all solutions of their equations."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise, product

import numpy as np
from scipy.optimize import minimize_scalar, root

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.mean_field.at_rest.frozen import FrozenVariables
from rmt_jacobian.mean_field.at_rest.site_at_rest import StationarySite, stationary_site
from rmt_jacobian.solvers import bracketed_root

__all__ = ["MomentMap", "all_fixed_moments"]

# Where fixed moments are looked for; neighbours differ by a third where moments usually are.
_SMALLEST, _LARGEST = 1e-12, 1e6
_GRID = np.log(
    np.concatenate(
        [
            np.geomspace(_SMALLEST, 1e-4, 24, endpoint=False),
            np.geomspace(1e-4, 10.0, 40, endpoint=False),
            np.geomspace(10.0, _LARGEST, 16),
        ]
    )
)
_TOLERANCE = 1e-10
# Starts of Newton's method for each of several unknowns.
_STARTS = (1e-4, 0.03, 0.3, 3.0)
_MOST_STARTS = 1024
_LARGEST_OF_SEVERAL = 100.0
_CLOSE = 1e-7
_BLIND = 1e-7  # of the logarithm of the map on the thinned rule: its sign means nothing below


@dataclass(frozen=True)
class MomentMap:
    r"""The self-consistency of second moments :math:`m = E[y^2]` at rest.

    .. math:: q_k = \sigma_k^2 m_k + \nu_k^2 R + \rho_k^2, \qquad m_k = E[y_k(s(e, x), e)^2]

    Equal sources share one moment, and only as many moments are unknown as must be given for all
    others to follow: that of r h for a GRU, that of h for an LSTM.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    thinned
        Whether to average on every other node of the quadrature.
    """

    cell: Cell
    parameters: Parameters
    thinned: bool = False

    @cached_property
    def site(self) -> StationarySite:
        """The site at rest."""
        return stationary_site(self.cell)

    @cached_property
    def distinct(self) -> tuple:
        """The distinct sources at rest, as expressions."""
        return tuple(dict.fromkeys(source for source in self.site.sources if source != 0))

    @cached_property
    def _reads(self) -> list[set[int]]:
        """Which moments each moment depends on."""
        fed = {
            gate: self.distinct.index(source)
            for (_, group), gate, source in zip(
                self.parameters.groups, self.cell.gates, self.site.sources, strict=True
            )
            if source != 0 and group.weight_std > 0
        }
        return [
            {fed[gate] for gate in source.free_symbols if gate in fed} for source in self.distinct
        ]

    @cached_property
    def unknown(self) -> tuple[int, ...]:
        """The fewest moments that all cycles of dependence run through."""
        count = len(self.distinct)
        for size in range(count + 1):
            for chosen in combinations(range(count), size):
                if len(self._order(chosen)) == count - size:
                    return chosen
        raise AssertionError("all moments together break every cycle")

    def _order(self, given: tuple[int, ...]) -> list[int]:
        """Return the other moments in an order in which each follows from earlier ones."""
        known, order = set(given), []
        while ready := [
            j for j in range(len(self.distinct)) if j not in known and self._reads[j] <= known
        ]:
            order += ready
            known |= set(ready)
        return order

    def variances(self, moments: np.ndarray) -> tuple[float, ...]:
        """Return q_k from the moments of the distinct sources."""
        at = dict(zip(self.distinct, moments, strict=True))
        return tuple(
            float(group.preactivation_variance(at.get(source, 0.0), self.parameters.input_variance))
            for (_, group), source in zip(self.parameters.groups, self.site.sources, strict=True)
        )

    def completed(self, values: np.ndarray) -> np.ndarray:
        """Return all moments, given the unknown ones."""
        moments = np.zeros(len(self.distinct))
        moments[list(self.unknown)] = values
        for j in self._order(self.unknown):
            moments[j] = self._moment(j, moments)
        return moments

    def image(self, values: np.ndarray) -> np.ndarray:
        """Return the unknown moments that follow from given ones."""
        moments = self.completed(values)
        return np.array([self._moment(j, moments) for j in self.unknown])

    def _moment(self, j: int, moments: np.ndarray) -> float:
        frozen = FrozenVariables(
            self.cell, self.parameters, self.variances(moments), thinned=self.thinned
        )
        return frozen.average(self.distinct[j] ** 2)


def all_fixed_moments(cell: Cell, parameters: Parameters) -> list[np.ndarray]:
    """Return the unknown moments of every solution, from the smallest to the largest.

    One unknown: a scan of the logarithm of the map over its argument, with the extremes between
    grid points, and Brent's method.  Several: Newton's method from a grid of starts.

    Raises
    ------
    ConvergenceError
        If a solution was seen but not pinned down, as at the very point where two of them meet.
    """
    full, thinned = MomentMap(cell, parameters), MomentMap(cell, parameters, thinned=True)
    count = len(full.unknown)
    nothing = np.zeros(count)
    if count == 0:
        return [nothing]
    found = [nothing] if not np.any(full.image(nothing)) else []
    others = _on_the_line(full, thinned) if count == 1 else _in_space(full, thinned)
    return found + sorted(others, key=tuple)


def _on_the_line(full: MomentMap, thinned: MomentMap) -> list[np.ndarray]:
    def log_ratio(of: MomentMap) -> Callable[[float], float]:
        def value(log_moment: float) -> float:
            moment = np.exp(log_moment)
            return float(np.log(max(of.image(np.array([moment]))[0], 1e-300)) - log_moment)

        return value

    rough, exact = log_ratio(thinned), log_ratio(full)
    values = [rough(point) for point in _GRID]
    found = []
    for low, high in _brackets(rough, _GRID, values):
        if _differ_by_noise(rough, exact, low, high):
            continue
        near = bracketed_root(rough, low, high).unwrap()
        close = (near - _CLOSE, near + _CLOSE)
        if exact(close[0]) * exact(close[1]) > 0:
            close = (low, high)
        remedy = "two solutions meet here: move a hyperparameter a little"
        found.append(np.exp([bracketed_root(exact, *close, remedy=remedy).unwrap()]))
    return found


def _differ_by_noise(
    rough: Callable[[float], float], exact: Callable[[float], float], low: float, high: float
) -> bool:
    """Whether only the thinned rule changes its sign, as where rest becomes unstable.

    There the map is m (1 + O(m)): its logarithm falls below what the thinned rule can see.
    """
    blind = max(abs(rough(low)), abs(rough(high))) < _BLIND
    return blind and exact(low) * exact(high) > 0


def _brackets(
    function: Callable[[float], float], grid: np.ndarray, values: list[float]
) -> list[tuple[float, float]]:
    """Return intervals over which a function changes its sign, extremes between points included."""
    points = [(float(x), value) for x, value in zip(grid, values, strict=True)]
    extra = []
    for k in range(1, len(points) - 1):
        sign = np.sign(values[k])
        below, here, above = (sign * values[k + step] for step in (-1, 0, 1))
        if here <= min(below, above) and here < 0.1 and below > 0 and above > 0:
            turn = minimize_scalar(
                lambda x, sign=sign: sign * function(float(x)),
                bounds=(grid[k - 1], grid[k + 1]), method="bounded", options={"xatol": 1e-9},
            )  # fmt: skip
            extra.append((float(turn.x), float(sign * turn.fun)))
    points = sorted([*points, *extra])
    return [
        (first, second)
        for (first, before), (second, after) in pairwise(points)
        if (before < 0) != (after < 0)  # a zero on the grid ends one interval
    ]


def _in_space(full: MomentMap, thinned: MomentMap) -> list[np.ndarray]:
    def gap(of: MomentMap) -> Callable[[np.ndarray], np.ndarray]:
        def value(logs: np.ndarray) -> np.ndarray:
            inside = np.clip(logs, np.log(_SMALLEST), np.log(_LARGEST_OF_SEVERAL))
            image = np.clip(of.image(np.exp(inside)), 1e-300, 1e300)
            return np.log(image) - logs

        return value

    count = len(full.unknown)
    starts = list(product(np.log(_STARTS), repeat=count))[:_MOST_STARTS]
    found: list[np.ndarray] = []
    for start in starts:
        rough = root(gap(thinned), start, tol=1e-8)
        inside = np.all((np.exp(rough.x) > _SMALLEST) & (np.exp(rough.x) < _LARGEST_OF_SEVERAL))
        if not (rough.success and inside):
            continue
        if any(np.allclose(rough.x, np.log(known), atol=1e-5) for known in found):
            continue
        exact = root(gap(full), rough.x, tol=1e-13)
        residual = float(np.max(np.abs(gap(full)(exact.x))))
        if residual > _TOLERANCE:
            raise ConvergenceError(
                f"{full.cell.name}: fixed point near moments {np.exp(rough.x)} has residual "
                f"{residual:.1e}: two solutions may meet here, move a hyperparameter a little"
            )
        found.append(np.exp(exact.x))
    return found
