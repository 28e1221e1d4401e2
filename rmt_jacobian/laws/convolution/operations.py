"""Free convolutions of laws, and their powers."""

import math
from collections import Counter
from typing import TypeAlias

from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.laws.affine import Affine
from rmt_jacobian.laws.convolution.dominated import Dominated, dominated
from rmt_jacobian.laws.convolution.framed import Framed, framed
from rmt_jacobian.laws.convolution.free_product import FreeProduct
from rmt_jacobian.laws.convolution.free_sum import FreeSum
from rmt_jacobian.laws.known.point_masses import PointMasses
from rmt_jacobian.laws.known.semicircle import Semicircle
from rmt_jacobian.laws.known.units import divided, moved
from rmt_jacobian.laws.law import Law

__all__ = ["boxplus", "boxplus_power", "boxtimes", "boxtimes_power"]

_NARROW = 1e-3  # of its place: a law that is moved to 0 before it is added
_CONSTANT = 1e-8  # the relative width of all factors, whose square is neglected
_MODERATE = 8.0  # decades: sizes beyond them are divided out
_UNDERFLOW = 1e-140  # a size whose square is lost
_LOST = 1e-280  # of the size of a sum: a summand that counts for nothing
_MOST_DECADES = 300


def boxplus(mu: Law, nu: Law) -> Law:
    r"""Return the law of the sum of two free variables.

    .. math:: R_{\mu \boxplus \nu}(w) = R_\mu(w) + R_\nu(w)

    Parameters
    ----------
    mu, nu
        Any two laws, results of earlier convolutions included.

    Returns
    -------
    Law
        With its density on the axis itself, all edges and the exact atoms.

    Raises
    ------
    HypothesisError
        On first use, if the two have too many gaps to locate every edge.

    References
    ----------
    See :class:`.FreeSum`.

    Examples
    --------
    >>> coin = PointMasses((-1, 1), (0.5, 0.5))
    >>> law = boxplus(coin, coin)  # the arcsine law
    >>> law.support(), round(float(law.pdf(1.0)), 12), round(float(law.cdf(1.0)), 9)
    ((-2.0, 2.0), 0.183776298474, 0.666666667)
    """
    for constant, other in ((mu, nu), (nu, mu)):
        if (value := _constant(constant)) is not None:
            return _moved(other, 1.0, value)
    return _sum(_collected((*_terms(mu, FreeSum), *_terms(nu, FreeSum))))


def boxtimes(mu: Law, nu: Law) -> Law:
    r"""Return the law of the product :math:`X^{1/2} Y X^{1/2}` of two free positive variables.

    .. math:: S_{\mu \boxtimes \nu}(u) = S_\mu(u) \, S_\nu(u)

    Parameters
    ----------
    mu, nu
        Any two laws on the half line, results of earlier convolutions included.

    Returns
    -------
    Law
        With its density on the axis itself, all edges and the exact atoms.

    Raises
    ------
    HypothesisError
        If a law has mass below 0; on first use, if there are too many gaps.

    References
    ----------
    See :class:`.FreeProduct`.

    Examples
    --------
    >>> from rmt_jacobian.laws import MarchenkoPastur
    >>> law = boxtimes(MarchenkoPastur(0.5), PointMasses.bernoulli(0.25))
    >>> law.atoms()
    ((0.0, 0.75),)
    """
    _check_positive(mu)
    _check_positive(nu)
    for constant, other in ((mu, nu), (nu, mu)):
        if (value := _constant(constant)) is not None:
            return _moved(other, value, 0.0) if value > 0 else constant
    return _product(_collected((*_terms(mu, FreeProduct), *_terms(nu, FreeProduct))))


def boxplus_power(law: Law, times: float) -> Law:
    r"""Return the free additive convolution of some copies of a law.

    .. math:: R(w) = T \, R_\mu(w), \qquad T \ge 1

    Parameters
    ----------
    law
        Any law.
    times
        The number T of copies, a real number from 1 on.

    Raises
    ------
    ParameterError
        If the number is below 1, or not finite.

    Examples
    --------
    >>> from rmt_jacobian.laws import Semicircle
    >>> [round(end, 12) for end in boxplus_power(Semicircle(), 2.25).support()]
    [-3.0, 3.0]
    """
    _check_times(times)
    if times == 1:
        return law
    if (value := _constant(law)) is not None:
        return _moved(law, 1.0, (times - 1) * value)
    return _sum(tuple((factor, times * t) for factor, t in _terms(law, FreeSum)))


def boxtimes_power(law: Law, times: float) -> Law:
    r"""Return the free multiplicative convolution of some copies of a law.

    .. math:: S(u) = S_\mu(u)^T, \qquad T \ge 1

    Parameters
    ----------
    law
        A law on the half line.
    times
        The number T of copies, a real number from 1 on.

    Raises
    ------
    HypothesisError
        If the law has mass below 0.
    ParameterError
        If the number is below 1, or not finite.

    Examples
    --------
    >>> from rmt_jacobian.laws import FussCatalan, MarchenkoPastur
    >>> law = boxtimes_power(MarchenkoPastur(), 3)
    >>> abs(law.pdf(2.0) - FussCatalan(3).pdf(2.0)) < 1e-13
    np.True_
    """
    _check_times(times)
    _check_positive(law)
    if times == 1:
        return law
    if (value := _constant(law)) is not None:
        return PointMasses((value**times,), (1.0,))
    return _product(tuple((factor, times * t) for factor, t in _terms(law, FreeProduct)))


_Factors: TypeAlias = tuple[tuple[Law, float], ...]


def _sum(factors: _Factors) -> Law:
    """Return a free sum, in units in which no square of a number overflows."""
    places = [_place(law) for law, _ in factors]
    if any(places):
        pairs = zip(factors, places, strict=True)
        inner = tuple((moved(law, -at) if at else law, times) for (law, times), at in pairs)
        shift = math.fsum(times * at for (_, times), at in zip(factors, places, strict=True))
        return Affine(_sum(inner), 1.0, shift)
    size = max(_size(law) for law, _ in factors)
    least = min(_size(law) for law, _ in factors)
    if abs(math.log10(size)) < _MODERATE and least > _UNDERFLOW:
        return _free_sum(factors)
    kept = tuple((divided(law, size), times) for law, times in factors if _size(law) > _LOST * size)
    inner = kept[0][0] if len(kept) == 1 and kept[0][1] == 1 else _free_sum(kept)
    return Affine(inner, size)


def _free_sum(factors: _Factors) -> Law:
    exact = FreeSum(factors)
    near = dominated(exact)
    return framed(exact) if near is exact else near


def _product(factors: _Factors) -> Law:
    """Return a free product, of factors in units of their size where that is not moderate."""
    spread = sum(times * (1 - law.support()[0] / _size(law)) for law, times in factors)
    if spread <= _CONSTANT:  # X Y = 1 + (X - 1) + (Y - 1), in units of the means
        mean = math.prod(law.mean() ** times for law, times in factors)
        parts = tuple((moved(divided(law, law.mean()), -1.0), times) for law, times in factors)
        return Affine(_sum(parts), mean, mean)
    decades = [(t, math.log10(_size(law))) for law, t in factors]
    if all(abs(log) < _MODERATE and t * abs(log) < _MOST_DECADES / 3 for t, log in decades):
        return dominated(FreeProduct(factors))
    sizes = [_size(law) for law, _ in factors]
    logarithm = sum(t * log for t, log in decades)
    if abs(logarithm) > _MOST_DECADES:
        raise ParameterError(
            f"this product is of the size 1e{logarithm:+.0f}, beyond the range of numbers: "
            "choose other units for the factors"
        )
    inner = tuple((divided(law, size), t) for (law, t), size in zip(factors, sizes, strict=True))
    return Affine(dominated(FreeProduct(inner)), 10**logarithm)


def _place(law: Law) -> float:
    """Return the middle of a narrow law, which its differences are small beside; else 0."""
    low, high = law.support()
    narrow = high - low < _NARROW * max(abs(low), abs(high))
    return low / 2 + high / 2 if narrow and isinstance(law, PointMasses | Semicircle) else 0.0


def _size(law: Law) -> float:
    return max(map(abs, law.support()))


def _constant(law: Law) -> float | None:
    """Return the location of the only atom of a law without anything else."""
    atoms = law.atoms()
    return atoms[0][0] if len(atoms) == 1 and not law.support_intervals() else None


def _moved(law: Law, scale: float, shift: float) -> Law:
    """Return the law of a multiple plus a number, as simply as it can be written."""
    if (value := _constant(law)) is not None:
        return PointMasses((scale * value + shift,), (1.0,))
    if isinstance(law, Affine):
        return _moved(law.law, scale * law.scale, scale * law.shift + shift)
    return law if (scale, shift) == (1.0, 0.0) else Affine(law, scale, shift)


def _terms(law: Law, kind: type[FreeSum] | type[FreeProduct]) -> tuple[tuple[Law, float], ...]:
    """Return the factors of a convolution of the same kind, so that nesting stays flat."""
    if (
        isinstance(law, Affine)
        and law.shift == 0
        and isinstance(law.law, kind | Dominated | Framed)
    ):
        inner = _terms(law.law, kind)
        if kind is FreeSum and inner != ((law.law, 1.0),):
            return tuple((divided(factor, 1 / law.scale), times) for factor, times in inner)
    if isinstance(law, Dominated | Framed):
        law = law.exact
    return law.factors if isinstance(law, kind) else ((law, 1.0),)


def _collected(factors: tuple[tuple[Law, float], ...]) -> tuple[tuple[Law, float], ...]:
    """Count equal laws once, with the sum of their numbers."""
    total: Counter[Law] = Counter()
    for law, times in factors:
        total[law] += times  # pyright: ignore[reportArgumentType]
    return tuple((law, float(times)) for law, times in total.items())


def _check_times(times: float) -> None:
    if not (math.isfinite(times) and times >= 1):
        raise ParameterError(f"a convolution power needs a finite number of copies >= 1: {times}")


def _check_positive(law: Law) -> None:
    low = law.support()[0]
    if low < 0:
        raise HypothesisError(
            f"boxtimes needs laws on the half line x >= 0, and this support starts at {low:.6g}: "
            "use the law of the square, X X^T"
        )
