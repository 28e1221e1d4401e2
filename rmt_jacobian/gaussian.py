"""Averages over one and two correlated Gaussian variables.

The trapezoidal rule on the whole line converges exponentially for functions that are analytic
near the real axis, at a rate set by the distance of the nearest pole
(:cite:`TrefethenWeideman2014`, Theorem 5.1).  Gates such as sigmoid(e) and tanh(e) have their poles
at distances of order 1 from e = 0 however widely e is spread.  With e = sinh(t) the spacing is fine
there and grows outwards, all poles move to the line Im t = pi/2, and the number of nodes grows only
with the logarithm of the standard deviation.  Gauss-Hermite nodes lose all digits instead.
"""

import math
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.errors import ParameterError

__all__ = [
    "BivariateRule",
    "NormalRule",
    "bivariate_rule",
    "normal_rule",
]

# The weight beyond 13 standard deviations is below 1e-37; high powers of gates may live far out.
_REACH = 13.0
# Spacing of t.  exp(-sinh(t)^2) decays in the strip of half-width pi/4, so the error is below
# exp(-2 pi (pi/4) / 0.1) = 4e-22 before the constants of high powers of the gates.
_SPACING = 0.1
_SHARP = 1e-3  # of the distance from where gates turn
# Spacing in standard deviations, where those are small: the error is exp(-2 pi^2 / 0.4^2).
_RESOLUTION = 0.4


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


def normal_rule(mean: float, variance: float, *, fineness: int = 1) -> NormalRule:
    r"""Return the trapezoidal rule for a Gaussian average.

    .. math:: E f(e) = \int f(\mu + \sqrt q z) \frac{e^{-z^2/2}}{\sqrt{2\pi}} dz
              \approx \sum_k w_k f(\mu + \sqrt q z_k)

    Parameters
    ----------
    mean, variance
        Of the Gaussian variable; a variance of 0 gives the single node ``mean``.
    fineness
        By how much the nodes are closer together than it usually takes.

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
    std = _checked_std(mean, variance)
    if _is_sharp(mean, std):
        standard = normal_rule(0.0, 1.0, fineness=fineness)
        return NormalRule(mean + std * standard.nodes, standard.weights)
    return NormalRule(*_sinh_rule(np.array(mean), std, _SPACING, fineness))


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
    if _is_sharp(mean, std):
        standard = bivariate_rule(0.0, 1.0, correlation)
        nodes = mean + std * standard.first, mean + std * standard.second
        return BivariateRule(*nodes, standard.weights)
    independent = math.sqrt((1 - correlation) * (1 + correlation))
    own_std = std * independent  # of the part of e_2 that is not in e_1
    first, weights = _sinh_rule(np.array(mean), std, _outer_spacing(mean, correlation, own_std))
    conditional_mean = mean + correlation * (first - mean)
    second, own_weights = _sinh_rule(conditional_mean, own_std, _SPACING)
    return BivariateRule(first[:, None], second, weights[:, None] * own_weights)


def _checked_std(mean: float, variance: float) -> float:
    if not (math.isfinite(mean) and math.isfinite(variance) and variance >= 0):
        raise ParameterError(
            f"a Gaussian needs a finite mean and a variance >= 0, not {mean}, {variance}"
        )
    return math.sqrt(variance)


def _is_sharp(mean: float, std: float) -> bool:
    """Whether a Gaussian is so narrow that asinh(e) would lose the digits of its deviations.

    Nothing turns within its reach then, and its nodes are those of the standard one.
    """
    return 0 < std < _SHARP * math.hypot(1, mean)


def _outer_spacing(mean: float, correlation: float, own_std: float) -> float:
    """Return the spacing for e_1 at which functions of e_2 are resolved too.

    Seen from e_1, what happens at e_2 = 0 is centred at mean (1 - 1/c), where the spacing is
    larger than at 0, and smoothed over own_std / c.
    """
    if correlation == 0.0:
        return _SPACING
    centre = abs(mean * (1 - 1 / correlation))
    smoothing = own_std / abs(correlation)
    return _SPACING * min(1.0, (1 + smoothing) / (1 + centre))


def _sinh_rule(
    mean: np.ndarray, std: float, spacing: float, fineness: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights for Gaussian variables of given means; nodes along the last axis."""
    if std == 0.0:
        return mean[..., None], np.ones((*mean.shape, 1))
    low, high = np.arcsinh(mean - _REACH * std), np.arcsinh(mean + _REACH * std)
    width = std / np.sqrt(1 + mean * mean)  # of the Gaussian, seen in t
    needed = fineness * np.max((high - low) / np.minimum(spacing, _RESOLUTION * width))
    count = 2 * math.ceil(needed / 2)  # even, so that every other node keeps both ends
    t = low[..., None] + (high - low)[..., None] * np.arange(count + 1) / count
    nodes = np.sinh(t)
    weights = np.exp(-0.5 * ((nodes - mean[..., None]) / std) ** 2) * np.cosh(t)
    return nodes, weights / weights.sum(axis=-1, keepdims=True)
