"""Whether sources that have died out would grow again from little: 0 must attract."""

import numpy as np

from rmt_jacobian.mean_field.replicated.images import Image, noise_of

__all__ = ["grow_again"]

_LITTLE = 1e-12  # mean square of a source that is started again
_HIDDEN = 3.0  # standard errors by which growth must stand out
_ROUNDING = 1e-9
_DUST = 1e-24  # of a mean square that is 0 but for rounding


def grow_again(image: Image, squares: np.ndarray, died: np.ndarray) -> bool:
    """Whether mean squares that are 0 at a fixed point grow from a little start, or from nothing.

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
    dead = np.where(died, 0.0, squares)
    if np.any(image(dead)[:, died] > _DUST):  # a site that is never silent, however rare
        return True
    columns = [
        image(dead + _LITTLE * (np.arange(len(squares)) == j))[:, died]
        for j in np.flatnonzero(died)
    ]
    slopes = np.stack(columns, axis=2) / _LITTLE
    if not np.all(np.isfinite(slopes)):
        return False
    growth = np.abs(np.linalg.eigvals(slopes)).max(axis=1)  # of each estimate
    noise = float(noise_of(growth[:, None])[0])
    return float(growth.mean()) > 1 + _HIDDEN * noise + _ROUNDING
