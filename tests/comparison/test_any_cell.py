"""Limits, rows and freeness of cells with several states or preactivations."""

import math

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, gru, lstm, lstm_peephole, minimalrnn, vanilla
from rmt_jacobian.comparison import (
    DiagonalMoments,
    compare_spectrum,
    freeness_of_cell,
    freeness_test,
    limit_moments,
    verify,
)
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import QuarterCircle
from rmt_jacobian.mean_field import site_law, untied_state
from rmt_jacobian.singular_values import exact_moments
from tests.cells.two_gates import reads_the_state


def awake(cell, **values):
    return Parameters.of(cell).with_values(input_std=1.0, **values)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_limits_are_those_of_the_recursion_for_one_matrix(weights):
    p = Parameters.of(minimalrnn)
    found = limit_moments(untied_state(minimalrnn, p), weights, [3])
    for T in (1, 3):
        exact = exact_moments(site_law(minimalrnn, p), T, -1.0 if weights == "gaussian" else 0.0)
        for estimate, value in zip((found[T].mean, found[T].second_moment), exact, strict=True):
            # 8 replicates: Student's t with 7 degrees; the population has an error of its own.
            assert abs(estimate.z(value)) < 6
            assert estimate.standard_error < 0.04 * value


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_free_steps_have_the_moments_of_a_free_product(weights):
    # A silent GRU is J = a + b W with a = 1/2, and b = 3/4 at weight_std 3.  The trace of
    # (J J^T)^2 counts words in W and W^T, of which W W^T W W^T alone depends on the ensemble.
    p = Parameters.of(gru, input_std=0).with_values(**{"candidate.weight_std": 3.0})
    found = limit_moments(untied_state(gru, p), weights, [1, 4], count=8, workers=1)
    a, b = 0.25, 0.5625  # the squares
    first = a + b
    second = a**2 + 4 * a * b + (2 if weights == "gaussian" else 1) * b**2
    assert found[1].free_second_moment == pytest.approx(second, rel=1e-9)
    # m_2 of a free product: with S = 1 / m_1 - (m_2 - m_1^2) z / m_1^3, powers of S multiply m_1
    # and add up m_2 / m_1^2 - 1.
    assert found[4].free_mean == pytest.approx(first**4, rel=1e-9)
    assert found[4].free_second_moment == pytest.approx(
        first**8 * (1 + 4 * (second / first**2 - 1)), rel=1e-9
    )


def test_networks_without_weights_have_no_singular_values():
    silent = untied_state(vanilla, Parameters.of(vanilla).with_values(weight_std=0.0))
    for limit in limit_moments(silent, "gaussian", [2], count=8, workers=1).values():
        assert (limit.mean.value, limit.second_moment.value) == (0.0, 0.0)
        assert (limit.free_mean, limit.free_second_moment) == (0.0, 0.0)


@pytest.mark.parametrize("cell", [gru, lstm, lstm_peephole], ids=lambda c: c.name)
def test_limits_without_weights_are_products_of_site_matrices(cell):
    state = untied_state(cell, awake(cell, weight_std=0.0))
    found = limit_moments(state, "gaussian", [2], count=1024)[2]
    first, second = state.history(2)

    def matrices(sites):
        table, d = sites.derivatives.state, len(cell.states)
        zero = np.zeros(sites.count)
        return np.array([[table.get((i, j), 0.0) + zero for j in range(d)] for i in range(d)])

    product = np.einsum("ijn,jkn->nik", matrices(second), matrices(first))
    square = product @ product.swapaxes(1, 2)
    d = len(cell.states)
    for estimate, power in ((found.mean, square), (found.second_moment, square @ square)):
        assert estimate.value == pytest.approx(power.trace(axis1=1, axis2=2).mean() / d, rel=0.02)


@pytest.mark.parametrize(
    "cell",
    [gru, pytest.param(lstm_peephole, marks=pytest.mark.thorough)],
    ids=lambda c: c.name,
)
def test_theory_agrees_and_a_wrong_one_would_not(cell):
    found = verify(cell, awake(cell), steps=[1, 2], width=128, samples=16, seed=1, spectra=False)
    for row in found.rows:
        for moment in (row.mean, row.second_moment):
            assert set(list(row.of_moment(moment).values())[:2]) == {"agrees"}
            assert abs(moment.measured.ratio.z(1.0)) < 4.5
        if row.steps == 1:
            # 3 % of m_1 and 10 % of m_2 are seen on the drawn sites, in 16 networks of width 128,
            # and 3 % of either on sites without W.
            assert row.mean.measured.ratio.standard_error < 0.03 / 4
            assert row.second_moment.measured.ratio.standard_error < 0.1 / 4
            for moment in (row.mean, row.second_moment):
                assert abs(moment.measured.on_sites.z(0.97 * moment.exact)) > 4
            assert row.second_moment.s_transform == pytest.approx(row.second_moment.exact)
    assert found.s_1 == ()
    assert [d.steps for d in found.differences] == [1, 2]
    for difference in found.differences:
        assert abs(difference.z) < 4


def test_free_steps_are_rejected_for_an_lstm_and_not_where_the_steps_are_free():
    alive = verify(lstm, awake(lstm), weights=["gaussian"], steps=[3], width=96, samples=12,
                   spectra=False)  # fmt: skip
    assert alive.rows[0].verdict == "exact agrees, paired agrees, free steps fails"
    # A silent GRU is J = 1/2 + W / 4, with fresh W at every step: free.
    silent = verify(gru, Parameters.of(gru, input_std=0), weights=["gaussian"], steps=[3], width=96,
                    samples=12, spectra=False)  # fmt: skip
    moment = silent.rows[0].second_moment
    assert moment.s_transform == pytest.approx(moment.exact, rel=1e-9)
    assert silent.rows[0].verdict == "exact agrees, paired agrees, free steps agrees"


@pytest.mark.thorough
def test_one_matrix_whose_moments_do_not_close_has_a_measured_s_1():
    p = Parameters.of(reads_the_state, weight_std=1.5, input_std=1.0, input_variance=0.5)
    found = verify(reads_the_state, p, steps=[1], width=96, samples=16, spectra=False)
    assert [s.exact for s in found.s_1] == [-1.0, 0.0]
    for s in found.s_1:
        assert abs(s.measured.value - s.exact) < 4.5 * s.measured.standard_error + 12 / 96


def haar(rng, width):
    q, r = np.linalg.qr(rng.standard_normal((width, width)))
    return q * np.sign(r.diagonal())


def two_state_factor(rng, width, orthogonal, lowest=-1.0):
    """Blocks that share their W, between dependent diagonals of both sides."""
    W, V = (haar(rng, width) if orthogonal else rng.standard_normal((width, width)) / width**0.5
            for _ in range(2))  # fmt: skip
    site = rng.uniform(lowest, 1, (8, width))
    blocks = [
        [np.diag(site[0]) + site[1][:, None] * W, site[2][:, None] * V + site[3][:, None] * W],
        [site[4][:, None] * V * site[0], np.diag(site[5]) + site[6][:, None] * W],
    ]
    return np.block(blocks)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_moments_over_site_matrices_are_those_of_products_of_shared_weights(orthogonal):
    rng, width, samples = np.random.default_rng(8), 96, 8
    ratios = []
    for _ in range(samples):
        found, product = DiagonalMoments.identity(width, states=2), np.eye(2 * width)
        for _ in range(3):
            J = two_state_factor(rng, width, orthogonal)
            found, product = found.step(J), J @ product
        square = product @ product.T
        m_1, m_2 = np.trace(square) / 2 / width, np.vdot(square, square) / 2 / width
        ratios.append([m_1 / found.mean, m_2 / found.second_moment])
    ratio = np.array(ratios)
    error = ratio.std(axis=0, ddof=1) / math.sqrt(samples)
    # Student's t with 7 degrees, 5.4 of which are 1 in 1,000, and T / N.
    assert (abs(ratio.mean(axis=0) - 1) < 5.4 * error + 3 / width).all()
    assert (error < 0.05).all()


def test_site_matrices_of_many_copies_are_exact():
    # Without random matrices, products are those of the 2 x 2 matrices of each site.
    rng, width = np.random.default_rng(9), 5
    found, product = DiagonalMoments.identity(width, states=2), np.eye(2)[:, :, None]
    for _ in range(3):
        sites = rng.standard_normal((2, 2, width))
        J = np.einsum("ijn,nm->injm", sites, np.eye(width)).reshape(2 * width, 2 * width)
        found, product = found.step(J), np.einsum("ijn,jkn->ikn", sites, product)
    square = np.einsum("ijn,kjn->ikn", product, product)
    assert found.mean == pytest.approx(np.einsum("iin->n", square).mean() / 2)
    assert found.second_moment == pytest.approx((square**2).sum(axis=(0, 1)).mean() / 2)
    assert found.diagonal == pytest.approx(square)


@pytest.mark.parametrize("cell", [lstm, lstm_peephole], ids=lambda c: c.name)
def test_factors_of_two_states_are_free_over_site_matrices_only(cell):
    found = freeness_of_cell(cell, awake(cell), weights="gaussian", steps=4, width=64, samples=12)
    assert found.untied.verdict == "free over the site matrices"
    assert found.untied.row("m_1").free_z < -6
    assert found.tied.verdict == "neither"
    assert abs(found.tied.row("overlap").diagonal_z) > 8


def test_diagonals_of_dn_sites_are_not_enough_for_two_states():
    rng = np.random.default_rng(10)
    samples = [[two_state_factor(rng, 48, False, 0.0) for _ in range(4)] for _ in range(16)]
    assert freeness_test(samples, states=2).is_free_over_diagonal
    assert not freeness_test(samples).is_free_over_diagonal


def test_factors_of_a_gru_are_free_over_the_diagonal():
    found = freeness_of_cell(gru, awake(gru), weights="orthogonal", steps=3, width=96, samples=16)
    assert found.untied.is_free_over_diagonal
    assert found.tied.verdict == "neither"


def test_numbers_of_states_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match="states"):
        freeness_test(np.ones((2, 2, 3, 3)), states=2)
    with pytest.raises(ParameterError, match="states"):
        compare_spectrum(QuarterCircle(), np.ones((2, 5)), states=2)
    assert compare_spectrum(QuarterCircle(), np.ones((2, 6)), states=2).width == 3
