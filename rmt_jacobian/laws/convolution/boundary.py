"""The curve of the levels over the support of a law given by an inverse."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from rmt_jacobian.errors import HypothesisError

__all__ = ["Boundary", "followed"]

_NODES = 257
_HALVINGS = 12
_CORRECTIONS = 8

_Function: TypeAlias = Callable[[np.ndarray], np.ndarray]
_Pair: TypeAlias = tuple[_Function, _Function]
_Frame: TypeAlias = tuple[float, float, float | None]


@dataclass(frozen=True, eq=False)
class Boundary:
    r"""The levels over the support, from its lower edge to its upper.

    Attributes
    ----------
    low, high
        The edges of the support.
    level_low, level_high
        The real levels at the edges.
    power
        The angle is that of :math:`x = h \sin^{2k}(\theta / 2)` for a hard edge at 0 of power
        k, and of the middle and the half-width otherwise.
    angles, levels
        Nodes on the curve.
    """

    low: float
    high: float
    level_low: float
    level_high: float
    power: float | None
    angles: np.ndarray
    levels: np.ndarray

    def point(self, angle: np.ndarray) -> np.ndarray:
        """Return the point of the support at an angle in [0, pi]."""
        return _point(angle, self.low, self.high, self.power)

    def stretch(self, angle: np.ndarray) -> np.ndarray:
        """Return the derivative of the point by the angle."""
        if self.power is None:
            return (self.high - self.low) / 2 * np.sin(angle)
        return self.point(angle) * self.power / np.tan(angle / 2)

    def angle(self, x: np.ndarray) -> np.ndarray:
        """Return the angle of a point of the support."""
        if self.power is None:
            return 2 * np.arctan2(np.sqrt(x - self.low), np.sqrt(self.high - x))
        with np.errstate(divide="ignore"):
            logarithm = np.log(x / self.high) / self.power
        return 2 * np.arctan2(np.exp(logarithm / 2), np.sqrt(-np.expm1(logarithm)))

    def near(self, x: np.ndarray) -> np.ndarray:
        """Return levels close to those over some points of the support."""
        angle = self.angle(x)
        if self.power is None:
            return np.interp(angle, self.angles, np.real(self.levels)) + 1j * np.interp(
                angle, self.angles, np.imag(self.levels)
            )
        # Towards a hard edge the level goes like the square of the angle.
        own, weights = np.sin(angle / 2) ** 2, np.sin(self.angles[1:] / 2) ** 2
        ratios = (self.levels[1:] - self.level_low) / weights
        ratio = np.interp(angle, self.angles[1:], np.real(ratios)) + 1j * np.interp(
            angle, self.angles[1:], np.imag(ratios)
        )
        return self.level_low + own * ratio

    def leeway(self, x: np.ndarray) -> np.ndarray:
        """Return how far from :meth:`near` the level may be: a step between two nodes."""
        angle = self.angle(x)
        k = np.clip(np.searchsorted(self.angles, angle), 1, len(self.angles) - 1)
        return np.abs(self.levels[k] - self.levels[k - 1]) / 2

    def encloses(self, t: np.ndarray) -> np.ndarray:
        """Return whether levels lie between the curve and the real axis, or within rounding."""
        polygon = np.concatenate([self.levels, self.levels[:1]])
        start, end = polygon[:-1, None], polygon[1:, None]
        flat = t.ravel()[None]
        with np.errstate(all="ignore"):
            spans = (np.imag(start) > np.imag(flat)) != (np.imag(end) > np.imag(flat))
            share = (np.imag(flat) - np.imag(start)) / (np.imag(end) - np.imag(start))
            crosses = spans & (
                np.real(flat) < np.real(start) + share * (np.real(end) - np.real(start))
            )
            nearest = np.min(np.abs(flat - self.levels[:, None]), axis=0)
        steps = np.max(np.abs(np.diff(self.levels)))
        on_curve = (nearest <= steps) & (np.imag(flat[0]) < 0)
        return ((np.sum(crosses, axis=0) % 2 == 1) | on_curve).reshape(t.shape)


def followed(
    inverse: Callable[[np.ndarray], np.ndarray],
    slope: Callable[[np.ndarray], np.ndarray],
    level_high: float,
    level_low: float,
    power: float | None,
) -> Boundary:
    """Follow the curve from the upper edge to the lower, in steps that Newton barely corrects.

    Raises
    ------
    HypothesisError
        If the curve meets the real axis inside the support, or cannot be followed.
    """
    functions = (inverse, slope)
    ends = np.real(inverse(np.array([level_low, level_high], dtype=complex)))
    low, high = (0.0 if power is not None else float(ends[0])), float(ends[1])
    if not low < high:
        raise HypothesisError(
            f"the lower edge came out as {low:.6g} and the upper as {high:.6g}: this is not the "
            "transform of a law whose support is one interval"
        )
    angles = np.linspace(0, np.pi, _NODES)
    levels = np.empty(_NODES, dtype=complex)
    levels[[0, -1]] = level_low, level_high
    # At a square-root edge the level leaves the real axis at a right angle, down.
    h = 1e-3 * abs(level_high)
    curvature = np.real(slope(np.array([level_high + h, level_high - h], dtype=complex)))
    second = abs(float(curvature[0] - curvature[1])) / (2 * h)
    drop = np.sqrt(2 * (high - _point(angles[-2], low, high, power)) / second)
    here = complex(level_high, -float(drop))
    previous, at = None, _NODES - 2
    here = _corrected(functions, here, _point(angles[at], low, high, power))
    levels[at] = here
    motion = here - level_high
    for at in range(_NODES - 3, 0, -1):
        previous = here
        here = _stepped(functions, here, motion, angles[at + 1], angles[at], (low, high, power), 0)
        levels[at], motion = here, here - previous
    gap = abs(levels[1] - level_low)
    if gap > 3 * abs(motion) + 1e-6 * abs(level_low):
        raise HypothesisError(
            "the curve of levels does not end at the lower edge: the support is not one interval, "
            "or this is not the transform of a law"
        )
    return Boundary(low, high, level_low, level_high, power, angles, levels)


def _stepped(
    functions: _Pair, here: complex, motion: complex, start: float, end: float, frame: _Frame,
    depth: int,
) -> complex:  # fmt: skip
    """Go from one angle to another, in two halves if Newton's correction is large."""
    guess = here + motion
    found = _corrected(functions, guess, _point(end, *frame))
    if abs(found - guess) <= 0.3 * abs(motion) and found.imag < 0:
        return found
    if depth == _HALVINGS:
        raise HypothesisError(
            f"the level could not be followed at x = {_point(end, *frame):.6g}: the support is not "
            "one interval, or this is not the transform of a law"
        )
    middle = (start + end) / 2
    half = _stepped(functions, here, motion / 2, start, middle, frame, depth + 1)
    return _stepped(functions, half, half - here, middle, end, frame, depth + 1)


def _corrected(functions: _Pair, t: complex, x: np.ndarray) -> complex:
    inverse, slope = functions
    level = np.array([t])
    for _ in range(_CORRECTIONS):
        with np.errstate(all="ignore"):
            step = (inverse(level) - x) / slope(level)
        level = level - np.where(np.isfinite(step), step, 0)
    return complex(level[0])


def _point(angle: np.ndarray | float, low: float, high: float, power: float | None) -> np.ndarray:
    if power is not None:
        with np.errstate(divide="ignore"):
            return high * np.exp(2 * power * np.log(np.sin(np.asarray(angle) / 2)))
    from_low = low + (high - low) * np.sin(angle / 2) ** 2
    from_high = high - (high - low) * np.cos(angle / 2) ** 2
    return np.where(np.asarray(angle) < np.pi / 2, from_low, from_high)
