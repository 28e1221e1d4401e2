"""Sites over several steps: shapes, averages of their law, and the mass that they lose."""

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, minimalrnn, vanilla
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import site_law
from rmt_jacobian.pencils import SiteHistory, drawn_sites, low_discrepancy_sites

LAW = site_law(minimalrnn, Parameters.of(minimalrnn))


@pytest.mark.parametrize("draw", [drawn_sites, low_discrepancy_sites])
def test_every_step_has_the_stationary_averages(draw) -> None:
    sites = draw(LAW, steps=4, count=4096, seed=3)
    # Five standard errors of 4096 independent sites; the other sites are closer.
    for values, exact in ((sites.direct**2, LAW.direct_gain), (sites.gate**2, LAW.weight_gain)):
        error = 5 * values.std(axis=1) / 64
        assert np.all(np.abs(values.mean(axis=1) - exact) < error)


def test_low_discrepancy_sites_average_better() -> None:
    def error(draw) -> float:
        means = [np.mean(draw(LAW, 1, 1024, seed).gate ** 2) for seed in range(8)]
        return float(np.std(np.array(means) - LAW.weight_gain))

    assert error(low_discrepancy_sites) < error(drawn_sites) / 3


def test_a_cell_without_direct_path_has_no_diagonal() -> None:
    sites = low_discrepancy_sites(site_law(vanilla, Parameters.of(vanilla)), 3, 64)
    assert np.all(sites.direct == 0)
    assert np.all(sites.gate > 0)


def test_a_seed_fixes_the_sites_and_any_count_is_allowed() -> None:
    first, again = (low_discrepancy_sites(LAW, 2, 100, seed=5) for _ in range(2))
    assert first.count == 100
    assert first.steps == 2
    assert np.array_equal(first.gate, again.gate)
    assert not np.array_equal(first.gate, low_discrepancy_sites(LAW, 2, 100, seed=6).gate)


def test_measures_stand_before_and_after_every_gate() -> None:
    gate = np.array([[1.0, 2.0], [3.0, 0.5]])
    sites = SiteHistory.of(np.zeros((2, 2)), gate, np.array([0.25, 0.75]))
    expected = [[0.25, 0.75], [0.25, 3.0], [0.25, 0.75], [2.25, 0.1875]]  # v_0, w_1, v_1, w_2
    assert np.allclose(sites.measures, expected, rtol=1e-15, atol=0)


def test_cuts_and_portions() -> None:
    sites = low_discrepancy_sites(LAW, 3, 10)
    assert sites.first(2).steps == 2
    assert [part.count for part in sites.portions(4)] == [4, 4, 2]
    assert sum(float(part.weights.sum()) for part in sites.portions(4)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("direct", "gate", "weights", "message"),
    [
        (np.ones(3), np.ones(3), None, "shape"),
        (np.ones((1, 3)), np.ones((2, 3)), None, "shape"),
        (np.ones((0, 3)), np.ones((0, 3)), None, "shape"),
        (np.full((1, 3), np.nan), np.ones((1, 3)), None, "finite"),
        (np.ones((1, 3)), np.full((1, 3), np.inf), None, "finite"),
        (np.ones((1, 3)), np.ones((1, 3)), np.ones(2) / 2, "one for each"),
        (np.ones((1, 2)), np.ones((1, 2)), np.array([1.0, 0.0]), "positive"),
        (np.ones((1, 2)), np.ones((1, 2)), np.ones(2), "divide by their sum"),
    ],
)
def test_bad_sites_are_refused(direct, gate, weights, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SiteHistory.of(direct, gate, weights)


@pytest.mark.parametrize("draw", [drawn_sites, low_discrepancy_sites])
@pytest.mark.parametrize(("steps", "count"), [(0, 4), (2, 0), (1.5, 4), (2, 2.5)])
def test_bad_counts_are_refused(draw, steps, count) -> None:
    with pytest.raises(ParameterError, match="whole number"):
        draw(LAW, steps, count)


def test_too_many_steps_for_the_sequence() -> None:
    with pytest.raises(ParameterError, match="drawn_sites"):
        low_discrepancy_sites(LAW, 10_601, 1)


def rank(A: np.ndarray, B: np.ndarray, copies: int, seed: int) -> float:
    rng, product = np.random.default_rng(seed), np.eye(A.shape[1] * copies)
    for a, b in zip(A, B, strict=True):
        W = rng.standard_normal(product.shape) / np.sqrt(len(product))
        product = np.tile(a, copies)[:, None] * product + np.tile(b, copies)[:, None] * (
            W @ product
        )
    return np.linalg.matrix_rank(product) / len(product)


@pytest.mark.parametrize("seed", range(12))
def test_the_mass_at_zero_is_the_lost_rank_of_dense_products(seed: int) -> None:
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(2, 3, 10)) * (rng.random((2, 3, 10)) < 0.6)
    assert SiteHistory.of(A, B).lost == pytest.approx(1 - rank(A, B, 4, seed), abs=1e-12)


def test_losses_of_commuting_steps_add_up() -> None:
    # Without W, sites that are lost at different steps are all lost.
    A = np.array([[0.0, 1, 1, 1], [1, 0, 1, 1]])
    assert SiteHistory.of(A, 0 * A).lost == pytest.approx(0.5)
    assert SiteHistory.of(A, np.array([0 * A[0], 1 + A[1]])).lost == pytest.approx(0.25)
