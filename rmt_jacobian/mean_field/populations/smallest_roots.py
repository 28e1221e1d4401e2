r"""The roots of a determinant of polynomials that lie next to 0.

:math:`D(z) = \det \sum_n P_n z^n` is taken on circles by Fourier transforms.  How often it winds
around 0 counts the roots inside (the principle of the argument), which finds the smallest circle
that holds one; Newton's steps begin where D is smallest on it.  Eigenvalues of the companion matrix
are the same numbers, but for hundreds of matrices P_n they take a thousand times as long.
"""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["smallest_roots"]

_FINE = 8  # points of a circle for each coefficient
_TURN, _HALVINGS = 1.0, 30  # radians from point to point, beyond which points are added
_RING = 1e-3  # relative width of the ring in which the first roots are looked for
_WIDEST = 1e6  # radius beyond which they are not
_STEPS, _EXACT = 60, 1e-14  # Newton's, and the relative size of the last
_SAME = 1e-7  # relative distance of roots that are one
_ROUNDS = 20


def smallest_roots(coefficients: np.ndarray, inside: float) -> np.ndarray | None:
    """Return the roots in the first ring around 0 that has any; None where they are not found.

    Parameters
    ----------
    coefficients
        P_0, P_1, ..., of shape (N, K, K), P_0 invertible.
    inside
        A radius within which there is none.

    Examples
    --------
    >>> x, a = np.eye(2), np.array([[1.0, 2.0], [0.0, 4.0]])
    >>> smallest_roots(np.stack([x, -a]), 0.1).round(9)  # 1/4 and 1: det(1 - a z)
    array([0.25+0.j])
    """
    low, high = inside, inside
    while _Circle.of(coefficients, high).roots_inside == 0:
        low, high = high, 1.25 * high
        if high > _WIDEST:
            return None
    for _ in range(_ROUNDS):
        while high > low * (1 + _RING):
            middle = math.sqrt(low * high)
            inner = _Circle.of(coefficients, middle).roots_inside
            low, high = (low, middle) if inner else (middle, high)
        found = _in_ring(coefficients, low, high)
        if not len(found):
            return None
        nearest = abs(found[0]) * (1 - _SAME)
        if nearest <= low or not _Circle.of(coefficients, nearest).roots_inside:
            return found
        high = nearest
    return None


def _in_ring(coefficients: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the different roots of a ring to which Newton's steps lead, the nearest first."""
    circle = _Circle.of(coefficients, high)
    found: list[complex] = []
    for start in circle.lowest(2 * circle.roots_inside + 8):
        root = _newton(coefficients, start)
        if root is None or not low * (1 - _SAME) <= abs(root) <= high * (1 + _SAME):
            continue
        if all(abs(root - other) > _SAME * high for other in found):
            found.append(root)
    return np.array(sorted(found, key=abs))


@dataclass(frozen=True, eq=False)
class _Circle:
    """D along a circle, at points near enough to follow its turns.

    Attributes
    ----------
    radius
        Of the circle.
    angles, values
        Where, in order, and D there.
    """

    radius: float
    angles: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, coefficients: np.ndarray, radius: float) -> "_Circle":
        """Take D at even angles, and between those from which it turns far to the next."""
        N = len(coefficients)
        points = 2 ** math.ceil(math.log2(_FINE * N))
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = coefficients * (radius ** np.arange(N))[:, None, None]
            values = np.linalg.det(np.fft.ifft(scaled, points, axis=0, norm="forward"))
        angles = 2 * np.pi * np.arange(points) / points
        for _ in range(_HALVINGS if np.all(np.isfinite(values)) else 0):
            far = np.flatnonzero(np.abs(_turns(values)) > _TURN)
            if not far.size:
                break
            between = angles[far] + 0.5 * (np.append(angles, 2 * np.pi)[far + 1] - angles[far])
            powers = np.exp(1j * np.outer(between, np.arange(N)))
            angles = np.insert(angles, far + 1, between)
            values = np.insert(values, far + 1, np.linalg.det(np.tensordot(powers, scaled, 1)))
        return cls(radius, angles, values)

    @property
    def roots_inside(self) -> int:
        """How often D winds around 0; 1 for a circle so wide that D leaves the range of numbers."""
        if not np.all(np.isfinite(self.values)):
            return 1
        return round(float(_turns(self.values).sum() / (2 * np.pi)))

    def lowest(self, most: int) -> np.ndarray:
        """Return the points at which D is smaller than beside them, the smallest first."""
        size = np.abs(self.values)
        found = np.flatnonzero((size <= np.roll(size, 1)) & (size <= np.roll(size, -1)))
        found = found[np.argsort(size[found])][:most]
        return self.radius * np.exp(1j * self.angles[found])


def _turns(values: np.ndarray) -> np.ndarray:
    """Return by how much the argument grows from each point to the next."""
    size = np.abs(values)
    unit = values / np.where(size > 0, size, 1.0)
    return np.angle(np.roll(unit, -1) * np.conj(unit))


def _newton(coefficients: np.ndarray, start: complex) -> complex | None:
    """Return a root next to a point, where D'/D = tr(P^-1 P')."""
    order, z, last = np.arange(len(coefficients)), complex(start), math.inf
    for _ in range(_STEPS):
        with np.errstate(over="ignore", invalid="ignore"):
            powers = z**order
            P = np.tensordot(powers, coefficients, 1)
            slope = np.tensordot(order[1:] * powers[:-1], coefficients[1:], 1)
        try:
            logarithmic = complex(np.trace(np.linalg.solve(P, slope)))
        except np.linalg.LinAlgError:
            return z
        if not np.isfinite(logarithmic) or logarithmic == 0:
            return None
        z, last = z - 1 / logarithmic, abs(1 / logarithmic)
        if last <= _EXACT * abs(z):
            return z
    return z if last <= _SAME * abs(z) else None
