"""The stationary law of one site under untied weights, and its self-consistent variance."""

import math
from dataclasses import dataclass
from functools import cache, cached_property, partial

import sympy as sp

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import HypothesisError, InfeasibleError
from rmt_jacobian.gaussian import NormalRule, normal_rule
from rmt_jacobian.mean_field.averages.factors import lost_power
from rmt_jacobian.mean_field.averages.jumps import bends_by
from rmt_jacobian.mean_field.averages.one_site import (
    Preactivations,
    is_single_site,
    single_site,
    site_average,
)
from rmt_jacobian.mean_field.memory.affine import affine_form
from rmt_jacobian.solvers import Solution, first_bounded, fixed_point_from

__all__ = ["START_VARIANCES", "SiteLaw", "has_closed_site", "site_law", "solve_site_law"]

START_VARIANCES = (1.0, 1e-2, 1e-4)
"""Where orbits start by default, one after the other as long as they escape to infinity."""

_FAR = 1e100  # a variance at which only the growth of the update matters
_DRIFT = 1e-9  # difference of its rate from 1 that is rounding


@dataclass(frozen=True)
class SiteLaw:
    r"""The stationary joint law of (h, x, e) at one site.

    The preactivation is Gaussian, e ~ N(mu_b, q), and drawn afresh at every step, so the state h
    is independent of the e and x that update it.  The moments of h follow from
    h' = a(e) h + c(e, x) by stationarity,

    .. math:: E[h^n] \left(1 - E[a^n]\right) = \sum_{k<n} \binom{n}{k} E[a^k c^{n-k}] E[h^k].

    Notes
    -----
    Assumes untied weights *and* biases, N -> infinity, and an update that is linear in the state.

    References
    ----------
    :cite:t:`Chen2018`, eqs. (7), (21) for n = 2.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> law = site_law(minimalrnn, Parameters.of(minimalrnn))
    >>> round(law.preactivation_variance, 6), round(law.state_variance, 6)
    (15.936223, 0.317897)
    """

    cell: Cell
    parameters: Parameters
    preactivation_variance: float

    @cached_property
    def rule(self) -> NormalRule:
        """A quadrature over the preactivation, for functions such as sigmoid(e) and tanh(e)."""
        return normal_rule(self.parameters.only.bias_mean, self.preactivation_variance)

    @property
    def preactivations(self) -> Preactivations:
        """The law of e."""
        return Preactivations(self.parameters.only.bias_mean, self.preactivation_variance)

    @property
    def state_variance(self) -> float:
        """The second moment E[h^2] of the state (its variance when the mean vanishes)."""
        return self.state_moment(2)

    def state_moment(self, order: int) -> float:
        """Return E[h^order] in the stationary state."""
        return _state_moment(self, order)

    def forgotten(self, order: int) -> float:
        """Return 1 - E[a^order], with all digits where a gate keeps next to everything."""
        kept, _ = _linear_update(self.cell)
        lost = lost_power(kept, order)
        return site_average(self.cell, lost, self.preactivations, _no_state, _no_state)

    def average(self, expression: sp.Expr, *, order: int = 0) -> float:
        r"""Return the average over the site of an expression in the cell's symbols (h, x, e).

        Parameters
        ----------
        expression
            A polynomial in h and x.
        order
            Of a further factor :math:`z^n, z = (e - \mu_b) / \sqrt q`.
        """
        moments = self.state_moment, self.parameters.inputs.moment
        return site_average(self.cell, expression, self.preactivations, *moments, order=order)

    @cached_property
    def direct_gain(self) -> float:
        """mu_1 = E[A^2], A = dh'/dh: what reaches the next state without W."""
        return self.average(self.cell.state_derivatives[0][0] ** 2)

    @cached_property
    def weight_gain(self) -> float:
        """mu_2 / sigma_w^2 = E[B^2], B = dh'/de."""
        return self.average(self.cell.gate_derivatives[0][0] ** 2)

    @property
    def chi1(self) -> float:
        r"""The growth rate of gradients, :math:`\chi_1 = E[A^2] + \sigma_w^2 E[B^2]`.

        References
        ----------
        :cite:t:`Chen2018`, eqs. (11) and (13).
        """
        return self.direct_gain + self.parameters.only.weight_std**2 * self.weight_gain

    @property
    def implied_preactivation_variance(self) -> float:
        """The variance of e that the stationary state would produce; q itself at a fixed point."""
        return self.parameters.only.preactivation_variance(
            self.state_variance, self.parameters.input_variance
        )


@cache
def _linear_update(cell: Cell) -> tuple[sp.Expr, sp.Expr]:
    """Return (a, c) of the update h' = a(e) h + c(e, x)."""
    h, x, _ = single_site(cell)
    update = cell.updates[0]
    slope = cell.state_derivatives[0][0]
    if slope.has(h) or slope.has(x) or bends_by(update, (h,)):
        raise HypothesisError(
            f"cell {cell.name!r}: the update is not a(e) h + c(e, x), so the moments of the state "
            "do not close; use a cell whose gate multiplies the state"
        )
    return slope, update.subs(h, 0)


@cache
def _state_moment(law: SiteLaw, order: int) -> float:
    if order == 0:
        return 1.0
    kept, written = _linear_update(law.cell)

    def fresh(k: int) -> float:
        """E[a^k c^(order - k)]; neither factor reads the state."""
        expression = kept**k * written ** (order - k)
        moments = _no_state, law.parameters.inputs.moment
        return site_average(law.cell, expression, law.preactivations, *moments)

    forgotten = law.forgotten(order)
    if forgotten <= 0:
        state, owner = law.cell.states[0], law.cell.preactivations[0]
        mend = (
            f"change the parameters of {owner.name!r}"
            if owner.symbol in kept.free_symbols
            else "it does so at any parameters: let the update forget"
        )
        what = "second moment" if order == 2 else f"moment of order {order}"
        raise InfeasibleError(
            f"{law.cell.name}: {state} grows for ever, so that there is no stationary state: a "
            f"step keeps {1 - forgotten:.6g} of its {what}; {mend}"
        )
    earlier = sum(math.comb(order, k) * fresh(k) * _state_moment(law, k) for k in range(order))
    return earlier / forgotten


def _no_state(power: int) -> float:
    assert power == 0, "a and c do not read the state"
    return 1.0


def has_closed_site(cell: Cell, parameters: Parameters) -> bool:
    """Whether :class:`SiteLaw` serves: one state and preactivation, and all moments close.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, gru, minimalrnn
    >>> has_closed_site(minimalrnn, Parameters.of(minimalrnn))
    True
    >>> has_closed_site(gru, Parameters.of(gru))
    False
    """
    if not is_single_site(cell) or parameters.has_frozen_bias:
        return False
    form = affine_form(cell)
    return (
        form is not None
        and cell.input not in form.update[0][1].free_symbols
        and bool(cell.updates[0].is_polynomial(cell.input))
    )


def solve_site_law(
    cell: Cell, parameters: Parameters, *, start_variance: float | None = None
) -> Solution[SiteLaw]:
    r"""Solve for the self-consistent stationary law, and say whether the solver converged.

    .. math:: q^* = \sigma_w^2 E[h^2] + \sigma_v^2 R + \sigma_b^2,
              \quad e \sim N(\mu_b, q^*)

    Parameters
    ----------
    cell, parameters
        A cell with one state and one preactivation.
    start_variance
        The orbit E[h^2]^t from this value selects the fixed point where there are several.  By
        default 1, and less where an orbit that starts there escapes to infinity.

    References
    ----------
    :cite:t:`Chen2018`, eqs. (6)-(7), (21)-(24); Poole et al. (2016) for the vanilla network.
    """
    single_site(cell)
    parameters.check_cell(cell)
    if parameters.has_frozen_bias:
        raise HypothesisError(
            f"cell {cell.name!r}: the moments of the state close only if biases are redrawn at "
            'every step; use untied_state, or bias_kind "redrawn"'
        )

    def next_variance(state_variance: float) -> float:
        q = parameters.only.preactivation_variance(state_variance, parameters.input_variance)
        return SiteLaw(cell, parameters, q).state_variance

    remedy = "try another start_variance or smaller weight_std"
    starts = START_VARIANCES if start_variance is None else (start_variance,)
    found = first_bounded(
        partial(fixed_point_from, next_variance, start, remedy=remedy) for start in starts
    )
    if found.value == math.inf:
        rate = next_variance(_FAR) / _FAR
        law = SiteLaw(cell, parameters, math.inf)
        return Solution(law, False, math.inf, found.iterations, _diverges(cell, parameters, rate))
    q = parameters.only.preactivation_variance(found.value, parameters.input_variance)
    law = SiteLaw(cell, parameters, q)
    return found.of(law)


def _diverges(cell: Cell, parameters: Parameters, rate: float) -> str:
    """Say by what factor a step E[h^2] grows in the end, and what to do about it."""
    if not math.isfinite(rate):
        how, bound = "grows faster and faster", "lower weight_std or start_variance"
    else:
        percent = f"by {100 * (rate - 1):.4g} % a step" if rate < 2 else f"{rate:.4g}-fold a step"
        how = f"grows {percent}" if abs(rate - 1) > _DRIFT else "grows for ever"
        bound = "lower weight_std"
        if not cell.memory and rate > 0:  # the rate is proportional to weight_std^2
            bound = f"weight_std must be below {parameters.only.weight_std / math.sqrt(rate):.6g}"
    return f"cell {cell.name!r}: E[h^2] {how}, so that there is no stationary state: {bound}"


def site_law(cell: Cell, parameters: Parameters, *, start_variance: float | None = None) -> SiteLaw:
    """Return the self-consistent stationary law; see :func:`solve_site_law`.

    Raises
    ------
    InfeasibleError
        If the variance of the state grows without bound.
    ConvergenceError
        If no fixed point is found.
    """
    found = solve_site_law(cell, parameters, start_variance=start_variance)
    if found.residual == math.inf:
        raise InfeasibleError(found.remedy)
    return found.unwrap()
