"""Sampled Lyapunov exponents against exact laws at finite width, and against plain loops."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.special import polygamma

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    lstm,
    lstm_peephole,
    minimalrnn,
    vanilla,
)
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import free_step_law, site_law
from rmt_jacobian.sampling import run_network, sample_lyapunov

_h, _x, _e = sp.symbols("h x e", real=True)
LINEAR = Cell("linear", (_h,), _x, (Preactivation("candidate", _e, _h),), (_e,))
POINT = {"input_std": 0.3, "bias_mean": 0.0, "bias_std": 0.0, "input_variance": 1.0}
CRITICAL = Parameters.of(vanilla)


def linear(weight_std: float) -> Parameters:
    return Parameters.of(LINEAR, {**POINT, "weight_std": weight_std})


def test_ginibre_products_have_the_exponents_of_newman():
    """R_ii^2 of a Gaussian matrix is chi^2 with N - i + 1 degrees of freedom, over N / sigma^2."""
    width, steps, samples, sigma = 24, 150, 8, 0.9
    found = sample_lyapunov(
        LINEAR, linear(sigma), weights="gaussian", steps=steps, width=width, samples=samples,
        transient=0, seed=3,
    )  # fmt: skip
    freedom = np.arange(width, 0, -1) / 2
    expected = (polygamma(0, freedom) + math.log(2 * sigma**2 / width)) / 2
    error = np.sqrt(polygamma(1, freedom) / 4 / (steps * samples))
    z = (found.mean - expected) / error
    assert np.abs(z).max() < 4.5  # 24 comparisons: one in 6,000 by chance
    assert np.sum(z**2) < 24 + 5 * math.sqrt(48)
    # The scatter over samples is that of chi^2 too: 7 x 24 degrees of freedom.
    ratio = np.mean((found.standard_error / error) ** 2)
    assert abs(ratio - 1) < 4.5 * math.sqrt(2 / (7 * 24))


def test_orthogonal_products_keep_all_lengths():
    found = sample_lyapunov(
        LINEAR, linear(0.8), weights="orthogonal", steps=120, width=12, samples=2
    )
    assert found.exponents == pytest.approx(math.log(0.8), abs=1e-13)
    assert found.spread == pytest.approx(1, rel=1e-10)


@pytest.mark.parametrize("std", [5e-4, 1e-30, 1e-200])
def test_exponents_of_any_size(std):
    # W is std times a rotation, and fifty steps of it leave the range of numbers.
    found = sample_lyapunov(LINEAR, linear(std), weights="orthogonal", steps=300, width=16)
    assert found.exponents == pytest.approx(math.log(std), rel=1e-13)
    assert found.spread == pytest.approx(1, rel=1e-10)


def test_contracting_network_of_the_textbook():
    p = Parameters.of(vanilla, {**POINT, "weight_std": 5e-4, "input_std": 1e-6})
    found = sample_lyapunov(vanilla, p, weights="orthogonal", steps=300, width=16, samples=2)
    # tanh' differs from 1 by less than e^2, and e is within five of its standard deviations.
    assert found.exponents == pytest.approx(math.log(5e-4), abs=1e-10)


def decomposed_every_step(cell, parameters, weights, width, steps, seed):
    """The textbook loop on the same networks, with dense matrices."""
    (rng,) = np.random.default_rng(seed).spawn(1)
    Q, total = np.eye(width), np.zeros(width)
    for step in run_network(
        cell, parameters, weights=weights, width=width, steps=steps, rng=rng
    ):  # fmt: skip
        A = np.zeros(width) + step.derivatives.state.get((0, 0), 0.0)
        B = np.zeros(width) + step.derivatives.gate[0, 0]
        J = np.diag(A) + B[:, None] * step.weights[0].matrix()
        Q, R = np.linalg.qr(J @ Q)
        total += np.log(np.abs(np.diag(R)))
    return total / steps


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", [vanilla, minimalrnn], ids=lambda cell: cell.name)
def test_waiting_between_decompositions_changes_nothing(cell, weights):
    steps, width = 60, 20
    p = Parameters.of(cell)
    expected = decomposed_every_step(cell, p, weights, width, steps, 5)
    found = sample_lyapunov(
        cell, p, weights=weights, steps=steps, width=width, samples=1, transient=0, seed=5
    )
    # What the result says of its own accuracy, for the worst step of all.
    assert found.exponents[0] == pytest.approx(expected, abs=1e-15 * found.spread)
    assert found.spread < 1e13
    assert np.isnan(found.standard_error).all()


def test_sum_of_exponents_is_the_determinant_and_few_are_the_first_of_all():
    options = {"weights": "gaussian", "steps": 40, "width": 16, "samples": 2, "seed": 1}
    all_of_them = sample_lyapunov(vanilla, CRITICAL, **options, transient=0)
    few = sample_lyapunov(vanilla, CRITICAL, **options, transient=0, exponents=3)
    assert few.exponents == pytest.approx(all_of_them.exponents[:, :3], abs=1e-9)
    assert few.quantiles == pytest.approx(np.array([0.5, 1.5, 2.5]) / 16)
    (rng, _) = np.random.default_rng(1).spawn(2)
    logs = 0.0
    for step in run_network(vanilla, CRITICAL, width=16, steps=40, rng=rng):
        J = step.derivatives.gate[0, 0][:, None] * step.weights[0].matrix()
        logs += np.linalg.slogdet(J)[1]
    assert all_of_them.exponents[0].sum() == pytest.approx(logs / 40, rel=1e-9)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_vanilla_follows_the_law_of_free_steps(weights):
    p = Parameters.of(vanilla, {**POINT, "weight_std": 1.8})
    width, steps = 64, 200
    found = sample_lyapunov(
        vanilla, p, weights=weights, steps=steps, width=width, samples=4, seed=2
    )
    theory = free_step_law(vanilla, p, weights).exponents(found.quantiles)
    # The bias is half a spacing of the exponents and their noise, each of order 1/N over slopes.
    allowed = 1.5 / width / (1 - found.quantiles) + 5 * found.standard_error.mean()
    assert np.all(np.abs(found.mean - theory) < allowed)
    # On average the bias of finite width is O(1/N): q of a network and log B^2 bend by order 1.
    assert abs(found.mean[:56].mean() - theory[:56].mean()) < 2.5 / width


def test_orthogonal_weights_send_one_exponent_out_of_the_bulk():
    """W knows where it mapped the state: the inverse grows by E[e phi / phi'] / q = exp(2 q)."""
    found = sample_lyapunov(
        vanilla, CRITICAL, weights="orthogonal", steps=600, width=48, samples=4, seed=4
    )
    q = site_law(vanilla, CRITICAL).preactivation_variance
    lowest = free_step_law(vanilla, CRITICAL, "orthogonal").support()[0]
    assert found.mean[-1] == pytest.approx(-2 * q, abs=0.02)
    assert found.mean[-2] == pytest.approx(lowest, abs=0.02)


def test_largest_exponent_of_gates_is_that_of_the_mean_square():
    found = sample_lyapunov(
        minimalrnn, Parameters.of(minimalrnn), weights="gaussian", steps=150, width=128, samples=4,
        exponents=1, seed=1,
    )  # fmt: skip
    theory = math.log(site_law(minimalrnn, Parameters.of(minimalrnn)).chi1) / 2
    assert abs(found.mean[0] - theory) < 5 * found.standard_error[0] + 2 / 128


def test_tied_weights_grow_as_the_spectral_radius():
    """J = W at every step: the exponents are the logarithms of the moduli of the eigenvalues."""
    found = sample_lyapunov(
        LINEAR, linear(0.9), weights="gaussian", steps=2000, width=6, samples=1, seed=7, tied=True,
        transient=2000,
    )  # fmt: skip
    (rng,) = np.random.default_rng(7).spawn(1)
    (step,) = run_network(LINEAR, linear(0.9), width=6, steps=1, rng=rng, tied=True)
    moduli = np.abs(np.linalg.eigvals(step.weights[0].matrix()))
    expected = np.sort(np.log(moduli))[::-1]
    # Complex pairs turn: their exponents share a mean, which a finite time fixes to O(1/T).
    assert found.exponents[0] == pytest.approx(expected, abs=5e-3)


def test_a_step_that_kills_sites_is_counted_and_named():
    dead = Cell("dead", (_h,), _x, (Preactivation("candidate", _e, _h),), (sp.tanh(_e) ** 40,))
    p = Parameters.of(dead, {**POINT, "weight_std": 0.5})
    found = sample_lyapunov(dead, p, weights="gaussian", steps=5, width=8, samples=2)
    assert found.spread > 1e14
    assert np.isneginf(found.mean).any() == np.isnan(found.standard_error).any()


def test_same_seed_same_bits_on_any_number_of_workers(capsys):
    options = {"weights": "orthogonal", "steps": 10, "width": 8, "samples": 3, "seed": 9}
    one = sample_lyapunov(vanilla, CRITICAL, **options, workers=1)
    three = sample_lyapunov(vanilla, CRITICAL, **options, workers=3, progress=True)
    assert np.array_equal(one.exponents, three.exponents)
    assert one.transient == 1
    assert capsys.readouterr().err == ""  # done before the bar is due


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"steps": 0}, "steps"),
        ({"samples": 0}, "samples"),
        ({"width": 0}, "width"),
        ({"transient": -1}, "transient"),
        ({"exponents": 0}, "exponents"),
        ({"exponents": 9}, "exponents"),
        ({"weights": "wishart"}, "unknown weights"),
    ],
)
def test_arguments_out_of_domain(changed, word):
    options = {"weights": "gaussian", "steps": 2, "width": 8, "samples": 2}
    with pytest.raises(ParameterError, match=word):
        sample_lyapunov(vanilla, CRITICAL, **{**options, **changed})


@pytest.mark.parametrize("cell", [lstm, lstm_peephole], ids=lambda cell: cell.name)
def test_several_states_are_one_long_vector(cell):
    """The textbook loop with the dense Jacobian of both states, block by block."""
    p, width, steps = Parameters.of(cell).with_values(input_std=1.0), 10, 40
    (rng,) = np.random.default_rng(6).spawn(1)
    Q, total = np.eye(2 * width), np.zeros(2 * width)
    for step in run_network(cell, p, weights="gaussian", width=width, steps=steps, rng=rng):
        d, J = step.derivatives, np.zeros((2, 2, width, width))
        for (i, j), values in d.state.items():
            J[i, j] += np.diag(values + np.zeros(width))
        for (i, k), values in d.gate.items():
            for j in range(2):
                if (k, j) in d.source_state:  # every source is a state
                    J[i, j] += np.diag(values) @ step.weights[k].matrix()
        Q, R = np.linalg.qr(np.block([list(row) for row in J]) @ Q)
        total += np.log(np.abs(np.diag(R)))
    found = sample_lyapunov(
        cell, p, weights="gaussian", steps=steps, width=width, samples=1, transient=0, seed=6
    )
    assert found.exponents.shape == (1, 2 * width)
    assert found.quantiles[[0, -1]] == pytest.approx([1 / 40, 39 / 40])
    assert found.exponents[0] == pytest.approx(total / steps, abs=1e-15 * found.spread + 1e-9)


def test_more_exponents_than_variables_are_refused():
    with pytest.raises(ParameterError, match="from 1 to the 16"):
        sample_lyapunov(
            lstm,
            Parameters.of(lstm, input_std=0),
            weights="gaussian",
            steps=5,
            width=8,
            exponents=17,
        )
