r"""Phases of the GRU without input and biases (:cite:t:`Can2020`, Figure 2 left).

With :math:`\sigma(e) = (1 + \tanh(e/2)) / 2` and :math:`\Phi(q) = E \tanh^2(\sqrt q x)` the fixed
points of the reference,

.. math:: C_h = \Phi(a_h^2 C_y), \qquad
          C_y = C_h \, E[\sigma(\sqrt{a_r^2 C_h} x)^2]
              = C_h \, \frac{1 + \Phi(a_r^2 C_h / 4)}{4},

are one curve in q = a_h^2 C_y, explicit up to the inverse of a function of one variable:

.. math:: C_h = \Phi(q), \qquad
          a_r^2 = \frac{4}{\Phi(q)} \, \Phi^{-1}\left(\frac{4 q}{a_h^2 \Phi(q)} - 1\right).

Every statement on phases below is one on this curve; this form of it is ours.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.gaussian import normal_rule
from rmt_jacobian.solvers import bracketed_root

__all__ = [
    "GRUFixedPoint",
    "GRUPhase",
    "gru_bifurcation",
    "gru_bifurcation_asymptotes",
    "gru_bifurcation_point",
    "gru_marginal_edge",
    "gru_marginal_edge_end",
    "gru_nonzero_points",
    "gru_phase",
]

GRUPhase = Literal["zero", "three", "nonzero"]
"""Only the zero fixed point; it and two others; the zero one, unstable, and one other."""

_ONSET, _INSTABILITY = math.sqrt(2.0), 2.0  # a_h where other solutions can be, and must be
_TRICRITICAL = math.sqrt(8.0)  # a_r where the curve of bifurcations ends at a_h = 2
_SMALLEST = math.log(1e-14)  # variances of interest, in logarithms
_LARGEST = math.log(1e14)
# Fewer digits of 1 - Phi(q)/q than this are left at the smallest q of a bracket.
_FLATTEST = math.log(1e-9)


def _square(q: float) -> float:
    """Return Phi(q) = E tanh(e)^2 for e of variance q."""
    rule = normal_rule(0.0, q)
    return rule.average(np.tanh(rule.nodes) ** 2)


def _square_slope(q: float) -> float:
    """Return Phi'(q) = E (tanh^2)''(e) / 2."""
    rule = normal_rule(0.0, q)
    squares = np.tanh(rule.nodes) ** 2
    return rule.average((1 - squares) * (1 - 3 * squares))


def _inverse_square(value: float) -> float:
    """Return the q with Phi(q) = value in (0, 1)."""
    return math.exp(
        bracketed_root(lambda s: _square(math.exp(s)) - value, _SMALLEST, _LARGEST).unwrap()
    )


def _ratio(q: float) -> float:
    """Return q / Phi(q), which increases from 1."""
    return q / _square(q)


@dataclass(frozen=True)
class GRUFixedPoint:
    r"""A nonzero fixed point without input and biases.

    Attributes
    ----------
    candidate_std, reset_std
        a_h and a_r.
    candidate_variance
        :math:`q = a_h^2 C_y`, the variance of the candidate's preactivation.

    Examples
    --------
    >>> (point,) = gru_nonzero_points(3.0, 1.0)
    >>> round(point.state_variance, 5), round(point.gain, 5)
    (0.37989, 1.25122)
    """

    candidate_std: float
    reset_std: float
    candidate_variance: float

    @property
    def state_variance(self) -> float:
        """C_h = E[h^2]."""
        return _square(self.candidate_variance)

    @property
    def gain(self) -> float:
        r"""The squared radius rho_0^2 of the spectrum where the update gate is open, z = 0.

        .. math:: \rho_0^2 = a_h^2 E[\phi'(e_y)^2] \,
                  \bigl(E[r^2] + a_r^2 E[r'(e_r)^2] C_h\bigr)

        Values above 1 mean that lambda = 1 is inside the spectrum, whatever the update gate does.
        On the curve of fixed points rho_0^2 is q E[phi'^2] / Phi(q), which is above 1, times a
        factor of at least 1: every nonzero fixed point is unstable.
        """
        return _closed_gain(self.candidate_variance) * _reset_factor(
            self.reset_std**2 * self.state_variance
        )

    @property
    def marginal(self) -> bool:
        r"""Whether rho_0 < sqrt 2, so that a strong update gate brings the radius down to 1."""
        return self.gain < 2


def _closed_gain(q: float) -> float:
    """Return q E[phi'(e)^2] / Phi(q): rho_0^2 were the reset gate to read nothing."""
    rule = normal_rule(0.0, q)
    squares = np.tanh(rule.nodes) ** 2
    return q * rule.average((1 - squares) ** 2) / rule.average(squares)


def _reset_factor(t: float) -> float:
    """Return 1 + t E[r'^2] / E[r^2] for a reset gate of variance t."""
    rule = normal_rule(0.0, t)
    reset = 0.5 * (1 + np.tanh(rule.nodes / 2))
    return 1 + t * rule.average((reset * (1 - reset)) ** 2) / rule.average(reset**2)


def _reset_variance(candidate_std: float, q: float) -> float:
    """Return t = a_r^2 C_h that puts a fixed point at q; 0 where even a_r = 0 is too much."""
    excess = 4 * _ratio(q) / candidate_std**2 - 1
    return 4 * _inverse_square(excess) if excess > 0 else 0.0


def _log_reset_slope(candidate_std: float, log_q: float) -> float:
    """Return d log(a_r^2) / dq along the curve of fixed points."""
    q = math.exp(log_q)
    square, slope = _square(q), _square_slope(q)
    inner = _reset_variance(candidate_std, q) / 4
    ratio_slope = (square - q * slope) / square**2
    own = 4 * ratio_slope / (candidate_std**2 * _square_slope(inner) * inner)
    return own - slope / square


def _largest_log_variance(candidate_std: float) -> float:
    """Return log q where the curve ends at a_r = infinity, E[r^2] = 1/2."""
    return bracketed_root(
        lambda s: _ratio(math.exp(s)) - candidate_std**2 / 2, _SMALLEST, _LARGEST
    ).unwrap()


def gru_bifurcation(candidate_std: float) -> float:
    r"""Return a_r*, above which two nonzero fixed points exist beside the zero one.

    .. math:: a_r^*(a_h)^2 = \min_q \frac{4}{\Phi(q)} \,
              \Phi^{-1}\left(\frac{4 q}{a_h^2 \Phi(q)} - 1\right)

    Parameters
    ----------
    candidate_std
        a_h, strictly between sqrt 2 and 2.

    Raises
    ------
    ParameterError
        If there is no such bifurcation at this a_h.

    References
    ----------
    :cite:t:`Can2020`, Figure 2; the formula is ours.

    Examples
    --------
    >>> round(gru_bifurcation(1.9), 3)
    5.381
    """
    return gru_bifurcation_point(candidate_std).reset_std


def gru_bifurcation_point(candidate_std: float) -> GRUFixedPoint:
    """Return the fixed point at which the two nonzero ones are born; see :func:`gru_bifurcation`.

    Examples
    --------
    >>> round(gru_bifurcation_point(1.9).state_variance, 4)
    0.0605
    """
    if not _ONSET < candidate_std < _INSTABILITY:
        raise ParameterError(
            "two nonzero fixed points appear at some reset.weight_std only for "
            f"candidate.weight_std strictly between sqrt(2) and 2, not at {candidate_std}: below "
            "there is only the zero fixed point, above one nonzero fixed point always"
        )
    top = _largest_log_variance(candidate_std)
    # Where a_r is least there is E[r^2] strictly between its limits; the ends have infinite slopes.
    log_q = bracketed_root(
        lambda s: _log_reset_slope(candidate_std, s),
        min(_FLATTEST, top - 12.0),
        _below(candidate_std, top),
        remedy="candidate.weight_std is too close to sqrt(2) or 2",
    ).unwrap()
    q = math.exp(log_q)
    reset_std = math.sqrt(_reset_variance(candidate_std, q) / _square(q))
    return GRUFixedPoint(candidate_std, reset_std, q)


def _below(candidate_std: float, top: float) -> float:
    """Return a point below the end of the curve where the inverse of Phi is still a number."""
    gap = 1e-3
    while 4 * _ratio(math.exp(top - gap)) / candidate_std**2 - 1 > 1 - 1e-6:
        gap *= 2
    return top - gap


def gru_bifurcation_asymptotes(candidate_std: float) -> tuple[float, float]:
    r"""Return a_r* to leading order near a_h = sqrt 2 and near a_h = 2.

    .. math:: a_r^* \simeq \sqrt{\frac{27}{\pi}} \left(\frac{a_h^2}{2} - 1\right)^{-3/2}, \qquad
              a_r^{*2} \simeq 8 + 8 \sqrt{\frac{31}{3} (2 - a_h)}

    Notes
    -----
    At (a_h, a_r) = (2, sqrt 8) the bifurcation of the zero fixed point changes from continuous to
    discontinuous.  Both expansions are ours: of E[r^2] = 1/2 - 1/sqrt(2 pi t) for large variances t
    of the reset gate, and of all averages for small C_h.

    Examples
    --------
    >>> near_onset, _ = gru_bifurcation_asymptotes(1.4145)
    >>> round(near_onset / gru_bifurcation(1.4145), 3)
    1.0
    >>> _, near_instability = gru_bifurcation_asymptotes(1.99999)
    >>> round(near_instability / gru_bifurcation(1.99999), 3)
    1.0
    """
    beyond_onset = candidate_std**2 / 2 - 1
    left = math.inf if beyond_onset <= 0 else math.sqrt(27 / math.pi) * beyond_onset**-1.5
    right = math.sqrt(8 + 8 * math.sqrt(max(0.0, 31 / 3 * (2 - candidate_std))))
    return left, right


def gru_nonzero_points(candidate_std: float, reset_std: float) -> tuple[GRUFixedPoint, ...]:
    """Return the nonzero fixed points without input and biases: none, one or two.

    Parameters
    ----------
    candidate_std, reset_std
        a_h and a_r.

    Examples
    --------
    >>> [round(point.state_variance, 6) for point in gru_nonzero_points(1.8, 10.0)]
    [0.022202, 0.123864]
    """
    for name, value in (("candidate_std", candidate_std), ("reset_std", reset_std)):
        if not (math.isfinite(value) and value >= 0):
            raise ParameterError(f"{name} must be a finite number >= 0, not {value}")
    tricritical = candidate_std == _INSTABILITY and reset_std <= _TRICRITICAL
    if candidate_std <= _ONSET or tricritical:
        return ()

    def gap(log_q: float) -> float:
        """C_y / C_h here, less what the reset gate makes of it."""
        q = math.exp(log_q)
        needed = 4 * _ratio(q) / candidate_std**2
        return needed - 1 - _square(reset_std**2 * _square(q) / 4)

    top = _largest_log_variance(candidate_std)  # there the gap is positive
    if candidate_std < _INSTABILITY:
        fold = gru_bifurcation_point(candidate_std)
        if reset_std < fold.reset_std:
            return ()
        middle = math.log(fold.candidate_variance)
        intervals = [(_SMALLEST, middle), (middle, top)]
    else:
        intervals = [(_SMALLEST, top)]
    return tuple(
        GRUFixedPoint(candidate_std, reset_std, math.exp(bracketed_root(gap, *each).unwrap()))
        for each in intervals
    )


def gru_phase(candidate_std: float, reset_std: float) -> GRUPhase:
    """Return the phase at (a_h, a_r), without input and biases.

    Examples
    --------
    >>> gru_phase(1.0, 50.0), gru_phase(1.8, 8.0), gru_phase(1.8, 9.0), gru_phase(2.5, 0.0)
    ('zero', 'zero', 'three', 'nonzero')
    """
    if candidate_std > _INSTABILITY:
        return "nonzero"
    if _ONSET < candidate_std < _INSTABILITY and reset_std > gru_bifurcation(candidate_std):
        return "three"
    if candidate_std == _INSTABILITY and reset_std > _TRICRITICAL:
        return "nonzero"
    return "zero"


def gru_marginal_edge(candidate_variance: float) -> GRUFixedPoint:
    r"""Return the point at which rho_0 = sqrt 2, on the curve that bounds marginal stability.

    .. math:: \frac{q E[\phi'^2]}{\Phi(q)} \left(1 + t \frac{E[r'^2]}{E[r^2]}\right) = 2, \qquad
              a_r^2 = \frac{t}{\Phi(q)}, \qquad a_h^2 = \frac{q}{\Phi(q) E[r^2]}

    Parameters
    ----------
    candidate_variance
        q, the parameter along the curve: from 0, where a_r is infinite and a_h = 1.5026, to
        :func:`gru_marginal_edge_end`, where a_r = 0 and a_h = 6.546.

    Raises
    ------
    ParameterError
        If the curve has ended.

    Notes
    -----
    Where a_h > 2, rho_0 < sqrt 2 below the curve.  Where three fixed points exist, the curve
    touches the bifurcation at (1.5486, 39.01): from there to larger q it belongs to the larger
    solution, marginal below it; to smaller q to the smaller solution, marginal to its right.

    References
    ----------
    :cite:t:`Can2020`, Theorem 7 and Figure 2; the parametrisation is ours.

    Examples
    --------
    >>> point = gru_marginal_edge(5.0)
    >>> round(point.gain, 10), round(point.candidate_std, 4), round(point.reset_std, 4)
    (2.0, 5.032, 1.263)
    """
    rounding = 1e-12
    if (
        not candidate_variance > 0
        or (needed := 2 / _closed_gain(candidate_variance)) < 1 - rounding
    ):
        raise ParameterError(
            f"rho_0 = sqrt(2) at some reset.weight_std only for candidate variances between 0 and "
            f"{gru_marginal_edge_end():.6g}, not {candidate_variance}"
        )
    nearly_nothing = math.exp(_SMALLEST)
    if _reset_factor(nearly_nothing) >= needed:
        t = 0.0
    else:
        t = math.exp(
            bracketed_root(
                lambda s: _reset_factor(math.exp(s)) - needed, _SMALLEST, math.log(1e4)
            ).unwrap()
        )
    square = _square(candidate_variance)
    reset = (1 + _square(t / 4)) / 4
    return GRUFixedPoint(
        math.sqrt(candidate_variance / (square * reset)),
        math.sqrt(t / square),
        candidate_variance,
    )


def gru_marginal_edge_end() -> float:
    """Return the candidate variance at which rho_0 = sqrt 2 without any reset gate, a_r = 0.

    Examples
    --------
    >>> round(gru_marginal_edge(gru_marginal_edge_end()).candidate_std, 3)
    6.546
    """
    return bracketed_root(lambda q: _closed_gain(q) - 2, 1.0, 100.0).unwrap()
