"""How far rounding moves the fixed points of one site, and what follows from them."""

import math
from collections.abc import Callable

from rmt_jacobian.mean_field.closed.correlation import CorrelationMap, variance_loss
from rmt_jacobian.mean_field.closed.site_law import SiteLaw

__all__ = [
    "ROUNDING",
    "correlation_error",
    "timescale_error",
    "variance_error",
    "with_variance",
]

ROUNDING = 1e-13
"""Relative, of averages by quadrature."""

_NEUTRAL = 1e-4  # of 1 - slope: below it the curvature of the map matters
_LADDER = tuple(10.0 ** (k / 2) for k in range(-26, 17))  # deviations that are tried
_ENDS = 1e-15  # of a gap next to C = 1 and C = -1, which are fixed points by symmetry


def variance_error(law: SiteLaw) -> float:
    r"""Return the relative error of the state variance Q*, where averages are rounded.

    Q* solves Q = G(Q), with G the variance of states whose preactivations keep q(Q).  Its error is
    the rounding of G over :math:`1 - G' = (1 - dQ'/dQ) / (1 - E[a^2])`; where that vanishes, it is
    the smallest deviation that G moves by more than its rounding.  Where G moves none, every
    variance stays as it is, and Q* is where it starts.
    """
    Q = law.state_variance
    if Q == 0:
        return 0.0
    stiffness = abs(variance_loss(law)) / law.forgotten(2)
    if stiffness > _NEUTRAL:
        return ROUNDING / min(stiffness, 1.0)
    above = _first_moved(lambda by: _relative_move(law, Q * (1 + by)))
    below = _first_moved(lambda by: _relative_move(law, Q / (1 + by)))
    if min(above, below) == math.inf:
        return ROUNDING
    return max(min(above, _LADDER[-1]), min(below, 1.0))


def _relative_move(law: SiteLaw, Q: float) -> float:
    """Return |G(Q) / Q - 1|."""
    return abs(with_variance(law, Q).state_variance / Q - 1)


def with_variance(law: SiteLaw, Q: float) -> SiteLaw:
    """Return the law of a site whose sources have the second moment Q."""
    parameters = law.parameters
    q = parameters.only.preactivation_variance(Q, parameters.input_variance)
    return SiteLaw(law.cell, parameters, q)


def _first_moved(move: Callable[[float], float]) -> float:
    """Return the first deviation of the ladder that is moved by more than rounding."""
    return next((by for by in _LADDER if move(by) > ROUNDING), math.inf)


def correlation_error(correlations: CorrelationMap, C: float, variance_error: float) -> float:
    """Return the error of a fixed point C* of the state correlation.

    Two networks that see the same are the same: C = 1 is then exact.  Where the map moves no
    correlation, C* is the one that was chosen.

    Parameters
    ----------
    correlations, C
        The map and its fixed point.
    variance_error
        Relative, of Q*.
    """
    if not correlations.law.state_variance or C == correlations.input_correlation == 1:
        return 0.0
    rounding = ROUNDING + variance_error
    stiffness = abs(correlations.loss(C)) / correlations.forgotten(C)
    if stiffness > _NEUTRAL:
        return rounding / min(stiffness, 1.0)

    def gap_is_seen(by: float, at: float) -> bool:
        allowed = max(rounding * by, _ENDS) if abs(C) == 1 else rounding
        return abs(correlations.settled(at) - at) > allowed

    def first_seen(sign: int) -> float:
        ladder = (by for by in _LADDER if -1 <= C + sign * by <= 1)
        return next((by for by in ladder if gap_is_seen(by, C + sign * by)), math.inf)

    seen = [first_seen(1), first_seen(-1)]
    if min(seen) == math.inf:
        return ROUNDING
    return max(min(by, 1 - sign * C) for by, sign in zip(seen, (1, -1), strict=True))


def timescale_error(timescale: float, loss: float, loss_error: float) -> float:
    """Return the error of a timescale by that of 1 - chi, to first order.

    It is infinite with the timescale, and where chi is 0 the timescale that its error has.
    """
    slope = abs(1 - loss)
    if timescale == 0 or slope == 0:
        return -1 / math.log(loss_error) if 0 < loss_error < 1 else 0.0
    return loss_error * timescale / slope * timescale if math.isfinite(timescale) else math.inf
