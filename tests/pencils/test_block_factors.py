"""Factors of covariances under sharp costs, against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from rmt_jacobian.pencils.blocks.factors import Factors, reciprocal

# Variances before, and one (y, cost) after the other; signs are those on the imaginary axis.
MIXED_FIRST = (  # a weak cost on a mixture correlates what a sharp one then parts
    ("2.3e16", "2.3e16"),
    [(("-0.5", "1"), "3.4e-15"), (("0", "0.9"), "1.3e14"), (("0", "1"), "2.3e16")],
)
THREE = (
    ("1e20", "1e20", "1e20"),
    [(("1", "-0.5", "0.25"), "1e-19"), (("0", "1", "0"), "1e15"), (("0", "0", "0.7"), "1e14"),
     (("0", "1", "0"), "1e20"), (("0.3", "0", "0"), "1e-20")],
)  # fmt: skip
MILD = (
    ("1", "2", "0.5", "3"),
    [(("1", "0.5", "0", "-1"), "0.3"), (("0", "2", "1", "1"), "4"), (("-1", "0", "1", "0"), "0.1")],
)


def inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Gauss-Jordan."""
    n = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(n))] for i, row in enumerate(matrix)]
    for i in range(n):
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for k in range(n):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [row[n:] for row in rows]


def exact(variances, costs) -> tuple[list[list[Fraction]], list[Fraction]]:
    """Return L and p of (diag(1 / variances) + sum of cost y y^T)^-1 = L diag(p) L^T."""
    n = len(variances)
    precision = [[1 / Fraction(variances[i]) * (i == j) for j in range(n)] for i in range(n)]
    for y, cost in costs:
        for i in range(n):
            for j in range(n):
                precision[i][j] += Fraction(cost) * Fraction(y[i]) * Fraction(y[j])
    P = inverse(precision)
    L = [[Fraction(i == j) for j in range(n)] for i in range(n)]
    p: list[Fraction] = []
    for j in range(n):
        p.append(P[j][j] - sum(L[j][k] ** 2 * p[k] for k in range(j)))
        for i in range(j + 1, n):
            L[i][j] = (P[i][j] - sum(L[i][k] * L[j][k] * p[k] for k in range(j))) / p[j]
    return L, p


@pytest.mark.parametrize(("variances", "costs"), [MIXED_FIRST, THREE, MILD])
def test_every_entry_has_its_digits(variances, costs) -> None:
    factors = Factors.prior([np.array([-1j * float(v)]) for v in variances])
    for y, cost in costs:
        row = [None if entry == "0" else float(entry) for entry in y]
        factors = factors.observed(row, np.array([-1j * float(cost)])).factors
    L, p = exact(variances, costs)
    for i, row in enumerate(L):
        assert complex(factors.pivots[i][0]) == pytest.approx(-1j * float(p[i]), rel=1e-12, abs=0)
        for j in range(i):
            found = 0.0 if factors.factor[i][j] is None else factors.factor[i][j]
            assert complex(np.ravel(found)[0]) == pytest.approx(float(row[j]), rel=1e-12, abs=0)


def test_the_variance_and_the_share_that_is_left() -> None:
    variances, _ = MIXED_FIRST
    factors = Factors.prior([np.array([-1j * float(v)]) for v in variances])
    seen = factors.observed([-0.5, 1.0], np.array([-3.4e-15j]))
    expected = 1.25 * float(variances[0])
    assert complex(seen.variance[0]) == pytest.approx(-1j * expected, rel=1e-12)
    assert complex(seen.inverse[0]) == pytest.approx(1 / (1 + 3.4e-15 * expected), rel=1e-12)
    assert factors.observed([-0.5, 1.0], None).factors is factors


@pytest.mark.parametrize("pivot", [0.0, 5e-324, 1e-309, -1e-310j])
def test_what_has_lost_its_digits_does_not_vary(pivot: complex) -> None:
    with np.errstate(all="raise"):
        assert reciprocal(np.array([pivot, 4.0])).tolist() == [0.0, 0.25]
