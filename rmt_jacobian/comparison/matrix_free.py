"""A law beside the spectrum of products that were never formed."""

from dataclasses import dataclass

import numpy as np
from scipy.special import kolmogi

from rmt_jacobian.comparison.distances import LineLaw
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling import LanczosSpectrum, SmoothedSpectrum

__all__ = ["LanczosComparison", "compare_lanczos"]

_ANGLES = 4096  # of the grid on which cumulative functions are compared
_TAIL = 1e-12  # cut off laws without bounded support
_MARGIN = 1e-6


@dataclass(frozen=True)
class LanczosComparison:
    """Distances between a law and a spectrum by Lanczos quadrature.

    Attributes
    ----------
    label
        What was compared.
    width, networks, vectors, lanczos_steps
        N, and how much was sampled.
    resolution
        Of the comparison, in s, where it is coarsest.
    quantile
        The share of right laws whose distances stay below the null.
    ks
        The Kolmogorov-Smirnov distance at that resolution: both are smoothed by the same kernel.
    outside
        How far the law leaves the strict bounds of the spectrum, 0 if it stays inside.
    null
        What either is allowed.
    """

    label: str
    width: int
    networks: int
    vectors: int
    lanczos_steps: int
    resolution: float
    quantile: float
    ks: float
    outside: float
    null: float

    @property
    def verdict(self) -> str:
        """``agrees`` or ``fails``."""
        return "agrees" if max(self.ks, self.outside) <= self.null else "fails"


def compare_lanczos(
    law: LineLaw,
    spectrum: LanczosSpectrum,
    *,
    label: str = "",
    quantile: float = 0.99,
    states: int = 1,
    law_error: float = 0.0,
) -> LanczosComparison:
    r"""Compare a law of singular values with a spectrum by Lanczos quadrature.

    .. math:: D_q = K^{-1}(q) \sqrt{\frac{1}{N n} + \frac{2}{d N m n}} + \frac{1}{2N}
              + \text{law error}

    Parameters
    ----------
    law
        With ``cdf`` and ``ppf``.
    spectrum
        Of n networks and m vectors for each.
    label
        What the row of a report is called.
    quantile
        q.
    states
        d, the number of states of a site.
    law_error
        How far the law itself may be off, such as
        :attr:`~rmt_jacobian.singular_values.SingularValueLaw.error_estimate`.

    Notes
    -----
    The first term under the root is the noise of the drawn sites, as in :func:`.finite_size_null`;
    the second is that of the vectors: the weights of a random vector on n eigenvectors in general
    position follow a Dirichlet law, whose cumulative sums are a Brownian bridge of twice the
    variance of that of n points.  Sign vectors have no more.

    Smoothing does not increase the distance of two cumulative functions, so the null of the true
    spectrum is safe for the smoothed one.  What lies below the resolution is compared by its
    mass only.

    Raises
    ------
    ParameterError
        If the quantile is not between 0 and 1, or the number of states does not divide the number
        of singular values.

    Examples
    --------
    >>> from rmt_jacobian.laws import QuarterCircle
    >>> from rmt_jacobian.sampling import GaussQuadrature, lanczos_recurrences
    >>> rng = np.random.default_rng(0)
    >>> M = rng.standard_normal((400, 400)) / 20
    >>> found = lanczos_recurrences(lambda v: M.T @ (M @ v), rng.choice([-1.0, 1.0], (400, 4)), 20)
    >>> spectrum = LanczosSpectrum((tuple(GaussQuadrature(c) for c in found),), 400)
    >>> compare_lanczos(QuarterCircle(), spectrum).verdict
    'agrees'
    >>> compare_lanczos(QuarterCircle(2.5), spectrum).verdict
    'fails'
    """
    if not 0 < quantile < 1:
        raise ParameterError(f"quantile must lie between 0 and 1, not {quantile}")
    if states < 1 or spectrum.dimension % states:
        raise ParameterError(
            f"{spectrum.dimension} singular values are not those of {states} states each: give the "
            "number of states of a site"
        )
    width = spectrum.dimension // states
    end = float(law.ppf(1.0))
    end = end if np.isfinite(end) else float(law.ppf(1 - _TAIL))
    scale = max(spectrum.scale, end * (1 + _MARGIN))
    sampled = spectrum.smoothed(scale=scale)
    theory = SmoothedSpectrum.of_law(law, scale=scale, order=sampled.order)
    s = scale * np.cos(np.linspace(0, np.pi, _ANGLES + 1) / 2)
    lower, upper = spectrum.cdf_bounds(s)
    F = np.asarray(law.cdf(s), dtype=float)
    noise = 1 / width + 2 / (spectrum.dimension * spectrum.vectors)
    null = kolmogi(1 - quantile) * np.sqrt(noise / spectrum.networks) + 0.5 / width + law_error
    return LanczosComparison(
        label,
        width,
        spectrum.networks,
        spectrum.vectors,
        spectrum.steps,
        float(sampled.resolution(0.0)),
        quantile,
        float(np.max(np.abs(sampled.cdf(s) - theory.cdf(s)))),
        float(max(0.0, np.max(lower - F), np.max(F - upper))),
        float(null),
    )
