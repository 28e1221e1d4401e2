"""Networks with given arrays, against plain loops, differences and exact arithmetic."""

import math

import mpmath
import numpy as np
import pytest
from matplotlib.figure import Figure

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError, RoundingWarning
from rmt_jacobian.networks import Network, Trajectory

CELLS = ["vanilla", "minimalrnn", "leaky", "gru", "gru-reset-after", "lstm", "lstm-peephole"]


def drawn(name: str, width: int = 7, inputs: int = 3, seed: int = 0) -> Network:
    cell = rj.cell_named(name)
    if cell.name == "minimalrnn":
        inputs = width
    point = {"weight_std": 1.5, "input_std": 0.8, "bias_std": 0.3, "bias_mean": 0.1}
    return Network.sample(cell, point, width=width, input_size=inputs, seed=seed)


def driven(network: Network, steps: int = 6, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((steps, network.input_size))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_an_lstm_step_by_step() -> None:
    network = drawn("lstm")
    x = driven(network)
    path = network.run(x)
    h, c = np.zeros((2, 7))
    for t in range(6):
        f, i, o, y = (
            network.recurrent[name] @ h + network.input[name] @ x[t] + network.bias[name]
            for name in ("forget", "input", "output", "candidate")
        )
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(y)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(path.state("h")[t + 1], h, rtol=1e-12)
        np.testing.assert_allclose(path.state("c")[t + 1], c, rtol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_jacobians_are_derivatives_of_the_steps(name: str) -> None:
    network = drawn(name)
    x = driven(network)
    path = network.run(x)
    t, d = 4, path.states.shape[1]
    J, size, h = path.jacobian(t), path.size, 1e-6
    found = np.empty((size, size))
    for j in range(size):
        moved = []
        for sign in (1, -1):
            start = path.states[t].ravel().copy()
            start[j] += sign * h
            state = [*start.reshape(d, -1)] if d > 1 else start
            moved.append(network.run(x[t : t + 1], state).states[1].ravel())
        found[:, j] = (moved[0] - moved[1]) / (2 * h)
    np.testing.assert_allclose(J, found, atol=1e-8)
    values = path.eigenvalues(t)
    np.testing.assert_allclose(np.sum(values), np.trace(J), atol=1e-10)
    assert np.all(np.diff(np.abs(values)) <= 1e-12)


def whole(path: Trajectory, steps: int) -> np.ndarray:
    product = np.eye(path.size)
    for t in range(path.steps - steps, path.steps):
        product = path.jacobian(t) @ product
    return product


@pytest.mark.parametrize("name", ["gru-reset-after", "lstm"])
def test_log_singular_values_against_many_digits(name: str) -> None:
    """Eighty steps of small weights: values down to exp(-100), where doubles have none left."""
    cell = rj.cell_named(name)
    network = Network.sample(
        cell, {"weight_std": 0.3, "input_std": 0.3, "bias_mean": -1}, width=4, seed=2
    )
    path = network.run(np.random.default_rng(3).standard_normal((80, 4)))
    found = path.log_singular_values_with_errors()
    with mpmath.workdps(250):
        product = mpmath.eye(path.size)
        for t in range(path.steps):
            product = mpmath.matrix(path.jacobian(t).tolist()) * product
        expected = sorted((float(mpmath.log(s)) for s in mpmath.svd_r(product, compute_uv=False)),
                          reverse=True)  # fmt: skip
    assert expected[-1] < -100
    np.testing.assert_allclose(found.values, expected, rtol=1e-8)
    assert np.all(np.abs(found.values - expected) < found.errors + 1e-12)


@pytest.mark.parametrize("name", ["minimalrnn", "lstm"])
def test_stretches_gradients_and_exponents(name: str) -> None:
    network = drawn(name)
    path = network.run(driven(network, 30))
    last = whole(path, 5)
    expected = np.log(np.linalg.svd(last, compute_uv=False))
    known = expected > expected[0] - 20  # of the product as it stands
    np.testing.assert_allclose(path.log_singular_values(5)[known], expected[known], atol=1e-6)

    few = np.linalg.svd(whole(path, 2), compute_uv=False)
    np.testing.assert_allclose(path.singular_values(2), few, rtol=1e-9, atol=1e-15)

    norms = path.gradient_norms()
    assert norms.shape == (31,)
    assert norms[30] == pytest.approx(1)
    assert norms[25] == pytest.approx(np.linalg.norm(last) / math.sqrt(path.size))
    assert path.growth_rate(5) == pytest.approx(norms[25] ** (2 / 5))
    by_few = path.growth_rate(5, directions=4000)
    assert by_few == pytest.approx(path.growth_rate(5), rel=4 * 2 / math.sqrt(4000) / 5)
    u = np.random.default_rng(0).standard_normal(path.size)
    own = path.gradient_norms(u.reshape(path.states.shape[1:]))
    assert own[25] == pytest.approx(np.linalg.norm(last.T @ u))
    first = path.gradient_norms(u[:7])  # of the first state alone
    padded = np.concatenate([u[:7], np.zeros(path.size - 7)])
    assert first[25] == pytest.approx(np.linalg.norm(last.T @ padded))

    exponents = path.lyapunov_exponents(transient=0)
    volume = sum(np.linalg.slogdet(path.jacobian(t))[1] for t in range(30)) / 30
    assert np.sum(exponents) == pytest.approx(volume)
    np.testing.assert_allclose(path.lyapunov_exponents(2, transient=0), exponents[:2], atol=1e-9)


def test_values_that_are_noise_are_said_to_be() -> None:
    network = Network("vanilla", {"candidate": np.diag([1.0, 1e-3, 1e-3])})
    with pytest.warns(RoundingWarning, match="2 of 3 singular values"):
        network.run(10).singular_values()


def test_a_cell_that_reads_its_input_takes_it_without_v() -> None:
    network = Network("minimalrnn", {"update": np.eye(3)})
    x = np.ones((4, 3))
    h = network.run(x).state("h")
    np.testing.assert_allclose(h[1], 0.5)  # u = sigmoid(0)
    assert np.all(network.run(4).states == 0)


def test_gradients_below_the_range_of_numbers() -> None:
    network = Network("vanilla", {"candidate": 1e-3 * np.eye(3)})
    path = network.run(200)
    np.testing.assert_allclose(
        path.log_gradient_norms(), math.log(1e-3) * np.arange(200, -1, -1), rtol=1e-12
    )
    off = Network(rj.cells.vanilla_cell("relu"), {"candidate": np.eye(3)},
                  bias={"candidate": -np.ones(3)}).run(4)  # fmt: skip
    assert off.log_gradient_norms().tolist() == [-math.inf] * 4 + [0.0]
    assert np.all(off.log_singular_values() == -math.inf)


def test_batches_run_like_single_sequences() -> None:
    network = drawn("gru")
    rng = np.random.default_rng(4)
    x, h = rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 7))
    found = network.run(x, h)
    for k, path in enumerate(found):
        np.testing.assert_allclose(path.states, network.run(x[k], h[k]).states, rtol=1e-12)
    same = network.run(x, h[0])
    np.testing.assert_allclose(same[0].states, found[0].states, rtol=1e-12)
    lstm = drawn("lstm")
    one = lstm.run(x[0], {"h": h[0], "c": h[1]})
    np.testing.assert_allclose(one.states, lstm.run(x[0], (h[0], h[1])).states)


def test_a_sampled_network_is_fitted_by_its_parameters() -> None:
    point = {"weight_std": 1.2, "input_std": 0.7, "update.bias_mean": 1.0, "bias_std": 0.4}
    network = Network.sample("gru", point, width=300, input_size=40, seed=5)
    x = 0.5 * np.random.default_rng(6).standard_normal((200, 40))
    fit = network.fit(x)
    p = fit.parameters
    for name, mean in (("update", 1.0), ("reset", 0.0), ("candidate", 0.0)):
        # Relative errors of root mean squares of N^2, N M and N numbers.
        assert p[name].weight_std == pytest.approx(1.2, rel=4 / 300 / math.sqrt(2))
        assert p[name].input_std == pytest.approx(0.7, rel=4 / math.sqrt(2 * 300 * 40))
        assert p[name].bias_mean == pytest.approx(mean, abs=4 * 0.4 / math.sqrt(300))
        assert p[name].bias_std == pytest.approx(0.4, rel=4 / math.sqrt(600))
    assert p.input_variance == pytest.approx(0.25, rel=4 / math.sqrt(4000))
    assert fit.looks_random
    assert [each.likeness for each in fit.recurrent] == ["gaussian"] * 3
    assert str(fit).splitlines()[0].startswith("update: weight_std 1.")


def test_what_does_not_look_random() -> None:
    rng = np.random.default_rng(7)
    u, v = rng.standard_normal((2, 100))
    W = rng.standard_normal((100, 100)) / 10
    spiked = Network("vanilla", {"candidate": W + 4 * np.outer(u, v) / 100})
    (found,) = spiked.fit().recurrent
    assert (found.likeness, found.outliers) == ("neither", 1)
    assert "not random" in str(found)
    assert not spiked.fit().looks_random
    q, _ = np.linalg.qr(rng.standard_normal((100, 100)))
    turned = Network("vanilla", {"candidate": (2 * q).astype(np.float32)})
    assert turned.fit().recurrent[0].likeness == "orthogonal"
    assert turned.fit().weights["candidate"].variance == pytest.approx(4)
    nothing = Network("vanilla", {"candidate": np.zeros((4, 4))})
    assert nothing.fit().recurrent[0].likeness == "zero"


@pytest.mark.slow
def test_a_random_network_has_the_spectrum_of_its_law_and_a_trained_one_has_not() -> None:
    point = {"weight_std": 3.0, "input_std": 1.0, "bias_mean": 1.0, "input_variance": 1.0}
    network = Network.sample("minimalrnn", point, width=250, seed=8)
    x = np.random.default_rng(9).standard_normal((120, 250))
    found = network.run(x).against_theory(3, sites=512, tolerance=1e-3)
    assert found.comparison.verdict == "agrees", found
    assert "has the spectrum" in found.verdict
    ax = found.plot(Figure().subplots())
    assert "singular value" in ax.get_xlabel()
    W = network.recurrent["update"] * np.random.default_rng(10).lognormal(0, 1, (250, 1)) / 1.6
    other = Network(network.cell, {"update": W}, network.input, network.bias)
    changed = rj.compare(np.exp(other.run(x).log_singular_values(3)), found.law)
    assert changed.verdict == "fails"
    assert not other.fit(x).looks_random


def test_sites_are_those_of_the_path() -> None:
    network = drawn("gru")
    path = network.run(driven(network))
    sites = path.sites(2)
    assert len(sites) == 2
    np.testing.assert_array_equal(sites[-1].states[0], path.states[-2, 0])
    np.testing.assert_allclose(sites[0].next_states[0], sites[1].states[0], rtol=1e-12)


W3, V3 = np.eye(3), np.ones((3, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network("gru", {"update": W3}), "recurrent lacks 'reset'"),
        (lambda: Network("vanilla", {"candidat": W3}), "did you mean candidate"),
        (lambda: Network("vanilla", {"candidate": np.ones((3, 2))}), r"shape \(3, 3\)"),
        (lambda: Network("vanilla", {"candidate": W3 * math.nan}), "not finite"),
        (lambda: Network("vanilla", {"candidate": "x"}), "real numbers"),
        (lambda: Network("vanilla", W3), "by the name"),
        (
            lambda: Network("minimalrnn", {"update": W3}, {"update": V3}),
            "reads the input of its own site",
        ),
        (lambda: Network("vanilla", {"candidate": W3}).run(np.ones((2, 3))), "give T"),
        (lambda: Network("vanilla", {"candidate": W3}, {"candidate": V3}).run([[1, 2, 3]]),
         r"shape \(T, 2\)"),
        (lambda: Network("vanilla", {"candidate": W3}).run(3, [1, 2]), "state h must have"),
        (lambda: Network("vanilla", {"candidate": W3}).run(3, [1, 2, math.inf]), "not finite"),
        (lambda: Network("vanilla", {"candidate": W3}).run(3).log_singular_values(4), "3 steps"),
        (lambda: Network("vanilla", {"candidate": W3}).run(3).jacobian(3), "from 0 to 2"),
        (lambda: Network("vanilla", {"candidate": W3}).run(3).lyapunov_exponents(4), "3 exponents"),
        (lambda: Network("vanilla", {"candidate": W3}).run(3).gradient_norms([1]), "finite num"),
        (lambda: Network("vanilla", {"candidate": W3}).run(3).state("c"), "no state 'c'"),
        (lambda: Network("vanilla", {"candidate": W3}, {"candidate": V3}).fit(np.ones(3)),
         r"shape \(..., 2\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make, message) -> None:
    with pytest.raises(ParameterError, match=message):
        make()
