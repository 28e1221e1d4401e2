r"""Newton's method for the self-energies, held in the dissipative half plane, and the certificate.

Many points of a grid are iterated at once; each goes its own way and stops on its own.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmt_jacobian.pencils.self_energy import DysonEquation, Residual

__all__ = ["Attempt", "attempt", "newton"]

_HELD = 0.05  # the share of Im Sigma that a step must leave
_SHORTEST = 1e-3  # of a Newton step, before the point is given up
_NEAR_REAL = 1e-6  # in units of the self-energy; above it a solution has an imaginary part
_SMALL_STEP = 1e-10  # in the same units
_FLOOR = 1e-15  # of the residual; below it there is nothing to gain
_ROUNDING = 1e-9
_LOW = 1e-3  # in units of the height of the pencil; above it no real solution has that residual
_ATOM = 1e12  # of g, in units of the inverse self-energy; above it there is an atom at z
_SINGULAR = 1e-6  # the singular value of the Newton matrix at which solutions form a family


@dataclass(frozen=True)
class Attempt:
    """What an iteration reached at some points.

    Attributes
    ----------
    sigma
        The best self-energies, shape (points, slots).
    solved
        Whether they solve the equation, shape (points,).
    residual
        The equation there.
    evaluations
        How often the equation was evaluated, shape (points,).
    """

    sigma: np.ndarray
    solved: np.ndarray
    residual: Residual
    evaluations: np.ndarray

    def at(self, index: np.ndarray) -> "Attempt":
        """Return the attempt at some of its points."""
        return Attempt(
            self.sigma[index], self.solved[index], self.residual.at(index), self.evaluations[index]
        )


def newton(
    equation: DysonEquation,
    z: np.ndarray,
    sigma: np.ndarray,
    points: np.ndarray,
    *,
    tolerance: float,
    limit: int,
) -> Attempt:
    """Iterate Newton's method from given self-energies, Im Sigma <= 0, at every point.

    A step that does not lower the residual is tried in log Sigma, in which the near-solutions
    of a pencil with a chiral symmetry form a straight line, and then shortened.  It leaves a part
    of Im Sigma: the half plane is never left, and a real solution is approached from inside.
    """
    best, at_best = sigma, equation.residual(z, sigma, points)
    length, evaluations = np.ones(len(z)), np.ones(len(z), dtype=int)
    step = at_best.step()
    turned = np.zeros(len(z), dtype=bool)
    active = np.flatnonzero(~(at_best.norm <= _FLOOR))
    for _ in range(limit):
        if not len(active):
            break
        here, move = best[active], length[active, None] * step[active]
        trial = np.where(turned[active, None], _turned(here, move), _straight(here, move))
        found = equation.residual(z[active], trial, points[active])
        evaluations[active] += 1
        # Not a number compares as not better.
        better = found.norm < (1 - 0.1 * length[active]) * at_best.norm[active]
        gained, lost = active[better], active[~better]
        best = _with(best, gained, trial[better])
        at_best = at_best.updated(gained, found.at(better))
        step[gained] = found.at(better).step()
        length[lost] = np.where(turned[lost], length[lost] / 4, length[lost])
        turned[lost] = ~turned[lost]
        length[gained], turned[gained] = 1.0, False
        # Where the equation is nearly singular a small residual says little: go on while it falls.
        far = np.any(np.abs(step) > _SMALL_STEP * _size(equation, best), axis=-1)
        solved = at_best.norm <= tolerance
        done = solved & (~far | (at_best.norm <= _FLOOR) | (length < 1)) | (length < _SHORTEST)
        active = active[~done[active]]
    return Attempt(best, at_best.norm <= tolerance, at_best, evaluations)


def attempt(
    equation: DysonEquation,
    z: np.ndarray,
    sigma: np.ndarray,
    points: np.ndarray,
    *,
    tolerance: float,
    limit: int,
) -> Attempt:
    """Iterate Newton's method, and count as solved only what the certificate accepts."""
    options = {"tolerance": tolerance, "limit": limit}
    with np.errstate(all="ignore"):  # a wild step ends in nan, which is never better
        tried = newton(equation, z, sigma, points, **options)
        on_axis = tried.solved & (np.imag(z) == 0)
        family = on_axis & _singular(equation, tried)
        near = _near_real(equation, tried)
        real = on_axis & near.any(axis=-1) & ~family
        for index, settle in ((real, _made_real), (family, _from_above)):
            chosen = np.flatnonzero(index)
            if len(chosen):
                settled = settle(equation, z[chosen], tried.at(chosen), points[chosen], options)
                tried = _replaced(tried, chosen, settled)
                # A real solution is checked for what it is; a member of a family is not enough.
                tried.solved[chosen] &= settled.solved | real[chosen]
        return replace(tried, solved=tried.solved & _certified(equation, z, points, tried))


def _made_real(
    equation: DysonEquation,
    z: np.ndarray,
    tried: Attempt,
    points: np.ndarray,
    options: dict[str, Any],
) -> Attempt:
    """Take the small imaginary parts of a solution on the axis for 0, and solve again."""
    start = np.where(_near_real(equation, tried), np.real(tried.sigma), tried.sigma)
    return newton(equation, z, start, points, **options)


def _from_above(
    equation: DysonEquation,
    z: np.ndarray,
    tried: Attempt,
    points: np.ndarray,
    options: dict[str, Any],
) -> Attempt:
    r"""Pick the limit from above where the solutions on the axis form a family.

    In a pencil with a chiral symmetry the two halves can be scaled against each other at z = 0.
    Above the axis the solution is unique and analytic in z: two heights are extrapolated, and
    what is left of the residual is removed at right angles to the family.
    """
    low = 1e-6j * equation.pencil.height
    # At an edge the self-energies move by the root of that.
    start = tried.sigma - 1e-3j * _size(equation, tried.sigma)
    second = newton(equation, z + 2 * low, start, points, **options)
    first = newton(equation, z + low, second.sigma, points, **options)
    sigma = 2 * first.sigma - second.sigma
    for _ in range(2):
        found = equation.residual(z, sigma, points)
        inverse = np.linalg.pinv(_finite(found.matrix), rcond=10 * _SINGULAR)
        correction = (inverse @ found.value[..., None])[..., 0]
        sigma = _below(sigma - correction, np.zeros(sigma.shape))
    found = equation.residual(z, sigma, points)
    solved = first.solved & second.solved
    # At an edge there is a kernel too, but one solution, which those above come near to.
    gap = np.max(np.abs(first.sigma - tried.sigma), axis=-1)
    edge = solved & (gap < 10 * np.max(np.abs(first.sigma - second.sigma), axis=-1))
    solved &= found.norm <= options["tolerance"]
    moved = Attempt(sigma, solved, found, first.evaluations + second.evaluations + 3)
    at_edge = np.flatnonzero(edge & ~solved)
    moved = _replaced(moved, at_edge, tried.at(at_edge))
    return replace(moved, solved=solved | edge)


def _certified(
    equation: DysonEquation, z: np.ndarray, points: np.ndarray, tried: Attempt
) -> np.ndarray:
    """Check the signs of Im Sigma and Im g, and which way a real solution moves above the axis."""
    size = _size(equation, tried.sigma)
    g = tried.residual.g
    accepted = np.all(np.imag(tried.sigma) <= _ROUNDING * size, axis=-1)
    accepted &= np.all(np.imag(g) <= _ROUNDING * np.abs(g), axis=-1)
    accepted &= np.all(np.abs(g) * size < _ATOM, axis=-1)
    near = _near_real(equation, tried)
    # Far above the axis the self-energies are small too, but not real by any branch.
    low = np.imag(z) < _LOW * equation.pencil.height
    doubtful = np.flatnonzero(accepted & tried.solved & low & near.any(axis=-1))
    if len(doubtful):
        above = z[doubtful] + 1e-8j * equation.pencil.height
        moved = equation.residual(above, tried.sigma[doubtful], points[doubtful])
        here = tried.residual.at(doubtful)
        motion = np.imag(replace(here, value=moved.value - here.value).step())
        allowed = 1e-6 * np.max(np.abs(motion), axis=-1, keepdims=True)
        accepted[doubtful] = np.all((motion <= allowed) | ~near[doubtful], axis=-1)
    return accepted


def _size(equation: DysonEquation, sigma: np.ndarray) -> np.ndarray:
    return equation.pencil.scales + np.abs(sigma)


def _near_real(equation: DysonEquation, tried: Attempt) -> np.ndarray:
    return np.imag(tried.sigma) > -_NEAR_REAL * _size(equation, tried.sigma)


def _singular(equation: DysonEquation, tried: Attempt) -> np.ndarray:
    """Return where the Newton matrix, in units of the self-energies, has a kernel."""
    size = _size(equation, tried.sigma)
    matrix = tried.residual.matrix * size[:, None, :] / size[:, :, None]
    return np.linalg.svd(_finite(matrix), compute_uv=False)[:, -1] < _SINGULAR


def _finite(matrix: np.ndarray) -> np.ndarray:
    """Put 0 for what is not a number, at points that are lost anyway: LAPACK would stop at it."""
    return np.where(np.isfinite(matrix), matrix, 0)


def _below(sigma: np.ndarray, top: np.ndarray) -> np.ndarray:
    return np.real(sigma) + 1j * np.minimum(np.imag(sigma), top)


def _replaced(tried: Attempt, index: np.ndarray, other: Attempt) -> Attempt:
    """Put another attempt in the place of this one at the points where it solved the equation."""
    evaluations = tried.evaluations.copy()
    evaluations[index] += other.evaluations
    index, rows = index[other.solved], np.flatnonzero(other.solved)
    return Attempt(
        _with(tried.sigma, index, other.sigma[rows]),
        tried.solved,
        tried.residual.updated(index, other.residual.at(rows)),
        evaluations,
    )


def _with(array: np.ndarray, index: np.ndarray, values: np.ndarray) -> np.ndarray:
    changed = array.copy()
    changed[index] = values
    return changed


def _straight(sigma: np.ndarray, step: np.ndarray) -> np.ndarray:
    return _below(sigma + step, _HELD * np.imag(sigma))


def _turned(sigma: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Take a step in log Sigma, the angle held between -pi and 0."""
    angle = -np.arccos(np.clip(np.real(sigma) / np.abs(sigma), -1, 1))  # also at Im Sigma = -0.0
    relative = step / sigma
    held = np.clip(angle + np.imag(relative), -math.pi + _HELD * (math.pi + angle), _HELD * angle)
    return np.abs(sigma) * np.exp(np.clip(np.real(relative), -5, 5) + 1j * held)
