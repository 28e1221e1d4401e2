r"""Newton's method for self-energies that are symmetric matrices, and the certificate.

Above the real axis the fixed-point map takes symmetric matrices with a negative definite imaginary
part into themselves and has one fixed point there.  On the axis a solution is the limit of that one
if it continues into the half space: if :math:`\Sigma + i \eta \, d\Sigma / ds` has a negative
definite imaginary part for small :math:`\eta`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from rmt_jacobian.pencils.ensembles import BiInvariant
from rmt_jacobian.pencils.shared.couplings import coupled
from rmt_jacobian.pencils.shared.matrices import depths, packed, relative_size, reunited, symmetric

__all__ = ["Found", "Linearised", "MatrixEquation", "balanced", "certified", "iterated"]

_ABOVE = 1e-7  # relative height at which a solution on the axis must lie in the half space
_REAL = 1e-8  # depth of an eigenvalue that counts as 0
_LEAST_SHARE = 1e-3  # of a step, below which there is no way forward
_STALLED = 1e-5  # a step that is no shorter in the end, next to many equal singular values
_SOFT, _QUIET = 1e-2, 1e-9  # a step along which little changes, and that times the residual
_PATIENCE = 3  # steps none of which is half as long as the best so far
_STEPS = 25


@dataclass(frozen=True, eq=False)
class Linearised:
    """The equation at some self-energies and one point.

    Attributes
    ----------
    gap
        What the averages give back, less the self-energies; a vector.
    slope
        The derivative of -gap.
    by_s
        The derivative of gap in the spectral point.
    unit
        The size of every entry of the self-energies.
    """

    gap: np.ndarray
    slope: np.ndarray
    by_s: np.ndarray
    unit: np.ndarray

    def step(self) -> np.ndarray:
        """Return the step of Newton's method; nan where the derivative is singular."""
        return self._solved(self.gap)

    def drift(self) -> np.ndarray:
        """Return the derivative of the solution in the spectral point."""
        return self._solved(self.by_s)

    def _solved(self, right: np.ndarray) -> np.ndarray:
        """Solve in units of the entries, which differ by orders of magnitude."""
        scaled = self.slope * self.unit[None, :] / self.unit[:, None]
        try:
            return np.asarray(self.unit * np.linalg.solve(scaled, right / self.unit))
        except np.linalg.LinAlgError:
            return np.full_like(right, np.nan)

    def usable(self) -> bool:
        """Whether all numbers are finite."""
        return bool(np.all(np.isfinite(self.slope)) and np.all(np.isfinite(self.gap)))


def balanced(
    parts: Iterable[tuple[BiInvariant, np.ndarray, Sequence[np.ndarray], Sequence[np.ndarray]]],
    sigma: np.ndarray,
    matrix: np.ndarray,
    by_s: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gap, slope and by_s of a :class:`Linearised` equation.

    Parameters
    ----------
    parts
        For every W its law, where its two self-energies stand in the vector, these, and their
        averages.
    sigma
        The vector.
    matrix, by_s
        The derivatives of the averages in it and in the spectral point.
    """
    image, moved = np.empty_like(sigma), np.empty_like(sigma)
    slope = np.eye(len(sigma), dtype=complex)
    for ensemble, at, self_energies, averages in parts:
        back = coupled(ensemble, *self_energies, *averages)
        image[at] = np.concatenate([packed(symmetric(each)) for each in (back.spread, back.cost)])
        slope[at] -= back.by_averages @ matrix[at]
        slope[np.ix_(at, at)] -= back.by_self_energies
        moved[at] = back.by_averages @ by_s[at]
    return image - sigma, slope, moved


class MatrixEquation(Protocol):
    """A Dyson equation whose self-energies are symmetric matrices."""

    def groups(self, sigma: np.ndarray) -> Sequence[np.ndarray]:
        """Return the matrices of a vector, in stacks of one size each, shape (..., n, n)."""
        ...

    def joined(self, groups: Sequence[np.ndarray]) -> np.ndarray:
        """Return the vector of such matrices."""
        ...

    def linearised(self, s: complex, sigma: np.ndarray) -> Any:
        """Return the :class:`Linearised` equation; nan where a matrix is singular."""
        ...


@dataclass(frozen=True, eq=False)
class Found:
    """What an iteration reached at one point.

    Attributes
    ----------
    sigma
        The self-energies, a vector.
    at
        The equation there.
    length, residual
        The largest entries of the next step and of the gap, in units of the self-energies.
    sweeps
        How often the equation was evaluated.
    """

    sigma: np.ndarray
    at: Any
    length: float
    residual: float
    sweeps: int

    def rests(self, tolerance: float) -> bool:
        """Whether the step is short, or leads along what the averages do not depend on.

        Where few singular values are near s, next to nothing does.
        """
        soft = self.length <= _SOFT and self.length * self.residual <= _QUIET
        return self.length <= max(tolerance, _STALLED) or soft


def _inside(equation: MatrixEquation, sigma: np.ndarray) -> bool:
    return all(bool(np.all(depths(each) >= -_REAL)) for each in equation.groups(sigma))


def _within(equation: MatrixEquation, sigma: np.ndarray) -> np.ndarray:
    """Return self-energies in the closed half space, close to the given ones."""
    if _inside(equation, sigma):
        return sigma
    return equation.joined([reunited(each) for each in equation.groups(sigma)])


def _relative(equation: MatrixEquation, change: np.ndarray, sigma: np.ndarray) -> float:
    """Return the largest entry of a change, in units of the self-energies."""
    both = zip(equation.groups(change), equation.groups(sigma), strict=True)
    return float(max(np.max(relative_size(moved, size)) for moved, size in both))


def iterated(
    equation: MatrixEquation, s: complex, start: np.ndarray, tolerance: float, max_sweeps: int
) -> Found:
    """Iterate Newton's method, whose steps are shortened until they stay in the half space.

    It ends where steps do not get shorter by rounding, and returns the best iterate.

    Parameters
    ----------
    equation
        The equation.
    s
        A spectral point in the closed upper half plane.
    start
        Self-energies, a vector.
    tolerance
        Of the length of a step.
    max_sweeps
        Evaluations after which it ends.
    """
    sigma, best, waited, sweeps = _within(equation, start), None, 0, 0
    at = equation.linearised(s, sigma)
    for sweeps in range(1, max(2, min(max_sweeps, _STEPS)) + 1):
        if not at.usable():
            break
        step = at.step()
        length = _relative(equation, step, sigma)
        residual = _relative(equation, at.gap, sigma)
        if not np.isfinite(length):
            break
        waited = 0 if best is None or length < best.length / 2 else waited + 1
        if best is None or length < best.length:
            best = Found(sigma, at, length, residual, sweeps)
        if length <= tolerance or waited >= _PATIENCE * (1 if best.rests(tolerance) else 2):
            break
        share = 1.0
        while share >= _LEAST_SHARE and not _inside(equation, sigma + share * step):
            share /= 2
        if share < _LEAST_SHARE:
            break
        sigma = _within(equation, sigma + share * step)
        at = equation.linearised(s, sigma)
    if best is None:
        best = Found(sigma, at, np.inf, np.inf, sweeps)
    return replace(best, sweeps=sweeps)


def _without_nothing(matrices: np.ndarray) -> np.ndarray:
    """Return matrices with -i for what is exactly 0 on the diagonal, which has no sign."""
    nothing = np.diagonal(matrices, axis1=-2, axis2=-1) == 0
    return matrices - 1j * nothing[..., :, None] * np.eye(matrices.shape[-1])


def certified(equation: MatrixEquation, s: complex, found: Found) -> tuple[bool, bool]:
    """Return whether a solution is the right one, and whether it lies inside the support."""
    groups = [_without_nothing(each) for each in equation.groups(found.sigma)]
    every = [depths(each) for each in groups]
    inside = s.imag > 0 or any(bool(np.any(depth > _REAL)) for depth in every)
    if s.imag > 0 or all(bool(np.all(depth > _REAL)) for depth in every):
        return all(bool(np.all(depth > 0)) for depth in every), inside
    upward = _ABOVE * abs(s) * found.at.drift()
    if not np.all(np.isfinite(upward)):
        return False, inside
    moved = zip(groups, equation.groups(upward), strict=True)
    return all(bool(np.all(depths(each, along) > 0)) for each, along in moved), inside
