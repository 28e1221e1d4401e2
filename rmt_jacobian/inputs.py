"""Laws of the input of one site: Gaussian, or the tanh of a Gaussian.

Both are even, so that every odd moment vanishes.  Inputs of different sites and different times
are independent; two input sequences are compared through their correlation at equal times.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import numpy as np

from rmt_jacobian.arrays import Random, array_namespace
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.gaussian import bivariate_rule, normal_rule
from rmt_jacobian.solvers import bracketed_root

__all__ = ["InputKind", "InputLaw"]

InputKind = Literal["gaussian", "tanh"]


@dataclass(frozen=True)
class InputLaw:
    r"""The law of the input x of one site, with mean 0 and second moment R.

    ``"gaussian"``: x ~ N(0, R).  ``"tanh"``: x = tanh(a z), z ~ N(0, 1), with the gain a chosen
    such that E[x^2] = R.

    Parameters
    ----------
    variance
        R >= 0; R < 1 for ``"tanh"``.
    kind
        ``"gaussian"`` or ``"tanh"``.

    Raises
    ------
    ParameterError
        If R lies outside its domain or the kind is unknown.

    Examples
    --------
    >>> InputLaw(0.5).moment(4)
    0.75
    >>> round(InputLaw(0.5, "tanh").moment(2), 12)
    0.5
    """

    variance: float
    kind: InputKind = "gaussian"

    def __post_init__(self) -> None:
        if self.kind not in get_args(InputKind):
            raise ParameterError(f"unknown input law {self.kind!r}: use 'gaussian' or 'tanh'")
        if not 0 <= self.variance <= 1e50:
            raise ParameterError(
                f"input_variance must be finite and >= 0, not {self.variance}: give E[x^2]"
            )
        if self.kind == "tanh" and self.variance >= 1:
            raise ParameterError(
                f"input_variance must be below 1 for tanh inputs, not {self.variance}"
            )

    @property
    def gain(self) -> float:
        """The standard deviation of the Gaussian variable behind the input."""
        return math.sqrt(self.variance) if self.kind == "gaussian" else _tanh_gain(self.variance)

    def moment(self, order: int) -> float:
        """Return E[x^order]."""
        if order % 2:
            return 0.0
        if self.kind == "gaussian":
            return self.variance ** (order // 2) * math.prod(range(order - 1, 0, -2))
        return _tanh_moment(self.gain, order)

    def draw(self, rng: Random, shape: tuple[int, ...]) -> Any:
        """Draw independent inputs, as arrays of the generator's namespace."""
        return self.from_normal(rng.standard_normal(shape))

    def from_normal(self, z: Any) -> Any:
        """Return the inputs that standard normal variables stand for."""
        return self._shaped(self.gain * z)

    def draw_pair(self, rng: np.random.Generator, width: int, correlation: float) -> np.ndarray:
        """Draw the inputs of two sequences at one time; shape (width, 2).

        Parameters
        ----------
        correlation
            E[x_1 x_2] / R, in [-1, 1].
        """
        latent = self.latent_correlation(correlation)
        z = rng.standard_normal((width, 2))
        second = latent * z[:, 0] + math.sqrt((1 - latent) * (1 + latent)) * z[:, 1]
        return self._shaped(self.gain * np.stack([z[:, 0], second], axis=1))

    def _shaped(self, latent: Any) -> Any:
        return latent if self.kind == "gaussian" else array_namespace(latent).tanh(latent)

    def latent_correlation(self, correlation: float) -> float:
        """Return the correlation of the Gaussian variables behind two inputs.

        Parameters
        ----------
        correlation
            E[x_1 x_2] / R, in [-1, 1].
        """
        if not -1 <= correlation <= 1:
            raise ParameterError(f"input correlation must lie in [-1, 1], not {correlation}")
        if self.kind == "gaussian" or abs(correlation) in (0.0, 1.0) or self.variance == 0:
            return correlation
        return _tanh_latent_correlation(self.gain, correlation * self.variance)


@cache
def _tanh_moment(gain: float, order: int) -> float:
    rule = normal_rule(0.0, gain**2)
    return rule.average(np.tanh(rule.nodes) ** order)


@cache
def _tanh_gain(variance: float) -> float:
    if variance == 0.0:
        return 0.0
    top = 1.0
    while _tanh_moment(top, 2) < variance:
        top *= 2
        if top > 1e4:
            raise ParameterError(
                f"input_variance {variance} is too close to 1 for tanh inputs: lower it"
            )
    return bracketed_root(lambda gain: _tanh_moment(gain, 2) - variance, 0.0, top).unwrap()


@cache
def _tanh_latent_correlation(gain: float, covariance: float) -> float:
    def excess(latent: float) -> float:
        rule = bivariate_rule(0.0, gain**2, latent)
        return rule.average(np.tanh(rule.first) * np.tanh(rule.second)) - covariance

    return bracketed_root(excess, -1.0, 1.0).unwrap()
