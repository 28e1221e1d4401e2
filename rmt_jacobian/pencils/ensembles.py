r"""Bi-invariant random matrices W, as the Dyson equation sees them.

With :math:`u = \Sigma_r g_r = \Sigma_c g_c` the self-energies of the block pair (r, c) that W
couples are :math:`\Sigma_r = \gamma(u) g_c` and :math:`\Sigma_c = \gamma(u) g_r`, where
:math:`\gamma(u) = 1 / ((1 + u) S(u))` and S is the S-transform of :math:`W W^T`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.errors import ParameterError

__all__ = ["BiInvariant", "GaussianWeights", "OrthogonalWeights", "TransformWeights", "ensemble"]

_CIRCLE = 64  # points of the circle on which an analytic function is expanded
_COUPLING_STEPS, _COUPLING_ERROR = 20, 1e-13
_RAY, _RAY_WEIGHTS = np.polynomial.legendre.leggauss(40)


class BiInvariant(ABC):
    r"""The law of W under multiplication by any orthogonal matrices from both sides.

    All functions are analytic in u, take complex arrays of any namespace and return such.
    """

    @abstractmethod
    def gain(self, u: Any) -> Any:
        r"""Return :math:`\gamma(u) = 1 / ((1 + u) S(u))`."""

    @abstractmethod
    def gain_derivative(self, u: Any) -> Any:
        r"""Return :math:`\gamma'(u)`."""

    @abstractmethod
    def potential(self, u: Any) -> Any:
        r"""Return what W adds to the logarithmic potential of the pencil.

        .. math:: p(u) = \log(1 + u) - \int_0^u v \, \frac{S'(v)}{S(v)} \, dv
        """

    @abstractmethod
    def gain_series(self, order: int) -> np.ndarray:
        r"""Return the first ``order + 1`` Taylor coefficients of :math:`\gamma` at 0."""

    @np.errstate(all="ignore")  # far off there may be none
    def coupling(self, product: Any, near: Any) -> Any:
        r"""Return the u close to a given one at which :math:`u \gamma(u)` has a given value.

        It is nan where Newton's method does not find one.
        """
        xp, u = array_namespace(product), near
        rests = xp.zeros(product.shape, dtype=xp.bool)
        for _ in range(_COUPLING_STEPS):
            gain = self.gain(u)
            step = (product - u * gain) / (gain + u * self.gain_derivative(u))
            u = u + step
            rests = xp.abs(step) <= _COUPLING_ERROR * xp.abs(u)
            if bool(xp.all(rests)):
                break
        return xp.where(rests | (product == 0), u, xp.full_like(u, xp.nan))

    @property
    def variance(self) -> float:
        r"""The mean of :math:`W W^T`, which is :math:`\gamma(0) = 1 / S(0)`."""
        return float(self.gain_series(0)[0])

    @property
    def s_1(self) -> float:
        r"""The coefficient :math:`s_1` of :math:`S(u) = S(0) (1 + s_1 u + \cdots)`."""
        first, second = self.gain_series(1)
        return -1.0 - float(second / first) if first else 0.0


@dataclass(frozen=True)
class GaussianWeights(BiInvariant):
    r"""Independent entries of variance :math:`\sigma_w^2 / N`; :math:`\gamma = \sigma_w^2`.

    Examples
    --------
    >>> GaussianWeights(2.0).gain(np.array([0.5 + 1j]))
    array([4.+0.j])
    """

    weight_std: float

    def __post_init__(self) -> None:
        _check_scale(self.weight_std)

    def gain(self, u: Any) -> Any:
        r"""Return :math:`\sigma_w^2`."""
        return array_namespace(u).full_like(u, self.weight_std**2)

    def gain_derivative(self, u: Any) -> Any:
        """Return 0."""
        return array_namespace(u).zeros_like(u)

    def potential(self, u: Any) -> Any:
        """Return u."""
        return u

    def gain_series(self, order: int) -> np.ndarray:
        r"""Return :math:`\sigma_w^2, 0, 0, \ldots`."""
        return np.array([self.weight_std**2] + [0.0] * order)

    def coupling(self, product: Any, near: Any) -> Any:
        r"""Return :math:`u = p / \sigma_w^2` for the product p."""
        return product / self.weight_std**2


@dataclass(frozen=True)
class OrthogonalWeights(BiInvariant):
    r""":math:`\sigma_w` times a Haar orthogonal matrix; :math:`\gamma = \sigma_w^2 / (1 + u)`.

    Examples
    --------
    >>> OrthogonalWeights(2.0).gain(np.array([1.0 + 0j]))
    array([2.+0.j])
    """

    weight_std: float

    def __post_init__(self) -> None:
        _check_scale(self.weight_std)

    def gain(self, u: Any) -> Any:
        r"""Return :math:`\sigma_w^2 / (1 + u)`."""
        return self.weight_std**2 / (1 + u)

    def gain_derivative(self, u: Any) -> Any:
        r"""Return :math:`-\sigma_w^2 / (1 + u)^2`."""
        return -(self.weight_std**2) / (1 + u) ** 2

    def potential(self, u: Any) -> Any:
        r"""Return :math:`\log(1 + u)`, on its principal branch.

        With :math:`\zeta` the product of the two effective diagonals, both above the real axis,
        :math:`1 + u = \zeta / (\zeta - \sigma_w^2)`, which is real only for negative
        :math:`\zeta` and then positive: the cut is never crossed.
        """
        return array_namespace(u).log(1 + u)

    def gain_series(self, order: int) -> np.ndarray:
        r"""Return :math:`\sigma_w^2 (1, -1, 1, \ldots)`."""
        return self.weight_std**2 * (-1.0) ** np.arange(order + 1)

    def coupling(self, product: Any, near: Any) -> Any:
        r"""Return :math:`u = p / (\sigma_w^2 - p)` for the product p."""
        return product / (self.weight_std**2 - product)


@dataclass(frozen=True)
class TransformWeights(BiInvariant):
    r"""An ensemble given by the S-transform of :math:`W W^T`.

    Parameters
    ----------
    s_transform
        S as a function of complex arrays, analytic near the segment from -1 to 0, real and
        positive on it, and free of zeros where it is evaluated.
    derivative
        S'; by default from the values of S on a small circle.

    Examples
    --------
    >>> ours = TransformWeights(lambda u: 0.25 / (1 + u))
    >>> u = np.array([-0.2 + 0.3j])
    >>> bool(np.allclose(ours.potential(u), GaussianWeights(2.0).potential(u), atol=1e-12))
    True
    """

    s_transform: Callable[[Any], Any]
    derivative: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        inside = np.array([-0.5, -0.25, -1e-9], dtype=complex)
        values = np.asarray(self.s_transform(inside))
        real = np.all(np.abs(np.imag(values)) <= 1e-12 * np.abs(values))
        if values.shape != inside.shape or not real or not np.all(np.real(values) > 0):
            raise ParameterError(
                "s_transform must take a complex array and be real and positive on (-1, 0): "
                "give the S-transform of W W^T"
            )

    def gain(self, u: Any) -> Any:
        """Return 1 / ((1 + u) S(u))."""
        return 1 / ((1 + u) * self.s_transform(u))

    def gain_derivative(self, u: Any) -> Any:
        r"""Return :math:`-\gamma (1 / (1 + u) + S' / S)`."""
        return -self.gain(u) * (1 / (1 + u) + self._slope(u) / self.s_transform(u))

    def potential(self, u: Any) -> Any:
        """Return p(u), the integral taken along the ray from 0."""
        xp = array_namespace(u)
        total = xp.zeros_like(u)
        for node, weight in zip((_RAY + 1) / 2, _RAY_WEIGHTS / 2, strict=True):
            v = u * float(node)
            total = total + float(weight) * v * self._slope(v) / self.s_transform(v)
        return xp.log(1 + u) - u * total

    def gain_series(self, order: int) -> np.ndarray:
        """Return the coefficients, from the values on a circle of radius 1/4."""
        if order >= _CIRCLE // 4:
            raise ParameterError(f"at most {_CIRCLE // 4 - 1} coefficients, not {order}")
        circle = 0.25 * np.exp(2j * math.pi * np.arange(_CIRCLE) / _CIRCLE)
        series = np.fft.fft(np.asarray(self.gain(circle))).real / _CIRCLE
        return series[: order + 1] / 0.25 ** np.arange(order + 1)

    def _slope(self, u: Any) -> Any:
        if self.derivative is not None:
            return self.derivative(u)
        # The mean of S(u + r w) / (r w) over roots of unity w is S'(u) up to r^8.  The circle stays
        # clear of the pole that S has at u = -1 where W has no singular values of 0.
        xp = array_namespace(u)
        distance = xp.abs(1 + u)
        radius = xp.where(distance < 0.04, distance / 2, 0 * distance + 0.02)
        radius = xp.where(radius > 0, radius, 0 * radius + 1e-3)
        total = 0.0
        for k in range(8):
            step = radius * complex(math.cos(math.pi * k / 4), math.sin(math.pi * k / 4))
            total = total + self.s_transform(u + step) / (8 * step)
        return total


def _check_scale(weight_std: float) -> None:
    if not (math.isfinite(weight_std) and weight_std >= 0):
        raise ParameterError(f"weight_std must be finite and >= 0, not {weight_std}")


def ensemble(weights: str | BiInvariant, weight_std: float) -> BiInvariant:
    """Return the ensemble of a name, ``"gaussian"`` or ``"orthogonal"``.

    An ensemble that is given as such is returned as it is: it states its own scale.

    Raises
    ------
    ParameterError
        If the name is unknown.

    Examples
    --------
    >>> ensemble("orthogonal", 1.5)
    OrthogonalWeights(weight_std=1.5)
    """
    if isinstance(weights, BiInvariant):
        return weights
    if weights == "gaussian":
        return GaussianWeights(weight_std)
    if weights == "orthogonal":
        return OrthogonalWeights(weight_std)
    raise ParameterError(f"unknown weights {weights!r}: use one of gaussian, orthogonal")
