"""Whether the moments of a population are stationary, or still grow after many steps."""

import math

import numpy as np

from rmt_jacobian.mean_field.populations.walk import Walk

__all__ = ["still_rises"]

_GROWS = 1.05  # from one long run to the next, of a moment that is not stationary
_WINDOW = 32  # steps at the end of a long run
_SEEN = 5.0  # standard errors of that


def still_rises(walk: Walk, steps: int) -> np.ndarray:
    """Return whether the mean square of each state rises beyond its noise, after so many steps."""
    before, after = (_squares_after(walk, steps) for _ in range(2))
    rise = after - before
    noise = _SEEN * rise.std(axis=1, ddof=1) / math.sqrt(rise.shape[1])
    return rise.mean(axis=1) > np.maximum(noise, (_GROWS - 1) * before.mean(axis=1))


def _squares_after(walk: Walk, steps: int) -> np.ndarray:
    """Take the steps and return E[s^2] over the last of them, shape (states, R)."""
    walk.run(steps - _WINDOW)
    squares = []
    for _ in range(_WINDOW):
        walk.run(1)
        squares.append(walk.state_squares())
    return np.mean(squares, axis=0)
