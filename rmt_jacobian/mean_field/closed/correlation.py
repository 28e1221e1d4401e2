"""Two input sequences through one network: correlation map, fixed point, slope, timescale."""

import math
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from rmt_jacobian.cells import derivative
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.averages.bends import is_smooth
from rmt_jacobian.mean_field.averages.factors import complemented
from rmt_jacobian.mean_field.averages.jumps import jumps_of
from rmt_jacobian.mean_field.averages.one_site import (
    Preactivations,
    pair_average,
    single_site,
    site_terms,
)
from rmt_jacobian.mean_field.closed.site_law import SiteLaw
from rmt_jacobian.solvers import Solution, roots_in

__all__ = [
    "CorrelationMap",
    "stable_correlation",
    "timescale",
    "variance_loss",
    "variance_slope",
]

# Where sign changes of the gap are looked for, and how close to an unstable end.
_GRID = (-1.0, -0.9, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.7, 0.85, 0.95, 0.99, 1.0)
_CLOSE = tuple(10.0 ** (-k / 2) for k in range(3, 19))
# Errors of the map and of its slope: the latter through the former, where C* is a near-double root.
_ROUNDING = 1e-13
_SLOPE_ROUNDING = 1e-7


@dataclass(frozen=True)
class CorrelationMap:
    r"""The map of the state correlation C = E[h_1 h_2] / E[h^2] over one step.

    Both networks share W, V and b; their inputs have correlation Sigma_12, and their preactivations
    then

    .. math:: c = (\sigma_w^2 Q^* C + \sigma_v^2 R \Sigma_{12} + \sigma_b^2) / q^*.

    Parameters
    ----------
    law
        The stationary law of one site.
    input_correlation
        Sigma_12 in [-1, 1].

    Notes
    -----
    Assumes untied weights and biases and a state at its stationary variance.  The slope is exact
    for any bias variance; eqs. (8) and (9) of the reference equal it at sigma_b = 0 only.

    References
    ----------
    :cite:t:`Chen2018`, eqs. (2), (37)-(39).

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> from rmt_jacobian.mean_field import site_law
    >>> law = site_law(minimalrnn, Parameters.of(minimalrnn))
    >>> round(CorrelationMap(law, 1.0).next(1.0), 12)
    1.0
    """

    law: SiteLaw
    input_correlation: float

    def __post_init__(self) -> None:
        if not -1 <= self.input_correlation <= 1:
            raise ParameterError(
                f"the input correlation must lie in [-1, 1], not {self.input_correlation}"
            )

    @cached_property
    def input_covariance(self) -> float:
        """R Sigma_12."""
        return self.law.parameters.input_variance * self.input_correlation

    def preactivation_correlation(self, state_correlation: float) -> float:
        """Return c for a state correlation C; (c is 1 where the preactivation does not vary)."""
        q = self.law.implied_preactivation_variance  # exactly the covariance at C = Sigma_12 = 1
        if q == 0.0:
            return 1.0
        covariance = self.law.parameters.only.preactivation_covariance(
            self.law.state_variance * state_correlation, self.input_covariance
        )
        return min(1.0, max(-1.0, covariance / q))

    def next(self, state_correlation: float) -> float:
        """Return C one step later."""
        Q = self.law.state_variance
        return self._average(self.law.cell.updates[0], state_correlation) / Q if Q else 1.0

    def slope(self, state_correlation: float) -> float:
        r"""Return chi_c, the derivative of the map.

        .. math:: \chi_c = E[A_1 A_2] + \sigma_w^2 E[B_1 B_2],
                  \quad A = \partial h' / \partial h, \quad B = \partial h' / \partial e

        By Price's theorem the derivative of an average with respect to the covariance of e is the
        average of the derivatives.  Where the update jumps in e, B has delta functions there, and
        the slope is infinite at C = 1.

        References
        ----------
        :cite:t:`Chen2018`, eqs. (4), (9) and (40).
        """
        direct = self._average(self.law.cell.state_derivatives[0][0], state_correlation)
        return direct + self.through_weights(state_correlation)

    def through_weights(self, state_correlation: float) -> float:
        r"""Return the part :math:`\sigma_w^2 E[B_1 B_2]` of the slope."""
        weights = self.law.parameters.only
        if weights.weight_std == 0:
            return 0.0
        through_one = self._average(self.law.cell.updates[0], state_correlation, slope=True)
        return weights.weight_std**2 * through_one

    def forgotten(self, state_correlation: float) -> float:
        r"""Return :math:`1 - E[A_1 A_2]`, with all digits where a gate keeps next to everything."""
        lost = complemented(sp.sympify(1 - self.law.cell.state_derivatives[0][0], strict=True))
        # 1 - A_1 A_2 = (1 - A_1) + (1 - A_2) - (1 - A_1) (1 - A_2)
        return 2 * self.law.average(lost) - self._average(lost, state_correlation)

    def loss(self, state_correlation: float) -> float:
        """Return 1 - chi_c, with digits where the memory keeps next to everything."""
        return self.forgotten(state_correlation) - self.through_weights(state_correlation)

    def settled(self, state_correlation: float) -> float:
        r"""Return the C at which states settle whose preactivations stay as C makes them.

        With :math:`h' = a h + c` it is

        .. math:: \frac{E[c_1 c_2] + 2 E[h] E[a_1 c_2]}{Q^* (1 - E[a_1 a_2])} .

        It has the fixed points of :meth:`next`, and tells them apart where a step forgets next to
        nothing; without memory it is the same map.
        """
        law = self.law
        if not law.state_variance:
            return 1.0
        fresh = self._average(law.cell.updates[0], state_correlation, state_covariance=0.0)
        return fresh / (law.state_variance * self.forgotten(state_correlation))

    def _average(
        self,
        expression: sp.Expr,
        state_correlation: float,
        *,
        slope: bool = False,
        state_covariance: float | None = None,
    ) -> float:
        """Return E[f(1) f(2)], or its derivative by the covariance of the preactivations."""
        law = self.law
        if state_covariance is None:
            state_covariance = law.state_variance * state_correlation
        return pair_average(
            law.cell,
            expression,
            Preactivations(
                law.parameters.only.bias_mean,
                law.preactivation_variance,
                self.preactivation_correlation(state_correlation),
            ),
            law.state_moment(1),
            state_covariance,
            self.input_covariance,
            slope=slope,
        )


def stable_correlation(correlation_map: CorrelationMap) -> Solution[float]:
    """Find the stable fixed point C* of the state correlation.

    C = 1 is a fixed point where the two networks see the same, and C = -1 where they see opposites
    and the cell is odd; both are stable in the ordered phase (chi_1 <= 1).  In the chaotic phase,
    and with different inputs, C* lies between.

    Returns
    -------
    Solution
        The fixed point; where several are stable, the one nearest to the input correlation.
        Within 1e-7 of the order-chaos line, C* is known to that accuracy only.
    """

    def gap(correlation: float) -> float:
        return correlation_map.settled(correlation) - correlation

    def is_stable(correlation: float, within: float = 0.0) -> bool:
        """Whether the slope is between -1 and 1."""
        return -within <= correlation_map.loss(correlation) <= 2 + within

    if correlation_map.law.state_variance == 0.0:
        return Solution(1.0, True, 0.0, 1)
    fixed_ends = [end for end in (-1.0, 1.0) if abs(gap(end)) <= _ROUNDING]
    stable = [Solution(end, True, abs(gap(end)), 1) for end in fixed_ends if is_stable(end)]
    # Next to an unstable end C* may be very close, as far as the gap stands out from rounding.
    excess = max((-correlation_map.loss(end) / correlation_map.forgotten(end)
                  for end in fixed_ends), default=0.0)  # fmt: skip
    close = [delta for delta in _CLOSE if delta * excess > 1e-15]
    inner = sorted({*_GRID, *(end * (1 - delta) for end in fixed_ends for delta in close)})
    grid = [point for point in inner if abs(point) < 1] if fixed_ends else inner
    stable += [
        root
        for root in roots_in(gap, grid)
        if root.converged and is_stable(root.value, _SLOPE_ROUNDING)
    ]
    if not stable and fixed_ends:  # on the line, within rounding
        stable = [Solution(end, True, abs(gap(end)), len(grid)) for end in fixed_ends]
    if not stable:
        return Solution(math.nan, False, math.inf, len(grid), "try another input correlation")
    return min(stable, key=lambda root: abs(root.value - correlation_map.input_correlation))


def timescale(slope: float, *, loss: float | None = None) -> float:
    r"""Return :math:`\tau = -1 / \log |\chi|` in steps; infinite at :math:`|\chi| \ge 1`.

    A deviation with a negative slope changes its sign at every step, and decays like one with a
    positive slope.

    Parameters
    ----------
    slope
        chi.
    loss
        1 - chi, where it is known with more digits than chi leaves of it.

    References
    ----------
    :cite:t:`Chen2018`, section 3.1 and eq. (35).

    Examples
    --------
    >>> timescale(0.5), timescale(-0.5), timescale(1.0)
    (1.44269504..., 1.44269504..., inf)
    >>> timescale(1.0, loss=1e-20)
    1e+20
    """
    if loss is not None and abs(loss) < 0.5:
        return -1 / math.log1p(-loss) if loss > 0 else math.inf
    if abs(slope) >= 1:
        return math.inf
    return -1 / math.log(abs(slope)) if slope else 0.0


def variance_slope(law: SiteLaw) -> float:
    r"""Return the slope of the map of the state variance at its fixed point.

    .. math:: \frac{dQ'}{dQ} = E[A^2] + \sigma_w^2 \frac{d}{dq} E[(h')^2]

    Its timescale is xi_Q of the reference.  With :math:`e = \mu_b + \sqrt q z` the derivative is
    :math:`E[\partial_e^2 (h')^2] / 2` for smooth updates, :math:`E[z \, \partial_e (h')^2]
    / (2 \sqrt q)` for those with kinks and :math:`E[(z^2 - 1) (h')^2] / (2 q)` for those with
    jumps, which differ by the delta functions in the derivatives.

    References
    ----------
    :cite:t:`Chen2018`, eqs. (25)-(36); in (30)-(31) one square root is misplaced and (36) lacks a
    factor z.
    """
    return law.direct_gain + _variance_through_weights(law)


def variance_loss(law: SiteLaw) -> float:
    """Return 1 - :func:`variance_slope`, with digits where memory keeps next to everything."""
    return law.forgotten(2) - _variance_through_weights(law)


def _variance_through_weights(law: SiteLaw) -> float:
    return law.parameters.only.weight_std**2 * _square_slope(law)


def _square_slope(law: SiteLaw) -> float:
    """Return the derivative of E[(h')^2] by the variance of e."""
    _, _, e = single_site(law.cell)
    update, q = law.cell.updates[0], law.preactivation_variance
    if is_smooth(update) or q == 0:
        return sum(law.average(term) for term in _second_derivative_of_square(update, e)) / 2
    if _jumps(law):
        return (law.average(update**2, order=2) - law.average(update**2)) / (2 * q)
    return law.average(update * derivative(update, e), order=1) / math.sqrt(q)


def _jumps(law: SiteLaw) -> bool:
    """Whether the update jumps in e."""
    _, _, e = single_site(law.cell)
    at = law.parameters.only.bias_mean, law.preactivation_variance
    return any(
        jumps_of(term.coefficient, e, *at) for term in site_terms(law.cell, law.cell.updates[0])
    )


def _second_derivative_of_square(update: sp.Expr, e: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """Return the two terms of (f^2)'' = 2 f'^2 + 2 f f''."""
    first = derivative(update, e)
    return 2 * first**2, 2 * update * derivative(first, e)
