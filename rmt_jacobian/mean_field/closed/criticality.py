"""Where gradients neither explode nor vanish: critical initialisation and the order-chaos line."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Parameters, Point, cell_and_parameters, cell_named
from rmt_jacobian.counts import check_counts, check_numbers
from rmt_jacobian.errors import InfeasibleError, ParameterError
from rmt_jacobian.mean_field.averages.one_site import single_site
from rmt_jacobian.mean_field.closed.correlation import variance_slope
from rmt_jacobian.mean_field.closed.site_law import SiteLaw, site_law
from rmt_jacobian.solvers import roots_in

__all__ = [
    "CriticalInitialization",
    "critical_weights",
    "feasible_preactivation_variances",
    "order_chaos_line",
]


# Relative error of averages: within it an input variance is 0, and a slope of 1 is that of a map
# that keeps any variance, as that of relu does without bias and input (He initialisation).
_ROUNDING = 1e-11


@dataclass(frozen=True)
class CriticalInitialization:
    """Hyperparameters at which chi_1 = 1.

    Attributes
    ----------
    parameters
        The hyperparameters, with ``bias_std`` = 0.
    preactivation_variance, state_variance
        q*, as asked for, and Q*, with which the state should start.
    """

    parameters: Parameters
    preactivation_variance: float
    state_variance: float


@named_arguments
def critical_weights(
    cell: Cell | str, *, preactivation_variance: float, bias_mean: float, input_variance: float
) -> CriticalInitialization:
    r"""Find the weight and input standard deviations at which gradients keep their norm.

    .. math:: \sigma_w^2 = \frac{1 - E[A^2]}{E[B^2]}, \qquad
              \sigma_v^2 = \frac{q^* - \sigma_w^2 Q^*}{R}, \qquad \sigma_b = 0

    with A = dh'/dh and B = dh'/de averaged at e ~ N(mu_b, q*).

    Parameters
    ----------
    cell
        A cell with one state and one preactivation.
    preactivation_variance
        q* > 0.
    bias_mean
        mu_b.
    input_variance
        R > 0.

    Raises
    ------
    InfeasibleError
        If sigma_v^2 would be negative, or the state variance would not stay at Q* because the slope
        of its map is above 1; the message names values of q* that work.

    Notes
    -----
    Assumes untied weights and N -> infinity.  For the minimalRNN sigma_w^2 Q* does not depend on R,
    so whether a solution exists depends on (q*, mu_b) alone.

    References
    ----------
    :cite:t:`Chen2018`, Algorithm 1.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> found = critical_weights(
    ...     minimalrnn, preactivation_variance=20.0, bias_mean=4.0, input_variance=0.46)
    >>> round(found.parameters.only.weight_std**2, 2), round(found.parameters.only.input_std**2, 2)
    (37.04, 23.03)

    For relu without bias it is the initialisation of He et al. (2015), which keeps every variance:

    >>> from rmt_jacobian.cells import vanilla_cell
    >>> found = critical_weights(
    ...     vanilla_cell("relu"), preactivation_variance=1.0, bias_mean=0.0, input_variance=0.5)
    >>> round(found.parameters.only.weight_std**2, 12), found.parameters.only.input_std
    (2.0, 0.0)
    """
    cell = cell_named(cell)
    single_site(cell)
    check_numbers(
        preactivation_variance=preactivation_variance, input_variance=input_variance, above=0
    )
    check_numbers(bias_mean=bias_mean)
    candidate = _candidate(cell, preactivation_variance, bias_mean, input_variance)
    reason = None
    if candidate.input_weight_variance < 0:
        reason = f"input_std^2 would be {candidate.input_weight_variance:.4g}"
    elif candidate.variance_slope > 1 + _ROUNDING or (
        candidate.variance_slope >= 1 and candidate.input_weight_variance > 0
    ):
        reason = "the state variance would move away from its fixed point"
    if reason is not None:
        raise InfeasibleError(
            f"no critical point at preactivation_variance = {preactivation_variance:g}, "
            f"bias_mean = {bias_mean:g}: {reason}; " + _remedy(cell, bias_mean, input_variance)
        )
    parameters = candidate.law.parameters.with_values(
        input_std=math.sqrt(candidate.input_weight_variance)
    )
    return CriticalInitialization(parameters, preactivation_variance, candidate.law.state_variance)


@named_arguments
def feasible_preactivation_variances(
    cell: Cell | str,
    *,
    bias_mean: float,
    input_variance: float,
    low: float = 1e-3,
    high: float = 1e4,
    resolution: int = 120,
) -> list[tuple[float, float]]:
    """Return the intervals of q* in [low, high] at which a critical initialisation exists.

    Parameters
    ----------
    cell, bias_mean, input_variance
        As in :func:`critical_weights`.
    low, high
        Ends of the search; an interval that reaches one of them may go on beyond it.
    resolution
        Number of points of the logarithmic grid; intervals narrower than its spacing are missed.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> ((left, right),) = feasible_preactivation_variances(
    ...     minimalrnn, bias_mean=0.0, input_variance=0.46)
    >>> round(left, 3), right
    (14.293, 10000.0)
    """
    cell = cell_named(cell)
    single_site(cell)
    check_numbers(low=low, high=high, input_variance=input_variance, above=0)
    check_numbers(bias_mean=bias_mean)
    check_counts(resolution=resolution)

    def margin(q: float) -> float:
        candidate = _candidate(cell, q, bias_mean, input_variance)
        return min(candidate.input_weight_variance, 1 + _ROUNDING - candidate.variance_slope)

    grid = [float(q) for q in np.geomspace(low, high, resolution)]
    edges = [low, *(root.unwrap() for root in roots_in(margin, grid)), high]
    return [
        (left, right)
        for left, right in pairwise(edges)
        if right > left and margin(math.sqrt(left * right)) >= 0
    ]


@named_arguments
def order_chaos_line(
    cell: Cell | str, parameters: Point = None, *, solve_for: str, search: Sequence[float]
) -> list[float]:
    """Return the values of one hyperparameter at which chi_1 = 1, the others held fixed.

    Parameters
    ----------
    cell, parameters
        The cell, and the hyperparameters that stay.
    solve_for
        Name of the hyperparameter to solve for, e.g. ``"bias_mean"`` or ``"weight_std"``.
    search
        Increasing grid; one value is found in each interval over which chi_1 - 1 changes sign
        continuously.  Where the stationary variance itself jumps from one fixed point to another,
        chi_1 may jump across 1; that is no critical point and is left out.

    References
    ----------
    :cite:t:`Chen2018`, section 3.1 and Figure 1.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> line = order_chaos_line(minimalrnn, Parameters.of(minimalrnn),
    ...                         solve_for="bias_mean", search=[-2.0, 2.0])
    >>> [round(value, 3) for value in line]
    [0.014]
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    grid = _increasing(search)
    if solve_for not in parameters.with_values().named():
        known = ", ".join(parameters.named())
        raise ParameterError(f"cannot solve for {solve_for!r}: choose one of {known}")

    def excess(value: float) -> float:
        there = parameters.with_values({solve_for: value})
        return site_law(cell.at(there.constants), there).chi1 - 1

    return [root.value for root in roots_in(excess, grid) if root.converged]


def _increasing(search: Sequence[float]) -> list[float]:
    """Return a grid of numbers, which must increase."""
    try:
        grid = np.asarray(search, dtype=float)
    except (TypeError, ValueError):
        grid = np.empty(0)
    if grid.ndim != 1 or len(grid) < 2 or not np.all(np.diff(grid) > 0):
        raise ParameterError(
            f"search must be two or more increasing numbers, such as [-2, 0, 2], not {search!r}"
        )
    return grid.tolist()


@dataclass(frozen=True)
class _Candidate:
    """What Algorithm 1 computes, admissible or not."""

    law: SiteLaw
    input_weight_variance: float  # sigma_v^2, may come out negative
    variance_slope: float


def _candidate(cell: Cell, q: float, bias_mean: float, input_variance: float) -> _Candidate:
    def law(weight_variance: float) -> SiteLaw:
        # The stationary law at a given q does not ask for the input weights that produce this q.
        given = Parameters.of(
            cell,
            weight_std=math.sqrt(weight_variance),
            input_std=0.0,
            bias_mean=bias_mean,
            input_variance=input_variance,
        )
        return SiteLaw(cell, given, q)

    without_weights = law(0.0)
    if without_weights.weight_gain == 0.0:
        raise InfeasibleError(
            f"at bias_mean = {bias_mean:g} weights have no effect, to rounding: move it towards 0"
        )
    weight_variance = (1 - without_weights.direct_gain) / without_weights.weight_gain
    critical = law(weight_variance)
    from_input = q - weight_variance * critical.state_variance
    if abs(from_input) <= _ROUNDING * q:  # rounding, of either sign
        from_input = 0.0
    return _Candidate(critical, from_input / input_variance, variance_slope(critical))


def _remedy(cell: Cell, bias_mean: float, input_variance: float) -> str:
    intervals = feasible_preactivation_variances(
        cell, bias_mean=bias_mean, input_variance=input_variance
    )
    if not intervals:
        return "no preactivation_variance up to 10000 works here: change bias_mean"
    left, right = intervals[-1]
    return f"choose preactivation_variance between {left:.6g} and {right:.6g}"
