"""Whether sources that have died out would grow again from little: 0 must attract."""

import numpy as np

from rmt_jacobian.mean_field.replicated_images import Image, noise_of

__all__ = ["grow_again"]

_LITTLE = 1e-6  # mean square of a source that is started again
_ROUNDS = 8  # images, in which it turns to the direction that grows most
_HIDDEN = 3.0  # standard errors by which growth must stand out
_ROUNDING = 1e-9


def grow_again(image: Image, squares: np.ndarray, died: np.ndarray) -> bool:
    """Whether mean squares that are 0 at a fixed point grow from a little start.

    Parameters
    ----------
    image
        Estimates of the map of the mean squares, shape (R, n).
    squares
        The fixed point, shape (n,).
    died
        Which of them are 0 there and were not at the start.

    Examples
    --------
    >>> def image(x):
    ...     return np.array([[x[0] * (1.2 - x[0]), 0.5]])
    >>> grow_again(image, np.array([0.0, 0.5]), np.array([True, False]))
    True
    """
    if not np.any(died):
        return False
    here, product, noise = _LITTLE * died, 1.0, 0.0
    for turn in range(_ROUNDS):
        estimates = image(np.where(died, here, squares))[:, died]
        there, before = estimates.mean(axis=0), float(np.max(here))
        size = float(np.max(there, initial=0.0))
        if not 0 < size < np.inf:
            return False
        if turn >= _ROUNDS // 2:  # an even number of times: sources that feed each other take turns
            product *= size / before
        here = np.zeros(len(squares))
        here[died] = _LITTLE * np.maximum(there, 0.0) / size
        noise = float(np.max(noise_of(estimates), initial=0.0)) / size
    counted = _ROUNDS - _ROUNDS // 2
    return product ** (1 / counted) > 1 + _HIDDEN * noise + _ROUNDING
