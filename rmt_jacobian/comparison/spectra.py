"""A sampled spectrum beside a law: distances, what chance allows, and a verdict."""

from dataclasses import dataclass

import numpy as np

from rmt_jacobian.comparison.distances import (
    LineLaw,
    finite_size_null,
    ks_distance,
    wasserstein_distance,
    wasserstein_null,
)
from rmt_jacobian.errors import ParameterError

__all__ = ["SpectrumComparison", "compare_spectrum"]


@dataclass(frozen=True)
class SpectrumComparison:
    """Distances between sampled spectra and a law.

    Attributes
    ----------
    label
        What was compared, such as the ensemble and the number of steps.
    width, samples
        N and the number of networks.
    quantile
        The share of right laws whose distances stay below the nulls.
    ks, ks_null
        The Kolmogorov-Smirnov distance, and :func:`.finite_size_null`.
    wasserstein, wasserstein_null
        The Wasserstein-1 distance, and :func:`.wasserstein_null`.
    """

    label: str
    width: int
    samples: int
    quantile: float
    ks: float
    ks_null: float
    wasserstein: float
    wasserstein_null: float

    @property
    def verdict(self) -> str:
        """``agrees`` or ``fails``, by the Kolmogorov-Smirnov distance.

        That distance does not see how far the largest values are out, where few values carry the
        scatter of the whole network; the Wasserstein distance does, and is no verdict for that
        reason.
        """
        return "agrees" if self.ks <= self.ks_null else "fails"


def compare_spectrum(
    law: LineLaw,
    values: np.ndarray,
    *,
    label: str = "",
    quantile: float = 0.99,
    states: int = 1,
) -> SpectrumComparison:
    """Compare sampled spectra with a law.

    Parameters
    ----------
    law
        Anything with ``cdf`` and ``ppf``: a law of this package or a frozen ``scipy.stats``
        distribution, of the variable that ``values`` are.
    values
        Sampled values, shape (samples, dN); a single row may be given as shape (dN,).
    label
        What the row of a report is called.
    quantile
        Of the finite-size nulls.
    states
        d, the number of states of a site.  The nulls are those of N sites: the d values that a
        site adds to a spectrum are not independent.

    Raises
    ------
    ParameterError
        If there are no values, some are not finite, ``states`` does not divide their number, or the
        quantile is not between 0 and 1.

    Examples
    --------
    >>> from rmt_jacobian.laws import QuarterCircle
    >>> gaussian = np.random.default_rng(0).standard_normal((4, 64, 64)) / 8
    >>> values = np.linalg.svd(gaussian, compute_uv=False)
    >>> compare_spectrum(QuarterCircle(), values).verdict
    'agrees'
    >>> compare_spectrum(QuarterCircle(2.5), values).verdict
    'fails'
    """
    values = np.atleast_2d(np.asarray(values, dtype=float))
    if states < 1 or values.shape[1] % states:
        raise ParameterError(
            f"{values.shape[1]} values of a network are not those of {states} states each: "
            "give the number of states of a site"
        )
    samples, width = values.shape[0], values.shape[1] // states
    return SpectrumComparison(
        label,
        width,
        samples,
        quantile,
        ks_distance(values, law),
        finite_size_null(width, samples, quantile=quantile),
        wasserstein_distance(values, law),
        wasserstein_null(law, width, samples, quantile=quantile),
    )
