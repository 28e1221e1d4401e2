"""A smooth function at many places from its values at few: adaptive Chebyshev panels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

__all__ = ["Interpolant", "interpolated"]

_DEGREE = 24
_SEEN = 4  # last coefficients, which tell what those that follow add
_NARROWEST = 1e-10  # panel, of the whole range
_MOST_PANELS = 4096
_ROUNDING = 4e-15
# Panels are left as they are, errors and all, where they are this small beside the largest, and
# where their last coefficients are small and do not shrink when they are halved, which is noise.
_NOTHING, _LOUDEST, _SHRUNK = 1e-120, 1e-8, 0.5
_NODES = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
_TO_SERIES = chebyshev.chebfit(_NODES, np.eye(_DEGREE + 1), _DEGREE)


def interpolated(
    function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    places: np.ndarray,
    *,
    tolerance: float,
) -> np.ndarray:
    """Return a function at places, most of them by interpolation.

    The range of the places is halved until a panel has few of them, which are then evaluated one by
    one, or its Chebyshev series [1]_ has converged.

    Parameters
    ----------
    function
        Of an array of places of shape (n,): one value for each, and its size, in units of which
        the value has rounding errors (the average of the absolute value, for an average).
    places
        Shape (n,), in any order.
    tolerance
        Of the error, relative to the largest value or size in a panel.

    References
    ----------
    .. [1] L. N. Trefethen (2013), Approximation Theory and Approximation Practice, ch. 3 and 8.

    Examples
    --------
    >>> x, calls = np.linspace(-3, 3, 10_001), []
    >>> def counted(x):
    ...     calls.append(len(x))
    ...     return np.tanh(4 * x), np.abs(x)
    >>> error = np.abs(interpolated(counted, x, tolerance=1e-10) - np.tanh(4 * x)).max()
    >>> bool(error < 1e-9), sum(calls) < 1000
    (True, True)
    """
    found = np.empty(len(places))
    if not len(places):
        return found
    low, high = float(places.min()), float(places.max())
    least = _NARROWEST * (high - low)
    panels, few = [(low, high, np.arange(len(places)))], [np.zeros(0, dtype=int)]
    while panels:
        few += [own for low, high, own in panels if not _is_worth(low, high, own, least)]
        panels = [panel for panel in panels if _is_worth(*panel, least)]
        if not panels:
            break
        edges = np.array([panel[:2] for panel in panels])
        values, sizes = function(_nodes(edges).ravel())
        series = _series(values, len(panels))
        largest = sizes.reshape(len(panels), -1).max(axis=1)
        converged, halves = _has_converged(series, tolerance, largest), []
        for (low, high, own), coefficients, done in zip(panels, series.T, converged, strict=True):
            here, middle = places[own], (low + high) / 2
            if done:
                inside = (2 * here - low - high) / (high - low)
                found[own] = chebyshev.chebval(inside, coefficients)
            else:
                left = here <= middle
                halves += [(low, middle, own[left]), (middle, high, own[~left])]
        panels = halves
    own = np.concatenate(few)
    if own.size:
        found[own] = function(places[own])[0]
    return found


def _is_worth(low: float, high: float, own: np.ndarray, least: float) -> bool:
    """Whether a panel has more places than a series has nodes."""
    return len(own) > _DEGREE + 1 and high - low > least


def _nodes(edges: np.ndarray) -> np.ndarray:
    """Return the Chebyshev nodes of panels with given ends, shape (panels, nodes)."""
    low, high = edges.T[:, :, None]
    return (low + high) / 2 + (high - low) / 2 * _NODES


def _series(values: np.ndarray, panels: int) -> np.ndarray:
    """Return the coefficients from the values at the nodes, shape (terms, panels)."""
    return _TO_SERIES @ values.reshape(panels, -1).T


def _last(series: np.ndarray) -> np.ndarray:
    return np.abs(series[-_SEEN:]).max(axis=0)


def _has_converged(
    series: np.ndarray, tolerance: float, sizes: np.ndarray | float = 0.0
) -> np.ndarray:
    return _last(series) <= tolerance * np.maximum(np.abs(series).sum(axis=0), sizes)


@dataclass(frozen=True)
class Interpolant:
    """A smooth function of one variable in an interval, by Chebyshev series on panels.

    Attributes
    ----------
    edges
        Ends of the panels, increasing, shape (panels + 1,).
    series
        The coefficients, shape (terms, panels).
    errors
        An estimate for each panel.
    """

    edges: np.ndarray
    series: np.ndarray
    errors: np.ndarray

    @classmethod
    def of(
        cls,
        function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
        low: float,
        high: float,
        *,
        tolerance: float,
    ) -> "Interpolant":
        """Return the interpolant of a function between two places.

        Parameters
        ----------
        function
            Of an array of places of shape (n,): values, and their errors, below which nothing is
            told from noise.
        low, high
            The ends.
        tolerance
            What the last coefficients are at most, relative to all, before a panel is halved.

        Examples
        --------
        >>> found = Interpolant.of(lambda x: (np.exp(x), 0 * x), -30.0, 3.0, tolerance=1e-13)
        >>> x = np.array([-29.5, 0.0, 2.5])
        >>> bool(np.all(np.abs(found(x) / np.exp(x) - 1) < 1e-12))
        True
        """
        panels = np.array([[low, high]])
        done: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        count, largest, before = 0, 0.0, np.array([np.inf])
        while len(panels):
            values, errors = function(_nodes(panels).ravel())
            series = _series(values, len(panels))
            size = np.abs(series).sum(axis=0)
            largest = max(largest, float(size.max()))
            nothing = size <= _NOTHING * largest
            doubts = errors.reshape(len(panels), -1).max(axis=1)
            good = _has_converged(series, tolerance) | nothing | (_last(series) <= doubts)
            good |= (_last(series) <= _LOUDEST * size) & (_last(series) > _SHRUNK * before)
            good |= panels[:, 1] - panels[:, 0] <= _NARROWEST * (high - low)
            good |= ~np.isfinite(size) | (count + len(panels) > _MOST_PANELS)
            doubts = (
                doubts
                + np.abs(series[-_SEEN:]).sum(axis=0)
                + np.where(nothing, size, _ROUNDING * size)
            )
            done.append((panels[good], series[:, good], doubts[good]))
            count += int(good.sum())
            middle = panels[~good].mean(axis=1)
            left, right = panels[~good].T
            before = np.tile(_last(series)[~good], 2)
            panels = np.stack([np.append(left, middle), np.append(middle, right)], axis=1)
        ends, of_all, doubts = (np.concatenate(part, axis=-1 if k == 1 else 0)
                                for k, part in enumerate(zip(*done, strict=True)))  # fmt: skip
        order = np.argsort(ends[:, 0])
        return cls(np.append(ends[order, 0], high), of_all[:, order], doubts[order])

    def _panels(self, x: np.ndarray) -> np.ndarray:
        found = np.searchsorted(self.edges, x, side="right") - 1
        return np.clip(found, 0, len(self.errors) - 1)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the function at places between the ends, of any shape."""
        return self.with_errors(x)[0]

    def with_errors(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the function at places between the ends, and the errors there."""
        panels = self._panels(x)
        low, high = self.edges[panels], self.edges[panels + 1]
        inside = (2 * x - low - high) / np.where(high > low, high - low, 1.0)
        after, last = np.zeros(x.shape), np.zeros(x.shape)
        for coefficients in self.series[:0:-1]:  # by Clenshaw
            after, last = coefficients[panels] + 2 * inside * after - last, after
        return self.series[0][panels] + inside * after - last, self.errors[panels]
