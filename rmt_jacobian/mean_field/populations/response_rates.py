"""The leading growth rate of a response series."""

import math

import numpy as np

from rmt_jacobian.mean_field.populations.smallest_roots import smallest_roots
from rmt_jacobian.solvers import bracketed_root

__all__ = ["leading_rate"]

_ROUNDING = 1e-9  # relative, of eigenvalues
_INSIDE = 1e-12  # distance from the rate at which the series diverges, relative
_LOST = 1e-12  # relative, of a response
_ALIKE = 0.05  # relative, of what the memory keeps and the end of a series
_RIM = 0.1  # within the circle outside of which there is no rate, but for rounding
_DENSE = 64  # size up to which all eigenvalues are found
_LEAST, _HUGE, _LARGEST = 1e-300, 1e300, 600.0


def leading_rate(series: np.ndarray, kept: float, *, cancels: bool = False) -> float:
    r"""Return the leading growth rate of a response series R_n, n = 1, ..., N: (N, K, K).

    It goes on as :math:`R_{N + m} = R_N (\pm \kappa)^m`, kappa being what the memory keeps, signed
    as the last two show.  A pair of complex rates stands for its modulus.

    Parameters
    ----------
    series, kept
        R_n and kappa.
    cancels
        Whether kappa is one number for all sites: it is no rate itself then, where the series goes
        on with it, as what comes back by W undoes it.
    """
    alive = np.any(series != 0, axis=(0, 2)) & np.any(series != 0, axis=(0, 1))
    series = series[:, alive][:, :, alive]
    if not alive.any():
        return kept
    if np.all(series >= 0):
        return _largest_positive(series, kept)
    unit = _largest_positive(np.abs(series), kept)  # no rate is larger
    with np.errstate(divide="ignore"):  # powers of a small unit leave the range of numbers
        logs = (
            np.log(np.abs(series)) - math.log(unit) * np.arange(1, len(series) + 1)[:, None, None]
        )
    scaled = np.sign(series) * np.exp(logs)
    sizes = np.abs(scaled).max(axis=(1, 2))
    # What is lost in rounding would turn up as rates of its own.
    scaled = scaled[: 1 + np.flatnonzero(sizes > _LOST * sizes.max())[-1]]
    turns = len(scaled) > 1 and np.sum(scaled[-1] * scaled[-2]) < 0
    values = unit * _companion_values(scaled, (-kept if turns else kept) / unit)
    leading = values[np.argmax(np.abs(values))]
    equal = np.abs(values) >= (1 - _ROUNDING) * np.abs(leading)
    real = np.abs(np.imag(values)) <= _ROUNDING * np.abs(leading)
    if np.any(real & equal):
        leading = np.max(np.real(values[real & equal]))
    if abs(leading) < kept and not (cancels and _goes_on(scaled, kept / unit, len(series))):
        return kept
    return float(np.real(leading) if np.isreal(leading) else abs(leading))


def _goes_on(series: np.ndarray, kept: float, steps: int) -> bool:
    """Whether a series falls by what the memory keeps at its end, and none of it is lost."""
    if len(series) < max(steps, 2):
        return False
    before, last = np.abs(series[-2:]).max(axis=(1, 2))
    return bool(abs(last - kept * before) <= _ALIKE * kept * before)


def _largest_positive(series: np.ndarray, kept: float) -> float:
    """Return where the spectral radius of sum R_n lambda^-n, which falls, is 1."""
    N, tail = len(series), series[-1] * kept

    def excess(log_gap: float) -> float:
        gap = math.exp(log_gap)  # the unknown, as the series diverges at what the memory keeps
        with np.errstate(over="ignore"):
            powers = np.exp(np.minimum(-math.log(kept + gap) * np.arange(1, N + 1), _LARGEST))
            whole = np.tensordot(powers, series, 1)
            if np.any(tail):
                whole = whole + tail * min(powers[-1] / gap, _HUGE)
        return min(float(np.max(np.abs(np.linalg.eigvals(whole)))), _HUGE) - 1

    low = math.log(max(kept * _INSIDE, _LEAST))
    if excess(low) <= 0:
        return kept
    high = low + 1
    while excess(high) > 0:
        high += 2
    return kept + math.exp(bracketed_root(excess, low, high).unwrap())


def _companion_values(series: np.ndarray, kept: float) -> np.ndarray:
    r"""Return eigenvalues of the step from v(t - 1), ..., v(t - N) and the tail to the next.

    Of many steps the largest alone, one over the roots of
    :math:`\det(1 - \kappa z - \sum_{n \le N} (R_n - \kappa R_{n - 1}) z^n)` with :math:`R_0 = 0`.
    """
    N, K = series.shape[:2]
    size = (N + 1) * K
    if size > _DENSE:
        whole = np.concatenate([np.eye(K)[None], -series])
        whole[1:] -= kept * whole[:-1]  # what is beyond, the tail takes away
        roots = smallest_roots(whole, 1 - _RIM)  # series are scaled so that no value is above 1
        if roots is not None:
            return 1 / roots
    rows = np.concatenate([np.moveaxis(series, 0, 1).reshape(K, N * K), kept * series[-1]], axis=1)

    def step(x: np.ndarray) -> np.ndarray:
        tail = kept * x[N * K :] + x[(N - 1) * K : N * K]
        return np.concatenate([rows @ x, x[: (N - 1) * K], tail])

    return np.linalg.eigvals(np.stack([step(unit) for unit in np.eye(size)], axis=1))
