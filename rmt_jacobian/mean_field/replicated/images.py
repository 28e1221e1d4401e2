"""Maps that are known from independent samples: their noise and their slopes."""

from collections.abc import Callable

import numpy as np

__all__ = ["NOISY_STEP", "Image", "inverse", "noise_of", "repels", "slopes_of"]

_PART = 0.2  # of what a component can be: a difference over less would be noise
_STEP = 1e-4  # relative, of differences
NOISY_STEP = 0.05
"""The same where the map is noisy."""
_SINGULAR = 1e12

Image = Callable[[np.ndarray], np.ndarray]
"""From x, shape (n,), to R estimates of F(x), shape (R, n)."""


def noise_of(estimates: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean, 0 where there is one estimate."""
    if len(estimates) == 1:
        return np.zeros(estimates.shape[1])
    return estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates))


def slopes_of(
    image: Image,
    x: np.ndarray,
    noisy_step: float = NOISY_STEP,
    sizes: np.ndarray | None = None,
) -> np.ndarray:
    """Return J by central differences; wide ones where the map is noisy."""
    there = image(x)
    least = _PART * (np.zeros(len(x)) if sizes is None else sizes)
    unit = max(float(np.max(np.abs(x))), float(np.max(np.abs(there.mean(axis=0)))), 1e-300)
    exact, columns = len(there) == 1, []
    for k in range(len(x)):
        width = (_STEP if exact else noisy_step) * max(abs(x[k]), 1e-3 * unit, least[k])
        move = width * np.eye(len(x))[k]
        ends = [image(x + move).mean(axis=0), image(x - move).mean(axis=0)]
        columns.append((ends[0] - ends[1]) / (2 * width))
    return np.stack(columns, axis=1)


def inverse(slopes: np.ndarray) -> np.ndarray | None:
    """Return 1 / (1 - J), None where it does not exist."""
    matrix = np.eye(len(slopes)) - slopes
    if not np.all(np.isfinite(matrix)) or np.linalg.cond(matrix) > _SINGULAR:
        return None
    return np.linalg.inv(matrix)


def repels(slopes: np.ndarray, *, slow: bool) -> bool:
    """Whether an orbit leaves; one that is slow only follows slopes above 1."""
    values = np.linalg.eigvals(slopes)
    return bool(np.max(np.real(values) if slow else np.abs(values), initial=0.0) >= 1)
