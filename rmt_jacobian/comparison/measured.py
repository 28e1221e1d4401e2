r"""What sampled networks say of a moment at infinite width, by way of the theory on their sites.

Let S be a moment of a sampled product and P the theory on the sites that were drawn with it, which
is random only by way of these.  Theory claims two things, and each is measured by itself:

.. math:: \rho = \lim_{N \to \infty} \mathbb E \frac S P = 1, \qquad
          p = \lim_{N \to \infty} \mathbb E P = \text{the limit} .

The first is about W.  The ratio of one network scatters by O(1/N), however heavy the tails of the
sites are, and its mean is off by O(1/N) as well.  So networks of two widths N and n are sampled,
and what is of order 1/N cancels in

.. math:: \rho = \frac{N \rho_N - n \rho_n}{N - n} ;

what is left is of order :math:`T^2 / N n`, and allowed for.  The second is about the sites, and is
measured on many that are drawn without W.  The samples then say :math:`\rho \, p` of the limit.
"""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Estimate", "Measured", "WidthPair"]

_NOTHING = 1e-100  # the theory on drawn sites takes derivatives below 1e-60 for 0


@dataclass(frozen=True)
class Estimate:
    """A sampled mean with its standard error."""

    value: float
    standard_error: float

    @classmethod
    def of(cls, samples: np.ndarray) -> "Estimate":
        """Average independent samples, at least two; nan if one of them is no finite number."""
        if not np.isfinite(samples).all():
            return cls(math.nan, math.nan)
        return cls(float(samples.mean()), float(samples.std(ddof=1) / math.sqrt(samples.size)))

    def z(self, theory: float, *, error: float = 0.0) -> float:
        """Return (theory - value) in standard errors; the theory may have an error of its own.

        It is nan where the theory or the value is no finite number.
        """
        difference = theory - self.value
        if not math.isfinite(difference):
            return math.nan
        if (total := math.hypot(self.standard_error, error)) != 0:
            return difference / total
        return math.copysign(math.inf, difference) if difference else 0.0


@dataclass(frozen=True)
class WidthPair:
    """The widths of the networks that are sampled, and what is left out at a number of steps.

    Attributes
    ----------
    wide, narrow
        N and n.

    Examples
    --------
    >>> WidthPair.below(512), WidthPair.below(24)
    (WidthPair(wide=512, narrow=64), WidthPair(wide=24, narrow=12))
    >>> pair = WidthPair.below(512)
    >>> found = pair.limit(3 + np.array([1.9, 2.1]) / 512, 3 + np.array([1.9, 2.1]) / 64)
    >>> round(found.value, 12)
    3.0
    """

    wide: int
    narrow: int

    @classmethod
    def below(cls, width: int, *, tied: bool = False) -> "WidthPair":
        """Return a width with an eighth of it, or, if that is below 32, with 32 or half of it.

        Narrower networks scatter too much for what they say about finite width.  Tied ones meet
        the same W at every step, and take a quarter.
        """
        return cls(width, max(width // (4 if tied else 8), min(width // 2, 32)))

    def limit(self, wide: np.ndarray, narrow: np.ndarray) -> Estimate:
        """Return the mean at infinite width, from samples of either width, shape (samples,)."""
        share = self.wide / (self.wide - self.narrow)
        left, right = Estimate.of(wide), Estimate.of(narrow)
        return Estimate(
            share * left.value + (1 - share) * right.value,
            math.hypot(share * left.standard_error, (1 - share) * right.standard_error),
        )

    def at_finite_width(self, steps: int, order: int) -> float:
        """Return by how much, relatively, a moment of wide tied networks may be off its limit.

        The mean of a moment over its theory was off by up to 0.5 T / N (m_1) and 2 T / N (m_2) at
        widths of 64 to 256, minimalRNN and GRU, both ensembles; other cells may need more.
        """
        return order**2 / 2 * steps / self.wide

    def left_out(self, steps: int) -> float:
        """Return the relative size of what the extrapolation leaves out."""
        return steps**2 / (self.wide * self.narrow)


@dataclass(frozen=True)
class Measured:
    """One number by samples.

    Attributes
    ----------
    sampled
        The raw mean over the networks of width N.
    paired
        The theory on their sites, averaged.
    ratio
        Sampled over paired, averaged over networks and extrapolated to infinite width.
    on_sites
        The theory on the sites of many networks without W.
    limit
        What the samples say of the number at infinite width.
    """

    sampled: Estimate
    paired: float
    ratio: Estimate
    on_sites: Estimate
    limit: Estimate

    @classmethod
    def of(
        cls,
        widths: WidthPair,
        steps: int,
        sampled: tuple[np.ndarray, np.ndarray],
        paired: tuple[np.ndarray, np.ndarray],
        on_sites: np.ndarray | None,
        finite_width: float = 0.0,
    ) -> "Measured":
        """Average over networks of either width, wide ones first, and over populations of sites.

        ``finite_width`` is by how much, relatively, the number of a tied network may be off its
        limit.

        Tied networks have sites of their own law, and no population without W: their limit is the
        raw mean of the wide ones, and what finite width may do to it is in its error.
        """
        wide, narrow = (_ratios(S, P) for S, P in zip(sampled, paired, strict=True))
        ratio = widths.limit(wide, narrow)
        error = math.hypot(ratio.standard_error, ratio.value * widths.left_out(steps))
        ratio = Estimate(ratio.value, error)
        if on_sites is None:
            sites, limit = (
                _widened(Estimate.of(each[0]), finite_width) for each in (paired, sampled)
            )
        else:
            sites = Estimate.of(on_sites)
            limit = _product(sites, ratio)
        return cls(Estimate.of(sampled[0]), float(paired[0].mean()), ratio, sites, limit)


def _ratios(sampled: np.ndarray, paired: np.ndarray) -> np.ndarray:
    """Return sampled over paired, 1 where both are 0, or would be but for traces of dead sites."""
    nothing = (np.abs(sampled) < _NOTHING) & (paired == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(nothing, 1.0, sampled / np.where(nothing, 1.0, paired))


def _widened(found: Estimate, relative: float) -> Estimate:
    return Estimate(found.value, math.hypot(found.standard_error, found.value * relative))


def _product(a: Estimate, b: Estimate) -> Estimate:
    error = math.hypot(a.standard_error * b.value, a.value * b.standard_error)
    return Estimate(a.value * b.value, error)
