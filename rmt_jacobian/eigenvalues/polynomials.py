r"""Determinants of one site as polynomials in the eigenvalue, with one coefficient for each site.

Between the preactivations e of a site and its sources y stands, for an eigenvalue :math:`\lambda`,

.. math:: y = H(\lambda) e, \qquad H = Y_s (\lambda - A)^{-1} B + Y_e ,

whose minors, times :math:`\det(\lambda - A)`, are the polynomials

.. math::
    q_{RC}(\lambda) = \det \begin{pmatrix} \lambda - A & B_{\cdot C} \\
                                           -Y_{s, R \cdot} & Y_{e, RC} \end{pmatrix} .
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.arrays import array_namespace

__all__ = ["Square", "minor", "squares"]

# Coefficients below this share of the sum of the absolute values of their terms are rounding.
_ROUNDING = 32 * 2.0**-52

Polynomial = Mapping[int, Any]
"""Coefficients by power; each is an array over sites."""


@dataclass(frozen=True, eq=False)
class Square:
    r"""The square :math:`|\lambda^t p(\lambda)|^2` at every site, p real.

    Attributes
    ----------
    power
        t.
    coefficients
        Of p from the constant on, one array of shape (sites,) each.

    Examples
    --------
    >>> import numpy as np
    >>> gate = Square(0, (-np.array([0.25, 0.5]), np.ones(2)))  # |lambda - z|^2
    >>> gate.value(np.array([[0.5 + 1j]]))
    array([[1.0625, 1.    ]])
    """

    power: int
    coefficients: tuple[Any, ...]

    def value(self, lam: Any) -> Any:
        """Return the square, shape (points, sites), for ``lam`` of shape (points, 1)."""
        xp = array_namespace(lam)
        if len(self.coefficients) == 1:
            return _modulus(lam) ** self.power * self.coefficients[0] ** 2
        if len(self.coefficients) == 2:
            constant, slope = self.coefficients
            value = (constant + slope * xp.real(lam)) ** 2 + (slope * xp.imag(lam)) ** 2
        else:
            value = _modulus(_horner(self.coefficients, lam))
        return value if self.power == 0 else _modulus(lam) ** self.power * value

    def slope(self, lam: Any) -> tuple[Any, Any]:
        r"""Return :math:`q' \bar q` and :math:`|q'|^2` of :math:`q = \lambda^t p`."""
        xp = array_namespace(lam)
        p = _horner(self.coefficients, lam)
        steps = [k * c for k, c in enumerate(self.coefficients)][1:]
        change = _horner(steps, lam) if steps else xp.zeros_like(p)
        if self.power:
            change = lam ** (self.power - 1) * (self.power * p + lam * change)
            p = lam**self.power * p
        return change * xp.conj(p), _modulus(change)


def _modulus(z: Any) -> Any:
    xp = array_namespace(z)
    return xp.real(z) ** 2 + xp.imag(z) ** 2


def _horner(coefficients: Sequence[Any], lam: Any) -> Any:
    value = coefficients[-1] + 0 * lam
    for coefficient in reversed(coefficients[:-1]):
        value = value * lam + coefficient
    return value


def minor(rows: Sequence[Sequence[Polynomial]]) -> dict[int, Any]:
    """Return the determinant of a matrix of polynomials, by expansion along the first row.

    An entry without coefficients vanishes identically.  A coefficient that is only the rounding
    of terms that cancel is set to 0, site by site.

    Examples
    --------
    >>> import numpy as np
    >>> a, one = np.array([0.25]), np.array([1.0])
    >>> minor([[{1: one, 0: -a}, {0: one}], [{}, {0: a}]])
    {1: array([0.25]), 0: array([-0.0625])}
    """
    size = len(rows)
    found: dict[int, dict[int, tuple[Any, Any]]] = {0: {}}

    def of(row: int, columns: int) -> dict[int, tuple[Any, Any]]:
        """Return values and sums of absolute values of the minor of the rows from ``row`` on."""
        if row == size:
            return {0: (1.0, 1.0)}
        if columns not in found:
            total: dict[int, tuple[Any, Any]] = {}
            sign = 1.0
            for column in range(size):
                if not columns >> column & 1:
                    continue
                if entry := rows[row][column]:
                    rest = of(row + 1, columns & ~(1 << column))
                    _accumulate(total, sign, entry, rest)
                sign = -sign
            found[columns] = total
        return found[columns]

    return {
        power: array_namespace(value).where(
            abs(value) > _ROUNDING * bound, value, array_namespace(value).zeros_like(value)
        )
        for power, (value, bound) in of(0, (1 << size) - 1).items()
    }


def _accumulate(
    total: dict[int, tuple[Any, Any]],
    sign: float,
    entry: Polynomial,
    rest: Mapping[int, tuple[Any, Any]],
) -> None:
    for power, coefficient in entry.items():
        for other, (value, bound) in rest.items():
            old, old_bound = total.get(power + other, (0.0, 0.0))
            total[power + other] = (
                old + sign * coefficient * value,
                old_bound + abs(coefficient) * bound,
            )


def squares(polynomials: Sequence[tuple[float, Polynomial]]) -> tuple[Square, ...]:
    """Return a weighted sum of squared moduli of polynomials with as few terms as possible.

    Parameters
    ----------
    polynomials
        Pairs of a weight and a polynomial; those that vanish at all sites are left out.
    """
    constants: dict[int, Any] = {}
    others = []
    for weight, polynomial in polynomials:
        there = [k for k in sorted(polynomial) if bool(_any(polynomial[k]))]
        if not there:
            continue
        low, high = there[0], there[-1]
        root = weight**0.5
        if low == high:
            constants[low] = constants.get(low, 0.0) + (root * polynomial[low]) ** 2
        else:
            zero = 0 * polynomial[low]
            coefficients = tuple(root * polynomial.get(k, zero) for k in range(low, high + 1))
            others.append(Square(low, coefficients))
    merged = [Square(k, (array_namespace(c).sqrt(c),)) for k, c in sorted(constants.items())]
    return (*merged, *others)


def _any(array: Any) -> bool:
    return bool(array_namespace(array).any(array != 0))
