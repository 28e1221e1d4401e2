"""Averages over Gaussian variables of functions with kinks, jumps and steep places.

Gauss-Legendre panels end at the kinks and jumps and shrink towards steep places, in proportion to
the distance from them; they are halved until the last Legendre coefficients of the integrand, the
density included, are negligible on every panel.  The sum of those coefficients bounds the error of
an interpolation of half the degree of the rule, so that it overestimates the error of the average;
and where a kink was not announced it still falls by 2 or more at every halving, so that it is met
or the average is refused.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.errors import ConvergenceError, ParameterError

__all__ = [
    "PROMISE",
    "REACH",
    "WIDTH",
    "Average",
    "Bends",
    "PanelAverage",
    "PanelRule",
    "check_finite",
    "normal_density",
    "panel_average",
    "panel_ends",
    "standard_panels",
]

_ORDER = 24
_X, _W = np.polynomial.legendre.leggauss(_ORDER)
# Rows give the last two Legendre coefficients of values at the nodes.
_LAST = np.stack(
    [(k + 0.5) * _W * np.polynomial.Legendre.basis(k)(_X) for k in (_ORDER - 2, _ORDER - 1)]
)
REACH = 13.0  # standard deviations that are enough for most
_REACHES = (REACH, 20.0, 28.0, 37.0)  # standard deviations; the density underflows beyond
WIDTH = 2.0
"""Of a panel at most, in standard deviations."""
_RATIO = 3.0  # of neighbouring distances from a steep place
_AIM, PROMISE = 1e-13, 1e-9  # error in units of the average of the absolute value
_ROUNDS, _MOST_PANELS = 80, 20_000
# Halving a panel with an unknown kink halves its error; where it does not help it is rounding.
_NOISE, _LOUDEST, _STUBBORN = 0.75, 1e-8, 3


@dataclass(frozen=True)
class Bends:
    """Places where a function of one variable is not smooth or turns fast.

    Attributes
    ----------
    positions
        Shape (..., bends); leading axes run over values of outer variables.
    scales
        Distances over which the function turns, of that shape; infinite at a kink or a jump between
        smooth pieces.
    """

    positions: np.ndarray
    scales: np.ndarray

    @classmethod
    def none(cls) -> "Bends":
        """No bend."""
        return cls(np.zeros(0), np.zeros(0))

    @classmethod
    def at(cls, places: Sequence[tuple[float, float]]) -> "Bends":
        """Bends at pairs of a position and a scale."""
        positions, scales = np.array(places, dtype=float).reshape(-1, 2).T
        return cls(positions, scales)

    def seen_from(self, means: np.ndarray, std: float) -> "Bends":
        """Return them in standard deviations from each mean, shape (means, bends)."""
        shape = (len(means), self.positions.shape[-1])
        positions = (np.broadcast_to(self.positions, shape) - means[:, None]) / std
        return Bends(positions, np.broadcast_to(self.scales, shape) / std)

    def seen_through(self, means: np.ndarray, std: float, correlation: float) -> "Bends":
        """Return those of a function of e_2, averaged for given e_1: shape (means, bends).

        What e_2 has of its own smooths them.

        Parameters
        ----------
        means, std, correlation
            Of the two variables.
        """
        c, shape = correlation, (len(means), self.positions.shape[-1])
        if not c:
            return Bends(np.zeros((len(means), 0)), np.zeros((len(means), 0)))
        positions = np.broadcast_to(self.positions, shape)
        softness = np.where(np.isfinite(self.scales), self.scales, 0.0)
        scales = np.hypot(softness, std * math.sqrt((1 - c) * (1 + c))) / abs(c)
        scales = np.broadcast_to(np.where(scales > 0, scales, np.inf), shape)
        return Bends(means[:, None] + (positions - means[:, None]) / c, scales)

    def beside(self, others: "Bends") -> "Bends":
        """Return both, shape (means, bends)."""
        means = max(math.prod(each.positions.shape[:-1]) for each in (self, others))
        parts = [
            np.broadcast_to(part, (means, part.shape[-1]))
            for part in (self.positions, others.positions, self.scales, others.scales)
        ]
        return Bends(np.concatenate(parts[:2], axis=1), np.concatenate(parts[2:], axis=1))


@dataclass(frozen=True)
class Average:
    """An average, the estimate of its error, and the average of the absolute value."""

    value: float
    error: float
    size: float


@dataclass(frozen=True)
class PanelAverage(Average):
    """An average on panels, with their ends."""

    edges: np.ndarray


@dataclass(frozen=True)
class PanelRule:
    """Nodes and weights of integrals over panels, without a density; shape (panels, order)."""

    nodes: np.ndarray
    weights: np.ndarray

    @classmethod
    def between(cls, edges: np.ndarray, widest: float) -> "PanelRule":
        """Return the rule of panels with given ends, divided so that none is wider than that.

        Examples
        --------
        >>> rule = PanelRule.between(np.array([0.0, 1.0, 4.0]), 2.0)
        >>> len(rule.nodes), round(float(np.sum(rule.weights * rule.nodes)), 12)
        (3, 8.0)
        """
        widths = np.diff(edges)
        parts = np.maximum(np.ceil(widths / widest), 1).astype(int)
        within = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
        width = np.repeat(widths / parts, parts)
        left = np.repeat(edges[:-1], parts) + width * within
        return cls.on(left, left + width)

    @classmethod
    def on(cls, left: np.ndarray, right: np.ndarray) -> "PanelRule":
        """Return the rule of panels between given ends."""
        half = (right - left)[:, None] / 2
        return cls(left[:, None] + half + half * _X, half * _W)

    def errors(self, values: np.ndarray) -> np.ndarray:
        """Return estimates of the errors of the integrals of values at the nodes."""
        return _error(values, self.weights.sum(axis=1) / 2)


def panel_average(
    function: Callable[[np.ndarray], np.ndarray],
    mean: float,
    variance: float,
    bends: Bends | None = None,
    *,
    aim: float = _AIM,
    promise: float = PROMISE,
    unit: Callable[[], float] = lambda: 0.0,
) -> PanelAverage:
    r"""Return :math:`E f(e)`, :math:`e \sim N(\mu, q)`, with an estimate of its error.

    Parameters
    ----------
    function
        f, on arrays of any shape.
    mean, variance
        mu and q; a variance of 0 gives f(mu).
    bends
        Where f has kinks, jumps and steep places, as far as is known; those that are not named cost
        time, and a place that is narrower than the nodes are apart may then be missed.
    aim
        Error to halve panels for, in units of E|f|.
    promise
        Largest error that is put up with, in units of E|f|.
    unit
        Of these errors, where it is larger than E|f|; asked after f.

    Raises
    ------
    ConvergenceError
        If the estimate stays above that, as where the average is infinite.

    Examples
    --------
    >>> found = panel_average(lambda e: np.maximum(e - 0.3, 0), 0.0, 1.0, Bends.at([(0.3, np.inf)]))
    >>> round(found.value, 12), found.error < 1e-13
    (0.266761242117, True)
    """
    if not (math.isfinite(mean) and math.isfinite(variance) and variance >= 0):
        raise ParameterError(
            f"a Gaussian needs a finite mean and a variance >= 0, not {mean}, {variance}"
        )
    std = math.sqrt(variance)
    if std == 0:
        value = float(np.broadcast_to(function(np.array([mean])), (1,))[0])
        return PanelAverage(value, 0.0, abs(value), np.array([mean]))
    # In units of the standard deviation nothing is lost where it is small beside the mean.
    places = (bends or Bends.none()).seen_from(np.array([mean]), std)
    found = standard_panels(lambda z: function(mean + std * z), places, aim=aim, unit=unit)
    if not found.error <= promise * max(found.size, unit()):
        raise ConvergenceError(
            f"an average over a Gaussian variable is {found.value:.6g} with an error of "
            f"{found.error:.1g}: it may be infinite, or the function turns too fast; use a "
            "smoother activation"
        )
    return PanelAverage(found.value, found.error, found.size, mean + std * found.edges)


def standard_panels(
    function: Callable[[np.ndarray], np.ndarray],
    bends: Bends,
    *,
    aim: float = _AIM,
    unit: Callable[[], float] = lambda: 0.0,
) -> PanelAverage:
    """Return the average over a standard Gaussian variable, however large its error is.

    Parameters
    ----------
    function, aim, unit
        As in :func:`panel_average`.
    bends
        Shape (1, bends).

    Raises
    ------
    ConvergenceError
        If the function grows so fast that the average does not end.

    Examples
    --------
    >>> found = standard_panels(np.cos, Bends.none().seen_from(np.zeros(1), 1.0))
    >>> abs(found.value - math.exp(-0.5)) < 1e-13, found.edges[[0, -1]]
    (True, array([-13.,  13.]))
    """
    for reach in _REACHES:
        found, outside = _refined(function, bends, reach, aim, unit)
        if not outside:
            return found
    raise ConvergenceError(
        "an average over a Gaussian variable does not end within 37 standard deviations: the "
        "function grows too fast; use smaller variances or a bounded activation"
    )


def _refined(
    function: Callable[[np.ndarray], np.ndarray],
    bends: Bends,
    reach: float,
    aim: float,
    unit: Callable[[], float],
) -> tuple[PanelAverage, bool]:
    """Halve panels until they are good enough; also tell whether mass is left beyond the reach."""
    edges = np.unique(panel_ends(bends, reach))
    left, right = edges[:-1], edges[1:]
    before, stubborn = np.full(left.shape, np.inf), np.zeros(left.shape, dtype=int)
    done: list[np.ndarray] = []  # rows: left, value, absolute value, error
    size = 0.0
    for turn in range(_ROUNDS):
        rows = np.stack([left, *_on_panels(function, left, right)], axis=1)
        count = sum(map(len, done)) + len(rows)
        seen = sum(float(part[:, 2].sum()) for part in done) + float(rows[:, 2].sum())
        size = max(size, seen, unit())
        if turn:  # rounding does not shrink with the panels
            together = np.tile(rows[:, 3].reshape(2, -1).sum(axis=0), 2)
            noise = (together > _NOISE * before) & (rows[:, 3] <= _LOUDEST * rows[:, 2])
            stubborn = np.where(noise, stubborn + 1, 0)
        narrow = right - left <= 8 * np.spacing(np.maximum(np.abs(left), np.abs(right)))
        good = (rows[:, 3] <= aim * size / count) | narrow | (stubborn >= _STUBBORN)
        good |= (turn == _ROUNDS - 1) | (count > _MOST_PANELS)
        done.append(rows[good])
        if good.all():
            break
        left, right = left[~good], right[~good]
        before, stubborn = np.tile(rows[~good, 3], 2), np.tile(stubborn[~good], 2)
        middle = (left + right) / 2
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
    table = np.concatenate(done)
    table = table[np.argsort(table[:, 0])]
    value, size, error = map(float, table[:, 1:].sum(axis=0))
    at_ends = float(table[0, 2] + table[-1, 2])
    edges = np.append(table[:, 0], reach)
    return PanelAverage(value, error, size, edges), at_ends > aim * max(size, unit())


def _on_panels(
    function: Callable[[np.ndarray], np.ndarray], left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return integrals of f and of its absolute value over panels, and errors."""
    half = (right - left) / 2
    nodes = (left + half)[:, None] + half[:, None] * _X
    values = np.broadcast_to(function(nodes), nodes.shape)
    check_finite(values, nodes)
    values = values * normal_density(nodes)
    return half * (values @ _W), half * (np.abs(values) @ _W), _error(values, half)


def normal_density(z: np.ndarray) -> np.ndarray:
    """Return the density of a standard Gaussian variable."""
    return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _error(values: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return the integral of the last two terms of the Legendre series, in absolute value."""
    return half * np.abs(values @ _LAST.T).sum(axis=-1)


def check_finite(values: np.ndarray, nodes: np.ndarray) -> None:
    """Refuse values that are not finite."""
    bad = ~np.isfinite(values)
    if np.any(bad):
        raise ConvergenceError(
            f"a function is not finite at {float(nodes[bad][0]):.6g} standard deviations from the "
            "mean: write it so that it neither overflows nor leaves its domain"
        )


def panel_ends(bends: Bends, reach: float, widest: float = WIDTH) -> np.ndarray:
    """Return increasing ends of panels for every mean, shape (means, cuts); some may coincide.

    All in standard deviations from the mean.
    """
    positions, scales = bends.positions, bends.scales
    even = np.linspace(-reach, reach, math.ceil(2 * reach / widest) + 1)
    parts = [np.broadcast_to(even, (len(positions), even.size)), positions]
    finite = scales[np.isfinite(scales) & (scales > 0)]
    if finite.size:
        # Further away the even panels are narrow enough.
        most = math.log(max(WIDTH / float(finite.min()), 1.0), _RATIO)
        for k in range(math.ceil(min(60.0, most)) + 1):
            with np.errstate(over="ignore", invalid="ignore"):
                away = np.where(np.isfinite(scales), scales, 0.0) * _RATIO**k
                away = np.where(away <= _RATIO * WIDTH, away, 0.0)
            parts += [positions + away, positions - away]
    cuts = np.concatenate(parts, axis=1)
    return np.sort(np.clip(np.where(np.isnan(cuts), -reach, cuts), -reach, reach), axis=1)
