"""The Marchenko-Pastur law: squared singular values of a rectangular Gaussian matrix."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.laws.checks import positive
from rmt_jacobian.laws.known.fit import Fit, spectra_of
from rmt_jacobian.laws.law import Law

__all__ = ["MarchenkoPastur"]

_SERIES_BELOW = 0.1  # of the square root of the ratio
_SERIES_TERMS = 18


@dataclass(frozen=True)
class MarchenkoPastur(Law):
    r"""The law of the eigenvalues of :math:`G G^{\mathsf T}` for a wide or tall Gaussian matrix.

    .. math::
        \rho(x) = \frac{\sqrt{(x_+ - x)(x - x_-)}}{2 \pi \, \text{ratio} \, \text{scale} \, x},
        \qquad x_\pm = \text{scale} \, (1 \pm \sqrt{\text{ratio}})^2

    G is N x M with independent entries of variance ``scale / M``, so that the mean of the law is
    ``scale``.  For ``ratio > 1`` there is an atom of mass ``1 - 1/ratio`` at 0; at ``ratio = 1``
    the density has a hard edge there, an inverse square root.

    Parameters
    ----------
    ratio
        N / M, positive and finite.
    scale
        The mean, positive and finite.

    Raises
    ------
    ParameterError
        If a parameter is not positive and finite.

    References
    ----------
    V. A. Marchenko and L. A. Pastur (1967), Distribution of eigenvalues for some sets of random
    matrices; Nica & Speicher 2006, Lecture 12.

    Examples
    --------
    >>> law = MarchenkoPastur(ratio=2)
    >>> law.atoms()
    ((0.0, 0.5),)
    >>> law.mean(), law.var()
    (1.0, 2.0)
    """

    ratio: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        positive("ratio", self.ratio)
        positive("scale", self.scale)

    @classmethod
    def fit(cls, values: ArrayLike) -> "Fit[MarchenkoPastur]":
        r"""Fit ratio and scale to the eigenvalues of sample covariance matrices.

        .. math:: \text{scale} = m_1, \qquad
                  \text{ratio} = \frac{m_2 / m_1^2 - 1}{1 + 1/N} \pm \frac{2 \, \text{ratio}}{N}

        Parameters
        ----------
        values
            Eigenvalues of :math:`G G^T`, zeros included, shape (samples, N) or (N,).

        Notes
        -----
        The errors, and the bias of 1/N that is taken off, assume independent real Gaussian entries.

        References
        ----------
        Z. D. Bai and J. W. Silverstein (2004), CLT for linear spectral statistics of
        large-dimensional sample covariance matrices.

        Examples
        --------
        >>> g = np.random.default_rng(0).standard_normal((200, 400)) * np.sqrt(3 / 400)
        >>> print(MarchenkoPastur.fit(np.linalg.eigvalsh(g @ g.T)))
        MarchenkoPastur: ratio = 0.493591 +- 0.0049, scale = 2.99818 +- 0.015
        """
        spectra, samples, width = spectra_of(values, positive=True)
        scale = float(spectra.mean())
        ratio = float(np.mean(spectra**2) / scale**2 - 1) / (1 + 1 / width)
        of_scale = scale * math.sqrt(2 * ratio / samples) / width
        errors = {"ratio": 2 * ratio / (width * math.sqrt(samples)), "scale": of_scale}
        return Fit(cls(ratio, scale), errors)

    @property
    def edge_exponent_at_zero(self) -> float | None:
        """The exponent 1/2 at ratio 1; None at other ratios, which have no hard edge."""
        return 0.5 if self.ratio == 1 else None

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the bulk between the two edges."""
        root = math.sqrt(self.ratio)
        return ((self.scale * (1 - root) ** 2, self.scale * (1 + root) ** 2),)

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Return the atom at 0, if the ratio exceeds 1."""
        return ((0.0, 1 - 1 / self.ratio),) if self.ratio > 1 else ()

    def var(self) -> float:
        """Return ``ratio * scale**2``."""
        return float(self.ratio * self.scale * self.scale)

    def _free_cumulants(self, n: int) -> np.ndarray:
        """Return ``scale**k * ratio**(k - 1)`` for k from 1 to n."""
        orders = np.arange(1, n + 1)
        return self.scale**orders * float(self.ratio) ** (orders - 1)

    def r_transform(self, w: ArrayLike) -> np.ndarray:
        """Return ``scale / (1 - scale * ratio * w)``."""
        return self.scale / (1 - self.scale * self.ratio * np.asarray(w, dtype=complex))

    def s_transform(self, u: ArrayLike) -> np.ndarray:
        """Return ``1 / (scale * (1 + ratio * u))``."""
        return 1 / (self.scale * (1 + self.ratio * np.asarray(u, dtype=complex)))

    def _density(self, x: np.ndarray) -> np.ndarray:
        ((low, high),) = self.support_intervals()
        inner = np.sqrt((x - low) / x) if low > 0 else 1.0  # no 0/0 at the hard edge
        return np.sqrt((high - x) / x) * inner / (2 * np.pi * self.ratio * self.scale)

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        ((low, high),) = self.support_intervals()
        linear = z + self.scale * (self.ratio - 1)
        root = np.sqrt(z - low) * np.sqrt(z - high)  # grows like z: one root for each edge
        # Two forms of one root of the quadratic equation; each loses digits where the other
        # does not.
        add, subtract = linear + root, linear - root
        stable = np.abs(add) >= np.abs(subtract)
        return np.where(stable, 2 / add, subtract / (2 * self.ratio * self.scale * z))

    def _self_energy(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sigma = self.scale / (1 - self.scale * self.ratio * self._cauchy_above(z))
        # With R in closed form, z = R(G) + 1/G gives the slope q / (q - 1), q = R'(G) G^2.
        q = self.ratio * (sigma / (z - sigma)) ** 2
        return sigma, q / (q - 1)

    def _moment(self, n: int) -> float:
        narayana = (
            math.comb(n, k) * math.comb(n - 1, k) / (k + 1) * self.ratio**k for k in range(n)
        )
        return float(self.scale**n * sum(narayana)) if n else 1.0

    def _mass_below(self, k: int, angle: np.ndarray) -> np.ndarray:
        r"""Return the closed form of the mass below an angle.

        .. math:: \frac 2 \pi \int_0^\theta \frac{\sin^2 t \, dt}{1 - 2 q \cos t + q^2}

        Here q is the square root of the ratio.  The law of ratio 1/q^2 has the same form, with
        a mass that is smaller by the atom.
        """
        root = math.sqrt(self.ratio)
        q = min(root, 1 / root)
        if q < _SERIES_BELOW:  # where the difference of the closed form loses digits
            orders = np.arange(1, _SERIES_TERMS)
            waves = np.sin(np.multiply.outer(angle, orders)) * q**orders / orders
            below = angle + waves.sum(-1) - waves[..., 1:].sum(-1) / q**2
        else:
            lag = np.arctan2(q * np.sin(angle), 1 - q * np.cos(angle))
            below = angle + (q * np.sin(angle) - (1 - q**2) * lag) / q**2
        return below / np.pi * min(1.0, 1 / self.ratio)
