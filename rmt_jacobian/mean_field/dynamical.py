"""The steady state in time of tied networks at large N, by dynamical mean field theory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field.dynamical_circle import (
    Inputs,
    SiteOnCircle,
    check_inputs,
    lagged,
    spectrum_of,
)
from rmt_jacobian.mean_field.dynamical_frozen import Standstill, fluctuation_growth, standstill
from rmt_jacobian.mean_field.dynamical_iteration import SpectralFixedPoint, iterate_spectra
from rmt_jacobian.mean_field.dynamical_progress import LapCounter
from rmt_jacobian.mean_field.dynamical_start import CausalRun, causal_run
from rmt_jacobian.mean_field.dynamical_state import (
    CircleSolution,
    TiedSteadyState,
    average_solution,
    collect,
)
from rmt_jacobian.mean_field.sites import Sites

__all__ = ["TiedSteadyState", "tied_steady_state"]

_SHORTEST = 64
_CAUSAL_STEPS, _CAUSAL_SITES = 256, 1024
_PILOT_SITES = 1024
_PILOT_TOLERANCE = 2e-3
_PILOT_LIMIT, _LIMIT = 300, 300  # evaluations of one iteration
_FORGOTTEN = 0.03  # of the difference of states, left after a lap
_DECAYED = 0.05  # of the covariances, left after a quarter of the circle


@dataclass(frozen=True, eq=False)
class _Problem:
    cell: Cell
    parameters: Parameters
    inputs: Inputs
    start_variance: float
    counter: LapCounter

    def circle(self, period: int, sites: int, rng: np.random.Generator) -> SiteOnCircle:
        return SiteOnCircle(
            self.cell, self.parameters, self.inputs, period, sites, rng, self.start_variance
        )

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
    tolerance: float = 3e-5,
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
        Number of driven sites, shared out among independent solutions, which give the errors.
    inputs
        ``"fresh"`` at every step, or ``"constant"`` in time.
    start_variance
        Of every state of the network at its start, which selects the steady state where there are
        several.
    tolerance
        Largest relative change of a covariance under one more evaluation.
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
    tied networks keep their biases.  An iteration that did not converge says so in the result.

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
    counter = LapCounter.of(cell.name, replicates, shown=progress)
    problem = _Problem(cell, parameters, inputs, float(start_variance), counter)
    try:
        return _steady_state(problem, lags, sites // replicates, longest_period, tolerance,
                             spawn(seed, replicates + 2))  # fmt: skip
    finally:
        counter.close()


def _steady_state(
    problem: _Problem, lags: int, share: int, longest: int, tolerance: float,
    generators: Sequence[np.random.Generator],
) -> TiedSteadyState:  # fmt: skip
    first, second, *rngs = generators
    causal = problem.causal(first)
    period = 2 ** math.ceil(math.log2(max(_SHORTEST, 4 * lags)))
    pilot = _pilot(problem, causal, period, longest, second)
    if isinstance(pilot, Standstill):
        return _at_rest(problem, pilot.source_squares, causal.largest, lags, share, rngs)
    period = 2 * (pilot.spectra.shape[-1] - 1)
    circles = [problem.circle(period, share, rng) for rng in rngs]
    alone, start = [], pilot.spectra
    for circle in circles:
        alone.append(_solve(problem, [circle], start, tolerance, causal.largest))
        start = np.mean([each.spectra for each in alone], axis=0)
        problem.counter.solved(len(alone), sum(each.iterations for each in alone))
    if all(each.still for each in alone):  # it only lingered where the pilot had stopped
        return _at_rest(problem, start.sum(axis=-1) / period, causal.largest, lags, share, rngs)
    together = _solve(problem, circles, start, tolerance, causal.largest)
    return collect(problem.cell, problem.parameters, problem.inputs, alone, together, lags, period)


def _at_rest(
    problem: _Problem, start: np.ndarray, reference: np.ndarray, lags: int, sites: int,
    rngs: Sequence[np.random.Generator],
) -> TiedSteadyState:  # fmt: skip
    found = [_rest(problem, start, reference, sites, rng) for rng in rngs]
    together = average_solution(found)
    if fluctuation_growth(together.slices[0]) >= 1:
        raise ConvergenceError(
            f"{problem.cell.name} comes to a standstill so close to its edge of stability that few "
            "sites cannot tell on which side: move the parameters away from it, or give more sites"
        )
    return collect(problem.cell, problem.parameters, problem.inputs, found, together, lags, 1)


def _check(
    cell: Cell, lags: int, sites: int, replicates: int, start_variance: float, tolerance: float,
    longest_period: int,
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
    if not 0 < tolerance < 1:
        raise ParameterError(f"tolerance must lie between 0 and 1, not {tolerance}")
    if longest_period < max(_SHORTEST, 4 * lags):
        raise ParameterError(
            f"longest_period must be at least 4 lags and {_SHORTEST}, not {longest_period}"
        )


def _pilot(
    problem: _Problem, causal: CausalRun, period: int, longest: int, rng: np.random.Generator
) -> SpectralFixedPoint | Standstill:
    """Find the length of the circle, and a solution on few sites to start from."""
    start = spectrum_of(causal.source_covariances, period)
    while True:
        problem.counter.look(period)
        circle = problem.circle(period, _PILOT_SITES, rng)
        found = _iterate(problem, [circle], start, _PILOT_TOLERANCE, causal.largest, _PILOT_LIMIT)
        if found.still:
            squares = found.spectra.sum(axis=-1) / period
            rest = problem.standstill(squares, causal.largest, _PILOT_SITES, rng)
            if not rest.converged or fluctuation_growth(rest.sites) < 1:
                return rest
            # Slower fluctuations grow: the circle is too short for them.
            squares = np.maximum(rest.source_squares, causal.source_covariances[:, 0])
            start = _slow_fluctuations(squares, 2 * period)
        elif not found.converged:
            raise ConvergenceError(
                f"no steady state of {problem.cell.name} was found: its covariances still change "
                f"by {found.residual:.2g} after {found.iterations} evaluations, as they do next to "
                "a transition or where states grow; move the parameters away from it"
            )
        elif _long_enough(circle, found.spectra):
            return found
        else:
            start = spectrum_of(lagged(found.spectra, period), 2 * period)
        period *= 2
        if period > longest:
            raise ConvergenceError(
                f"{problem.cell.name} remembers for longer than a circle of {period // 2} steps "
                "can show: raise longest_period, or lower the gates' weight_std and bias_mean"
            )


def _iterate(
    problem: _Problem, circles: Sequence[SiteOnCircle], start: np.ndarray, tolerance: float,
    reference: np.ndarray, limit: int,
) -> SpectralFixedPoint:  # fmt: skip
    def sources(circle: SiteOnCircle, spectra: np.ndarray) -> np.ndarray:
        problem.counter.lap()
        return circle.lap(spectra).source_spectra()

    return iterate_spectra(
        lambda spectra: np.mean([sources(circle, spectra) for circle in circles], axis=0),
        start,
        circles[0].period,
        tolerance=tolerance,
        limit=limit,
        reference=reference,
    )


def _slow_fluctuations(squares: np.ndarray, period: int) -> np.ndarray:
    decay = np.exp(-np.arange(period // 2 + 1) / (period / 16))
    return spectrum_of(squares[:, None] * decay, period)


def _long_enough(circle: SiteOnCircle, spectra: np.ndarray) -> bool:
    """Whether states are forgotten in a lap, and covariances are level from a quarter of it on."""
    if circle.forgetting(spectra) > _FORGOTTEN:
        return False
    lap = circle.lap(spectra)
    for found in (lap.source_spectra(), lap.state_spectra()):
        C, P = lagged(found, circle.period), circle.period
        level = C[:, 7 * P // 16 :].mean(axis=1)
        quarter = C[:, 7 * P // 32 : 9 * P // 32].mean(axis=1)
        if np.any(np.abs(quarter - level) > _DECAYED * (C[:, 0] - level)):
            return False
    return True


def _solve(
    problem: _Problem, circles: Sequence[SiteOnCircle], start: np.ndarray, tolerance: float,
    reference: np.ndarray,
) -> CircleSolution:  # fmt: skip
    """Solve on the sites of all the given circles together."""
    found = _iterate(problem, circles, start, tolerance, reference, _LIMIT)
    sources, states, means, slices = [], [], [], []
    for circle in circles:
        lap = circle.lap(found.spectra)
        sources.append(lap.source_spectra())
        states.append(lap.state_spectra())
        means.append(lap.states.mean(axis=(1, 2)))
        # Copies, so that the rest of the lap is not kept.
        now = (lap.states[:, 0].copy(), lap.gates[:, 0].copy(), lap.x[0].copy())
        slices.append(Sites.of(problem.cell, problem.parameters, *now))
    period = circles[0].period
    return CircleSolution(
        spectra=found.spectra,
        sources=lagged(np.mean(sources, axis=0), period),
        states=lagged(np.mean(states, axis=0), period),
        means=np.mean(means, axis=0),
        slices=tuple(slices),
        residual=found.residual,
        iterations=found.iterations * len(circles),
        converged=found.converged,
        still=found.still,
    )


def _rest(
    problem: _Problem, start: np.ndarray, reference: np.ndarray, sites: int,
    rng: np.random.Generator,
) -> CircleSolution:  # fmt: skip
    found = problem.standstill(start, reference, sites, rng)
    states = np.stack(found.sites.states)
    squares = found.source_squares[:, None]
    return CircleSolution(
        spectra=squares,
        sources=squares,
        states=(states**2).mean(axis=1, keepdims=True),
        means=states.mean(axis=1),
        slices=(found.sites,),
        residual=found.residual,
        iterations=found.iterations,
        converged=found.converged,
        still=True,
    )
