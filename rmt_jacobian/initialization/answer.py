"""The last digits of a critical point, on populations that the search has not seen."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from rmt_jacobian.arrays import Seed
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import InfeasibleError
from rmt_jacobian.initialization.descent import Start
from rmt_jacobian.initialization.populations import CommonPopulation, mean_and_error
from rmt_jacobian.initialization.report import (
    InitializationReport,
    Sharing,
    report_on,
    settled_replicates,
)
from rmt_jacobian.initialization.search import CriticalSearch
from rmt_jacobian.initialization.surface import Optimality
from rmt_jacobian.mean_field import stationary
from rmt_jacobian.mean_field.averages.factors import independent_products
from rmt_jacobian.mean_field.memory.affine import affine_form
from rmt_jacobian.pencils.blocks.untied import WeightsChoice

__all__ = ["critical_report", "populations_at", "rescaled_report"]

_SITES = {"untied": 4096, "tied": 2048}  # of each population
_EXACT = 1e-9  # of the logarithm of a growth rate that is exact
_NEAR, _STAIRCASE = 5e-5, 1e-3  # what will do, and what will where kinks make it a staircase
_ROUNDS = 6
_PROBE, _LONGEST = 0.01, 0.5  # steps of a coordinate: the first, and the longest


def populations_at(
    start: Start,
    *,
    weights: WeightsChoice,
    steps: int,
    seed: Seed,
    dynamics: Sharing,
    horizon: float,
) -> CommonPopulation:
    """Return populations that are settled where a start has come to.

    Raises
    ------
    InfeasibleError
        If the states are not stationary there.
    """
    cell, there = start.search.cell, start.search.at(start.reached)
    populations, settled = settled_replicates(
        cell, there, weights=weights, steps=steps, sites=_SITES[dynamics], seed=seed,
        dynamics=dynamics, horizon=horizon,
    )  # fmt: skip
    if not settled:
        raise InfeasibleError(
            f"no critical point: where the growth rate is 1 the states of {cell.name} are not "
            f"stationary ({_named(there)}); change input_std, or lower the bias of a gate that "
            "remembers"
        )
    return populations


def critical_report(
    start: Start, optimality: Optimality, populations: CommonPopulation, *, weights: WeightsChoice
) -> InitializationReport | None:
    r"""Make the growth rate of a minimum 1 and report its variance; None if the point is lost.

    The growth rate is exact where the averages of the cell are closed forms, and else the mean over
    populations.  Populations whose growth rate is high spread more; with
    :math:`\mu = df/d\gamma` on the surface the variance at growth rate 1 is the mean of
    :math:`f - \mu \gamma`, which scatters less than f.
    """
    search, cell = start.search, start.search.cell

    def sampled(parameters: Parameters) -> float:
        return populations.growth(populations.rates([parameters], spread=False))[0]

    enough = populations.precision
    vector = _on_surface(search, start.reached, optimality.normal, sampled, slope=1.0, exact=enough)
    if not populations.fresh and vector is not None:
        # States that forget slowly have not followed all the way.
        populations = populations.resettled(search.at(vector))
        vector = _on_surface(search, vector, optimality.normal, sampled, slope=1.0, exact=enough)
    exact = populations.fresh and _is_exact(search)
    if exact and vector is not None:
        vector = _on_surface(
            search, vector, optimality.normal, partial(_exact_growth, cell), slope=1.0, exact=_EXACT
        )
    if vector is None:
        return None
    parameters = search.at(vector)
    report = report_on(populations, "critical", parameters, weights=weights, remark=start.remark)
    rates = populations.rates([parameters])
    excess = rates.growth - (0.0 if exact else np.mean(rates.growth))
    spread, error = mean_and_error(rates.spread - optimality.multiplier * excess)
    report = replace(
        report,
        relative_variance=math.expm1(spread),
        variance_error=math.exp(spread) * error,
        timescale=math.inf,
    )
    if exact:
        report = replace(
            report, growth_rate=math.exp(_exact_growth(cell, parameters)), growth_error=0.0
        )
    return report


def rescaled_report(
    start: Start,
    *,
    weights: WeightsChoice,
    steps: int,
    seed: Seed,
    dynamics: Sharing,
    horizon: float,
) -> InitializationReport | None:
    """Report a start whose weights have been multiplied by the factor that makes it critical.

    None if the point is lost: it is critical only while the states have not settled.
    """
    assert start.first is not None
    search = start.search
    populations, _ = settled_replicates(
        search.cell, search.at(start.first), weights=weights, steps=steps, seed=seed,
        dynamics=dynamics, horizon=horizon,
    )  # fmt: skip

    def sampled(parameters: Parameters) -> float:
        return populations.growth(populations.rates([parameters], spread=False))[0]

    vector = _on_surface(search, start.first, start.moving, sampled, exact=populations.precision)
    if vector is None:
        return None
    report = report_on(
        populations, start.name, search.at(vector), weights=weights, remark=start.remark
    )
    return replace(report, timescale=math.inf)


def _is_exact(search: CriticalSearch) -> bool:
    """Whether the averages that growth depends on are closed forms, in two variables at most."""
    cell = search.cell
    random = frozenset((*cell.gates, cell.input))
    factors = (
        factor
        for update in cell.updates
        for product in independent_products(update, random)
        for factor in product
    )
    together = max(len(factor.free_symbols & random) for factor in factors)
    # Cells without memory may keep any variance at a critical point, so that none is found.
    closed = bool(cell.memory) and affine_form(cell) is not None
    return closed and together <= 2 and not search.base.has_frozen_bias


def _exact_growth(cell: Cell, parameters: Parameters) -> float:
    return math.log(stationary(cell, parameters).growth_rate)


def _on_surface(
    search: CriticalSearch,
    vector: np.ndarray,
    along: np.ndarray,
    growth: Callable[[Parameters], float],
    *,
    slope: float | None = None,
    exact: float,
) -> np.ndarray | None:
    """Return where on a line the logarithm of the growth rate vanishes, by the secant method.

    None where it does not.

    Parameters
    ----------
    search, vector, along
        The box, a point, and a direction.
    growth
        The logarithm of the growth rate.
    slope
        Its derivative along the line, where it is known.
    exact
        A value that is none.
    """
    low, high = search.bounds.T

    def shifted(s: float) -> np.ndarray:
        return np.clip(vector + s * along, low, high)

    here, at_here = 0.0, growth(search.at(vector))
    best = (abs(at_here), here)
    unit = 1 / float(np.max(np.abs(along)))
    move = -math.copysign(_PROBE * unit, at_here)
    if slope is not None:
        move = unit * min(_LONGEST, max(-_LONGEST, -at_here / slope / unit))
    for _ in range(_ROUNDS):
        if best[0] <= exact:
            break
        there = here + move
        at_there = growth(search.at(shifted(there)))
        slope = (at_there - at_here) / move
        here, at_here = there, at_there
        best = min(best, (abs(at_here), here))
        if not math.isfinite(slope) or slope == 0:
            break
        move = unit * min(_LONGEST, max(-_LONGEST, -at_here / slope / unit))
        if move == 0:
            break
    if not best[0] <= (_NEAR if search.smooth else _STAIRCASE):
        return None
    return shifted(best[1])


def _named(parameters: Parameters) -> str:
    return ", ".join(f"{name} = {value:.4g}" for name, value in parameters.named().items() if value)
