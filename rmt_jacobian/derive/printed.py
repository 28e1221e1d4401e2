"""Formulas as Chen et al. (2018) print them, slips included, to be compared with ours.

None of these is used for an answer.  Each docstring says what is wrong and where the corrected
form is.
"""

import numpy as np

from rmt_jacobian.cells.activations import stable_sigmoid
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.freeprob import s_coefficients_of_weights
from rmt_jacobian.gaussian import bivariate_rule
from rmt_jacobian.mean_field import CorrelationMap, SiteLaw

__all__ = [
    "printed_correlation_slope",
    "printed_second_moment",
    "printed_variance_slope",
    "printed_variance_slope_31",
]


def printed_second_moment(law: SiteLaw, *, weights: str, steps: int) -> float:
    r"""Return the right-hand side of eqs. (12)-(13) as printed.

    .. math:: \chi_1^{2T} \left(1 + T \frac{2 (\mu_1 - s_1) \mu_2 + \sigma_1^2 + \sigma_2^2}
                                            {\chi_1^2}\right)

    The paper calls it a variance, but its leading 1 makes it a second moment, and as such it is
    read here.  It is wrong nevertheless: 2 s_1 mu_2 is not homogeneous in J, the moments of h - x
    are not those of a sum of squares, and u and sigma'(e) are dependent.  At T = 1 the corrected
    variance is :func:`~rmt_jacobian.derive.one_step_variance`; over T steps
    :func:`~rmt_jacobian.derive.exact_variance`.

    Parameters
    ----------
    law
        The stationary law of the minimalRNN.
    weights, steps
        The ensemble of W, and T.

    References
    ----------
    :cite:t:`Chen2018`, eqs. (12) and (13).

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> from rmt_jacobian.mean_field import site_law
    >>> law = site_law(minimalrnn, Parameters.of(minimalrnn))
    >>> round(printed_second_moment(law, weights="orthogonal", steps=20), 6)
    16.070582
    """
    _require_minimalrnn(law)
    u = stable_sigmoid(law.rule.nodes)
    slope = u * (1 - u)
    Q, R = law.state_variance, law.parameters.input_variance
    sigma_w2 = law.parameters.only.weight_std**2
    s_1 = float(s_coefficients_of_weights(weights, 1)[0])
    average = law.rule.average
    mu_1 = average(u**2)
    variance_1 = -(mu_1**2) + average(u**4)
    mu_2 = sigma_w2 * (Q + R) * average(slope**2)
    variance_2 = -(mu_2**2) + sigma_w2**2 * (Q**2 + R**2) * average(slope**4)
    chi = mu_1 + mu_2
    bracket = 2 * (mu_1 - s_1) * mu_2 + variance_1 + variance_2
    return chi ** (2 * steps) * (1 + steps * bracket / chi**2)


def printed_correlation_slope(correlations: CorrelationMap, state_correlation: float) -> float:
    r"""Return chi_c of the minimalRNN by eq. (9) as printed, which holds at sigma_b = 0 only.

    .. math:: E[\sigma(z_1) \sigma(z_2)]
              + \left(q^* c^* + (\sigma_w^2 - \sigma_v^2) R \Sigma_{12}\right)
                E[\sigma'(z_1) \sigma'(z_2)]

    The corrected prefactor is sigma_w^2 (Q* C + R Sigma_12); see
    :meth:`~rmt_jacobian.mean_field.CorrelationMap.slope`.

    References
    ----------
    :cite:t:`Chen2018`, eq. (9).
    """
    law = correlations.law
    _require_minimalrnn(law)
    weights = law.parameters.only
    c = correlations.preactivation_correlation(state_correlation)
    rule = bivariate_rule(weights.bias_mean, law.preactivation_variance, c)
    u_1, u_2 = stable_sigmoid(rule.first), stable_sigmoid(rule.second)
    prefactor = (
        law.preactivation_variance * c
        + (weights.weight_std**2 - weights.input_std**2) * correlations.input_covariance
    )
    slopes = rule.average(u_1 * (1 - u_1) * u_2 * (1 - u_2))
    return rule.average(u_1 * u_2) + prefactor * slopes


def printed_variance_slope(law: SiteLaw) -> float:
    r"""Return the slope of the variance map by eq. (36) as printed, which lacks a factor z.

    .. math:: \int Dz \left[\sigma^2 + \frac{\sigma_w^2}{\sqrt{q^*}}
              \{(Q^* + R) \sigma - R\} \sigma'\right]

    References
    ----------
    :cite:t:`Chen2018`, eq. (36); the corrected form is eq. (34), our
    :func:`~rmt_jacobian.mean_field.variance_slope`.
    """
    _, u, factor, Q, R = _variance_slope_parts(law)
    return law.rule.average(u**2 + factor * ((Q + R) * u - R) * u * (1 - u))


def printed_variance_slope_31(law: SiteLaw) -> float:
    r"""Return the slope of the variance map by eq. (31) as printed.

    The second integral carries :math:`\sqrt{q^*}` where :math:`1/\sqrt{q^*}` belongs.

    References
    ----------
    :cite:t:`Chen2018`, eqs. (30) and (31); corrected in (32), our
    :func:`~rmt_jacobian.mean_field.variance_slope`.
    """
    z, u, factor, Q, R = _variance_slope_parts(law)
    slope = u * (1 - u)
    q = law.preactivation_variance
    return law.rule.average(
        u**2 + factor * Q * z * u * slope - factor * q * R * z * (1 - u) * slope
    )


def _variance_slope_parts(
    law: SiteLaw,
) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    _require_minimalrnn(law)
    weights, q = law.parameters.only, law.preactivation_variance
    z = (law.rule.nodes - weights.bias_mean) / np.sqrt(q)
    u = stable_sigmoid(law.rule.nodes)
    factor = weights.weight_std**2 / float(np.sqrt(q))
    return z, u, factor, law.state_variance, law.parameters.input_variance


def _require_minimalrnn(law: SiteLaw) -> None:
    if law.cell.name != "minimalrnn":
        raise HypothesisError(
            f"this formula is printed for the minimalRNN, not for {law.cell.name!r}"
        )
