"""One number by every route: printed, S-transform, exact, on the drawn sites, and sampled."""

import math
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.sampling import Weights

__all__ = ["AGREES", "FAILS", "Comparison", "Estimate", "Row", "verdict"]

# Limits on |z|: at 3 one comparison in 370 would be wrongly doubted, at 4 one in 16,000 rejected.
AGREES = 3.0
FAILS = 4.0


@dataclass(frozen=True)
class Estimate:
    """A sampled mean with its standard error."""

    value: float
    standard_error: float

    @classmethod
    def of(cls, samples: np.ndarray) -> "Estimate":
        """Average independent samples, at least two."""
        return cls(float(samples.mean()), float(samples.std(ddof=1) / math.sqrt(samples.size)))

    def z(self, theory: float) -> float:
        """Return (theory - value) in standard errors."""
        difference = theory - self.value
        if self.standard_error > 0:
            return difference / self.standard_error
        return math.copysign(math.inf, difference) if difference else 0.0


@dataclass(frozen=True)
class Comparison:
    """A moment or a variance of J J^T by every route.

    Attributes
    ----------
    printed
        Right-hand side of eq. (12) of Chen et al. (2018); None for cells it was not printed for.
    s_transform
        By multiplying S-transforms.
    exact
        By the diagonal-valued route, or by the chain of any cell.
    paired
        The theory on the drawn sites, averaged over samples.
    sampled
        The sampled mean and its standard error.
    paired_standard_error
        Standard error of (sampled - paired): what is left when the noise of the sites is removed.
    finite_width
        Size of the corrections that theory at infinite width leaves out, of order T / N relative.
    limit_error
        Standard error of ``exact`` where sites stand for the law of a site; 0 where it has none.
    """

    printed: float | None
    s_transform: float
    exact: float
    paired: float
    sampled: Estimate
    paired_standard_error: float
    finite_width: float = 0.0
    limit_error: float = 0.0

    @classmethod
    def of(
        cls,
        printed: float | None,
        s_transform: float,
        exact: Estimate,
        sampled: np.ndarray,
        paired: np.ndarray,
        *,
        allowed: float,
    ) -> "Comparison":
        """Average samples and theory on their sites, shape (samples,), T / N being allowed for."""
        return cls(
            printed,
            s_transform,
            exact.value,
            float(paired.mean()),
            Estimate.of(sampled),
            Estimate.of(sampled - paired).standard_error,
            abs(exact.value) * allowed,
            exact.standard_error,
        )

    @property
    def paired_ratio(self) -> Estimate:
        """The sampled value over the theory on the drawn sites; nan where that is 0."""
        if self.paired == 0:
            return Estimate(math.nan, math.nan)
        error = self.paired_standard_error / abs(self.paired)
        return Estimate(self.sampled.value / self.paired, error)

    @property
    def limit_z(self) -> float:
        """(exact - sampled) in standard errors, the noise of the drawn sites being among these."""
        errors = self.sampled.standard_error, self.limit_error, self.finite_width
        return Estimate(self.sampled.value, math.hypot(*errors)).z(self.exact)

    @property
    def without_site_noise(self) -> Estimate:
        """The sampled value with (paired - exact) subtracted, a control variate.

        The noise that the drawn sites share with the theory on those sites cancels, and so does
        their common bias at finite width.  The error combines the standard error with the
        corrections of relative size T/N that remain, and with that of ``exact``.
        """
        error = math.hypot(self._remaining_error, self.limit_error)
        return Estimate(self.sampled.value - self.paired + self.exact, error)

    @property
    def _remaining_error(self) -> float:
        return math.hypot(self.paired_standard_error, self.finite_width)

    def z(self) -> dict[str, float | None]:
        """Return (theory - sampled) in standard errors, for each route.

        ``paired`` compares on the drawn sites; the others are measured against
        :attr:`without_site_noise`.
        """
        estimate = self.without_site_noise
        return {
            "printed": None if self.printed is None else estimate.z(self.printed),
            "s_transform": estimate.z(self.s_transform),
            "exact": estimate.z(self.exact),
            "paired": Estimate(self.sampled.value, self._remaining_error).z(self.paired),
        }

    def raw_z(self) -> dict[str, float | None]:
        """Return (theory - sampled) in standard errors of the raw sampled mean."""
        return {
            "printed": None if self.printed is None else self.sampled.z(self.printed),
            "s_transform": self.sampled.z(self.s_transform),
            "exact": self.sampled.z(self.exact),
            "paired": self.sampled.z(self.paired),
        }


@dataclass(frozen=True)
class Row:
    """All comparisons for one ensemble and one number of steps.

    Attributes
    ----------
    weights, steps
        The ensemble and T.
    mean, mean_exact
        m_1, sampled and in the limit.
    second_moment, variance
        Of J J^T.
    first_moment
        m_1 by every route, for cells whose m_1 is not a power of a growth rate; else None.
    """

    weights: Weights
    steps: int
    mean: Estimate
    mean_exact: float
    second_moment: Comparison
    variance: Comparison
    first_moment: Comparison | None = None

    @property
    def verdicts(self) -> dict[str, str | None]:
        """What the samples say of each route to m_2; None where there is no printed value.

        Where m_1 is compared by every route, the theory on the drawn sites has a verdict of its
        own and ``exact`` is measured against the raw samples.
        """
        if self.first_moment is not None:
            return dict(self.of_moment(self.second_moment))
        z = self.second_moment.z()
        routes = {"printed": "printed", "s_transform": "S-transform", "exact": "exact"}
        return {
            name: None if (value := z[key]) is None else verdict(value)
            for key, name in routes.items()
        }

    @staticmethod
    def of_moment(moment: Comparison) -> dict[str, str]:
        """Return the verdicts on limit, theory on the drawn sites, and free steps."""
        z = moment.z()
        values = {"exact": moment.limit_z, "paired": z["paired"], "free steps": z["s_transform"]}
        known = {
            "exact": moment.exact,
            "paired": moment.paired,
            "free steps": moment.s_transform + moment.paired + moment.exact,
        }
        return {
            name: verdict(value) if math.isfinite(known[name]) else "unknown"
            for name, value in values.items()
            if value is not None
        }

    @property
    def verdict(self) -> str:
        """What the samples say of each route, in words."""
        return ", ".join(f"{name} {word}" for name, word in self.verdicts.items() if word)


def verdict(z: float) -> str:
    """Say in a word what a deviation of z standard errors means.

    Examples
    --------
    >>> verdict(0.3), verdict(-3.5), verdict(12.0)
    ('agrees', 'in doubt', 'fails')
    """
    if abs(z) <= AGREES:
        return "agrees"
    return "fails" if abs(z) >= FAILS or math.isnan(z) else "in doubt"
