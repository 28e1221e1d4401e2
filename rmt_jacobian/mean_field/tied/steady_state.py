"""The steady state in time of tied networks at large N, by dynamical mean field theory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field.sites.weighted import Sites
from rmt_jacobian.mean_field.tied.chain import Average, Chain, follow
from rmt_jacobian.mean_field.tied.circle import (
    Inputs,
    SitesOnCircle,
    check_inputs,
    lagged,
    spectrum_of,
)
from rmt_jacobian.mean_field.tied.progress import LapCounter
from rmt_jacobian.mean_field.tied.standstill import Standstill, fluctuation_growth, standstill
from rmt_jacobian.mean_field.tied.start import CausalRun, causal_run
from rmt_jacobian.mean_field.tied.state import (
    TiedSteadyState,
    fluctuating_state,
    state_at_rest,
)

__all__ = ["TiedSteadyState", "tied_steady_state"]

_SHORTEST = 64
_CAUSAL_STEPS, _CAUSAL_SITES = 256, 1024
_REST_SITES = 1024
_PILOT_GROUPS, _PILOT_SHARE = 4, 64
_SHARE, _FEWEST = 32, 8  # sites of a group in a lap: at least, and on long circles
_STEPS_OF_A_LAP = 2**21  # of all sites together, beyond which a lap has fewer of them
_LAPS, _LIMIT = 64, 1024  # of one chain
_FORGOTTEN = 0.03  # of the difference of states, left after a lap
_DECAYED = 0.05  # of the covariances, left after a quarter of the circle


@dataclass(frozen=True, eq=False)
class _Problem:
    cell: Cell
    parameters: Parameters
    inputs: Inputs
    start_variance: float
    counter: LapCounter

    def circle(
        self, period: int, groups: int, share: int, rng: np.random.Generator
    ) -> SitesOnCircle:
        """Return groups of up to ``share`` sites, of fewer on long circles."""
        few = max(_FEWEST, _STEPS_OF_A_LAP // (period * groups))
        least = 2 * (len(self.cell.gates) + 1)  # whose modes can be made white
        return SitesOnCircle(
            self.cell, self.parameters, self.inputs, period, groups,
            max(least, min(share, few)), rng, self.start_variance,
        )  # fmt: skip

    def causal(self, rng: np.random.Generator) -> CausalRun:
        return causal_run(
            self.cell, self.parameters, self.inputs, steps=_CAUSAL_STEPS, sites=_CAUSAL_SITES,
            start_variance=self.start_variance, rng=rng,
        )  # fmt: skip

    def standstill(
        self, start: np.ndarray, reference: np.ndarray, sites: int, rng: np.random.Generator
    ) -> Standstill:
        return standstill(
            self.cell, self.parameters, start, reference=reference, sites=sites,
            start_variance=self.start_variance, rng=rng,
        )  # fmt: skip


def tied_steady_state(
    cell: Cell,
    parameters: Parameters,
    *,
    lags: int = 32,
    sites: int = 8192,
    replicates: int = 16,
    inputs: Inputs = "fresh",
    start_variance: float = 1.0,
    tolerance: float | None = None,
    longest_period: int = 8192,
    seed: Seed = 0,
    progress: bool = False,
) -> TiedSteadyState:
    r"""Solve the dynamical mean field of a tied network for its stationary covariances in time.

    .. math::
        C_{e_k}(\tau) = \sigma_k^2 E[y_k(t) y_k(t + \tau)] + \nu_k^2 R \, \delta_{\tau 0} + \rho_k^2

    One site is driven by independent Gaussian processes e_k with these covariances, and its sources
    y_k have to return them.  Constant inputs count at all lags.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    lags
        The largest lag that is returned.
    sites, replicates
        Number of driven sites, shared out among independent groups, whose scatter gives the errors.
    inputs
        ``"fresh"`` at every step, or ``"constant"`` in time.
    start_variance
        Of every state of the network at its start, which selects the steady state where there are
        several.
    tolerance
        Largest relative standard error of a variance, which more evaluations attain; None takes
        what the sites give, and 1e-4 is the least.  The noise of one evaluation leaves a bias of
        second order, so that errors below 1e-3 need 32,768 sites or more.
    longest_period
        How many steps the circle of times may have.
    seed
        Of all random numbers.
    progress
        Whether to show a progress bar, once two seconds have passed.

    Raises
    ------
    ParameterError
        If an argument is out of its domain.
    ConvergenceError
        If states grow without bound, the network remembers for longer than ``longest_period``
        allows, a first look on few sites finds no steady state, or a standstill is marginal.

    Notes
    -----
    Assumes N -> infinity with W_k Gaussian or Haar orthogonal, independent of each other, and the
    same W_k, V_k and b_k at all steps: then the e_k of different k are independent and no site acts
    back on itself, and both ensembles have the same law.  ``parameters.bias_kind`` is not read:
    tied networks keep their biases.  Every evaluation draws its own random numbers, and what it
    measures drives the next one; the answer is the average once this no longer drifts.  An
    iteration that still drifts, or missed the tolerance, says so in the result.

    References
    ----------
    Sompolinsky, Crisanti & Sommers (1988); :cite:t:`Can2020`, appendix on dynamical mean field.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> p = Parameters.of(vanilla, weight_std=1.5, input_std=0, input_variance=0)
    >>> found = tied_steady_state(vanilla, p, lags=2, sites=4096)
    >>> found.converged, found.frozen, found.correlation_time < 1
    (True, False, True)
    """
    _check(cell, lags, sites, replicates, start_variance, tolerance, longest_period)
    check_inputs(inputs)
    parameters.check_cell(cell)
    counter = LapCounter.of(cell.name, shown=progress)
    problem = _Problem(cell, parameters, inputs, float(start_variance), counter)
    try:
        return _steady_state(problem, lags, sites, replicates, longest_period, tolerance, seed)
    finally:
        counter.close()


def _steady_state(
    problem: _Problem, lags: int, sites: int, groups: int, longest: int, tolerance: float | None,
    seed: Seed,
) -> TiedSteadyState:  # fmt: skip
    first, second, third, *rngs = spawn(seed, groups + 3)
    share = sites // groups
    causal = problem.causal(first)
    period = 2 ** math.ceil(math.log2(max(_SHORTEST, 4 * lags)))
    found = _pilot(problem, causal, period, longest, second)
    if isinstance(found, Average):
        period = 2 * (found.spectra.shape[-1] - 1)
        circle = problem.circle(period, groups, max(_SHARE, share // 8), third)
        chain = Chain(circle, found.spectra[: len(causal.largest)], causal.largest)
        settled = follow(
            chain, laps=_LAPS, limit=_LIMIT, tolerance=tolerance, each_lap=problem.counter.lap
        )
        if not chain.still:
            slices = [_one_slice(problem, chain, share, rng) for rng in rngs]
            return fluctuating_state(chain, settled, slices, lags)
        squares = chain.spectra.sum(axis=-1) / period  # it only lingered where the pilot stopped
    else:
        squares = found.source_squares
    return _at_rest(problem, squares, causal.largest, lags, share, rngs)


def _one_slice(problem: _Problem, chain: Chain, share: int, rng: np.random.Generator) -> Sites:
    circle = SitesOnCircle(
        problem.cell, problem.parameters, problem.inputs, chain.circle.period, 1, share, rng,
        problem.start_variance,
    )  # fmt: skip
    problem.counter.lap(0)
    return circle.lap(chain.average().spectra[None, None, : len(problem.cell.gates)]).slice()


def _at_rest(
    problem: _Problem, start: np.ndarray, reference: np.ndarray, lags: int, share: int,
    rngs: Sequence[np.random.Generator],
) -> TiedSteadyState:  # fmt: skip
    found = [problem.standstill(start, reference, share, rng) for rng in rngs]
    if fluctuation_growth(found[0].sites) >= 1:
        raise ConvergenceError(
            f"{problem.cell.name} comes to a standstill so close to its edge of stability that few "
            "sites cannot tell on which side: move the parameters away from it, or give more sites"
        )
    return state_at_rest(problem.inputs, found, lags)


def _check(
    cell: Cell, lags: int, sites: int, replicates: int, start_variance: float,
    tolerance: float | None, longest_period: int,
) -> None:  # fmt: skip
    if lags < 0:
        raise ParameterError(f"lags must be a whole number >= 0, not {lags}")
    if replicates < 2:
        raise ParameterError(f"errors need at least 2 replicates, not {replicates}")
    least = 8 * (len(cell.gates) + len(cell.states) + 1) * replicates
    if sites < least or sites % replicates:
        raise ParameterError(
            f"sites must be a multiple of {replicates} replicates and at least {least}, not {sites}"
        )
    if not 0 < start_variance < math.inf:
        raise ParameterError(f"start_variance must be positive and finite, not {start_variance}")
    if tolerance is not None and not 1e-4 <= tolerance < 1:
        raise ParameterError(f"tolerance must lie between 1e-4 and 1, not {tolerance}")
    if longest_period < max(_SHORTEST, 4 * lags):
        raise ParameterError(
            f"longest_period must be at least 4 lags and {_SHORTEST}, not {longest_period}"
        )


def _pilot(
    problem: _Problem, causal: CausalRun, period: int, longest: int, rng: np.random.Generator
) -> Average | Standstill:
    """Find the length of the circle, and spectra to start from, on few sites."""
    start = spectrum_of(causal.source_covariances, period)
    while True:
        problem.counter.look(period)
        circle = problem.circle(period, _PILOT_GROUPS, _PILOT_SHARE, rng)
        chain = Chain(circle, start, causal.largest)
        settled = follow(
            chain, laps=_LAPS // 2, limit=_LIMIT, tolerance=None, each_lap=problem.counter.lap
        )
        spectra = chain.average().spectra
        if chain.still:
            squares = chain.spectra.sum(axis=-1) / period
            rest = problem.standstill(squares, causal.largest, _REST_SITES, rng)
            if not rest.converged or fluctuation_growth(rest.sites) < 1:
                return rest
            # Slower fluctuations grow: the circle is too short for them.
            squares = np.maximum(rest.source_squares, causal.source_covariances[:, 0])
            start = _slow_fluctuations(squares, 2 * period)
        elif not settled:
            raise ConvergenceError(
                f"no steady state of {problem.cell.name} was found: its covariances still drift "
                f"by {chain.drift()[0]:.2g} after {chain.laps} evaluations, as they do next to a "
                "transition or where states grow; move the parameters away from it"
            )
        elif _long_enough(circle, spectra):
            return chain.average()
        else:
            start = spectrum_of(lagged(spectra[: len(start)], period), 2 * period)
        period *= 2
        if period > longest:
            raise ConvergenceError(
                f"{problem.cell.name} remembers for longer than a circle of {period // 2} steps "
                "can show: raise longest_period, or lower the gates' weight_std and bias_mean"
            )


def _slow_fluctuations(squares: np.ndarray, period: int) -> np.ndarray:
    decay = np.exp(-np.arange(period // 2 + 1) / (period / 16))
    return spectrum_of(squares[:, None] * decay, period)


def _long_enough(circle: SitesOnCircle, spectra: np.ndarray) -> bool:
    """Whether states are forgotten in a lap, and covariances are level from a quarter of it on."""
    P = circle.period
    if circle.forgetting(spectra[None, None, : len(circle.cell.gates)]) > _FORGOTTEN:
        return False
    C = lagged(spectra, P)
    level = C[:, 7 * P // 16 :].mean(axis=1)
    # The mean square, in which oscillations do not cancel.
    quarter = (C[:, 7 * P // 32 : 9 * P // 32] - level[:, None]) ** 2
    return bool(np.all(np.sqrt(quarter.mean(axis=1)) <= _DECAYED * (C[:, 0] - level)))
