r"""Newton's method for the Dyson equation of a chain with shared weights.

Above the real axis the fixed-point map takes symmetric matrices with a negative definite imaginary
part into themselves and has one fixed point there.  On the axis a solution is the limit of that one
if it continues into the half space: if :math:`\Sigma + i \eta \, d\Sigma / ds` has a negative
definite imaginary part for small :math:`\eta`.
"""

from dataclasses import dataclass, replace

import numpy as np

from rmt_jacobian.pencils.chain.newton import TOLERANCE, drift, newton
from rmt_jacobian.pencils.chain.solution import ChainSolution
from rmt_jacobian.pencils.shared.chain import SharedChain
from rmt_jacobian.pencils.shared.couplings import coupled
from rmt_jacobian.pencils.shared.matrices import depths, relative_size, reunited, sizes

__all__: list[str] = []

_ABOVE = 1e-7  # relative height at which a solution on the axis must lie in the half space
_REAL = 1e-8  # depth of an eigenvalue that counts as 0
_LEAST_SHARE = 1e-3  # of a step, below which there is no way forward
_STALLED = 1e-5  # a step that is no shorter in the end, next to many equal singular values
_SOFT, _QUIET = 1e-2, 1e-9  # a step along which little changes, and that times the residual
_PATIENCE = 3  # steps none of which is half as long as the best so far
_STEPS = 25


@dataclass(frozen=True, eq=False)
class _Linearised:
    """The equation at some self-energies and one point.

    Attributes
    ----------
    averages, cauchy
        There.
    gap
        What the averages give back, less the self-energies.
    slope
        The derivative of -gap.
    by_s
        The derivative of gap in s.
    unit
        The size of every entry of the self-energies.
    cauchy_row, cauchy_drift
        The derivatives of G.
    """

    averages: np.ndarray
    cauchy: complex
    gap: np.ndarray
    slope: np.ndarray
    by_s: np.ndarray
    unit: np.ndarray
    cauchy_row: np.ndarray
    cauchy_drift: complex

    @classmethod
    def at(cls, chain: SharedChain, s: complex, sigma: np.ndarray) -> "_Linearised":
        """Return all that is known there; nan where a matrix is singular, far off a solution."""
        try:
            return cls._at(chain, s, sigma)
        except np.linalg.LinAlgError:
            nan = complex(np.nan)
            lost = np.full(chain.blocks, nan)
            return cls(lost, nan, lost, np.diag(lost), lost, lost, lost, nan)

    @classmethod
    def _at(cls, chain: SharedChain, s: complex, sigma: np.ndarray) -> "_Linearised":
        found = chain.responses(np.array([s]), sigma[None, :])
        g, matrix, by_s = found.averages[0], found.matrix[0], found.drift[0]
        (spreads, costs), (g_e, g_y) = chain.matrices(sigma), chain.matrices(g)
        K = chain.gates
        m = chain.blocks // (2 * K)
        image_e, image_y = [], []
        slope, moved = np.eye(chain.blocks, dtype=complex), np.empty(chain.blocks, dtype=complex)
        for k, ensemble in enumerate(chain.ensembles):
            back = coupled(ensemble, spreads[k], costs[k], g_e[k], g_y[k])
            image_e.append(back.spread)
            image_y.append(back.cost)
            rows = np.concatenate([np.arange(m) + k * m, np.arange(m) + (K + k) * m])
            slope[rows] -= back.by_averages @ matrix[rows]
            slope[np.ix_(rows, rows)] -= back.by_self_energies
            moved[rows] = back.by_averages @ by_s[rows]
        gap = chain.vector(np.array(image_e), np.array(image_y)) - sigma
        both = sizes(np.concatenate([spreads, costs]))
        unit = np.real(chain.vector(both[:K], both[K:]))
        row, along = found.cauchy_row[0], found.cauchy_drift[0]
        return cls(g, complex(found.cauchy[0]), gap, slope, moved, unit, row, complex(along))

    def step(self) -> np.ndarray:
        """Return the step of Newton's method; nan where the derivative is singular."""
        return self._solved(self.gap)

    def drift(self) -> np.ndarray:
        """Return the derivative of the solution in s."""
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


def _all(chain: SharedChain, values: np.ndarray) -> np.ndarray:
    """Return all matrices of a vector, shape (2 K, T, T)."""
    return np.concatenate(chain.matrices(values))


def _inside(chain: SharedChain, sigma: np.ndarray) -> bool:
    return bool(np.all(depths(_all(chain, sigma)) >= -_REAL))


def _within(chain: SharedChain, sigma: np.ndarray) -> np.ndarray:
    """Return self-energies in the closed half space, close to the given ones."""
    if _inside(chain, sigma):
        return sigma
    mended = reunited(_all(chain, sigma))
    return chain.vector(mended[: chain.gates], mended[chain.gates :])


@dataclass(frozen=True, eq=False)
class _Found:
    """What an iteration reached at one point."""

    sigma: np.ndarray
    at: _Linearised
    length: float
    residual: float
    sweeps: int

    def rests(self, tolerance: float) -> bool:
        """Whether the step is short, or leads along what the averages do not depend on.

        Where few singular values are near s, next to nothing does.
        """
        soft = self.length <= _SOFT and self.length * self.residual <= _QUIET
        return self.length <= max(tolerance, _STALLED) or soft


def _iterated(
    chain: SharedChain, s: complex, start: np.ndarray, tolerance: float, max_sweeps: int
) -> _Found:
    """Iterate Newton's method, whose steps are shortened until they stay in the half space.

    It ends where steps do not get shorter by rounding, and returns the best iterate.
    """
    sigma, best, waited, sweeps = _within(chain, start), None, 0, 0
    at = _Linearised.at(chain, s, sigma)
    for sweeps in range(1, max(2, min(max_sweeps, _STEPS)) + 1):
        if not at.usable():
            break
        step, size = at.step(), _all(chain, sigma)
        length = float(np.max(relative_size(_all(chain, step), size)))
        residual = float(np.max(relative_size(_all(chain, at.gap), size)))
        if not np.isfinite(length):
            break
        waited = 0 if best is None or length < best.length / 2 else waited + 1
        if best is None or length < best.length:
            best = _Found(sigma, at, length, residual, sweeps)
        if length <= tolerance or waited >= _PATIENCE * (1 if best.rests(tolerance) else 2):
            break
        share = 1.0
        while share >= _LEAST_SHARE and not _inside(chain, sigma + share * step):
            share /= 2
        if share < _LEAST_SHARE:
            break
        sigma = _within(chain, sigma + share * step)
        at = _Linearised.at(chain, s, sigma)
    if best is None:
        best = _Found(sigma, at, np.inf, np.inf, sweeps)
    return replace(best, sweeps=sweeps)


def _certified(chain: SharedChain, s: complex, found: _Found) -> tuple[bool, bool]:
    """Return whether the solution is the right one, and whether it lies inside the support."""
    sigma = _all(chain, found.sigma)
    depth = depths(sigma)
    inside = s.imag > 0 or bool(np.any(depth > _REAL))
    if s.imag > 0 or np.all(depth > _REAL):
        return bool(np.all(depth > 0)), inside
    upward = _ABOVE * abs(s) * found.at.drift()
    if not np.all(np.isfinite(upward)):
        return False, inside
    return bool(np.all(depths(sigma, _all(chain, upward)) > 0)), inside


@newton.register
@np.errstate(all="ignore")  # iterates far off overflow, and are rejected
def _newton(
    chain: SharedChain,
    s: np.ndarray,
    start: np.ndarray,
    *,
    tolerance: float = TOLERANCE,
    max_sweeps: int = 40,
) -> ChainSolution:
    parts = [
        _at_point(chain, complex(point), guess, tolerance, max_sweeps)
        for point, guess in zip(s, start, strict=True)
    ]
    return ChainSolution.joined(s, parts)


def _at_point(
    chain: SharedChain, s: complex, start: np.ndarray, tolerance: float, max_sweeps: int
) -> ChainSolution:
    found = _iterated(chain, s, start, tolerance, max_sweeps)
    rests = found.rests(tolerance)
    right, inside = _certified(chain, s, found) if rests else (False, True)
    return ChainSolution(
        np.array([s]), found.sigma[None, :], found.at.averages[None, :],
        np.array([found.at.cauchy]), np.array([found.residual]), np.array([found.length]),
        np.array([inside]), np.array([rests and right]), found.sweeps,
    )  # fmt: skip


@drift.register
@np.errstate(all="ignore")
def _drift(chain: SharedChain, solution: ChainSolution) -> tuple[np.ndarray, np.ndarray]:
    moving, cauchy = [], []
    for s, sigma in zip(solution.s, solution.sigma, strict=True):
        at = _Linearised.at(chain, complex(s), sigma)
        each = at.drift()
        moving.append(each)
        cauchy.append(at.cauchy_drift + at.cauchy_row @ each)
    return np.array(moving), np.array(cauchy)
