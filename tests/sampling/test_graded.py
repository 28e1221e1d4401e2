"""Rows that span more than floating-point numbers do, against whole numbers and mpmath."""

import mpmath
import numpy as np
import pytest

from rmt_jacobian.sampling.products.graded import GradedRows, GradedTriangle


def log_singular_values_of_rows(rows, logs):
    """Split e^l into a power of two and the rest."""
    exponents = np.round(logs / np.log(2))
    rest = np.exp(logs - exponents * np.log(2))
    return GradedTriangle.of(GradedRows(exponents, rest[:, None] * rows)).log_singular_values()


def unit_rows(shape, seed=0):
    rows = np.random.default_rng(seed).standard_normal(shape)
    return rows / np.linalg.norm(rows, axis=1)[:, None]


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (2, 2), (5, 5), (6, 6), (7, 11), (40, 40)])
@pytest.mark.parametrize("span", [0.0, 1.0, 5.0])
def test_rows_within_range_have_their_plain_singular_values(shape, span):
    rows = unit_rows(shape)
    logs = span * np.random.default_rng(1).standard_normal(shape[0])
    found = log_singular_values_of_rows(rows, logs)
    plain = np.linalg.svdvals(np.exp(logs)[:, None] * rows)
    # The plain ones are good to rounding of the largest.
    assert np.exp(found) == pytest.approx(plain, abs=1e-13 * plain[0])
    assert (np.diff(found) <= 0).all()


@pytest.mark.parametrize("shape", [(5, 5), (4, 6)])
def test_rows_out_of_range_have_those_of_many_digits(shape):
    rows, logs = unit_rows(shape, 2), np.array([-900.0, 40.0, 1200.0, 41.0, 38.0])[: shape[0]]
    found = log_singular_values_of_rows(rows, logs)
    with mpmath.workdps(2200):
        scaled = mpmath.matrix(
            [[mpmath.exp(log) * mpmath.mpf(entry) for entry in row]
             for log, row in zip(logs, rows.tolist(), strict=True)]
        )  # fmt: skip
        exact = mpmath.svd_r(scaled.T if shape[0] < shape[1] else scaled, compute_uv=False)
        expected = [float(mpmath.log(value)) for value in exact]
    assert found == pytest.approx(expected, rel=1e-14)


def test_equal_rows_but_for_a_small_angle():
    """Rows (1, 0) and (cos a, sin a) have squared singular values 1 +- cos a."""
    angle = 1e-3
    rows = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
    found = log_singular_values_of_rows(rows, np.array([700.0, 700.0]))
    expected = 700 + 0.5 * np.log(2) + np.log([np.cos(angle / 2), np.sin(angle / 2)])
    assert found == pytest.approx(expected, abs=1e-11)


def test_products_of_triangles_in_whole_numbers():
    rng = np.random.default_rng(3)
    graded, exact = GradedRows.of(np.eye(4)), np.array(np.eye(4), dtype=int).astype(object)
    for _ in range(300):
        R = np.triu(rng.integers(-9, 10, (4, 4)))
        np.fill_diagonal(R, [9999, 800, 30, 1])
        graded = graded.times_left(R.astype(float))
        exact = R.astype(object) @ exact
    for i in range(4):
        for j in range(4):
            entry = mpmath.mpf(graded.rows[i, j]) * mpmath.mpf(2) ** int(graded.exponents[i])
            size = abs(max(exact[i], key=abs))
            assert abs(entry - int(exact[i, j])) <= mpmath.mpf(1e-11) * int(size)
    assert ((np.abs(graded.rows).max(axis=1) >= 0.5) & (np.abs(graded.rows) < 1).all()).all()
    triangle = GradedTriangle.of(graded)
    assert np.linalg.norm(triangle.triangle, axis=1) == pytest.approx(1)
    assert triangle.logs[0] == pytest.approx(300 * np.log(9999), abs=0.1)


def test_fewer_rows_than_before():
    graded = GradedRows.of(np.array([[1e200, 1.0], [0.0, 1e-200]]))
    cut = graded.times_left(np.array([[2.0, 1e300]]))
    assert cut.rows.shape == (1, 2)
    assert cut.rows[0, 0] * 2.0 ** (cut.exponents[0] - 660) == pytest.approx(2e200 / 2.0**660)


def test_slants_are_the_reciprocal_distances_from_the_longer_rows():
    """For the last row: the row of the inverse is orthogonal to all others."""
    rows = np.array([[1.0, 0.0], [np.cos(1e-3), np.sin(1e-3)]])
    triangle = GradedTriangle.of(GradedRows(np.array([-3.0, 5.0]), rows))
    assert triangle.order.tolist() == [1, 0]
    assert triangle.slants() == pytest.approx([1, np.hypot(1, np.cos(1e-3)) / np.sin(1e-3)])
    assert triangle.condition == pytest.approx(1 / np.tan(5e-4))


def test_rows_that_are_equal_are_told_apart_by_less_than_rounding():
    triangle = GradedTriangle.of(GradedRows(np.zeros(2), np.array([[1.0, 0.0], [1.0, 0.0]])))
    first, second = triangle.log_singular_values()
    assert first == pytest.approx(np.log(2) / 2)
    assert second < np.log(1e-15)
    assert triangle.slants()[1] > 1e15
