"""What the dynamical mean field of a tied network gives, with its statistical errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field.dynamical_circle import Inputs, drive_covariances
from rmt_jacobian.mean_field.sites import Sites

__all__ = ["CircleSolution", "TiedSteadyState", "average_solution", "collect"]


@dataclass(frozen=True, eq=False)
class TiedSteadyState:
    r"""Stationary covariances in time of a tied network at large N.

    Errors are standard errors over independent replicates of the whole self-consistent solution.
    Covariances of sources and states are second moments, :math:`E[y(t) y(t + \tau)]`, from which no
    mean is subtracted; those of the preactivations are around their bias mean.

    Attributes
    ----------
    cell, parameters, inputs
        What was solved.
    lags
        0, 1, ..., shape (L,).
    preactivation_covariances, preactivation_errors
        :math:`C_{e_k}(\tau)`, shape (K, L).
    source_covariances, source_errors
        :math:`C_{y_k}(\tau)`, shape (K, L).
    state_covariances, state_errors
        Shape (d, L).
    state_means
        Shape (d,).
    correlation_time
        The lag at which the slowest state has lost all but 1/e of its fluctuating covariance, by
        linear interpolation; infinite at a standstill.
    frozen
        Whether the network has come to a standstill.
    period
        Length of the circle of times; 1 at a standstill.
    converged, residual
        Whether every replicate is self-consistent within the tolerance; the largest relative
        change of a covariance under one more evaluation.
    iterations
        Evaluations over all replicates.
    population
        The driven sites in one time slice; :meth:`sites` hands them out once converged.
    """

    cell: Cell
    parameters: Parameters
    inputs: Inputs
    lags: np.ndarray
    preactivation_covariances: np.ndarray
    preactivation_errors: np.ndarray
    source_covariances: np.ndarray
    source_errors: np.ndarray
    state_covariances: np.ndarray
    state_errors: np.ndarray
    state_means: np.ndarray
    correlation_time: float
    frozen: bool
    period: int
    converged: bool
    residual: float
    iterations: int
    population: Sites

    @property
    def preactivation_variances(self) -> np.ndarray:
        """q_k, shape (K,)."""
        return self.preactivation_covariances[:, 0]

    def sites(self, count: int | None = None) -> Sites:
        """Return the sites of one time slice, all of them or the first ``count``.

        They hold the states before the step, the preactivations and the input, and stand for the
        large-N law of a site along the trajectory.

        Raises
        ------
        ParameterError
            If there are not so many.
        ConvergenceError
            If the solution did not converge.
        """
        self.require_converged()
        everyone = self.population
        if count is None:
            return everyone
        if not 1 <= count <= everyone.count:
            raise ParameterError(
                f"there are {everyone.count} sites, not {count}: ask tied_steady_state for more"
            )
        return Sites.of(
            self.cell,
            self.parameters,
            [state[:count] for state in everyone.states],
            [gate[:count] for gate in everyone.gates],
            everyone.x[:count],
        )

    def require_converged(self) -> None:
        """Raise :class:`ConvergenceError` unless the solution converged."""
        if not self.converged:
            raise ConvergenceError(
                f"the covariances still change by {self.residual:.2g} after {self.iterations} "
                "evaluations, as they do next to a transition: move the parameters away from it, "
                "raise tolerance, or give more sites"
            )


@dataclass(frozen=True, eq=False)
class CircleSolution:
    """What one set of random numbers gave; covariances at all lags up to half a circle."""

    spectra: np.ndarray
    sources: np.ndarray
    states: np.ndarray
    means: np.ndarray
    slices: tuple[Sites, ...]
    residual: float
    iterations: int
    converged: bool
    still: bool


def average_solution(found: Sequence[CircleSolution]) -> CircleSolution:
    """Return the mean over solutions that share no sites, as one on all of them."""
    return CircleSolution(
        spectra=np.mean([each.spectra for each in found], axis=0),
        sources=np.mean([each.sources for each in found], axis=0),
        states=np.mean([each.states for each in found], axis=0),
        means=np.mean([each.means for each in found], axis=0),
        slices=tuple(sites for each in found for sites in each.slices),
        residual=max(each.residual for each in found),
        iterations=0,
        converged=True,
        still=True,
    )


def collect(
    cell: Cell,
    parameters: Parameters,
    inputs: Inputs,
    alone: Sequence[CircleSolution],
    together: CircleSolution,
    lags: int,
    period: int,
) -> TiedSteadyState:
    """Return the steady state from the solutions on the replicates and on all sites together."""
    kept = np.minimum(np.arange(lags + 1), together.sources.shape[-1] - 1)
    everyone = [*alone, together]
    sources, source_errors = _estimate([each.sources[:, kept] for each in everyone])
    drives, drive_errors = _estimate(
        [drive_covariances(cell, parameters, inputs, each.sources[:, kept]) for each in everyone]
    )
    states, state_errors = _estimate([each.states for each in everyone])
    means, _ = _estimate([each.means for each in everyone])
    frozen = period == 1
    return TiedSteadyState(
        cell=cell,
        parameters=parameters,
        inputs=inputs,
        lags=np.arange(lags + 1),
        preactivation_covariances=drives,
        preactivation_errors=drive_errors,
        source_covariances=sources,
        source_errors=source_errors,
        state_covariances=states[:, kept],
        state_errors=state_errors[:, kept],
        state_means=means,
        correlation_time=math.inf if frozen else _decay_time(states),
        frozen=frozen,
        period=period,
        converged=all(each.converged for each in everyone),
        residual=max(each.residual for each in everyone),
        iterations=sum(each.iterations for each in everyone),
        population=_joined(together.slices),
    )


def _estimate(values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return a value and its error from those of R replicates alone and of all of them together.

    The spectra adapt to the drawn sites, which shifts them by c/S for S sites.  The mean over the
    replicates is shifted R times as far as the solution on all sites, so the jackknife removes it.
    """
    alone, together = np.stack(values[:-1]), values[-1]
    R = len(alone)
    error = alone.std(axis=0, ddof=1) / math.sqrt(R)
    return together + (together - alone.mean(axis=0)) / (R - 1), error


def _joined(slices: Sequence[Sites]) -> Sites:
    return Sites.of(
        slices[0].cell,
        slices[0].parameters,
        [np.concatenate(column) for column in zip(*(s.states for s in slices), strict=True)],
        [np.concatenate(column) for column in zip(*(s.gates for s in slices), strict=True)],
        np.concatenate([s.x for s in slices]),
    )


def _decay_time(covariances: np.ndarray) -> float:
    """Return the lag at which the slowest covariance has come down by 1 - 1/e towards its level."""
    times = [0.0]
    for C in covariances:
        level = C[7 * len(C) // 8 :].mean()
        if C[0] > level:
            shape = (C - level) / (C[0] - level)
            after = int(np.argmax(shape < math.exp(-1)))  # the last values are around 0
            drop = shape[after - 1] - shape[after]
            times.append(after - 1 + float((shape[after - 1] - math.exp(-1)) / drop))
    return max(times)
