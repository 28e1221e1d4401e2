"""Paths of sites that close after T steps, in a network that keeps its weights."""

import numpy as np

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.errors import ConvergenceError, HypothesisError
from rmt_jacobian.mean_field.sites.weighted import Sites
from rmt_jacobian.mean_field.tied.circle import SitesOnCircle, lagged, require_bounded
from rmt_jacobian.mean_field.tied.state import TiedSteadyState

__all__ = ["periodic_paths"]

_LAPS, _CLOSED = 64, 1e-9  # until a lap ends where it began, and what is left of its distance


def periodic_paths(
    steady: TiedSteadyState, steps: int, *, count: int = 512, seed: Seed = 0
) -> list[Sites]:
    r"""Return the same sites at T successive steps, of which the first follows the last.

    They are driven by processes of period T, whose covariance is the steady state's and its copies,

    .. math:: C_T(\tau) = C(\infty) + \sum_n \bigl( C(\tau + n T) - C(\infty) \bigr) .

    Parameters
    ----------
    steady
        The steady state, converged.
    steps
        T, even; many correlation times.
    count, seed
        How many sites, and what is random.

    Raises
    ------
    HypothesisError
        If the network stands still.
    ConvergenceError
        If the steady state did not converge, or sites do not forget where they began.

    Examples
    --------
    >>> from rmt_jacobian.mean_field import stationary
    >>> law = stationary("minimalrnn", dynamics="tied", sites=1024)
    >>> path = periodic_paths(law.steady, 8, count=64)
    >>> bool(np.allclose(path[-1].next_states[0], path[0].states[0]))
    True
    """
    steady.require_converged()
    rng = generator(seed)
    if steady.frozen:
        raise HypothesisError(
            f"{steady.cell.name} stands still: its sites have no paths, take one step"
        )
    cell, parameters = steady.cell, steady.parameters
    circle = SitesOnCircle(
        cell, parameters, steady.inputs, steps, 1, count, rng,
        float(np.mean(steady.state_covariances[:, 0])),
    )  # fmt: skip
    gates, x = circle.drive(wrapped(steady.spectra, steady.period, steps)[None, None])
    now = list(circle.states)
    for _ in range(_LAPS):
        before = [np.asarray(state) for state in now]
        now = circle.run(before, gates, x)
        require_bounded(cell, np.stack([state + np.zeros(before[0].shape) for state in now]))
        gap = max(float(np.max(np.abs(a - b))) for a, b in zip(now, before, strict=True))
        if gap <= _CLOSED:
            return _kept(circle, now, gates, x)
    raise ConvergenceError(
        f"sites of {cell.name} still remember after {_LAPS * steps} steps where they began: take "
        "longer paths, or let the cell forget"
    )


def wrapped(spectra: np.ndarray, period: int, steps: int) -> np.ndarray:
    """Return spectra of a circle of T steps whose covariances are the copies of those of another.

    Parameters
    ----------
    spectra
        On a circle of P steps, shape (..., P/2 + 1).
    period, steps
        P and T.

    Examples
    --------
    >>> wrapped(np.array([9.0, 1.0, 1.0, 1.0, 1.0]), 8, 4)  # white noise, and 1 at all lags
    array([5., 1., 1.])
    """
    C = lagged(spectra, period)
    level = C[..., 7 * period // 16 :].mean(axis=-1, keepdims=True)
    whole = np.concatenate([C, C[..., -2:0:-1]], axis=-1) - level
    lags = np.arange(period) - period // 2
    folded = np.zeros((*C.shape[:-1], steps))
    centred = np.moveaxis(np.roll(whole, period // 2, axis=-1), -1, 0)
    np.add.at(np.moveaxis(folded, -1, 0), lags % steps, centred)
    found = np.fft.rfft(folded, axis=-1).real
    found[..., 0] += steps * level[..., 0]
    return np.maximum(found, 0.0)


def _kept(
    circle: SitesOnCircle, start: list[np.ndarray], gates: np.ndarray, x: np.ndarray
) -> list[Sites]:
    """Run once more and keep the sites of every step."""
    count, steps = circle.share, circle.period
    states = np.empty((len(start), steps, *gates.shape[2:]))
    circle.run(start, gates, x, kept=states)
    path = []
    for t in range(steps):
        now, drive = states[:, t].reshape(-1, count), gates[:, t].reshape(-1, count)
        x_now = np.broadcast_to(x[t % len(x)].reshape(-1), (count,))
        path.append(Sites.of(circle.cell, circle.parameters, list(now), list(drive), x_now))
    return path
