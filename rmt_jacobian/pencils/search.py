r"""The search for a certified solution at every point of a grid.

The certificate makes the order of the attempts a matter of speed: Newton's method from a given
start, then from far above the real axis down, then from solved neighbours, and last an
accelerated fixed-point iteration.
"""

import numpy as np

from rmt_jacobian.pencils.anderson import anderson
from rmt_jacobian.pencils.newton import Attempt, attempt
from rmt_jacobian.pencils.self_energy import DysonEquation

__all__ = ["Search"]

_ROUNDS = 60  # of the continuation in Im z
_SMALLEST_STEP = 0.9  # a ratio of successive Im z above which a point is given up
_LOWEST = 1e-10  # in units of the height; from there the next step is to the point itself


class Search:
    """What is solved so far, at which self-energies, and after how much work.

    Attributes
    ----------
    sigma, u, residual, solved, evaluations
        As in the solution, shape (points, ...); nan where nothing is solved.
    """

    def __init__(self, equation: DysonEquation, tolerance: float, limit: int) -> None:
        pencil, count = equation.pencil, len(equation.z)
        self.equation, self.tolerance, self.limit = equation, tolerance, limit
        nothing = complex(np.nan, np.nan)
        self.sigma = np.full((count, len(pencil.slots)), nothing)
        self.u = np.full((count, len(pencil.entries)), nothing)
        self.residual = np.full(count, np.nan)
        self.solved = np.zeros(count, dtype=bool)
        self.evaluations = np.zeros(count, dtype=int)
        # The best guess at every point: the last solution on the way down to it.
        self._guess = np.tile(-1j * pencil.scales, (count, 1))

    def try_from(self, sigma: np.ndarray) -> None:
        """Try given self-energies at the unsolved points, where they are numbers."""
        points = np.flatnonzero(~self.solved & np.isfinite(sigma).all(axis=-1))
        self._attempt(self.equation.z[points], sigma[points], points)

    def descend(self) -> None:
        """Follow the unsolved points from above down to where they are, in steps as needed."""
        points = np.flatnonzero(~self.solved)
        target = self.equation.z[points]
        top = self.equation.pencil.height
        here = np.maximum(np.imag(target), top)
        ratio = np.zeros(len(points))  # of the next height to the present one
        begun = self._begin(np.real(target) + 1j * here, points)
        before, sigma_before = here.copy(), self._guess[points]
        going = np.flatnonzero(begun & ~self.solved[points])
        for _ in range(_ROUNDS):
            if not len(going):
                return
            height = here[going] * ratio[going]
            height = np.where(height < _LOWEST * top, 0, height)
            height = np.maximum(height, np.imag(target[going]))
            at = points[going]
            start = _power_law(
                height, here[going], self._guess[at], before[going], sigma_before[going]
            )
            tried = self._attempt(np.real(target[going]) + 1j * height, start, at)
            good, bad = going[tried.solved], going[~tried.solved]
            before[good], sigma_before[good] = here[good], self._guess[points[good]]
            here[good] = height[tried.solved]
            self._guess[points[good]] = tried.sigma[tried.solved]
            ratio[good], ratio[bad] = ratio[good] ** 1.5, np.maximum(np.sqrt(ratio[bad]), 0.1)
            going = going[~self.solved[at] & (ratio[going] < _SMALLEST_STEP)]

    def try_neighbours(self) -> None:
        """Try the nearest solved points of the grid as starts of the unsolved ones."""
        for _ in range(2):  # a gap is closed from both ends, then from what that solved
            solved = np.flatnonzero(self.solved)
            points = np.flatnonzero(~self.solved)
            if not len(solved) or not len(points):
                return
            nearest = np.argmin(np.abs(points[:, None] - solved), axis=1)
            start = self.sigma[solved[nearest]]
            self._attempt(self.equation.z[points], start, points)

    def accelerate(self) -> None:
        """Run the accelerated fixed-point iteration at the unsolved points."""
        points = np.flatnonzero(~self.solved)
        self._accelerated(self.equation.z[points], points)

    def _begin(self, z: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Solve high above the axis, and return where that worked."""
        tried = self._attempt(z, self._guess[points], points)
        self._guess[points[tried.solved]] = tried.sigma[tried.solved]
        solved, left = tried.solved.copy(), np.flatnonzero(~tried.solved)
        if len(left):
            solved[left] = self._accelerated(z[left], points[left]).solved
        return solved

    def _accelerated(self, z: np.ndarray, points: np.ndarray) -> Attempt:
        guess = anderson(self.equation, z, self._guess[points], points, tolerance=self.tolerance)
        tried = self._attempt(z, guess, points)
        self._guess[points[tried.solved]] = tried.sigma[tried.solved]
        return tried

    def _attempt(self, z: np.ndarray, sigma: np.ndarray, points: np.ndarray) -> Attempt:
        """Try to solve at z, count the work, and keep what is solved at the points themselves."""
        tried = attempt(self.equation, z, sigma, points, tolerance=self.tolerance, limit=self.limit)
        self.evaluations[points] += tried.evaluations
        self.residual[points] = tried.residual.norm
        final = tried.solved & (z == self.equation.z[points])
        self.sigma[points[final]] = tried.sigma[final]
        self.u[points[final]] = tried.residual.u[final]
        self.solved[points[final]] = True
        return tried


def _power_law(
    height: np.ndarray,
    here: np.ndarray,
    sigma: np.ndarray,
    before: np.ndarray,
    sigma_before: np.ndarray,
) -> np.ndarray:
    """Continue the last two solutions as powers of Im z, if the next height is not too far."""
    with np.errstate(all="ignore"):
        exponent = (np.log(height / here) / np.log(here / before))[:, None]
        start = sigma * (sigma / sigma_before) ** exponent
    usable = (exponent < 3) & np.all(np.isfinite(start) & (np.imag(start) < 0), -1, keepdims=True)
    return np.where(usable, start, sigma)
