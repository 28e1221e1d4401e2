"""The trinomial equation behind the Fuss-Catalan laws."""

import warnings

import numpy as np

__all__ = ["principal_root"]

_POLISH = 4
_RESIDUAL = 1e-12
_OUTSIDE = 1e-6  # how far rounding may push a root on the boundary of the region out of it


def principal_root(w: np.ndarray, order: int) -> np.ndarray:
    r"""Solve :math:`c^p (1 - c) = w` on the branch with c = 1 at w = 0.

    The reciprocal :math:`B = 1/c` is the generating function of the Fuss-Catalan numbers,
    :math:`B = 1 + w B^{p+1}`, continued to the plane cut along
    :math:`w \ge p^p / (p+1)^{p+1}`.  It maps the cut plane one to one onto the region

    .. math::
        \lvert B \rvert \sin(p \theta) < \sin((p+1) \theta), \qquad
        \theta = \lvert \arg B \rvert < \frac{\pi}{p+1},

    so that a root of the equation inside the region is the right one.  All roots come from the
    companion matrix; the one deepest inside is polished by Newton's method.  On the cut the value
    is the limit from below in w, which is from above in 1/w.

    Parameters
    ----------
    w
        Complex numbers.
    order
        The integer p >= 0.

    Returns
    -------
    numpy.ndarray
        The root c; nan, with a :class:`RuntimeWarning`, where no root has both a relative
        residual below 1e-12 and a place in the region.

    References
    ----------
    U. Haagerup and S. Möller (2013), The law of large numbers for the free multiplicative
    convolution, section 4 (the boundary of the region).

    Examples
    --------
    >>> root = principal_root(np.array([0.1]), 1)  # a root of c (1 - c) = 0.1
    >>> root.round(12)
    array([0.88729833+0.j])
    """
    w = np.asarray(w, dtype=complex)
    mirrored = np.imag(w) > 0
    below = np.where(mirrored, np.conj(w), w).ravel()
    finite = np.isfinite(below)
    roots = _all_roots(below[finite], order)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = _depth(1 / roots, order)
    depth = np.where(np.imag(roots) < -_OUTSIDE * np.abs(roots), -np.inf, depth)  # of 1/w above
    best = np.argmax(depth, axis=-1)[:, None]
    root = np.take_along_axis(roots, best, axis=-1)[:, 0]
    inside = np.take_along_axis(depth, best, axis=-1)[:, 0] > -_OUTSIDE
    edge = order**order / (order + 1) ** (order + 1)
    off_cut = (np.imag(below[finite]) == 0) & (np.real(below[finite]) <= edge)
    root = np.where(off_cut, np.real(root), root)  # what is real stays so, without rounding
    root, residual = _polished(root, below[finite], order)
    answer = np.full(below.shape, complex(np.nan, np.nan))
    answer[finite] = np.where(inside & (residual <= _RESIDUAL), root, answer[finite])
    if np.any(np.isnan(answer) & finite):
        warnings.warn("no certified root at some points: nan there", RuntimeWarning, stacklevel=2)
    answer = answer.reshape(w.shape)
    return np.where(mirrored, np.conj(answer), answer)


def _all_roots(w: np.ndarray, order: int) -> np.ndarray:
    """Return the roots of c^(p+1) - c^p + w, the eigenvalues of its companion matrix."""
    size = order + 1
    companion = np.zeros((w.size, size, size), dtype=complex)
    companion[:, np.arange(1, size), np.arange(order)] = 1.0
    companion[:, -1, -1] = 1.0
    companion[:, 0, -1] -= w
    return np.linalg.eigvals(companion)


def _depth(b: np.ndarray, order: int) -> np.ndarray:
    """Return a quantity that is positive inside the region, zero on its boundary."""
    angle = np.abs(np.angle(b))
    sine = np.sin(angle)
    real = sine < 1e-100
    scale = np.where(real, 1.0, sine)
    inner = np.where(real, order, np.sin(order * angle) / scale)
    outer = np.where(real, order + 1, np.sin((order + 1) * angle) / scale)
    # The edge of the sector is left to rounding, like the curve.
    in_sector = angle <= np.pi / (order + 1) + _OUTSIDE
    return np.where(in_sector, outer - np.abs(b) * inner, -np.inf)


def _polished(c: np.ndarray, w: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the root after Newton steps that lower the residual, and its relative residual."""

    def residual(c: np.ndarray) -> np.ndarray:
        size = np.abs(c) ** order * (1 + np.abs(c)) + np.abs(w)
        return np.abs(c**order * (c - 1) + w) / size

    for _ in range(_POLISH):
        slope = c ** (order - 1) * ((order + 1) * c - order)
        with np.errstate(all="ignore"):
            trial = c - (c**order * (c - 1) + w) / slope
        c = np.where(residual(trial) < residual(c), trial, c)
    return c, residual(c)
