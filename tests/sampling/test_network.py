import math
from itertools import pairwise

import numpy as np
import pytest

from rmt_jacobian.cells import Cell, Parameters, compile_cell, minimalrnn, vanilla
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import site_law, stationary_states
from rmt_jacobian.sampling import (
    DenseMatrix,
    NetworkStep,
    draw_weights,
    jacobian_products,
    run_network,
)
from tests.cells.two_gates import biased_gate, leaky, two_gates, two_states
from tests.mean_field.points import POINTS

WIDTH = 7


def step_by_hand(cell: Cell, states: list, x: np.ndarray, weights: list, fixed: list) -> tuple:
    """Preactivations and new states for given W_k and given V_k x + b_k."""
    compiled, gates = compile_cell(cell), []
    for k in range(len(cell.gates)):
        source = compiled.source(k, states, gates)
        gates.append(weights[k] @ (source + np.zeros(WIDTH)) + fixed[k])
    return gates, compiled.update(states, gates, x)


@pytest.mark.parametrize(
    "cell",
    [minimalrnn, vanilla, leaky("1/5"), biased_gate, two_gates, two_states],
    ids=lambda c: c.name,
)
def test_the_jacobian_against_finite_differences_of_the_step(cell: Cell) -> None:
    rng = np.random.default_rng(12)
    states = list(rng.normal(size=(len(cell.states), WIDTH)))
    x = rng.normal(size=WIDTH)
    weights = list(rng.normal(0, 0.4, size=(len(cell.gates), WIDTH, WIDTH)))
    fixed = list(rng.normal(size=(len(cell.gates), WIDTH)))
    gates, _ = step_by_hand(cell, states, x, weights, fixed)
    step = NetworkStep(
        tuple(states),
        tuple(gates),
        x,
        tuple(DenseMatrix(W) for W in weights),
        compile_cell(cell).derivatives(states, gates, x),
    )
    size = len(states) * WIDTH
    whole = np.eye(size)
    J = np.concatenate(step.times([whole[i : i + WIDTH] for i in range(0, size, WIDTH)]))
    small = 1e-5

    def moved(by: np.ndarray) -> np.ndarray:
        new = [s + by[i * WIDTH : (i + 1) * WIDTH] for i, s in enumerate(states)]
        return np.concatenate(step_by_hand(cell, new, x, weights, fixed)[1])

    expected = np.stack(
        [(moved(small * row) - moved(-small * row)) / (2 * small) for row in whole], axis=1
    )
    # Truncation small^2 f''' / 6 and rounding eps / small; f''' is below 50 here.
    assert abs(J - expected).max() < 10 * small**2 + 1e-10


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_product_over_steps_is_the_chain_rule(weights: str, tied: bool) -> None:
    steps = list(
        run_network(
            minimalrnn,
            Parameters.of(minimalrnn),
            weights=weights,  # pyright: ignore[reportArgumentType]
            width=WIDTH,
            steps=4,
            rng=np.random.default_rng(3),
            tied=tied,
        )
    )
    *_, (_, _, product) = jacobian_products(iter(steps), [4])

    def forward(h: np.ndarray) -> np.ndarray:
        """Run the drawn steps from another state: e changes by W times the change of h."""
        for step in steps:
            (e,), (W,) = step.gates, step.weights
            gate = 1 / (1 + np.exp(-(e + W.matrix() @ (h - step.states[0]))))
            h = gate * h + (1 - gate) * step.x
        return h

    start, small = steps[0].states[0], 1e-6
    expected = np.stack(
        [
            (forward(start + small * row) - forward(start - small * row)) / (2 * small)
            for row in np.eye(WIDTH)
        ],
        axis=1,
    )
    assert product == pytest.approx(expected, abs=1e-7 * abs(expected).max())
    for before, after in pairwise(steps):
        gate = 1 / (1 + np.exp(-before.gates[0]))
        moved = gate * before.states[0] + (1 - gate) * before.x
        assert after.states[0] == pytest.approx(moved, rel=1e-13)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_tied_networks_keep_their_matrices_and_biases(weights: str) -> None:
    values = {"weight_std": 1.3, "input_std": 0.0, "bias_std": 0.7, "input_variance": 0.5}
    for tied in (True, False):
        first, second = run_network(
            minimalrnn,
            Parameters.of(minimalrnn, values),
            weights=weights,  # pyright: ignore[reportArgumentType]
            width=40,
            steps=2,
            rng=np.random.default_rng(1),
            tied=tied,
            burn_in=3,
        )
        # Without input weights e - W h is the bias.
        biases = [s.gates[0] - s.weights[0].apply(s.states[0]) for s in (first, second)]
        same_bias = np.allclose(*biases, atol=1e-12)
        same_weights = np.array_equal(first.weights[0].matrix(), second.weights[0].matrix())
        assert same_bias == same_weights == tied


def test_tied_networks_keep_their_input_matrix() -> None:
    values = {"weight_std": 0.0, "input_std": 1.0, "input_variance": 0.5}
    width = 30
    steps = list(
        run_network(
            minimalrnn,
            Parameters.of(minimalrnn, values),
            width=width,
            steps=2 * width,
            rng=np.random.default_rng(1),
            tied=True,
            burn_in=0,
        )
    )
    x, e = (np.stack([f(s) for s in steps], axis=1) for f in (lambda s: s.x, lambda s: s.gates[0]))
    V = np.linalg.lstsq(x.T, e.T, rcond=None)[0].T
    assert pytest.approx(e, abs=1e-10) == V @ x


@pytest.mark.parametrize("tied", [False, True])
def test_the_same_generator_gives_the_same_bits(tied: bool) -> None:
    def states(seed: int) -> np.ndarray:
        run = run_network(
            vanilla,
            Parameters.of(vanilla),
            weights="orthogonal",
            width=20,
            steps=3,
            rng=np.random.default_rng(seed),
            tied=tied,
        )
        return np.stack([np.concatenate([*s.states, *s.gates, s.x]) for s in run])

    assert np.array_equal(states(4), states(4))
    assert not np.array_equal(states(4), states(5))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["figure 1", "random biases", "vanilla, random biases"])
def test_preactivations_have_the_mean_field_law(name: str) -> None:
    point, width = POINTS[name], 400
    law, group = site_law(point.cell, point.parameters), point.parameters.only
    rows = []
    for seed in range(12):
        run = run_network(
            point.cell,
            point.parameters,
            weights="orthogonal",
            width=width,
            steps=2,
            rng=np.random.default_rng(seed),
        )
        for step in run:
            e, h = step.gates[0] - group.bias_mean, step.states[0]
            rows.append([np.mean(e), np.mean(e**2), np.mean(h**2), np.mean(e * h)])
    samples = np.array(rows).reshape(12, 2, 4).mean(axis=1)
    expected = [0.0, law.preactivation_variance, law.state_variance, 0.0]
    error = samples.std(axis=0, ddof=1) / math.sqrt(12)
    # Student's t with 11 degrees of freedom: beyond 5 once in 2500, of 12 comparisons.
    assert (abs(samples.mean(axis=0) - expected) < 5 * error).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", POINTS)
def test_stationary_states_are_stationary(name: str) -> None:
    point, width = POINTS[name], 400_000
    law = site_law(point.cell, point.parameters)
    h = stationary_states(law, width, np.random.default_rng(9))
    for order in (1, 2, 4):
        error = (h**order).std() / math.sqrt(width)
        # 1e-6 of the second moment may be missing, which costs a mean half of its square root's.
        allowed = 4.5 * error + 4e-6 * abs(law.state_moment(order))
        assert abs(np.mean(h**order) - law.state_moment(order)) < allowed, order


def test_slow_states_with_a_mean_are_stationary() -> None:
    cell = leaky("1/50")
    parameters = Parameters.of(cell, weight_std=1, input_std=0.1, bias_mean=1, input_variance=1)
    law = site_law(cell, parameters)
    h = stationary_states(law, 50_000, np.random.default_rng(9), forgetting=1e-6)
    error = (h**2).std() / math.sqrt(h.size)
    missing = 1 - np.mean(h**2) / law.state_variance
    assert abs(missing) < 4.5 * error / law.state_variance + 1e-6


@pytest.mark.parametrize("name", ["width", "steps"])
@pytest.mark.parametrize("value", [0, -2])
def test_sizes_out_of_domain(name: str, value: int) -> None:
    sizes = {"width": 4, "steps": 2, name: value}
    with pytest.raises(ParameterError, match=name):
        next(
            run_network(vanilla, Parameters.of(vanilla), rng=np.random.default_rng(0), **sizes)  # pyright: ignore
        )


def test_unknown_ensembles() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ParameterError, match="haar"):
        next(
            run_network(
                vanilla,
                Parameters.of(vanilla),
                weights="haar",  # pyright: ignore[reportArgumentType]
                width=3,
                steps=1,
                rng=rng,
            )
        )


def test_a_network_of_one_site() -> None:
    run = run_network(
        minimalrnn,
        Parameters.of(minimalrnn),
        weights="orthogonal",
        width=1,
        steps=2,
        rng=np.random.default_rng(0),
    )
    for step in run:
        (block,) = step.times([np.eye(1)])
        u = 1 / (1 + np.exp(-step.gates[0][0]))
        W = step.weights[0].matrix()[0, 0]
        assert abs(W) == pytest.approx(6.88, rel=1e-15)
        expected = u + u * (1 - u) * (step.states[0][0] - step.x[0]) * W
        assert block[0, 0] == pytest.approx(expected, rel=1e-13)


def test_draws_do_not_share_weights() -> None:
    rng = np.random.default_rng(0)
    first, second = (draw_weights("orthogonal", 5, 1.0, rng).matrix() for _ in range(2))
    assert not np.allclose(first, second)
