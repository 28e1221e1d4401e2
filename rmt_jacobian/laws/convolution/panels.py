"""Antiderivatives of functions with algebraic singularities, in panels that shrink towards them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from scipy.fft import dct

from rmt_jacobian.errors import ConvergenceError

__all__ = ["PanelAntiderivative", "antiderivative_in_panels", "masses_of_intervals"]

_MASS = 1e-8  # how far from 1 the total mass may be
_NODES = 40
_FIRST = 2
_TOLERANCE = 2e-14
_HALVINGS = 60
_OPEN = 64  # panels at once; more are noise, which no halving resolves


@dataclass(frozen=True, eq=False)
class PanelAntiderivative:
    """An antiderivative that is a polynomial on each panel.

    Attributes
    ----------
    edges
        The increasing ends of the panels.
    coefficients
        Chebyshev coefficients, of shape (panels, nodes), of what a panel adds to ``below``.
    below
        The values at the left ends.
    """

    edges: np.ndarray
    coefficients: np.ndarray
    below: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the antiderivative at points between the first edge and the last."""
        x = np.asarray(x, dtype=float)
        last = len(self.below) - 1
        panel = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, last)
        low, high = self.edges[panel], self.edges[panel + 1]
        unit = np.clip((2 * x - low - high) / (high - low), -1, 1)
        values = chebyshev.chebval(unit, np.moveaxis(self.coefficients[panel], -1, 0), tensor=False)
        return np.where(np.isnan(x), np.nan, self.below[panel] + values)

    def rate(self, x: np.ndarray) -> np.ndarray:
        """Return the derivative."""
        x = np.asarray(x, dtype=float)
        panel = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, len(self.below) - 1)
        low, high = self.edges[panel], self.edges[panel + 1]
        unit = np.clip((2 * x - low - high) / (high - low), -1, 1)
        slopes = chebyshev.chebder(self.coefficients, axis=1)[panel]
        return chebyshev.chebval(unit, np.moveaxis(slopes, -1, 0), tensor=False) * 2 / (high - low)


def antiderivative_in_panels(
    function: Callable[[np.ndarray], np.ndarray], low: float, high: float
) -> PanelAntiderivative:
    r"""Integrate a function from the left end of an interval.

    A panel is halved until the last quarter of its Chebyshev coefficients, times its length, is
    below :math:`2 \cdot 10^{-14}`; all open panels are evaluated at once.  The ends of the
    interval are not among the nodes.

    Parameters
    ----------
    function
        Finite inside the interval; at its ends and inside it may be singular, but integrable.
    low, high
        The interval.

    Raises
    ------
    ConvergenceError
        If 60 halvings do not resolve the function, or it is not finite.

    References
    ----------
    L. N. Trefethen (2013), Approximation Theory and Approximation Practice, chapter 19.

    Examples
    --------
    >>> root = antiderivative_in_panels(np.sqrt, 0.0, 1.0)
    >>> abs(root(np.array([0.0, 0.25, 1.0])) - [0, 1 / 12, 2 / 3]).max() < 1e-14
    np.True_
    """
    nodes = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
    edges = np.linspace(low, high, _FIRST + 1)
    open_panels, done = np.stack([edges[:-1], edges[1:]], axis=1), []
    for _ in range(_HALVINGS):
        half = np.diff(open_panels, axis=1) / 2
        values = function((open_panels.mean(axis=1, keepdims=True) + half * nodes).ravel())
        if not np.all(np.isfinite(values)):
            raise ConvergenceError("the density is not known everywhere on the support; see solve")
        series = np.asarray(dct(values.reshape(-1, _NODES), type=2)) / _NODES
        series[:, 0] /= 2
        tail = np.max(np.abs(series[:, -_NODES // 4 :]), axis=1) * half[:, 0]
        size = np.max(np.abs(series), axis=1) * half[:, 0]
        fine = (tail <= _TOLERANCE) | (size <= _TOLERANCE)
        done += list(zip(open_panels[fine], series[fine] * half[fine], strict=True))
        left = open_panels[~fine]
        if not len(left):
            return _joined(done)
        if len(left) > _OPEN:
            raise ConvergenceError(
                "the density is noise next to an edge or an atom, so there is no cdf: bring the "
                "factors to more similar scales, or nearer to 0"
            )
        middle = left.mean(axis=1)
        open_panels = np.concatenate(
            [np.stack([left[:, 0], middle], axis=1), np.stack([middle, left[:, 1]], axis=1)]
        )
    raise ConvergenceError(
        f"{_HALVINGS} halvings do not resolve the density: it is not finite somewhere, or "
        "discontinuous"
    )


def masses_of_intervals(
    rate: Callable[[int, np.ndarray], np.ndarray], intervals: int, atoms: float
) -> tuple[PanelAntiderivative, ...]:
    """Return the masses below angles of intervals that make up a law with its atoms.

    Parameters
    ----------
    rate
        Of the number of an interval and angles from 0 to pi, the mass by the angle.
    intervals
        How many there are.
    atoms
        The mass of all atoms.

    Raises
    ------
    ConvergenceError
        If the total mass is not 1.
    """
    found = tuple(
        antiderivative_in_panels(lambda t, k=k: rate(k, t), 0.0, np.pi) for k in range(intervals)
    )
    mass = atoms + sum(float(below(np.array(np.pi))) for below in found)
    if not abs(mass - 1) <= _MASS:
        raise ConvergenceError(
            f"the mass of this law came out as {mass:.10g}: an interval was missed or is narrower "
            "than rounding; bring the factors to more similar scales"
        )
    return found


def _joined(done: list[tuple[np.ndarray, np.ndarray]]) -> PanelAntiderivative:
    done = sorted(done, key=lambda entry: entry[0][0])
    series = chebyshev.chebint(np.array([entry for _, entry in done]), lbnd=-1, axis=1)
    masses = chebyshev.chebval(1.0, series.T)
    edges = np.array([done[0][0][0], *(ends[1] for ends, _ in done)])
    return PanelAntiderivative(edges, series, np.concatenate([[0.0], np.cumsum(masses)[:-1]]))
