"""How far sampled spectra lie from a law, and how far they would lie if the law were right."""

from typing import Any, Protocol

import numpy as np
from scipy.special import kolmogi

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.errors import ParameterError

__all__ = [
    "LineLaw",
    "finite_size_null",
    "ks_distance",
    "resampled_null",
    "wasserstein_distance",
    "wasserstein_null",
]

# Products of Jacobians and their decompositions are off by this much of their largest value.
_ROUNDING = 1e-14
_GAPS = 512  # of the grid of quantiles
_PATHS = 8192  # of the Brownian bridge, which fix its 99 % quantile to about 1 %
_TAIL = 1e-9  # cut off laws without bounded support


class LineLaw(Protocol):
    """What is asked of a law: the methods of a frozen ``scipy.stats`` distribution."""

    def cdf(self, x: Any, /) -> Any:
        """Return the mass up to and including x."""
        ...

    def ppf(self, p: Any, /) -> Any:
        """Return the quantile of p."""
        ...


def ks_distance(values: np.ndarray, law: LineLaw) -> float:
    r"""Return the Kolmogorov-Smirnov distance between sampled spectra and a law.

    .. math:: D = \sup_x \left| F_n(x) - F(x) \right|

    Parameters
    ----------
    values
        Shape (samples, N) or (N,); all rows together make F_n.
    law
        Its ``cdf`` may jump; ties in the sample and atoms of the law meet as they should.

    Notes
    -----
    Every value is known to 1e-14 of the largest of its row only, so the supremum is the least that
    some spectrum within that tolerance has.  An atom at s = 0 thus matches singular values of
    1e-17, and the sixteen digits of a product of many steps are no evidence below the last.

    Raises
    ------
    ParameterError
        If there are no values or some are not finite.

    Examples
    --------
    >>> from scipy.stats import uniform
    >>> round(ks_distance(np.array([0.1, 0.4, 0.7]), uniform()), 12)
    0.3
    """
    values, tolerance = _with_tolerance(values)
    # From the right the least F_n is at most F, from the left the greatest at least F, and the
    # bounds of values that may have changed places are in order again after sorting.
    right, left = np.sort(values + tolerance), np.sort(values - tolerance)
    steps = np.arange(values.size + 1) / values.size
    above = np.max(steps[1:] - law.cdf(right))
    below = np.max(law.cdf(np.nextafter(left, -np.inf)) - steps[:-1])
    return float(max(above, below, 0.0))


def wasserstein_distance(values: np.ndarray, law: LineLaw) -> float:
    r"""Return the Wasserstein-1 distance between sampled spectra and a law.

    .. math:: W_1 = \int \left| F_n(x) - F(x) \right| dx

    Parameters are those of :func:`ks_distance`.  F_n is exact; F is taken as linear between
    neighbours among the sampled points and 513 quantiles of the law.

    Examples
    --------
    >>> from scipy.stats import uniform
    >>> round(wasserstein_distance(np.array([0.5]), uniform()), 12)
    0.25
    """
    values, _ = _with_tolerance(values)
    values = np.sort(values)
    points = np.unique(np.concatenate([values, law.ppf(_grid())]))
    sampled = np.searchsorted(values, points[:-1], side="right") / values.size
    start = law.cdf(points[:-1]) - sampled
    end = law.cdf(np.nextafter(points[1:], -np.inf)) - sampled
    return float(np.sum(_mean_absolute(start, end) * np.diff(points)))


def _mean_absolute(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the mean of the absolute value of linear functions, given at both ends."""
    total = np.abs(start) + np.abs(end)
    crossing = start * end < 0
    squares = np.where(crossing, start * start + end * end, total * total)
    return np.divide(squares, 2 * total, out=np.zeros_like(total), where=total > 0)


def finite_size_null(width: int, samples: int, *, quantile: float = 0.99) -> float:
    r"""Return how far a right law may be from sampled spectra, in Kolmogorov-Smirnov distance.

    .. math:: D_q = \frac{K^{-1}(q)}{\sqrt{N n}} + \frac{1}{2N}

    K is the law of the supremum of a Brownian bridge, n the number of networks.

    Parameters
    ----------
    width, samples
        N and n.
    quantile
        q, the share of right laws that pass.

    Notes
    -----
    The first term is that of N n independent values.  One network of width N has N sites of its
    own, and its spectrum is the law on those sites up to O(1/N): the noise is that of the sites.
    It is just this for one step :math:`J = B W` with orthogonal W, whose singular values are the
    sites; Gaussian W, gates and further steps smooth it, by up to a factor 3.  The null then is
    safe but generous, and :func:`resampled_null` is sharper.  Eigenvalues without site noise, as
    of a Gaussian matrix, fluctuate by :math:`\log N / N` only.  The second term is for the bias
    of finite width, which more networks do not average away.

    Assumes untied weights, and q* stable enough that a network does not wander far from it.

    References
    ----------
    :cite:t:`Kolmogorov1933`.

    Examples
    --------
    >>> round(finite_size_null(2048, 8), 4)
    0.013
    """
    _check(width, samples, quantile)
    return float(kolmogi(1 - quantile) / np.sqrt(width * samples) + _bias(width))


def resampled_null(values: np.ndarray, *, quantile: float = 0.99, seed: Seed = 0) -> float:
    r"""Return how far the mean of these spectra may be from that of infinitely many of them.

    .. math:: Q_q\left[\sup_x \Bigl| \frac{1}{\sqrt{n (n-1)}} \sum_{k=1}^n g_k
              \bigl(F_k(x) - \bar F(x)\bigr) \Bigr|\right] + \frac{1}{2N}

    with standard normal multipliers g_k: the noise is read off the scatter of the networks, so it
    is right for any cell, number of steps, and tied weights too.

    Parameters
    ----------
    values
        Shape (samples, N); at least 16 independent networks, better 64: with few the scatter
        itself is uncertain, and the share of false alarms above 1 - q.
    quantile, seed
        As in :func:`finite_size_null` and :func:`wasserstein_null`.

    Raises
    ------
    ParameterError
        If there are fewer than 16 samples.

    References
    ----------
    :cite:t:`vanderVaartWellner1996`, section 2.9.

    Examples
    --------
    >>> uniform = np.random.default_rng(0).random((64, 32))
    >>> ratio = resampled_null(uniform) / finite_size_null(32, 64)
    >>> 0.9 < ratio < 1.1  # independent values scatter as the other null assumes
    True
    """
    values = np.atleast_2d(np.asarray(values, dtype=float))
    samples, width = values.shape
    _check(width, samples, quantile)
    if samples < 16:
        raise ParameterError(
            f"{samples} networks do not show their own scatter: sample 16 or more, or use "
            "finite_size_null"
        )
    points = np.quantile(values, _grid())
    below = [np.searchsorted(np.sort(row), points, side="right") / width for row in values]
    scatter = np.array(below) - np.mean(below, axis=0)
    multipliers = generator(seed).standard_normal((_PATHS, samples))
    noise = np.abs(multipliers @ scatter).max(axis=1) / np.sqrt(samples * (samples - 1))
    return float(np.quantile(noise, quantile) + _bias(width))


def wasserstein_null(
    law: LineLaw, width: int, samples: int, *, quantile: float = 0.99, seed: Seed = 0
) -> float:
    r"""Return how far a right law may be from sampled spectra, in Wasserstein-1 distance.

    .. math:: \frac{Q_q\left[\int |B(F(x))| \, dx\right]}{\sqrt{N n}}
              + \int \min\left(\tfrac{1}{2N}, F(x), 1 - F(x)\right) dx

    B is a Brownian bridge, drawn 8192 times; the null depends on the law, unlike that of
    :func:`finite_size_null`.

    Parameters
    ----------
    law
        The law, with bounded support or light tails.
    width, samples, quantile
        As in :func:`finite_size_null`.
    seed
        Of the Brownian bridge.

    Notes
    -----
    The noise is that of N n independent values, as in :func:`finite_size_null`.  Over five steps
    and more the largest singular values follow the scale of the whole network, and up to 5 % of
    single networks exceed the noise of 99 %.

    References
    ----------
    :cite:t:`delBarrio1999`, Theorem 1.1.

    Examples
    --------
    >>> from scipy.stats import uniform
    >>> round(wasserstein_null(uniform(), 2048, 8), 3)
    0.006
    """
    _check(width, samples, quantile)
    p = _grid()
    gaps = np.diff(law.ppf(p))
    steps = generator(seed).standard_normal((_PATHS, _GAPS)) * np.sqrt(np.diff(p))
    walk = np.cumsum(steps, axis=1)
    middle = (p[1:] + p[:-1]) / 2
    bridge = walk - steps / 2 - middle * walk[:, -1:]
    noise = np.quantile(np.abs(bridge) @ gaps, quantile)
    bias = np.minimum(np.minimum(middle, 1 - middle), _bias(width)) @ gaps
    return float(noise / np.sqrt(width * samples) + bias)


def _bias(width: int) -> float:
    """Return the allowance for finite width, in mass.

    Half of a site.  Sampled: 0.2 for one factor, and 0.4 to 0.5 for 5 to 20, Gaussian; 0.2 for one
    step with orthogonal W.
    """
    return 0.5 / width


def _grid() -> np.ndarray:
    """Return probabilities from almost 0 to almost 1, denser towards the ends."""
    angles = np.linspace(0.0, np.pi / 2, _GAPS + 1)
    return np.clip(np.sin(angles) ** 2, _TAIL, 1 - _TAIL)


def _with_tolerance(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all values in one row, and how far off each may be by rounding."""
    rows = np.atleast_2d(np.asarray(values, dtype=float))
    if not (rows.size and np.isfinite(rows).all()):
        raise ParameterError("sampled values must be finite numbers, at least one of them")
    largest = np.abs(rows).max(axis=-1, keepdims=True)
    return rows.ravel(), np.broadcast_to(_ROUNDING * largest, rows.shape).ravel()


def _check(width: int, samples: int, quantile: float) -> None:
    if width < 1 or samples < 1:
        raise ParameterError(f"width and samples must be above 0, not {width} and {samples}")
    if not 0 < quantile < 1:
        raise ParameterError(f"quantile must lie between 0 and 1, not {quantile}")
