"""Averages over one and two correlated Gaussian variables.

The trapezoidal rule on the whole line converges exponentially for functions that are analytic
near the real axis, at a rate set by the distance of the nearest pole
(:cite:`TrefethenWeideman2014`, Theorem 5.1).  The gates sigmoid and tanh of a Gaussian variable
of standard deviation s have theirs at a distance of order 1/s, so the spacing shrinks with s.
Gauss-Hermite nodes, whose spacing does not, lose all digits there.
"""

import math
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.errors import ParameterError

__all__ = ["BivariateRule", "NormalRule", "bivariate_rule", "normal_rule"]

# The weight beyond 9.2 standard deviations is below 1e-19.
_REACH = 9.2
# Spacing in standard deviations: _WIDEST for wide smooth integrands, _POLE_FRACTION / std where
# poles at distance pi/2 (tanh) of high order limit the rate.
_WIDEST = 0.4
_POLE_FRACTION = 0.2


@dataclass(frozen=True)
class NormalRule:
    """Nodes and weights of an average over one Gaussian variable; the weights sum to 1."""

    nodes: np.ndarray
    weights: np.ndarray

    def average(self, values: np.ndarray) -> float:
        """Return the average of a function given by its values at the nodes.

        Examples
        --------
        >>> rule = normal_rule(mean=1.0, variance=4.0)
        >>> round(rule.average(rule.nodes**2), 12)
        5.0
        """
        return float(self.weights @ np.broadcast_to(values, self.weights.shape))

    def error_estimate(self, values: np.ndarray) -> float:
        """Return the change of the average when every other node is left out.

        The rule converges exponentially, so its own error is about the square of this.
        """
        values = np.broadcast_to(values, self.weights.shape)
        halved = self.weights[::2] @ values[::2] / self.weights[::2].sum()
        return abs(float(halved) - self.average(values))


@dataclass(frozen=True)
class BivariateRule:
    """Nodes and weights of an average over two correlated Gaussian variables of equal law."""

    first: np.ndarray
    second: np.ndarray
    weights: np.ndarray

    def average(self, values: np.ndarray) -> float:
        """Return the average of a function given by its values at the nodes.

        Examples
        --------
        >>> rule = bivariate_rule(mean=0.0, variance=2.0, correlation=0.25)
        >>> round(rule.average(rule.first * rule.second), 12)
        0.5
        """
        return float(np.sum(self.weights * np.broadcast_to(values, self.weights.shape)))


def normal_rule(mean: float, variance: float) -> NormalRule:
    r"""Return the trapezoidal rule for a Gaussian average.

    .. math:: E f(e) = \int f(\mu + \sqrt q z) \frac{e^{-z^2/2}}{\sqrt{2\pi}} dz
              \approx \sum_k w_k f(\mu + \sqrt q z_k)

    Parameters
    ----------
    mean, variance
        Of the Gaussian variable; a variance of 0 gives the single node ``mean``.

    Notes
    -----
    Assumes an integrand analytic in the strip \|Im e\| < pi/2 (sigmoid, tanh and what is made of
    them); for those the error is below 1e-13 relative.

    Raises
    ------
    ParameterError
        If the variance is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> rule = normal_rule(mean=0.0, variance=16.0)
    >>> round(rule.average(1 / (1 + np.exp(-rule.nodes))), 12)
    0.5
    """
    z, weights = _standard_rule(_checked_std(mean, variance))
    return NormalRule(mean + math.sqrt(variance) * z, weights)


def bivariate_rule(mean: float, variance: float, correlation: float) -> BivariateRule:
    r"""Return the tensor trapezoidal rule for two Gaussian variables of equal mean and variance.

    .. math:: e_1 = \mu + \sqrt q z_1, \quad
              e_2 = \mu + \sqrt q \left(c z_1 + \sqrt{1 - c^2} z_2\right)

    Parameters
    ----------
    mean, variance
        Of each variable.
    correlation
        Their correlation coefficient c, in [-1, 1].

    References
    ----------
    :cite:t:`Chen2018`, eq. (39).

    Examples
    --------
    >>> bivariate_rule(0.0, 1.0, 1.0).second.shape[1]  # perfectly correlated: one variable
    1
    """
    std = _checked_std(mean, variance)
    if not -1 <= correlation <= 1:
        raise ParameterError(f"correlation must lie in [-1, 1], not {correlation}")
    z, weights = _standard_rule(std)
    independent = math.sqrt((1 - correlation) * (1 + correlation))
    # The part of e_2 that is not in e_1 has standard deviation std * independent.
    y, y_weights = _standard_rule(std * independent)
    first = mean + std * z[:, None]
    second = mean + std * (correlation * z[:, None] + independent * y[None, :])
    return BivariateRule(first, second, weights[:, None] * y_weights[None, :])


def _checked_std(mean: float, variance: float) -> float:
    if not (math.isfinite(mean) and math.isfinite(variance) and variance >= 0):
        raise ParameterError(
            f"a Gaussian needs a finite mean and a variance >= 0, not {mean}, {variance}"
        )
    return math.sqrt(variance)


def _standard_rule(std: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights for a standard Gaussian seen by functions of std * z."""
    if std == 0.0:
        return np.zeros(1), np.ones(1)
    spacing = min(_WIDEST, _POLE_FRACTION / std)
    half = 2 * math.ceil(_REACH / (2 * spacing))  # even, so that leaving out every other node
    z = spacing * np.arange(-half, half + 1)  # keeps both ends and the centre
    weights = np.exp(-0.5 * z * z)
    return z, weights / weights.sum()
