r"""Averages over sites corrected by moments that are known exactly.

.. math:: \hat f = \langle f \rangle - \beta (\langle c \rangle - E[c]),

:math:`\beta` being the slope of f in the control c over the sites.
"""

import numpy as np

__all__ = ["off_means", "regression"]

_EQUAL = 1e-13  # relative, of values that differ by rounding


def off_means(powers: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return powers less their exact means; 0 where they hardly vary, and all is rounding.

    Shapes (controls, R, sites), or for the means (controls, R, 1).

    Examples
    --------
    >>> sites = np.array([[[1.0, 3.0]], [[0.1, 0.1 + 1e-16]]])
    >>> off_means(sites, np.array([[[1.5]], [[0.1 - 1e-16]]]))
    array([[[-0.5,  1.5]],
    <BLANKLINE>
           [[ 0. ,  0. ]]])
    """
    largest = np.abs(powers).max(axis=(1, 2), keepdims=True)
    varies = powers.std(axis=(1, 2), keepdims=True) > _EQUAL * largest
    return np.where(varies, powers - exact, 0.0)


def regression(values: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Return the slopes of values in controls over all sites, shape (values, controls).

    Examples
    --------
    >>> c = np.array([[[-1.0, 0.0, 2.0]]])
    >>> regression(1 + 3 * c, c).round(9)
    array([[3.]])
    """
    y = values.reshape(len(values), -1)
    x = controls.reshape(len(controls), -1)
    x = x - x.mean(axis=1, keepdims=True)
    scale = x.std(axis=1)
    varies = scale > 0
    x, scale = np.where(varies[:, None], x, 0.0), np.where(varies, scale, 1.0)[:, None]
    found = np.linalg.lstsq(((x / scale) @ (x / scale).T), (x / scale) @ y.T, rcond=1e-10)[0]
    return found.T / scale.T
