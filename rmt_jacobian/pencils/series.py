r"""Moments of a pencil to any order: its Dyson equation as a power series at infinity.

With w = 1/z the rows of L that contain z are multiplied by w, after which every entry is a power
series in w with an invertible constant term, whether the slope is regular or not.
"""

from typing import Any, TypeAlias

import numpy as np

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError
from rmt_jacobian.pencils.ensembles import BiInvariant
from rmt_jacobian.pencils.pencil import Pencil

__all__ = ["pencil_moments"]

Series: TypeAlias = np.ndarray  # coefficients of w^0, w^1, ...

_STANDS_STILL = 1e-13  # relative change of a coefficient
_NOTHING = 1e-30  # the size of a coefficient that only the absorption below has made
_CIRCLE = 64  # points of the circle on which the gain is expanded about another point than 0
_CONDITION = 1e12  # of a site matrix at infinity, above which it counts as singular


def pencil_moments(pencil: Pencil, block: int, order: int) -> np.ndarray:
    r"""Return the moments of one diagonal block of the inverse of a pencil.

    .. math:: \tau \bigl( G_{bb}(z) \bigr) = \sum_{k \ge 0} m_k z^{-k-1}

    For :math:`L = z - X` these are the moments :math:`\tau((X^k)_{bb})`.  The coefficients of the
    self-energies are iterated until they stand still; where the pencil allows it they are then
    exact, since every sweep fixes more of them.

    Parameters
    ----------
    pencil
        A pencil with one constant for all points and a diagonal slope.
    block
        A block with a slope that is not 0.
    order
        The highest k.

    Returns
    -------
    numpy.ndarray of shape (order + 1,)
        :math:`m_0, \ldots, m_{\text{order}}`.

    Raises
    ------
    ParameterError
        If the block, the order or the slope does not fit.
    HypothesisError
        If the blocks without slope cannot be eliminated at :math:`z = \infty`.
    ConvergenceError
        If the constant terms of the self-energies do not settle.

    Examples
    --------
    The moments of :math:`W W^T` are the Catalan numbers.

    >>> import numpy as np
    >>> from rmt_jacobian.pencils import GaussianWeights, RandomEntry
    >>> plain = Pencil(np.zeros((1, 2, 2)), [1, 1], [RandomEntry(0, 1, GaussianWeights(1.0))])
    >>> pencil_moments(plain, 0, 8)
    array([ 1.,  0.,  1.,  0.,  2.,  0.,  5.,  0., 14.])
    """
    slope = _diagonal_slope(pencil)
    if not (0 <= block < pencil.blocks and slope[block] > 0):
        raise ParameterError(f"block {block} has no slope: choose one that z stands in")
    if pencil.is_shared:
        raise ParameterError(
            "moments are of pencils in which every W stands at one place: for steps that share "
            "their W take those of a SharedChain, or solve the pencil at finite z"
        )
    if order < 0:
        raise ParameterError(f"the order must be at least 0, not {order}")
    length = order + 2  # G begins with w
    sigma = np.zeros((len(pencil.slots), length), dtype=complex)
    # A power of w may travel along a chain of blocks, one of them a sweep.
    for _ in range(4 * (length + 1) * (pencil.blocks + 1)):
        inverse = _inverse(_site_series(pencil, slope, sigma))
        found = _self_energies(pencil, sigma, _slot_averages(pencil, slope, inverse))
        change, sigma = np.abs(found - sigma), found
        if np.all(change <= _STANDS_STILL * (np.abs(sigma) + pencil.scales[:, None])):
            return np.real(_block_average(pencil, slope, inverse, block)[1:])
    raise ConvergenceError(
        "the self-energies at infinity did not settle: the blocks without slope form a random "
        "matrix of their own; solve the pencil at finite z instead"
    )


def _diagonal_slope(pencil: Pencil) -> np.ndarray:
    slope = np.real(np.diag(pencil.slope))
    if pencil.points is not None or np.any(pencil.slope != np.diag(slope)):
        raise ParameterError("moments need one constant for all points and a diagonal slope")
    return slope


def _site_series(pencil: Pencil, slope: np.ndarray, sigma: np.ndarray) -> list[Any]:
    r"""Return the coefficients of :math:`E (L_0 - \Sigma)`, E = w at a slope and 1 elsewhere."""
    xp = pencil.xp
    sloped = slope > 0
    with_slope = xp.asarray(np.diag(sloped) + 0j)
    without = xp.asarray(np.diag(~sloped) + 0j)
    plain = [-_self_energy(pencil, sigma[:, k]) for k in range(sigma.shape[1])]
    plain[0] = plain[0] + pencil.constant
    series = [without @ term for term in plain]
    for k in range(1, len(plain)):
        series[k] = series[k] + with_slope @ plain[k - 1]
    series[0] = series[0] + xp.asarray(np.diag(slope) + 0j)
    return series


def _self_energy(pencil: Pencil, sigma: np.ndarray) -> Any:
    """Return one coefficient of the self-energy of every site, as diagonal matrices."""
    xp, units = pencil.xp, np.eye(pencil.blocks)
    total = xp.zeros((pencil.sites, pencil.blocks, pencil.blocks), dtype=xp.complex128)
    for a, block in enumerate(pencil.slots):
        matrix = xp.asarray(sigma[a] * np.diag(units[block]))
        factor = _factor(pencil, a)
        total = total + (matrix if factor is None else factor[:, None, None] * matrix)
    return total


def _factor(pencil: Pencil, slot: int) -> Any:
    coefficient = pencil.entries[slot // 2].coefficient
    return None if slot % 2 or coefficient is None else coefficient**2


def _inverse(series: list[Any]) -> list[Any]:
    """Return the inverse of a power series of matrices."""
    xp = array_namespace(series[0])
    # The imaginary part changes no digit, and LAPACK does not meet a singular site.
    first = xp.linalg.inv(series[0] + xp.asarray(1e-100j * np.eye(series[0].shape[-1])))
    if not float(xp.max(xp.abs(first)) * xp.max(xp.abs(series[0]))) < _CONDITION:
        raise HypothesisError(
            "the blocks without slope are singular at infinity: there is no expansion in 1/z; "
            "solve the pencil at finite z instead"
        )
    inverse = [first]
    for k in range(1, len(series)):
        total = series[1] @ inverse[k - 1]
        for j in range(2, k + 1):
            total = total + series[j] @ inverse[k - j]
        inverse.append(-(first @ total))
    return inverse


def _block_average(
    pencil: Pencil, slope: np.ndarray, inverse: list[Any], block: int, factor: Any = None
) -> Series:
    """Return the average of a diagonal block of G, a series in w."""
    weights = pencil.site_weights if factor is None else pencil.site_weights * factor
    weights = pencil.xp.astype(weights, pencil.xp.complex128)  # some libraries do not mix types
    terms = [complex(term[:, block, block] @ weights) for term in inverse]
    # G is the inverse times E: w times it where the block has a slope.
    return np.array([0, *terms[:-1]] if slope[block] > 0 else terms)


def _slot_averages(pencil: Pencil, slope: np.ndarray, inverse: list[Any]) -> list[Series]:
    return [
        _block_average(pencil, slope, inverse, block, _factor(pencil, a))
        for a, block in enumerate(pencil.slots)
    ]


def _self_energies(pencil: Pencil, sigma: np.ndarray, g: list[Series]) -> np.ndarray:
    found = []
    for k, entry in enumerate(pencil.entries):
        row, column = 2 * k, 2 * k + 1
        u = (_product(sigma[row], g[row]) + _product(sigma[column], g[column])) / 2
        gain = _composed(entry.ensemble, u)
        found += [_product(gain, g[column]), _product(gain, g[row])]
    return np.array(found)


def _composed(ensemble: BiInvariant, u: Series) -> Series:
    r"""Return :math:`\gamma(u(w))`, by Horner's rule on the expansion of the gain."""
    nonzero = np.flatnonzero(np.abs(u[1:]) > _NOTHING)
    # Powers of u - u_0 beyond this one begin above the highest power of w.
    terms = (len(u) - 1) // (nonzero[0] + 1) if len(nonzero) else 0
    shifted = u.copy()
    shifted[0] = 0
    total = np.zeros_like(u)
    for coefficient in _expansion(ensemble, u[0], terms)[::-1]:
        total = _product(total, shifted)
        total[0] += coefficient
    return total


def _expansion(ensemble: BiInvariant, centre: complex, terms: int) -> np.ndarray:
    """Return the Taylor coefficients of the gain about u at infinity, which is mostly 0."""
    if abs(centre) <= _STANDS_STILL:
        return ensemble.gain_series(terms)
    if terms > _CIRCLE // 4:
        raise ParameterError(f"the order needs {terms} terms, and at most {_CIRCLE // 4} are exact")
    # The gain has a pole at -1 for orthogonal W: the circle stays at half that distance.
    radius = abs(1 + centre) / 2
    circle = np.exp(2j * np.pi * np.arange(_CIRCLE) / _CIRCLE)
    series = np.fft.fft(ensemble.gain(centre + radius * circle)) / _CIRCLE
    return series[: terms + 1] / radius ** np.arange(terms + 1)


def _product(first: Series, second: Series) -> Series:
    return np.convolve(first, second)[: len(first)]
