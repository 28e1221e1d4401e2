"""Anderson's acceleration of the fixed-point form of the Dyson equation, over many points."""

import numpy as np

from rmt_jacobian.pencils.self_energy import DysonEquation

__all__ = ["anderson"]

_MEMORY = 6
_DAMPING = 0.6
_REGULARISATION = 1e-13  # of the normal equations, relative to their trace


def anderson(
    equation: DysonEquation,
    z: np.ndarray,
    sigma: np.ndarray,
    points: np.ndarray,
    *,
    tolerance: float,
    limit: int = 200,
) -> np.ndarray:
    r"""Iterate :math:`\Sigma_a \leftarrow \gamma(u) g_{a'}` with acceleration.

    Of the last six differences of iterates the combination is used that makes the residual
    smallest; where that would leave the half plane Im Sigma <= 0, the damped step is taken.

    Returns
    -------
    numpy.ndarray of shape (points, slots)
        The last iterates, solutions or not: the caller certifies them.

    References
    ----------
    Walker & Ni 2011, Algorithm AA.
    """
    sigma, going = sigma.copy(), np.arange(len(z))
    moves: list[np.ndarray] = []  # differences of iterates and of residuals, newest last
    changes: list[np.ndarray] = []
    before: tuple[np.ndarray, np.ndarray] | None = None
    with np.errstate(all="ignore"):  # a wild step ends in nan, and its point is dropped
        for _ in range(limit):
            if not len(going):
                break
            found = equation.residual(z[going], sigma[going], points[going])
            keep = (found.norm > tolerance) & np.isfinite(found.norm)
            here, residual = sigma[going][keep], -found.value[keep]
            moves, changes = [m[keep] for m in moves], [c[keep] for c in changes]
            if before is not None:
                moves = [*moves, here - before[0][keep]][-_MEMORY:]
                changes = [*changes, residual - before[1][keep]][-_MEMORY:]
            going, before = going[keep], (here, residual)
            sigma[going] = _next(here, residual, moves, changes)
    return sigma


def _next(
    sigma: np.ndarray, residual: np.ndarray, moves: list[np.ndarray], changes: list[np.ndarray]
) -> np.ndarray:
    damped = sigma + _DAMPING * residual
    if not moves or not len(sigma):
        return damped
    X, R = np.stack(moves, axis=-1), np.stack(changes, axis=-1)
    normal = np.swapaxes(R.conj(), -1, -2) @ R
    trace = np.trace(normal, axis1=-2, axis2=-1).real[:, None, None]
    normal = normal + (_REGULARISATION * trace + 1e-300) * np.eye(len(moves))
    weights = np.linalg.solve(normal, np.swapaxes(R.conj(), -1, -2) @ residual[..., None])
    accelerated = damped - ((X + _DAMPING * R) @ weights)[..., 0]
    inside = np.all(accelerated.imag <= 0, axis=-1, keepdims=True)
    return np.where(inside & np.isfinite(accelerated), accelerated, damped)
