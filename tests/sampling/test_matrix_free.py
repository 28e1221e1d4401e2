"""Products that are never formed, their moments on drawn sites and by random vectors."""

import math
from typing import Any

import numpy as np
import pytest

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.cells import (
    Cell,
    Parameters,
    StepDerivatives,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    minimalrnn,
    vanilla,
)
from rmt_jacobian.derive import PairedMoments
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.pencils import BlockChain, BlockHistory, chain_moments, ensemble
from rmt_jacobian.sampling import run_network
from rmt_jacobian.sampling.matrix_free.extremes import extreme_singular_values
from rmt_jacobian.sampling.matrix_free.factors import StepFactors
from rmt_jacobian.sampling.matrix_free.product import JacobianProduct
from rmt_jacobian.sampling.matrix_free.runs import sample_matrix_free
from rmt_jacobian.sampling.matrix_free.site_moments import covariances, moments_on_sites
from rmt_jacobian.sampling.matrix_free.vector_moments import controlled, vector_moments
from rmt_jacobian.sampling.networks.steps import NetworkStep
from tests.cells.two_gates import biases_of, two_gates
from tests.in_turn import in_turn

CELLS = [vanilla, minimalrnn, gru, gru_reset_after, lstm, lstm_peephole, two_gates]


def awake(cell: Cell) -> Parameters:
    values = {"weight_std": 1.4, "input_std": 1.0, "bias_std": 0.3, "input_variance": 1.0}
    return Parameters.of(cell, values, bias_kind=biases_of(cell))


def drawn(cell: Cell, weights: Any, width: int, steps: int, seed: int = 0) -> list[NetworkStep]:
    rng = np.random.default_rng(seed)
    run = run_network(cell, awake(cell), weights=weights, width=width, steps=steps, rng=rng)
    return list(run)


def dense(steps: list[NetworkStep]) -> np.ndarray:
    """The product from the matrices W and the chain rule, without ``times``."""
    states, width = len(steps[0].states), steps[0].x.shape[0]
    J = np.eye(states * width)
    for step in steps:
        d, D = step.derivatives, step.derivatives.source_state

        def diag(value: Any) -> np.ndarray:
            return np.diag(np.zeros(width) + value)

        def row(table: Any, i: int, count: int) -> np.ndarray:
            return np.hstack([diag(table.get((i, s), 0.0)) for s in range(count)])

        gates: list[np.ndarray] = []
        for k, W in enumerate(step.weights):
            source = row(D, k, states)
            for j, gate in enumerate(gates):
                source = source + diag(d.source_gate.get((k, j), 0.0)) @ gate
            gates.append(0 * source if W is None else W.matrix() @ source)
        new = [
            row(d.state, i, states)
            + sum(diag(d.gate.get((i, k), 0.0)) @ gate for k, gate in enumerate(gates))
            for i in range(states)
        ]
        J = np.vstack(new) @ J
    return J


@pytest.mark.parametrize("weights", ["gaussian", "fast-orthogonal", "fast-gaussian"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_products_with_vectors_are_those_of_the_matrix(cell: Cell, weights: Any) -> None:
    steps = drawn(cell, weights, 12, 3)
    product, J = JacobianProduct.of(steps), dense(steps)
    v = np.random.default_rng(1).standard_normal((len(J), 3))
    for x in (v, v[:, 0].copy()):
        assert product.times(x) == pytest.approx(J @ x, abs=1e-12)
        assert product.adjoint(x) == pytest.approx(J.T @ x, abs=1e-12)
        assert product.gram(x) == pytest.approx(J.T @ (J @ x), abs=1e-12)
        operator = product.linear_operator()
        assert operator @ x == pytest.approx(J @ x, abs=1e-12)
        assert operator.T @ x == pytest.approx(J.T @ x, abs=1e-12)
    assert product.shape == J.shape


def test_nothing_but_the_product_is_kept() -> None:
    product = JacobianProduct.of(drawn(minimalrnn, "fast-orthogonal", 64, 2))
    for step in product.steps:
        assert all(array.size == 0 and array.base is None for array in (*step.states, step.x))
        assert step.gates == ()
    assert not product.dense
    assert JacobianProduct.of(drawn(minimalrnn, "orthogonal", 8, 1)).dense
    with pytest.raises(ParameterError, match="at least one step"):
        JacobianProduct.of([])
    for bad in (np.ones(63), np.ones((64, 1, 1))):
        with pytest.raises(ParameterError, match="shape"):
            product.times(bad)


def test_signs() -> None:
    product = JacobianProduct.of(drawn(lstm, "fast-orthogonal", 512, 1))
    signs = product.random_signs(np.random.default_rng(0), 3)
    assert signs.shape == (1024, 3)
    assert (np.abs(signs) == 1).all()
    assert abs(signs.mean()) < 5 / math.sqrt(signs.size)
    assert product.random_signs(np.random.default_rng(0)).shape == (1024,)


def test_products_in_any_namespace(xp: Any) -> None:
    def sample(device: Any) -> JacobianProduct:
        return JacobianProduct.of(
            run_network(lstm, awake(lstm), weights="fast-gaussian", width=32, steps=2,
                        rng=np.random.default_rng(3), device=device)
        )  # fmt: skip

    ours = sample(xp)
    signs = ours.random_signs(np.random.default_rng(4), 2)
    found = ours.gram(signs)
    assert type(found) is type(xp.ones(1))
    factors = [StepFactors.of(step) for step in ours.steps]
    by_vectors = vector_moments(factors, covariances(factors), signs, orthogonal=False)
    square = to_numpy(ours.times(signs)) ** 2
    assert by_vectors.mean == pytest.approx(square.mean(axis=0))
    assert by_vectors.second_moment == pytest.approx((to_numpy(found) ** 2).mean(axis=0))
    operator = ours.linear_operator()
    assert operator @ to_numpy(signs) == pytest.approx(to_numpy(ours.times(signs)))


# m_1 and m_2 on the drawn sites.
def with_unit_rows(step: NetworkStep) -> StepDerivatives:
    d = step.derivatives
    lengths = [1.0 if W is None else W.row_lengths() for W in step.weights]
    gate = {(i, k): entry * lengths[k] for (i, k), entry in d.gate.items()}
    source = {(i, k): entry * lengths[k] for (i, k), entry in d.source_gate.items()}
    return StepDerivatives(d.state, gate, d.source_state, source)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_one_sweep_is_the_power_series_of_the_chain(cell: Cell, weights: Any) -> None:
    steps = drawn(cell, weights, 24, 4, seed=5)
    found = moments_on_sites(
        [StepFactors.of(s) for s in steps], -1.0 if weights == "gaussian" else 0.0
    )
    history = BlockHistory.of([with_unit_rows(s) for s in steps], cell, np.full(24, 1 / 24))
    chain = BlockChain.of(history, [ensemble(weights, 1.0) for _ in history.names])
    _, mean, second = chain_moments(chain, 2)
    assert found.mean == pytest.approx(mean, rel=1e-11)
    assert found.second_moment == pytest.approx(second, rel=1e-11)


@pytest.mark.parametrize("s_1", [-1.0, 0.0, -0.3])
def test_one_sweep_is_the_map_of_the_paired_moments(s_1: float) -> None:
    steps = drawn(minimalrnn, "gaussian", 64, 7, seed=6)
    paired = PairedMoments.identity(steps[0].x)
    for step in steps:
        (W,) = step.weights
        assert W is not None
        A, B = step.derivatives.state[0, 0], step.derivatives.gate[0, 0]
        paired = paired.step(A, B * W.row_lengths(), weight_variance=1.0, s_1=s_1)
    found = moments_on_sites([StepFactors.of(step) for step in steps], s_1)
    assert found.mean == pytest.approx(paired.mean, rel=1e-12)
    assert found.second_moment == pytest.approx(paired.second_moment, rel=1e-12)


def test_covariances_are_the_diagonals_of_sampled_products() -> None:
    # the diagonal of J J^T averaged over 300 draws of W on the same sites
    steps, width = drawn(lstm, "gaussian", 24, 2, seed=7), 24
    expected = covariances([StepFactors.of(step) for step in steps])[-1]
    rng, samples = np.random.default_rng(8), []
    for _ in range(300):
        for step in steps:
            for W in step.weights:
                lengths = W.row_lengths()
                fresh = rng.standard_normal((width, width))
                fresh *= (lengths / np.linalg.norm(fresh, axis=1))[:, None]
                W.matrix()[:] = fresh
        J = dense(steps)
        M = (J @ J.T).reshape(2, width, 2, width)
        samples.append(np.einsum("inju,nu->ijn", M, np.eye(width)))
    mean, error = np.mean(samples, axis=0), np.std(samples, axis=0) / math.sqrt(300)
    for (i, j), entry in expected.items():
        z = (mean[i, j] - entry) / (error[i, j] + 1e-12)
        # 24 normal deviates: mean within 4.5 / sqrt(24), each within 4.5; O(1/N) is below the error
        assert abs(z.mean()) < 4.5 / math.sqrt(24) + 0.5
        assert np.abs(z).max() < 5


# Random vectors.
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal", "fast-gaussian"])
@pytest.mark.parametrize("cell", [minimalrnn, gru, lstm_peephole], ids=lambda c: c.name)
def test_vectors_give_the_moments_of_their_own_measure(cell: Cell, weights: Any) -> None:
    steps = drawn(cell, weights, 16, 3, seed=9)
    J, factors = dense(steps), [StepFactors.of(step) for step in steps]
    v = np.random.default_rng(10).choice([-1.0, 1.0], (len(J), 4))
    through = covariances(factors)
    found = vector_moments(factors, through, v, orthogonal=weights == "orthogonal")
    assert found.mean == pytest.approx(np.mean((J @ v) ** 2, axis=0))
    assert found.second_moment == pytest.approx(np.mean((J.T @ (J @ v)) ** 2, axis=0))
    alone = vector_moments(factors, through, v[:, 0].copy(), orthogonal=weights == "orthogonal")
    assert alone.backward == pytest.approx(found.backward[:1])


@pytest.mark.parametrize(
    ("cell", "weights"),
    in_turn([minimalrnn, gru, lstm], ["gaussian", "orthogonal"]),
    ids=lambda value: getattr(value, "name", value),
)
def test_what_is_subtracted_averages_to_nothing(cell: Cell, weights: Any) -> None:
    width, rows = 96, []
    for seed in range(60):
        factors = [StepFactors.of(step) for step in drawn(cell, weights, width, 3, seed=seed)]
        v = np.random.default_rng(seed).choice([-1.0, 1.0], (factors[0].states * width, 8))
        found = vector_moments(factors, covariances(factors), v, orthogonal=weights == "orthogonal")
        second = moments_on_sites(factors, 0.0 if weights == "orthogonal" else -1.0).second_moment
        kept = found.second_moment - found.backward
        rows.append([found.backward.mean() / second, kept.var(), found.second_moment.var()])
    backward, kept, raw = np.array(rows).T
    error = backward.std(ddof=1) / math.sqrt(60)
    # Student's t with 59 degrees; the bias is of order 1 / N for each of three steps
    assert abs(backward.mean()) < 4.5 * error + 3 / width
    assert error < 0.02
    # Each variance is that of 8 vectors, so that the sum is known to 7 %; some cells gain nothing.
    assert kept.sum() < raw.sum() * 1.14


def test_the_noise_of_vectors_is_removed() -> None:
    width, steps = 2048, 10
    run = run_network(minimalrnn, Parameters.of(minimalrnn), weights="fast-orthogonal", width=width,
                      steps=steps, rng=np.random.default_rng(0))  # fmt: skip
    factors = [StepFactors.of(step) for step in run]
    v = np.random.default_rng(1).choice([-1.0, 1.0], (width, 64))
    found = vector_moments(factors, covariances(factors), v, orthogonal=True)
    paired = moments_on_sites(factors, 0.0)
    kept, error = controlled(found.second_moment - found.backward, found.mean - paired.mean)
    # variances of 64 values are known to 18 %; the ratio was 0.04 when this was written
    assert kept.var() < 0.1 * found.second_moment.var()
    assert error == pytest.approx(kept.std() / 8, rel=0.2)
    # T / N for the noise of W, see theory: it is not averaged over here
    assert abs(kept.mean() - paired.second_moment) < 4.5 * error + paired.second_moment * 20 / width


def test_controls_leave_the_mean_alone() -> None:
    rng = np.random.default_rng(2)
    scores, raw = [], []
    for _ in range(2000):
        c = rng.standard_normal(8)
        x = 3 + 2 * c + 0.3 * rng.standard_normal(8)
        kept, error = controlled(x, c)
        scores.append((kept.mean() - 3) / error)
        raw.append(kept.mean() - 3)
    # Student's t with 6 degrees: standard deviation sqrt(6 / 4), known to 5 % of 2000 heavy tails
    assert np.std(scores) == pytest.approx(math.sqrt(1.5), rel=0.1)
    assert abs(np.mean(scores)) < 4.5 * math.sqrt(1.5 / 2000)
    assert np.std(raw) == pytest.approx(0.3 / math.sqrt(8) * math.sqrt(6 / 5), rel=0.1)


def test_controls_of_a_few_values_or_of_nothing() -> None:
    x, c = np.random.default_rng(3).standard_normal((2, 6))
    for values, control in ((x[:3], c[:3]), (x, 0 * c)):
        kept, error = controlled(values, control)
        assert (kept == values).all()
        assert error == pytest.approx(values.std(ddof=1) / math.sqrt(len(values)))
    assert math.isnan(controlled(x[:1], c[:1])[1])


# Extreme singular values.
@pytest.mark.parametrize("which", ["largest", "smallest"])
def test_extreme_singular_values(which: Any) -> None:
    steps = drawn(gru, "gaussian", 40, 1, seed=11)
    product, J = JacobianProduct.of(steps), dense(steps)
    exact = np.linalg.svd(J, compute_uv=False)
    found = extreme_singular_values(product, 3, which=which)
    expected = exact[:3] if which == "largest" else exact[-3:]
    assert found.values == pytest.approx(expected, rel=1e-6)
    rough = extreme_singular_values(product, 3, which="largest", tolerance=0.3)
    distance = np.abs(rough.values[:, None] - exact).min(axis=1)
    assert (distance <= rough.errors + 1e-12).all()
    pairs = np.vstack([found.left, found.right])
    residual = np.vstack([J @ found.right, J.T @ found.left]) - pairs * found.values
    bound = np.linalg.norm(residual, axis=0) / np.linalg.norm(pairs, axis=0)
    assert found.errors == pytest.approx(bound, abs=1e-13)


def test_extreme_singular_values_that_cannot_be_had() -> None:
    product = JacobianProduct.of(drawn(minimalrnn, "gaussian", 40, 6, seed=12))
    with pytest.raises(ConvergenceError, match="log_singular_values"):
        extreme_singular_values(product, 2, which="smallest", most_iterations=1)
    with pytest.raises(ParameterError, match="from 1 to 39"):
        extreme_singular_values(product, 40)
    with pytest.raises(ParameterError, match="unknown end"):
        extreme_singular_values(product, 1, which="middle")  # pyright: ignore[reportArgumentType]


# Whole samples.
def test_a_sample_does_not_depend_on_the_workers() -> None:
    def sample(**options: Any) -> Any:
        return sample_matrix_free(
            vanilla,
            Parameters.of(vanilla),
            steps=3,
            width=256,
            vectors=5,
            lanczos_steps=6,
            lanczos_vectors=2,
            seed=3,
            **options,
        )

    one, two = sample(samples=2, workers=1), sample(samples=2, workers=2)
    assert (one.moments.second_moment == two.moments.second_moment).all()
    assert one.moments.mean.shape == (2, 5)
    assert (one.spectrum.networks, one.spectrum.vectors) == (2, 2)
    first = sample(samples=1, workers=2)
    assert (first.moments.mean == one.moments.mean[:1]).all()
    at = np.linspace(0, 2, 5)
    assert (one.spectrum.cdf(at) == two.spectrum.cdf(at)).all()


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal", "fast-gaussian"])
def test_lanczos_starts_from_the_vectors_of_the_moments(weights: Any) -> None:
    found = sample_matrix_free(gru, awake(gru), weights=weights, steps=2, width=64, vectors=6,
                               lanczos_steps=3, lanczos_vectors=4, seed=4)  # fmt: skip
    assert found.spectrum is not None
    for j, measure in enumerate(found.spectrum.measures[0]):
        moments = measure.moments(2)
        assert moments[1] == pytest.approx(found.moments.mean[0, j], rel=1e-10)
        assert moments[2] == pytest.approx(found.moments.second_moment[0, j], rel=1e-10)


@pytest.mark.parametrize(
    ("cell", "weights"), [(minimalrnn, "fast-gaussian"), (lstm, "fast-orthogonal")]
)
def test_moments_are_those_of_theory_on_the_drawn_sites(cell: Cell, weights: Any) -> None:
    found = sample_matrix_free(cell, awake(cell), weights=weights, steps=4, width=4096, samples=2,
                               vectors=8, lanczos_steps=0, seed=5)  # fmt: skip
    assert found.spectrum is None
    for ratio, error in found.moments.ratio_to_paired().values():
        # two networks of 8 vectors: t with 14 degrees; 10 / N for W, T = 4
        assert abs(ratio - 1) < 5 * error + 10 / 4096
        assert error < 0.05


def test_tied_networks_keep_their_noise() -> None:
    found = sample_matrix_free(vanilla, Parameters.of(vanilla), steps=2, width=64, vectors=4,
                               lanczos_steps=0, tied=True).moments  # fmt: skip
    assert (found.reduced_second_moment == found.second_moment).all()


def test_single_precision_changes_the_last_digits_only() -> None:
    def sample(dtype: Any) -> Any:
        return sample_matrix_free(
            minimalrnn,
            awake(minimalrnn),
            weights="fast-gaussian",
            steps=3,
            width=512,
            vectors=4,
            lanczos_steps=10,
            seed=6,
            dtype=dtype,
        )

    single, double = sample("float32"), sample("float64")
    assert single.moments.reduced_second_moment == pytest.approx(
        double.moments.reduced_second_moment, rel=1e-4
    )
    at = np.linspace(0, 1.5, 16)
    assert single.spectrum.cdf(at) == pytest.approx(double.spectrum.cdf(at), abs=1e-3)


@pytest.mark.parametrize(
    "wrong", [{"vectors": 0}, {"samples": 0}, {"steps": 0}, {"lanczos_steps": -1},
              {"lanczos_vectors": 9}, {"lanczos_vectors": 0}, {"weights": "haar"}, {"width": 0}],
)  # fmt: skip
def test_wrong_arguments(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        sample_matrix_free(vanilla, Parameters.of(vanilla), **{"steps": 1, "width": 16, **wrong})


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["fast-gaussian", "fast-orthogonal"])
def test_ratios_to_theory_stay_within_their_errors(weights: Any) -> None:
    # For Gaussian W the second moment is 1 / N above theory, as W W^T has (2 + 1 / N): in units of
    # the noise of 32 vectors alone that is 1.7, and 63 % of intervals of +- 1.96 held.
    parameters, seeds = Parameters.of(vanilla), 40
    inside = 0
    for seed in range(seeds):
        found = sample_matrix_free(
            vanilla, parameters, weights=weights, steps=1, width=1024, vectors=32,
            lanczos_steps=0, seed=seed, workers=1,
        )  # fmt: skip
        ratio, error = found.moments.ratio_to_paired()["second_moment"]
        inside += abs(ratio - 1) < 1.96 * error
        assert error < 3 / 1024
    # 95 % of 40 are 38; 31 or fewer have a probability below 1e-3.
    assert inside > 31


def test_tied_networks_are_paired_with_the_theory_of_shared_weights() -> None:
    p = Parameters.of(gru, weight_std=3**-0.5, input_std=3**-0.5, input_variance=1.0)
    found = sample_matrix_free(gru, p, weights="orthogonal", steps=6, width=512, vectors=32,
                               lanczos_steps=0, tied=True, samples=2).moments  # fmt: skip
    ratio, error = found.ratio_to_paired()["mean"]
    assert abs(ratio - 1) < 4 * error + 6 / 512
    assert math.isnan(found.ratio_to_paired()["second_moment"][0])
    long = sample_matrix_free(gru, p, steps=201, width=8, vectors=2, lanczos_steps=0, tied=True)
    assert np.isnan(long.moments.paired_mean).all()
