import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    minimalrnn,
    vanilla,
)
from rmt_jacobian.comparison import sample_moments
from rmt_jacobian.comparison.paired_theory import AnyCell, OneMatrix
from rmt_jacobian.errors import ParameterError, RoundingWarning
from rmt_jacobian.mean_field import trajectory
from rmt_jacobian.sampling import (
    jacobian_products,
    product_moments,
    run_network,
    sample_correlations,
    sample_log_singular_values,
    sample_lyapunov,
    sample_singular_values,
    singular_values,
)
from tests import gauss_legendre as gl
from tests.cells.two_gates import biases_of, two_gates, two_states
from tests.in_turn import in_turn
from tests.mean_field.points import POINTS
from tests.mean_field.two_routes import by_map

FIGURE_1 = Parameters.of(minimalrnn)


@pytest.mark.parametrize("width", [1, 2, 9, 40])
@pytest.mark.parametrize("order", ["C", "F"])
def test_product_moments_are_those_of_the_singular_values(width: int, order: str) -> None:
    J = np.random.default_rng(width).standard_normal((width, width)).astype(float, order=order)
    squared = np.linalg.svd(J, compute_uv=False) ** 2
    m_1, m_2 = product_moments(J)
    assert m_1 == pytest.approx(np.mean(squared), rel=1e-13)
    assert m_2 == pytest.approx(np.mean(squared**2), rel=1e-13)
    assert singular_values(J) ** 2 == pytest.approx(squared, rel=1e-11, abs=1e-13)


def test_product_moments_in_every_namespace(xp: Any) -> None:
    J = np.random.default_rng(1).standard_normal((6, 6))
    assert product_moments(xp.asarray(J)) == pytest.approx(product_moments(J), rel=1e-13)
    found = to_numpy(singular_values(xp.asarray(J)))
    assert found == pytest.approx(np.linalg.svd(J, compute_uv=False), rel=1e-12)


def test_products_at_some_steps_only() -> None:
    def run(steps: int):
        return run_network(minimalrnn, FIGURE_1, width=6, steps=steps, rng=np.random.default_rng(0))

    found = {t: product for t, _, product in jacobian_products(run(5), [2, 4])}
    assert sorted(found) == [1, 2, 3, 4]
    assert found[1] is None
    assert found[3] is None
    steps = list(run(5))
    expected = np.eye(6)
    for t, step in enumerate(steps[:4], start=1):
        (expected,) = step.times([expected])
        if t in (2, 4):
            assert found[t] == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ParameterError, match="5 steps, but 6"):
        list(jacobian_products(iter(steps), [6]))
    with pytest.raises(ParameterError, match="above 0"):
        list(jacobian_products(iter(steps), [0, 2]))


def same(left: Any, right: Any) -> bool:
    names = ("mean", "second_moment", "paired_mean", "paired_second_moment", "s_1")
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_same_bits_for_any_number_of_workers(weights: Any) -> None:
    def sampled(workers: int | None, seed: int = 5, samples: int = 5) -> Any:
        return sample_moments(
            minimalrnn,
            FIGURE_1,
            weights=weights,
            steps=[1, 3],
            width=48,
            samples=samples,
            seed=seed,
            workers=workers,
        )

    one = sampled(1)
    assert same(one, sampled(1))
    assert same(one, sampled(3))
    assert same(one, sampled(None))
    assert not same(one, sampled(1, seed=6))
    longer = sampled(2, samples=7)
    assert np.array_equal(longer.second_moment[:5], one.second_moment)


def test_steps_are_sorted_and_do_not_change_each_other() -> None:
    def sampled(steps: list[int]) -> Any:
        return sample_moments(
            vanilla, Parameters.of(vanilla), weights="gaussian", steps=steps, width=16, samples=2
        )

    both, one = sampled([4, 2, 4]), sampled([2])
    assert both.steps == (2, 4)
    assert np.array_equal(both.second_moment[:, 0], one.second_moment[:, 0])


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_singular_values_belong_to_the_same_networks(weights: Any) -> None:
    common: dict[str, Any] = {"weights": weights, "width": 32, "samples": 3, "seed": 8}
    values = sample_singular_values(minimalrnn, FIGURE_1, steps=3, **common)
    moments = sample_moments(minimalrnn, FIGURE_1, steps=[3], spectra_at=[3], spectra=2, **common)
    assert np.array_equal(moments.singular_values[3], values[:2])
    assert values.shape == (3, 32)
    assert (np.diff(values, axis=1) <= 0).all()
    assert np.mean(values**2, axis=1) == pytest.approx(moments.mean[:, 0], rel=1e-12)
    assert np.mean(values**4, axis=1) == pytest.approx(moments.second_moment[:, 0], rel=1e-12)


def test_values_below_rounding_are_called_noise() -> None:
    # e^-533 by the accurate product, 1e-23 by the product as it stands.
    awake_gru = Parameters.of(gru).with_values(input_std=1.0)
    arguments: dict[str, Any] = {
        "weights": "gaussian", "steps": 200, "width": 32, "samples": 2, "seed": 1
    }  # fmt: skip
    resolved = sample_log_singular_values(gru, awake_gru, **arguments).values
    with pytest.warns(RoundingWarning, match=r"of 64 singular values .* rounding noise") as caught:
        values = sample_singular_values(gru, awake_gru, **arguments)
    known = values > 1e-14 * values[:, :1]
    assert f"{np.sum(~known)} of 64" in str(caught[0].message)
    assert np.log(values[known]) == pytest.approx(resolved[known], abs=0.2)
    assert abs(np.log(values[:, -1]) - resolved[:, -1]).min() > 50


def test_networks_that_do_not_fit_are_refused_before_they_are_drawn() -> None:
    for sample in (sample_moments, sample_singular_values):
        steps: Any = [1] if sample is sample_moments else 1
        with pytest.raises(ParameterError, match="not enough memory"):
            sample(vanilla, Parameters.of(vanilla), weights="gaussian", steps=steps, width=10**7)
    with pytest.raises(ParameterError, match="not enough memory"):
        sample_lyapunov(vanilla, Parameters.of(vanilla), weights="gaussian", steps=1, width=10**7)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_s_1_is_measured(weights: Any) -> None:
    found = sample_moments(
        minimalrnn, FIGURE_1, weights=weights, steps=[1], width=256, samples=60, seed=2
    )
    error = found.s_1.std(ddof=1) / math.sqrt(60)
    exact = -1.0 if weights == "gaussian" else 0.0
    # 4.5 standard errors; a bias of a few / N comes on top.
    assert abs(found.s_1.mean() - exact) < 4.5 * error + 12 / 256
    assert error < 0.13


# At the point of Figure 1.  Given e = W h + ..., two averages over W differ from those of a fresh W
# by 1 / N: with z the standardised e and f the share of W h in its variance q,
#     E[sum_j W_ij^2 | e] = sigma_w^2 (1 + f (z_i^2 - 1) / N) for Gaussian W, sigma_w^2 for Haar W
#     (the theory on the drawn sites counts the row lengths among those, so this one cancels),
#     E[W_ii | e] = sigma_w^2 h_i e_i / (N q),
# so m_1 = <A^2 + 2 A B W_ii + B^2 sum_j W_ij^2> exceeds the theory on its own sites by a known
# multiple of 1 / N, here -0.44 / N and +0.07 / N.
@pytest.mark.slow
@pytest.mark.parametrize(
    "weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.thorough)]
)
def test_the_bias_of_the_mean_at_finite_width(weights: Any) -> None:
    width, samples = 64, 3000
    found = sample_moments(
        minimalrnn, FIGURE_1, weights=weights, steps=[1], width=width, samples=samples, seed=77
    )
    excess = width * (found.mean - found.paired_mean)[:, 0]
    error = excess.std(ddof=1) / math.sqrt(samples)
    law = by_map(minimalrnn, FIGURE_1).law
    q, Q = law.preactivation_variance, law.state_variance

    def at_site(e: np.ndarray) -> np.ndarray:
        u, slope = gl.sigmoid(e), gl.sigmoid_slope(e)
        return 2 * 6.88**2 * (Q / q) * u * slope * e

    expected = gl.normal_average(at_site, 0.0, q)
    # Next comes a term of order 1 / N relative to this one.
    assert abs(excess.mean() - expected) < 4.5 * error + 3 * abs(expected) / width
    assert error < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    "weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.thorough)]
)
def test_paired_scores_are_standard_normal(weights: Any) -> None:
    # z of 30 seeds: mean 0 but for the bias of order 1 / N, spread 1.
    width, samples, scores = 128, 24, []
    for seed in range(30):
        found = sample_moments(
            minimalrnn,
            FIGURE_1,
            weights=weights,
            steps=[1, 4],
            width=width,
            samples=samples,
            seed=seed,
        )
        difference = found.second_moment - found.paired_second_moment
        error = difference.std(axis=0, ddof=1) / math.sqrt(samples)
        relative = error / found.paired_second_moment.mean(axis=0)
        scores.append(np.concatenate([difference.mean(axis=0) / error, relative]))
    z, relative = np.array(scores).reshape(30, 2, 2).transpose(1, 0, 2)
    # At widths 64 and 128 the bias is within 1 / N at T = 1 and about (5 +- 2) / N at T = 5.
    shift = np.array([1, 5]) / width / relative.mean(axis=0)
    # The mean of 30 scores of Student's t with 23 degrees (spread 1.05) within 4.5 / sqrt(30).
    assert (abs(z.mean(axis=0)) < 4.5 * 1.05 / math.sqrt(30) + shift).all()
    # Their spread: chi-square with 29 degrees of freedom between its 1e-5 quantiles.
    assert (z.std(axis=0, ddof=1) > 0.5).all()
    assert (z.std(axis=0, ddof=1) < 1.7).all()


@pytest.mark.parametrize("samples", [0, 1])
def test_too_few_samples(samples: int) -> None:
    with pytest.raises(ParameterError, match="at least 2"):
        sample_moments(minimalrnn, FIGURE_1, weights="gaussian", steps=[1], samples=samples)


@pytest.mark.parametrize("steps", [[0], [-1, 2], []])
def test_numbers_of_steps_out_of_domain(steps: list[int]) -> None:
    with pytest.raises(ParameterError, match="steps"):
        sample_moments(minimalrnn, FIGURE_1, weights="gaussian", steps=steps, width=4, samples=2)


# Any cell: the theory on the drawn sites is off by the noise of W and T / N at most.  The standard
# error is that of (sampled - paired), of 16 samples (Student's t: 4.5 of them is 1 in 2,400).
def awake(cell: Cell, bias_std: float = 0.3) -> Parameters:
    values = {"weight_std": 1.2, "input_std": 1.0, "bias_std": bias_std, "input_variance": 1.0}
    return Parameters.of(cell, values, bias_kind=biases_of(cell))


@pytest.mark.parametrize(
    ("cell", "weights"),
    in_turn(
        [gru, gru_reset_after, lstm, lstm_peephole, two_gates, two_states],
        ["gaussian", "orthogonal"],
    ),
    ids=lambda value: getattr(value, "name", value),
)
def test_moments_of_any_cell_are_those_of_theory_on_the_drawn_sites(
    cell: Cell, weights: Any
) -> None:
    samples, width = 16, 48
    # Frozen biases would make the memory of two_states long, and its mean field slow.
    parameters = awake(cell, 0.0 if cell is two_states else 0.3)
    found = sample_moments(
        cell, parameters, weights=weights, steps=[1, 2], width=width, samples=samples, seed=4
    )
    for sampled, paired in (
        (found.mean, found.paired_mean),
        (found.second_moment, found.paired_second_moment),
    ):
        ratio = sampled / paired
        error = ratio.std(axis=0, ddof=1) / math.sqrt(samples)
        raw = sampled.std(axis=0, ddof=1) / sampled.mean(axis=0) / math.sqrt(samples)
        assert (abs(ratio.mean(axis=0) - 1) < 4.5 * error + np.array([1, 2]) / width).all()
        assert error[0] < 0.5 * raw[0]  # the noise of the sites is gone
    assert np.isnan(found.s_1).all()  # two W or more, which the product does not tell apart


def test_the_other_ensemble_is_seen_by_the_theory_on_the_drawn_sites() -> None:
    def sampled(weights: Any) -> Any:
        strong = Parameters.of(gru).with_values(input_std=1.0)
        return sample_moments(gru, strong, weights=weights, steps=[1], width=128, samples=24)

    found, swapped = sampled("gaussian"), sampled("orthogonal")
    for own, other in ((found, swapped), (swapped, found)):
        ratio = own.second_moment / own.paired_second_moment
        error = ratio.std(ddof=1) / math.sqrt(24)
        wrong = own.second_moment.mean() / other.paired_second_moment.mean()
        assert abs(ratio.mean() - 1) < 4.5 * error + 1 / 128
        assert abs(wrong - 1) > 6 * error + 1 / 128


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_both_routes_on_the_drawn_sites_agree(weights: Any) -> None:
    # The same Jacobian, once as A + B W and once with a second W that is 0.
    idle = Preactivation("idle", sp.Symbol("e_idle", real=True), minimalrnn.states[0])
    both = Cell("both", minimalrnn.states, minimalrnn.input,
                (*minimalrnn.preactivations, idle), minimalrnn.updates)  # fmt: skip
    run = run_network(minimalrnn, FIGURE_1, weights=weights, width=32, steps=4,
                      rng=np.random.default_rng(3))  # fmt: skip
    one, any_cell = OneMatrix(weights), AnyCell(minimalrnn, weights, 32)
    padded = AnyCell(both, weights, 32)
    for step in run:
        one.add(step)
        any_cell.add(step)
        padded.add(replace(step, weights=(*step.weights, step.weights[0])))
        assert any_cell.moments() == pytest.approx(one.moments(), rel=1e-10)
        assert padded.moments() == pytest.approx(one.moments(), rel=1e-10)
        if len(any_cell._steps) == 1:
            for second in (2.0, 3.0):
                expected = one.inferred_s_1(second)
                assert any_cell.inferred_s_1(second) == pytest.approx(expected, rel=1e-9)


def test_s_1_of_one_matrix_with_another_source() -> None:
    h, x, e = sp.symbols("h x e", real=True)
    cell = Cell("rectified source", (h,), x, (Preactivation("candidate", e, h + sp.tanh(h)),),
                (h / 3 + sp.tanh(e),))  # fmt: skip
    for weights, exact in (("gaussian", -1.0), ("orthogonal", 0.0)):
        found = sample_moments(
            cell, awake(cell), weights=weights, steps=[1], width=128, samples=24, seed=2
        )
        error = found.s_1.std(ddof=1) / math.sqrt(24)
        assert abs(found.s_1.mean() - exact) < 4.5 * error + 12 / 128
        assert error < 0.1


def test_a_silent_network_and_one_without_weights() -> None:
    silent = Parameters.of(gru, input_std=0)  # no input, no bias: h = 0, J = 1/2 + W / 4 with std 3
    found = sample_moments(gru, silent, weights="orthogonal", steps=[1], width=48, samples=2)
    # Haar W is 3 O: J J^T = 1/4 + 9/16 + (3/8)(O + O^T), m_2 = m_1^2 + 2 (3/8)^2.
    assert found.paired_mean == pytest.approx(13 / 16, rel=1e-12)
    assert found.paired_second_moment == pytest.approx((13 / 16) ** 2 + 9 / 32, rel=1e-12)
    dead = Parameters.of(lstm, weight_std=0.0, input_std=1.0, input_variance=1.0)
    found = sample_moments(lstm, dead, weights="gaussian", steps=[1, 3], width=16, samples=2)
    assert found.paired_mean == pytest.approx(found.mean, rel=1e-12)
    assert found.paired_second_moment == pytest.approx(found.second_moment, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False])
@pytest.mark.parametrize("name", ["figure 1", "figure 1, tanh inputs", "random biases"])
def test_sampled_correlations_follow_the_mean_field(name: str, tied: bool) -> None:
    point, schedule = POINTS[name], [1.0, 1.0, -0.5, 0.3, 0.3]
    found = sample_correlations(
        point.cell,
        point.parameters,
        schedule,
        width=2000,
        samples=24,
        seed=3,
        tied=tied,
        start_correlation=0.5,
    )
    law = by_map(point.cell, point.parameters).law
    path = trajectory(
        point.cell,
        point.parameters,
        schedule,
        start_variance=law.state_variance,
        start_correlation=0.5,
    )
    error = found.std(axis=0, ddof=1) / math.sqrt(24)
    # The cosine has a bias of order 1 / N on top of 4.8 standard errors (t, 23 degrees).
    allowed = 4.8 * error + 4 / 2000
    assert (abs(found.mean(axis=0) - path.preactivation_correlation) < allowed).all()


def test_correlations_of_equal_sequences() -> None:
    for tied in (False, True):
        found = sample_correlations(
            minimalrnn, FIGURE_1, [1.0] * 3, width=30, samples=2, tied=tied, start_correlation=1.0
        )
        assert found == pytest.approx(np.ones((2, 3)), abs=1e-12)


def test_spectra_are_kept_at_sampled_steps_only() -> None:
    with pytest.raises(ParameterError, match="add them"):
        sample_moments(
            minimalrnn, FIGURE_1, weights="gaussian", steps=[1], spectra_at=[2], width=4, samples=2
        )
