r"""The self-energy of a law that knows its Cauchy transform only, and the gaps of its support."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rmt_jacobian.laws.law import Law

__all__ = ["real_gaps", "self_energy_by_differences"]

_STEP = 2e-3  # of the distance to the support; the error of the slope is about its fourth power
_OFFSETS = np.array([-2.0, -1.0, 1.0, 2.0])
_WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12


def real_gaps(law: "Law") -> list[tuple[float, float]]:
    """Return the open intervals between the parts of the support, and the two half lines.

    Examples
    --------
    >>> from rmt_jacobian.laws import PointMasses
    >>> real_gaps(PointMasses.bernoulli(0.5))
    [(-inf, 0.0), (0.0, 1.0), (1.0, inf)]
    """
    parts = sorted([*law.support_intervals(), *((at, at) for at, _ in law.atoms())])
    gaps, reached = [], -np.inf
    for low, high in parts:
        if low > reached:
            gaps.append((reached, low))
        reached = max(reached, high)
    return [*gaps, (reached, np.inf)]


def self_energy_by_differences(law: "Law", z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the self-energy and its derivative, off the support.

    .. math:: \Sigma(z) = z - \frac{1}{G(z)}, \qquad \Sigma'(z) = 1 + \frac{G'(z)}{G(z)^2}

    The derivative of G is a difference of the fourth order over a thousandth of the distance to
    the support.  It steers Newton's method, and finds edges, which are stationary points; neither
    needs more than a few digits of it.

    Parameters
    ----------
    law
        A law with a Cauchy transform.
    z
        Points of the closed upper half plane off the support.

    Examples
    --------
    >>> from rmt_jacobian.laws import Semicircle
    >>> sigma, slope = self_energy_by_differences(Semicircle(), np.array([2j]))
    >>> np.abs(sigma - Semicircle().cauchy(2j)) < 1e-12, slope.real.round(8)
    (array([ True]), array([0.14644661]))
    """
    z = np.asarray(z, dtype=complex)
    step = _STEP * _distance(law, z)
    with np.errstate(all="ignore"):
        g = np.asarray(law.cauchy(z))
        stencil = np.asarray(law.cauchy(z + step * _OFFSETS.reshape(-1, *[1] * z.ndim)))
        slope = np.tensordot(_WEIGHTS, stencil, 1) / step
        return z - 1 / g, 1 + slope / g**2


def _distance(law: "Law", z: np.ndarray) -> np.ndarray:
    x, distance = np.real(z), np.full(z.shape, np.inf)
    for low, high in [*law.support_intervals(), *((at, at) for at, _ in law.atoms())]:
        off = np.maximum(np.maximum(low - x, x - high), 0.0)
        distance = np.minimum(distance, np.hypot(off, np.imag(z)))
    return distance
