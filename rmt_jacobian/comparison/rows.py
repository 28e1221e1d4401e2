"""One number by every route: printed, S-transform, exact, on the drawn sites, and sampled."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rmt_jacobian.comparison.measured import Measured
from rmt_jacobian.sampling import Weights

__all__ = ["AGREES", "FAILS", "Comparison", "Row", "verdict", "verdict_of_all"]

# Limits on |z|: at 3 one comparison in 370 would be wrongly doubted, at 4 one in 16,000 rejected.
AGREES = 3.0
FAILS = 4.0


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
    measured
        What the samples say: raw, over the theory on the drawn sites, and of the limit.
    limit_error
        Standard error of ``exact`` where sites stand for the law of a site; 0 where it has none.
    tied, tied_error
        The limit for networks that keep their weights, where those were sampled, and its standard
        error; ``exact`` is that of fresh weights.
    """

    printed: float | None
    s_transform: float
    exact: float
    measured: Measured
    limit_error: float = 0.0
    tied: float | None = None
    tied_error: float = 0.0

    @property
    def routes(self) -> dict[str, float | None]:
        """The value by every route to the limit."""
        found = {"printed": self.printed, "s_transform": self.s_transform, "exact": self.exact}
        return found if self.tied is None else {**found, "tied": self.tied}

    @property
    def best(self) -> tuple[float, float]:
        """The limit that holds for the networks that were sampled, and its standard error."""
        if self.tied is None:
            return self.exact, self.limit_error
        return self.tied, self.tied_error

    def z(self) -> dict[str, float | None]:
        """Return (theory - sampled) in standard errors, for each route.

        The routes to the limit are measured against the limit by samples.  ``exact on sites``
        measures the exact one against the theory on many drawn sites alone, and ``paired`` the
        theory on the drawn sites against the samples, where only the noise of W is left.
        """
        measured = self.measured
        found = {
            name: None if value is None else measured.limit.z(value, error=self._error(name))
            for name, value in self.routes.items()
        }
        on_sites = {
            f"{name} on sites": measured.on_sites.z(value, error=self._error(name))
            for name in ("exact", "tied")
            if (value := self.routes.get(name)) is not None
        }
        return {**found, **on_sites, "paired": measured.ratio.z(1.0)}

    def _error(self, route: str) -> float:
        return self.tied_error if route == "tied" else self.limit_error

    def raw_z(self) -> dict[str, float | None]:
        """Return (theory - sampled) in standard errors of the raw sampled mean."""
        sampled = self.measured.sampled
        return {
            **{n: None if v is None else sampled.z(v) for n, v in self.routes.items()},
            "paired": sampled.z(self.measured.paired),
        }

    def scores(self) -> dict[str, tuple[float, ...]]:
        """Return the deviations that the verdict on each route rests on, none without a value.

        ``exact`` holds if all it claims does: that it is the average of the theory over sites, that
        the theory on drawn sites is right about W, and so that it is the limit.
        """
        z = self.z()
        rests_on = {
            "printed": ("printed",),
            "s_transform": ("s_transform",),
            "exact": ("exact", "exact on sites", "paired"),
            "paired": ("paired",),
        }
        if self.tied is not None:
            rests_on["exact"] = ("exact",)
            rests_on["tied"] = ("tied", "tied on sites", "paired")
        return {
            route: tuple(value for name in names if (value := z[name]) is not None)
            for route, names in rests_on.items()
        }

    @property
    def verdicts(self) -> dict[str, str | None]:
        """What the samples say of each route, and of the theory on the drawn sites.

        ``unknown`` where a number leaves the range of floating-point numbers.
        """
        return {
            route: verdict_of_all(scores) if scores else None
            for route, scores in self.scores().items()
        }


@dataclass(frozen=True)
class Row:
    """All comparisons for one ensemble and one number of steps.

    Attributes
    ----------
    weights, steps
        The ensemble and T.
    mean, second_moment, variance
        m_1, m_2 and :math:`m_2 - m_1^2` of J J^T.
    one_matrix
        Whether the Jacobian is A + B W, and m_1 the power of a growth rate.
    """

    weights: Weights
    steps: int
    mean: Comparison
    second_moment: Comparison
    variance: Comparison
    one_matrix: bool = True

    @property
    def verdicts(self) -> dict[str, str | None]:
        """What the samples say of each route to m_2, by its name in the report."""
        return self.of_moment(self.second_moment)

    def of_moment(self, moment: Comparison) -> dict[str, str | None]:
        """Return the verdicts on one moment by the names of the report."""
        words = moment.verdicts
        if moment.tied is not None:
            names = {"untied": "exact", "tied": "tied", "paired": "paired"}
        elif self.one_matrix:
            names = {"printed": "printed", "S-transform": "s_transform", "exact": "exact"}
        else:
            names = {"exact": "exact", "paired": "paired", "free steps": "s_transform"}
        return {name: words[key] for name, key in names.items()}

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


def verdict_of_all(deviations: Iterable[float]) -> str:
    """Say what the worst of several deviations means; unknown if one of them is no number.

    Examples
    --------
    >>> verdict_of_all([0.3, -12.0]), verdict_of_all([0.1, math.nan])
    ('fails', 'unknown')
    """
    known = [abs(z) for z in deviations]
    return "unknown" if any(math.isnan(z) for z in known) else verdict(max(known))
