r"""The law of singular values by stochastic Lanczos quadrature, with its errors.

For random sign vectors v the mean over v of :math:`v^T f(J^T J) v / n` is the mean of f over the
squared singular values.  Two errors remain: that of finitely many vectors and networks, which is
read off their scatter, and that of finitely many Lanczos steps, which has strict bounds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling.matrix_free.quadrature import GaussQuadrature
from rmt_jacobian.sampling.matrix_free.smoothing import SmoothedSpectrum

__all__ = ["LanczosSpectrum", "mean_and_error"]

_MARGIN = 1.02  # of the scale of a series over the largest node
_RISK = 1e-3  # that the largest singular value is above its upper bound


def mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over networks and vectors, and its standard error.

    Parameters
    ----------
    values
        Shape (networks, vectors, ...).

    Notes
    -----
    Means over the vectors of a network are independent of each other, so the scatter of two
    networks or more has both the noise of the networks and that of the vectors in it.  Of a single
    network only the noise of its vectors is seen, and of a single vector nothing: nan.

    Examples
    --------
    >>> mean, error = mean_and_error(np.array([[1.0, 3.0], [2.0, 4.0]]))
    >>> float(mean), float(error)
    (2.5, 0.5)
    """
    rows = values.mean(axis=1) if len(values) > 1 else values[0]
    mean = rows.mean(axis=0)
    if len(rows) < 2:
        return mean, np.full_like(mean, np.nan)
    return mean, rows.std(axis=0, ddof=1) / np.sqrt(len(rows))


@dataclass(frozen=True, eq=False)
class LanczosSpectrum:
    r"""The law of the singular values of J, from Lanczos steps on :math:`J^T J`.

    Parameters
    ----------
    measures
        Those of the vectors of every network, as many for each.
    dimension
        The number of singular values of a network, dN.

    Notes
    -----
    k Lanczos steps know the law at a resolution of about :math:`\pi s_{\max} / 4k` in s, and no
    finer, however small s is: of a product of many steps, most of whose singular values lie close
    to 0, they see how much lies there, and not where.

    References
    ----------
    :cite:t:`ChenTrogdonUbaru2021`; :cite:t:`UbaruChenSaad2017`.

    Examples
    --------
    >>> from rmt_jacobian.sampling.matrix_free.lanczos import lanczos_recurrences
    >>> s = np.linspace(0, 2, 1000)
    >>> v = np.random.default_rng(0).choice([-1.0, 1.0], (1000, 2))
    >>> found = lanczos_recurrences(lambda v: (s**2)[:, None] * v, v, 30)
    >>> spectrum = LanczosSpectrum(((GaussQuadrature(found[0]), GaussQuadrature(found[1])),), 1000)
    >>> low, high = spectrum.cdf_bounds(1.0)
    >>> bool(low < 0.5 < high), bool(high - low < 0.05)
    (True, True)
    """

    measures: tuple[tuple[GaussQuadrature, ...], ...]
    dimension: int

    def __post_init__(self) -> None:
        if not self.measures or len({len(row) for row in self.measures}) != 1:
            raise ParameterError("give at least one network, and as many vectors for each")
        if not self.measures[0]:
            raise ParameterError("give at least one vector for each network")

    @property
    def networks(self) -> int:
        """The number of networks."""
        return len(self.measures)

    @property
    def vectors(self) -> int:
        """The number of vectors for each network."""
        return len(self.measures[0])

    @property
    def steps(self) -> int:
        """The least number of Lanczos steps of those that were not exhausted earlier."""
        all_of_them = [m for row in self.measures for m in row]
        running = [m.steps for m in all_of_them if not m.coefficients.exhausted]
        return min(running or [m.steps for m in all_of_them])

    @property
    def ritz_value(self) -> float:
        """The largest node, as a singular value: a lower bound of the largest of all networks."""
        return float(np.sqrt(max(0.0, *(m.nodes[-1] for row in self.measures for m in row))))

    @property
    def largest_bound(self) -> float:
        """What the largest singular value of every network is below, at a risk of 1e-3 in all.

        For vectors that are uniform on the sphere, as sign vectors nearly are.
        """
        risk = _RISK / self.networks
        # One vector that has seen the end of the spectrum is enough.
        bounds = [min(m.largest(self.dimension, risk / len(row))[1] for m in row)
                  for row in self.measures]  # fmt: skip
        return float(np.sqrt(max(0.0, *bounds)))

    def _each(self, function: Callable[[GaussQuadrature], np.ndarray]) -> np.ndarray:
        return np.array([[function(m) for m in row] for row in self.measures])

    def moments(self, order: int) -> tuple[np.ndarray, np.ndarray]:
        r"""Return :math:`m_j = \frac1{dN} \mathrm{tr} (J J^T)^j` for j = 0, ..., order, and errors.

        Exact for each vector; of order 2k at most.
        """
        if order > 2 * self.steps:
            raise ParameterError(
                f"{self.steps} Lanczos steps give moments up to order {2 * self.steps}, "
                f"not {order}: take more steps"
            )
        return mean_and_error(self._each(lambda m: m.moments(order)))

    def cdf(self, s: ArrayLike) -> np.ndarray:
        """Return the fraction of the singular values up to s: the middle of :meth:`cdf_bounds`."""
        return self.cdf_with_error(s)[0]

    def cdf_with_error(self, s: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the cdf and the standard error that vectors and networks give it."""
        squares = _signed_square(s)
        return mean_and_error(self._each(lambda m: m.middle(squares)))

    def cdf_bounds(self, s: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return strict bounds of what infinitely many Lanczos steps from these vectors would give.

        They do not include the noise of the vectors, see :meth:`cdf_with_error`.
        """
        squares = _signed_square(s)
        below, above = np.moveaxis(self._each(lambda m: np.array(m.bounds(squares))), 2, 0)
        return below.mean(axis=(0, 1)), above.mean(axis=(0, 1))

    @property
    def wasserstein_bound(self) -> float:
        """Bound on the Wasserstein-1 distance, in s, between :meth:`cdf` and infinitely many steps.

        It is the integral of half the distance between :meth:`cdf_bounds`.
        """
        s = np.linspace(0.0, self.scale, 4001)
        below, above = self.cdf_bounds(s)
        # Bounds are monotone: the upper one at the right end and the lower one at the left are safe
        # for the whole cell.
        return float(np.sum(above[1:] - below[:-1]) * (s[1] - s[0])) / 2

    @cached_property
    def scale(self) -> float:
        """The end b of the interval of :meth:`smoothed`: 2 % above the largest node."""
        return _MARGIN * self.ritz_value

    @property
    def order(self) -> int:
        """The order of the Chebyshev series that k steps determine, 2k - 1."""
        return 2 * self.steps - 1

    def smoothed(self, *, scale: float | None = None, order: int | None = None) -> SmoothedSpectrum:
        """Return the law at the resolution that the Lanczos steps have.

        Parameters
        ----------
        scale
            b, by default :attr:`scale`.
        order
            Of the series, at most 2k - 1, which is the default.  A lower one is smoother.
        """
        moments = self._cosines(scale, order)
        return SmoothedSpectrum(scale or self.scale, moments.mean(axis=(0, 1)))

    def density(self, s: ArrayLike) -> np.ndarray:
        """Return the density of the singular values at the resolution of :meth:`smoothed`."""
        return self.smoothed().pdf(s)

    def density_with_error(
        self, s: ArrayLike, *, scale: float | None = None, order: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the smoothed density and its standard error."""
        return self._smoothed_each(lambda smoothed: smoothed.pdf(s), scale, order)

    def smoothed_cdf_with_error(
        self, s: ArrayLike, *, scale: float | None = None, order: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the cdf of :meth:`smoothed` and its standard error."""
        return self._smoothed_each(lambda smoothed: smoothed.cdf(s), scale, order)

    def _smoothed_each(
        self,
        function: Callable[[SmoothedSpectrum], np.ndarray],
        scale: float | None,
        order: int | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        moments, b = self._cosines(scale, order), scale or self.scale
        values = [[function(SmoothedSpectrum(b, row)) for row in rows] for rows in moments]
        return mean_and_error(np.array(values))

    def _cosines(self, scale: float | None, order: int | None) -> np.ndarray:
        order = self.order if order is None else order
        if not 1 <= order <= self.order:
            raise ParameterError(
                f"{self.steps} Lanczos steps determine series of order 1 to {self.order}, "
                f"not {order}"
            )
        b = self.scale if scale is None else scale
        if not b >= self.ritz_value:
            raise ParameterError(f"the scale must be at least {self.ritz_value:g}, not {b:g}")
        return self._each(lambda m: m.cosine_moments(b * b, order))

    @classmethod
    def joined(cls, spectra: Sequence["LanczosSpectrum"]) -> "LanczosSpectrum":
        """Return the spectrum of all networks of several, with as many vectors each."""
        dimensions = {spectrum.dimension for spectrum in spectra}
        if len(dimensions) != 1:
            raise ParameterError("only networks of one dimension can be joined")
        return cls(tuple(row for each in spectra for row in each.measures), dimensions.pop())


def _signed_square(s: ArrayLike) -> np.ndarray:
    s = np.asarray(s, dtype=float)
    return s * np.abs(s)
