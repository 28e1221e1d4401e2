"""What an initialisation does to gradients: growth rate, variance over T steps, timescale."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.initialization.common_paths import CommonPaths, circle_for
from rmt_jacobian.initialization.common_sites import (
    CommonSites,
    imposed,
    settling,
)
from rmt_jacobian.initialization.populations import CommonPopulation, Rates, mean_and_error
from rmt_jacobian.mean_field.closed.correlation import timescale
from rmt_jacobian.pencils.blocks.untied import WeightsChoice

__all__ = [
    "HORIZON",
    "InitializationReport",
    "Sharing",
    "check_sharing",
    "checked_horizon",
    "initialization_report",
    "report_on",
    "settled_replicates",
]

Sharing: TypeAlias = Literal["tied", "untied"]
"""Whether the weights of a network are the same at all steps, or drawn anew."""
HORIZON = 100
"""Steps over which gradients are to keep their norm, where weights are shared."""
_SITES, _REPLICATES = {"untied": 1024, "tied": 256}, 8
_LAPS = 12  # round the circle of times, from spectra that are nearly steady
_FIRST = 32  # steps that the memory is judged after
_CHECKED = 256  # sites on which it is checked that they are enough
_APART = 4.0  # standard errors
_ERRORS, _STEADY, _NOISY = 2.5, 0.005, 0.1  # of the logarithm of the variance of the states
_DEAD = 1e-14  # a variance that is none
_UNSETTLED = "its states are not stationary, or remember longer than they were followed"
_CRITICAL = 1e-7  # distance of a growth rate from 1 that is rounding


@dataclass(frozen=True)
class InitializationReport:
    """What an initialisation does to gradients.

    Attributes
    ----------
    name, parameters, weights
        Its name, hyperparameters, and the ensemble of every W.
    growth_rate
        Of the squared length of a gradient, a step. With shared weights
        :math:`m_1(H)^{1/H}` over a horizon of H steps; with fresh ones its limit over many steps,
        and with frozen biases :math:`m_1(T)^{1/T}`.
    steps, mean, relative_variance
        T, m_1 and m_2 / m_1^2 - 1 of J J^T over T steps.
    timescale
        In steps, of the similarity of two networks that see the same; infinite where it does not
        fade, that is, at a growth rate that is not below 1 by more than its error.
    growth_error, variance_error
        Standard errors of growth rate and relative variance.
    remark
        What the description leaves out.
    horizon
        H; infinite where the growth rate is a limit.
    late_growth_rate
        What the growth rate becomes in the end.
    """

    name: str
    parameters: Parameters
    weights: WeightsChoice
    growth_rate: float
    steps: int
    mean: float
    relative_variance: float
    timescale: float
    growth_error: float = 0.0
    variance_error: float = 0.0
    remark: str = ""
    horizon: float = math.inf
    late_growth_rate: float = math.nan


def initialization_report(
    name: str,
    parameters: Parameters,
    cell: Cell,
    *,
    weights: WeightsChoice,
    steps: int,
    sites: int | None = None,
    seed: Seed = 0,
    remark: str = "",
    dynamics: Sharing = "tied",
    horizon: float | None = None,
) -> InitializationReport:
    """Return growth rate, variance over T steps and timescale of an initialisation.

    Where biases are frozen and spread the growth rate is that over the T steps, because in the end
    the few sites that never forget dominate.

    Parameters
    ----------
    name, remark
        What the report says of it.
    parameters, cell
        The hyperparameters, and the cell that they belong to.
    weights
        The ensemble of the W, or one for each by the name of its preactivation, at the scale of
        the hyperparameters.
    steps
        T.
    sites, seed
        How many in each of the eight populations whose scatter gives the errors; by default 1024,
        or 256 with shared weights.
    dynamics
        ``"tied"`` for a network whose weights are the same at all steps, as those of every trained
        one, and ``"untied"`` for one whose weights are drawn anew at every step.
    horizon
        H, over which growth with shared weights is measured: by default 100, and ``math.inf`` for
        its limit.

    Notes
    -----
    Assumes N -> infinity and bi-invariant W.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> weak = Parameters.of(gru, weight_std=0.1, input_std=0)
    >>> report = initialization_report("weak", weak, gru, weights="orthogonal", steps=2, sites=64)
    >>> round(report.growth_rate, 2)  # J = 1/2 + W/4: the edge of its spectrum is 0.525
    0.27
    >>> fresh = initialization_report("weak", weak, gru, weights="orthogonal", steps=2, sites=64,
    ...                               dynamics="untied")
    >>> round(fresh.growth_rate, 3)
    0.251
    """
    check_sharing(dynamics)
    horizon = checked_horizon(horizon, dynamics)
    populations, settled = settled_replicates(
        cell, parameters, weights=weights, steps=steps, sites=sites, seed=seed, dynamics=dynamics,
        horizon=horizon,
    )  # fmt: skip
    if not settled:
        remark = f"{remark}; {_UNSETTLED}" if remark else _UNSETTLED
    return report_on(populations, name, parameters, weights=weights, remark=remark)


def report_on(
    populations: CommonPopulation,
    name: str,
    parameters: Parameters,
    *,
    weights: WeightsChoice,
    remark: str = "",
) -> InitializationReport:
    """Return the report of populations that have been drawn."""
    rates, steps = populations.rates([parameters]), populations.steps
    logarithm, error = populations.growth(rates)
    growth, growth_error = math.exp(logarithm), math.exp(logarithm) * error
    variance, variance_error = mean_and_error(np.expm1(rates.spread))
    mean = float(np.mean(np.exp(rates.mean)))
    fades = growth < 1 - max(_CRITICAL, 2 * growth_error)
    return InitializationReport(
        name,
        parameters,
        weights,
        growth,
        steps,
        mean,
        variance,
        timescale(growth) if fades else math.inf,
        growth_error,
        variance_error,
        remark,
        populations.horizon,
        math.exp(populations.late_growth(rates)),
    )


def settled_replicates(
    cell: Cell,
    parameters: Parameters,
    *,
    weights: WeightsChoice,
    steps: int,
    sites: int | None = None,
    seed: Seed = 0,
    dynamics: Sharing = "tied",
    horizon: float = HORIZON,
) -> tuple[CommonPopulation, bool]:
    """Return populations that settle for as long as it takes, and whether they do."""
    check_sharing(dynamics)
    sites = _SITES[dynamics] if sites is None else sites
    if dynamics == "untied":
        return _settled_sites(cell, parameters, weights, steps, sites, seed)
    return _settled_paths(cell, parameters, weights, steps, sites, seed, horizon)


def check_sharing(dynamics: str) -> None:
    """Refuse an unknown kind of network."""
    if dynamics not in get_args(Sharing):
        raise ParameterError(f"unknown dynamics {dynamics!r}: use 'tied' or 'untied'")


def checked_horizon(horizon: float | None, dynamics: Sharing) -> float:
    """Return the steps over which growth is measured, 100 or without end by default."""
    if horizon is None:
        return HORIZON if dynamics == "tied" else math.inf
    if dynamics == "untied":
        raise ParameterError("a horizon belongs to shared weights: leave it out, or share them")
    if horizon != math.inf:
        check_counts(horizon=horizon)
    return horizon


def _settled_paths(
    cell: Cell,
    parameters: Parameters,
    weights: WeightsChoice,
    steps: int,
    sites: int,
    seed: Seed,
    horizon: float,
) -> tuple[CommonPaths, bool]:
    """Return populations of paths on a circle that is long enough, from their steady state."""

    def drawn(period: int, count: int) -> CommonPaths:
        return CommonPaths.draw(
            cell, weights, steps, horizon=horizon, period=period, count=count, laps=_LAPS,
            rngs=spawn(seed, _REPLICATES),
        )  # fmt: skip

    found = drawn(circle_for(0.0, steps, 0), _CHECKED).rates([parameters], spread=False)
    period = circle_for(float(np.max(found.kept)), steps, horizon)
    few, steady = drawn(period, _CHECKED).steady_at(parameters)
    return drawn(period, sites).driven_as(few).settled_at(parameters, _LAPS // 2), steady


def _settled_sites(
    cell: Cell, parameters: Parameters, weights: WeightsChoice, steps: int, sites: int, seed: Seed
) -> tuple[CommonSites, bool]:
    """Return populations of sites that forget their start.

    The memory of a site tells how long that is; then the time is doubled until the variance of the
    states and the growth rate stay the same within their errors.
    """
    frozen = parameters.has_frozen_bias

    def drawn(settle: int, count: int) -> CommonSites:
        rngs = spawn(seed, _REPLICATES)
        return CommonSites.draw(cell, weights, steps, settle=settle, count=count, rngs=rngs)

    def checked(settle: int, count: int = _CHECKED) -> Rates:
        return drawn(settle, count).rates([parameters], spread=False)

    longest, settle, short = settling(1.0, frozen=frozen), _FIRST, checked(_FIRST)
    needed = settling(float(np.max(short.kept)), frozen=frozen)
    if needed > settle and not imposed(cell, parameters):
        settle, short = needed, checked(needed)
    while True:
        long = checked(2 * settle)
        change, error = _change(short, long)
        if error > _NOISY:
            change, error = _change(checked(settle, sites), checked(2 * settle, sites))
        steady = abs(change) <= _ERRORS * error + _STEADY and _same(short.growth, long.growth)
        if steady or settle >= longest:
            return drawn(settle, sites), steady
        settle, short = 2 * settle, long


def _change(short: Rates, long: Rates) -> tuple[float, float]:
    """Return by how much the logarithm of the variance of the states differs, and its error.

    Twice the time makes log 2 of a variance that grows or falls in proportion to it.
    """
    (before, error), (after, other) = (
        mean_and_error(np.log(np.maximum(each.size, _DEAD))) for each in (short, long)
    )
    return after - before, math.hypot(error, other)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two means over replicates agree to their errors."""
    (now, error), (then, there) = mean_and_error(one), mean_and_error(other)
    return abs(then - now) <= _APART * math.hypot(error, there) + _CRITICAL
