r"""Slow modes that a gate of large gain leaves behind, and marginal stability.

A gate that remembers (the update gate z of a GRU, the forget gate f of an LSTM) puts one eigenvalue
of each site it closes near 1.  All of it refers to fixed points of tied networks.
"""

import math

from scipy.special import ndtr, ndtri

from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.mean_field.at_rest.fixed_points import FixedPoint

__all__ = ["binary_open_share", "gru_open_gain", "marginal_exponent", "open_share", "slow_share"]


def slow_share(point: FixedPoint, distance: float, gate: str) -> float:
    r"""Return the share of sites whose gate lets them keep all but a small part of their memory.

    .. math:: P(|\lambda - 1| < r) \simeq P(e > -\log r)
              = \frac{1}{2} \operatorname{erfc} \frac{-\log r - \mu}{\sqrt{2 q}}

    with the mean and variance of the gate's preactivation, q = a_z^2 C_h without input and bias.

    Parameters
    ----------
    point
        The fixed point.
    distance
        r, small and positive.
    gate
        ``"update"`` of a GRU or ``"forget"`` of an LSTM.

    Notes
    -----
    1 - sigma(e) = exp(-e) up to terms of second order in r.  The other part of the Jacobian is of
    the same size exp(-e) at such a site and moves its eigenvalue by a factor of order 1, so that
    this is the law of log \|lambda - 1\| to leading order for a gate of large gain.

    References
    ----------
    :cite:t:`Can2020`, Figures 1f and 3f.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, gru
    >>> from rmt_jacobian.mean_field import fixed_points
    >>> point = fixed_points(gru, Parameters.of(gru, input_std=0))[-1]
    >>> round(slow_share(point, 0.01, "update"), 6)
    0.006377
    """
    if not distance > 0:
        raise ParameterError(f"distance must be above 0, not {distance}")
    return _share_above(point, -math.log(distance), gate)


def open_share(point: FixedPoint, gate: str) -> float:
    r"""Return alpha, the share of sites that forget as the gain of the gate grows: e < 0.

    .. math:: \alpha = \frac{1}{2} \operatorname{erfc} \frac{\mu}{\sqrt{2 q}}
              = \frac{1}{2} \operatorname{erfc} \frac{\beta}{\sqrt{2 C_h}}

    the latter for a bias mean mu = beta a and a variance q = a^2 C_h.

    Parameters
    ----------
    point
        The fixed point.
    gate
        ``"update"`` of a GRU or ``"forget"`` of an LSTM.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, gru
    >>> from rmt_jacobian.mean_field import fixed_points
    >>> open_share(fixed_points(gru, Parameters.of(gru, input_std=0))[-1], "update")
    0.5
    """
    return 1 - _share_above(point, 0.0, gate)


def _share_above(point: FixedPoint, level: float, gate: str) -> float:
    names = [name for name, _ in point.parameters.groups]
    if gate not in names:
        raise ParameterError(f"{point.cell.name} has no gate {gate!r}: use one of {names}")
    k = names.index(gate)
    mean, variance = point.parameters.groups[k][1].bias_mean, point.variances[k]
    if variance == 0:
        raise HypothesisError(
            f"the gate {gate!r} is the same at all sites: use the zero spectrum instead"
        )
    return float(ndtr((mean - level) / math.sqrt(variance)))


def gru_open_gain(point: FixedPoint) -> float:
    r"""Return rho_0^2, the squared radius of the spectrum of a GRU with its update gate open.

    .. math:: \rho_0^2 = a_h^2 E[\phi'(e_y)^2] \, \bigl(E[r^2] + a_r^2 E[r'(e_r)^2] \, C_h\bigr)

    Parameters
    ----------
    point
        A fixed point of a GRU that resets before the product, with or without input and biases.

    Raises
    ------
    HypothesisError
        If the point belongs to another cell.

    References
    ----------
    :cite:t:`Can2020`: rho of the boundary S(lambda) = 0, without its last, open-gate average.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, gru
    >>> from rmt_jacobian.mean_field import fixed_points
    >>> round(gru_open_gain(fixed_points(gru, Parameters.of(gru, input_std=0))[-1]), 5)
    1.25122
    """
    cell, parameters = point.cell, point.parameters
    names = [each.name for each in cell.preactivations]
    if names != ["update", "reset", "candidate"]:
        raise HypothesisError(f"{cell.name} is not a GRU that resets before the product")
    through_candidate = point.site.states[0].diff(cell.gates[2])
    through_state = cell.source_state_derivatives[2][0]
    through_reset = cell.source_gate_derivatives[2][1]
    return (
        parameters["candidate"].weight_std ** 2
        * point.average(through_candidate**2)
        * (
            point.average(through_state**2)
            + parameters["reset"].weight_std ** 2 * point.average(through_reset**2)
        )
    )


def binary_open_share(bias_ratio: float, state_variance: float) -> float:
    r"""Return alpha = erfc(beta / sqrt(2 C_h)) / 2, the share of open sites at infinite gain.

    Parameters
    ----------
    bias_ratio
        beta, the mean of the gate's bias over its weight_std.
    state_variance
        C_h.

    Examples
    --------
    >>> binary_open_share(0.0, 0.4)
    0.5
    """
    if state_variance <= 0:
        raise HypothesisError("at the zero fixed point all gates are alike: none is binary")
    return float(ndtr(-bias_ratio / math.sqrt(state_variance)))


def marginal_exponent(gain: float, state_variance: float, bias_ratio: float = 0.0) -> float:
    r"""Return c, with which the spectral radius of a GRU approaches 1 as a_z grows.

    .. math:: |\lambda|_{\max} - 1 = \Theta(e^{-c \sqrt{C_h} a_z}), \qquad
              \operatorname{erf} \frac{c - \beta / \sqrt{C_h}}{\sqrt 2} = \frac{2}{\rho_0^2} - 1

    At lambda = 1 + delta the edge is where the sites with exp(-e_z) > delta, a share
    P(e_z < log 1/delta), have rho_0^2 P = 1.

    Parameters
    ----------
    gain
        rho_0^2 of the fixed point, see :func:`gru_open_gain`.
    state_variance
        C_h.
    bias_ratio
        beta = b_z / a_z.

    Raises
    ------
    HypothesisError
        If rho_0^2 <= 1: no edge beyond 1; or rho_0^2 >= 1/alpha: the radius stays above 1.

    References
    ----------
    :cite:t:`Can2020`, Theorem 7.

    Examples
    --------
    >>> round(marginal_exponent(1.2512229897, 0.3798908588), 6)
    0.838831
    """
    alpha = binary_open_share(bias_ratio, state_variance)
    if not 1 < gain < 1 / alpha:
        raise HypothesisError(
            f"marginal stability needs 1 < rho_0^2 < 1/alpha = {1 / alpha:.6g}, "
            f"not rho_0^2 = {gain:.6g}: "
            + ("the edge lies within 1" if gain <= 1 else "raise the bias of the update gate")
        )
    return bias_ratio / math.sqrt(state_variance) + float(ndtri(1 / gain))
