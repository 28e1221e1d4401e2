"""A cell that the package has never seen gets its whole analysis from its equations."""

import numpy as np
import pytest
import sympy as sp

import rmt_jacobian as rj
from rmt_jacobian.cells import compile_cell, sigmoid
from rmt_jacobian.comparison import compare_spectrum
from rmt_jacobian.sampling import run_network

# The definition, as a user would write it.
h, x, e_l, e_g, e_c = sp.symbols("h x e_l e_g e_c", real=True)
leak, gain = sigmoid(e_l), sigmoid(e_g)
LEAKY = rj.Cell(
    name="two-gate-leaky",
    states=(h,),
    input=x,
    preactivations=(
        rj.Preactivation("leak", e_l, h),
        rj.Preactivation("gain", e_g, h),
        rj.Preactivation("candidate", e_c, h),
    ),
    updates=((1 - leak) * h + leak * gain * sp.tanh(e_c),),
)
POINT = rj.Parameters.of(
    LEAKY,
    {"candidate.weight_std": 3, "leak.bias_mean": -1, "weight_std": 1, "input_std": 1},
    input_variance=1,
)


def logistic(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def diagonals(s: np.ndarray, e: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """A and B_k by hand; e has one row for each preactivation."""
    l, g, t = logistic(e[0]), logistic(e[1]), np.tanh(e[2])
    return 1 - l, [l * (1 - l) * (g * t - s), l * g * (1 - g) * t, l * g * (1 - t**2)]


def step(s: np.ndarray, e: np.ndarray) -> np.ndarray:
    l, g = logistic(e[0]), logistic(e[1])
    return (1 - l) * s + l * g * np.tanh(e[2])


@pytest.fixture(scope="module")
def by_hand() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return q_k, states and preactivations of an independent Monte Carlo of the mean field."""
    rng = np.random.default_rng(5)
    s, stds = np.zeros(400_000), np.array([1.0, 1.0, 3.0])
    mean = np.array([[-1.0], [0.0], [0.0]])
    for _ in range(80):
        q = stds**2 * np.mean(s**2) + 1.0
        e = mean + np.sqrt(q)[:, None] * rng.standard_normal((3, len(s)))
        last, s = s, step(s, e)
    return q, last, e


def test_forward_step_and_diagonals() -> None:
    rng = np.random.default_rng(1)
    s, e = rng.standard_normal(6), rng.standard_normal((3, 6))
    compiled = compile_cell(LEAKY)
    (new,) = compiled.update([s], list(e), 0 * s)
    assert new == pytest.approx(step(s, e), rel=1e-14)
    found, (a, b) = compiled.derivatives([s], list(e), 0 * s), diagonals(s, e)
    assert found.state[0, 0] == pytest.approx(a, rel=1e-13)
    assert [found.gate[0, k] for k in range(3)] == [pytest.approx(each, abs=1e-14) for each in b]
    assert found.source_state == {(0, 0): 1, (1, 0): 1, (2, 0): 1}
    assert not found.source_gate


def test_a_drawn_network_obeys_the_equations() -> None:
    run = run_network(
        LEAKY, POINT, weights="gaussian", width=20, steps=2, rng=np.random.default_rng(0), tied=True
    )
    first, second = run
    e = np.array(first.gates)
    assert second.states[0] == pytest.approx(step(first.states[0], e), rel=1e-12)


def test_untied_mean_field(by_hand: tuple) -> None:
    q, s, e = by_hand
    found = rj.stationary(LEAKY, POINT)
    # Monte Carlo over 400 000 sites, correlated over a few steps: 0.3 % is some five errors.
    assert list(found.variances.values()) == pytest.approx(list(q), rel=3e-3)
    a, b = diagonals(s, e)
    growth = np.mean(a**2) + sum(
        std**2 * np.mean(each**2) for std, each in zip((1, 1, 3), b, strict=True)
    )
    assert found.growth_rate == pytest.approx(growth, rel=3e-3)
    # Two networks whose inputs differ come to differ.
    assert 0 < found.pair(0.5).correlations["candidate"] < 1
    assert found.pair().correlations["candidate"] == pytest.approx(1)


def test_moments_over_several_steps_against_networks() -> None:
    state = rj.stationary(LEAKY, POINT)
    sampled = rj.sample_moments(
        LEAKY, POINT, weights="gaussian", steps=(1, 4), width=200, samples=24, seed=1, workers=1
    )
    for k, steps in enumerate((1, 4)):
        values = sampled.mean[:, k]
        error = float(values.std(ddof=1)) / np.sqrt(len(values))
        found = rj.moments(state, weights="gaussian", steps=steps)
        # Four standard errors, and the 1 / N of the mean.
        assert found.mean == pytest.approx(values.mean(), abs=4 * error + found.mean / 200)
    one = rj.moments(state, weights="gaussian", steps=1)
    assert one.mean == pytest.approx(state.growth_rate, rel=2e-3)


@pytest.mark.parametrize(
    "weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.thorough)]
)
def test_law_of_four_steps_against_networks(weights: str) -> None:
    law = rj.singular_value_law(LEAKY, POINT, weights=weights, steps=4, sites=256)
    values = rj.sample_singular_values(
        LEAKY, POINT, weights=weights, steps=4, width=200, samples=4, seed=0, workers=1
    )  # fmt: skip
    assert compare_spectrum(law, values).verdict == "agrees"
    narrow = rj.singular_value_law(
        LEAKY, POINT.with_values({"leak.bias_mean": 1.0}), weights=weights, steps=4, sites=256
    )
    assert compare_spectrum(narrow, values).verdict != "agrees"  # the comparison can fail


def test_law_of_eigenvalues_against_networks(by_hand: tuple) -> None:
    law = rj.eigenvalue_law(LEAKY, POINT)
    values = rj.sample_eigenvalues(
        LEAKY, POINT, weights="gaussian", dynamics="untied", width=300, samples=4, seed=0, workers=1
    )
    disks = [(0.7, 0.0, 0.2), (0.7, 0.0, 0.4), (0.4, 0.0, 0.3)]
    for disk, share in zip(disks, law.inside(disks), strict=True):
        counted = np.mean(abs(values - disk[0]) < disk[2], axis=1)
        error = float(counted.std(ddof=1)) / 2
        assert share == pytest.approx(counted.mean(), abs=4 * error + 0.01)
    # Outermost on the real axis: the spectral radius of the variances is 1,
    # E[sum sigma_k^2 B_k^2 / |lambda - A|^2] = 1, one block since all sources are the state.
    _, s, e = by_hand
    a, b = diagonals(s, e)
    squares = sum(std**2 * each**2 for std, each in zip((1, 1, 3), b, strict=True))
    assert np.mean(squares / (law.spectral_radius - a) ** 2) == pytest.approx(1, abs=0.01)
