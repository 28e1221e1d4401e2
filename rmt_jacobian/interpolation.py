"""A smooth function at many places from its values at few: adaptive Chebyshev panels."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import chebyshev

__all__ = ["Interpolant", "interpolated"]

_DEGREE = 24
_SEEN = 4  # last coefficients, which tell what those that follow add
_NODES = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
_TO_SERIES = chebyshev.chebvander(_NODES, _DEGREE) * 2 / (_DEGREE + 1)
_TO_SERIES[:, 0] /= 2
_SPREAD = chebyshev.chebvander(np.linspace(-1, 1, 9), _DEGREE).T  # places of a panel
_ROUNDING = 1e-16  # of coefficients, relative to all
_NARROWEST = 1e-10  # panel, of the whole range


def interpolated(
    function: Callable[[np.ndarray], np.ndarray], places: np.ndarray, *, tolerance: float
) -> np.ndarray:
    """Return a function at places, most of them by interpolation.

    The range of the places is halved until a panel has few of them, which are then evaluated one by
    one, or its Chebyshev series [1]_ has converged.

    Parameters
    ----------
    function
        Of an array of places of shape (n,), with one value for each.
    places
        Shape (n,), in any order.
    tolerance
        Of the error, relative to the largest value in a panel.

    References
    ----------
    .. [1] L. N. Trefethen (2013), Approximation Theory and Approximation Practice, ch. 3 and 8.

    Examples
    --------
    >>> x, calls = np.linspace(-3, 3, 10_001), []
    >>> def counted(x):
    ...     calls.append(len(x))
    ...     return np.tanh(4 * x)
    >>> error = np.abs(interpolated(counted, x, tolerance=1e-10) - np.tanh(4 * x)).max()
    >>> bool(error < 1e-9), sum(calls) < 1000
    (True, True)
    """
    found = np.empty(len(places))
    if not len(places):
        return found
    low, high = float(places.min()), float(places.max())
    least = _NARROWEST * (high - low)
    panels = [(low, high, np.arange(len(places)))]
    while panels:
        low, high, own = panels.pop()
        here = places[own]
        if len(own) > _DEGREE + 1 and high - low > least:
            series = _series(function, low, high)
            size = float(np.abs(series).sum())
            if float(np.abs(series[-_SEEN:]).max()) <= tolerance * size:
                found[own] = chebyshev.chebval((2 * here - low - high) / (high - low), series)
                continue
            middle = (low + high) / 2
            left = here <= middle
            panels += [(low, middle, own[left]), (middle, high, own[~left])]
        elif len(own):
            found[own] = function(here)
    return found


@dataclass(frozen=True, eq=False)
class Interpolant:
    """A smooth function whose Chebyshev panels are made where they are asked for, and kept.

    Attributes
    ----------
    function
        Of an array of places of shape (n,), with one value for each.
    width
        Of the panels that are halved.
    narrowest
        Panel that is halved no more: what its series misses is noise.
    tolerance
        Of the error, relative to the function: panels next to a zero are the narrowest.

    Examples
    --------
    >>> tanh = Interpolant(np.tanh, width=4.0, narrowest=0.1, tolerance=1e-13)
    >>> x = np.linspace(-9, 9, 100).reshape(4, 25)
    >>> bool(np.abs(tanh(x) - np.tanh(x)).max() < 1e-12)
    True
    """

    function: Callable[[np.ndarray], np.ndarray]
    width: float
    narrowest: float
    tolerance: float
    _panels: "_Panels" = field(default_factory=lambda: _Panels())

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Return the function at places of any shape."""
        flat = places.ravel()
        cells = np.floor(flat / self.width)
        new = np.setdiff1d(cells, self._panels.cells)
        if new.size:
            self._panels.add(new, *self._made(new * self.width))
        inside = np.maximum(flat, cells * self.width)  # as rounding may have it otherwise
        return self._panels.values(inside).reshape(places.shape)

    def _made(self, low: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the lower ends, widths and coefficients of the panels of some cells."""
        width, done = np.full(low.shape, self.width), []
        while low.size:
            nodes = low[:, None] + width[:, None] * (1 + _NODES) / 2
            series = self.function(nodes.ravel()).reshape(nodes.shape) @ _TO_SERIES
            least = np.abs(series @ _SPREAD).min(axis=1)
            sizes = np.abs(series)
            missed = sizes[:, -_SEEN:].max(axis=1) + _ROUNDING * sizes.sum(axis=1)
            good = (missed <= self.tolerance * least) | (width <= self.narrowest)
            done.append((low[good], width[good], series[good]))
            low, half = low[~good], width[~good] / 2
            low, width = np.concatenate([low, low + half]), np.concatenate([half, half])
        ends, widths, series = (np.concatenate(part) for part in zip(*done, strict=True))
        return ends, widths, series


@dataclass(eq=False)
class _Panels:
    """Panels in their order, and the cells that they fill."""

    cells: np.ndarray = field(default_factory=lambda: np.zeros(0))
    low: np.ndarray = field(default_factory=lambda: np.zeros(0))
    width: np.ndarray = field(default_factory=lambda: np.zeros(0))
    series: np.ndarray = field(default_factory=lambda: np.zeros((0, _DEGREE + 1)))

    def add(
        self, cells: np.ndarray, low: np.ndarray, width: np.ndarray, series: np.ndarray
    ) -> None:
        """Put further panels among them."""
        low = np.concatenate([self.low, low])
        order = np.argsort(low)
        self.low, self.cells = low[order], np.concatenate([self.cells, cells])
        self.width = np.concatenate([self.width, width])[order]
        self.series = np.concatenate([self.series, series])[order]

    def values(self, places: np.ndarray) -> np.ndarray:
        """Return the function at places that some panels hold."""
        k = np.searchsorted(self.low, places, side="right") - 1
        x = 2 * (places - self.low[k]) / self.width[k] - 1
        return chebyshev.chebval(x, self.series[k].T, tensor=False)


def _series(function: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> np.ndarray:
    """Return the Chebyshev coefficients on a panel."""
    return function((low + high) / 2 + (high - low) / 2 * _NODES) @ _TO_SERIES
