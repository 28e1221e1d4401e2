"""Growth in networks that keep their weights: sampled networks, and a recursion written out."""

import json
import math
from functools import cache

import numpy as np
import pytest

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    minimalrnn,
    vanilla,
)
from rmt_jacobian.cli import main
from rmt_jacobian.mean_field import stationary
from rmt_jacobian.mean_field.tied.growth import Paths, tied_mean_squares
from rmt_jacobian.sampling import run_network, sample_lyapunov
from rmt_jacobian.sampling.products.product import jacobian_products

SLOW_GATE = Parameters.of(
    minimalrnn, weight_std=5, input_std=2, input_variance=0.46, bias_mean=2, bias_std=0
)


def variances(p: Parameters) -> list[float]:
    return [group.weight_std**2 for _, group in p.groups]


def ratios(cell: Cell, p: Parameters, weights: str, steps: int, width: int, seed: int):
    """m_1 of a real network over the theory on the paths of its own sites, for 1, ..., T steps."""
    found, derivatives = [], []
    rng = np.random.default_rng(seed)
    run = run_network(cell, p, weights=weights, width=width, steps=steps, rng=rng, tied=True)
    for _, step, product in jacobian_products(run, tuple(range(1, steps + 1))):
        derivatives.append(step.derivatives)
        found.append(np.sum(product**2) / len(product))
    paths = Paths.of(derivatives, np.full(width, 1 / width), len(cell.states), len(cell.gates))
    return np.array(found) / tied_mean_squares(paths, variances(p))[1:]


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", [minimalrnn, gru, gru_reset_after, lstm, lstm_peephole])
def test_real_networks_on_their_own_sites(cell: Cell, weights: str) -> None:
    p = SLOW_GATE if cell is minimalrnn else Parameters.of(cell)
    width, steps, networks = 240, 4, 6
    found = np.array([ratios(cell, p, weights, steps, width, seed) for seed in range(networks)])
    error = found.std(axis=0, ddof=1) / math.sqrt(networks)
    # One W in a network of width N is free of the sites up to a rank T, of N.
    assert np.all(np.abs(found.mean(axis=0) - 1) < 4 * error + steps / width)


def test_the_untied_theory_would_fail_there() -> None:
    """On the same sites chi_1^T by steps that forget each other is off by far more."""
    found = []
    for seed in range(3):
        run = run_network(minimalrnn, SLOW_GATE, width=600, steps=12,
                          rng=np.random.default_rng(seed), tied=True)  # fmt: skip
        steps = [step.derivatives for step in run]
        d = np.ones(600)
        for step in steps:
            d = step.state[0, 0] ** 2 * d + 25 * step.gate[0, 0] ** 2 * d.mean()
        paths = Paths.of(steps, np.full(600, 1 / 600), 1, 1)
        found.append(tied_mean_squares(paths, [25.0])[-1] / d.mean())
    assert max(found) < 0.85  # measured in networks of width 1000: 0.70


def test_one_state_by_the_recursion_over_all_pairs_of_times() -> None:
    rng = np.random.default_rng(0)
    T, sites, variance = 7, 30, 1.7
    A, B = rng.uniform(-1, 1, (2, T + 1, sites))
    C = np.zeros((T + 1, T + 1, sites))
    C[0, 0] = 1
    K = np.zeros((T + 1, T + 1))
    K[0, 0] = 1
    for s in range(T + 1):
        for t in range(s + 1):
            if s == 0:
                continue
            if t == 0:
                C[s, 0] = A[s] * C[s - 1, 0]
            else:
                a = np.zeros(sites)
                for r in range(1, t + 1):
                    a = A[r] * a + B[r] * K[s - 1, r - 1]
                C[s, t] = A[s] * C[s - 1, t] + variance * B[s] * a
            C[t, s] = C[s, t]
            K[s, t] = K[t, s] = C[s, t].mean()
    tables = ({(0, 0): A[1:]}, {(0, 0): B[1:]}, {(0, 0): np.ones((T, sites))}, {})
    paths = Paths(*tables, np.full(sites, 1 / sites), 1, 1)
    np.testing.assert_allclose(tied_mean_squares(paths, [variance]), np.diag(K), rtol=1e-12)


@cache
def tied_law(cell: Cell, p: Parameters):
    return stationary(cell, p, dynamics="tied")


def test_dynamical_mean_field_alone_has_what_networks_have() -> None:
    """65,536 paths and 12 networks of width 1000, run for this test: m_1(1), (5), (20)."""
    growth = tied_law(minimalrnn, SLOW_GATE).growth(20, sites=16_384)
    found = growth.mean_squares[[1, 5, 20]]
    error = growth.samples[:, [1, 5, 20]].std(axis=0, ddof=1) / math.sqrt(8)
    networks = np.array([0.9484, 0.7202, 0.2723])
    allowed = np.hypot(3 * error, 3 * np.array([0.0049, 0.0089, 0.0070]))
    assert np.all(np.abs(found - networks) < allowed)


def test_a_cell_without_memory_does_not_tell_tied_weights_from_fresh_ones() -> None:
    p = Parameters.of(vanilla, weight_std=1.5, input_std=0.5, bias_std=0)
    rate, error = tied_law(vanilla, p).growth_over_with_error(6)
    assert error < 0.02
    assert abs(rate - stationary(vanilla, p).growth_rate) < 2 * error


def test_the_growth_rate_is_that_of_the_largest_exponent() -> None:
    """The exponents of three networks of width 200: what is finite there is of order 1/N."""
    law = tied_law(gru, Parameters.of(gru))
    found = sample_lyapunov(gru, weights="gaussian", width=200, steps=400, samples=3, exponents=1,
                            tied=True)  # fmt: skip
    error = math.hypot(law.errors["growth_rate"] / (2 * law.growth_rate),
                       2 * float(found.standard_error[0]))  # fmt: skip
    assert abs(math.log(law.growth_rate) / 2 - float(found.mean[0])) < 2 * error + 2 / 200


def test_command_line(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["mean-field", "minimalrnn", "--tied", "--steps", "5", "--json", "found.json"])
    assert stop.value.code == 0
    assert "with weights that are kept" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["largest_lyapunov_exponent"] == pytest.approx(math.log(found["growth_rate"]) / 2)
    assert found["chi1"] == pytest.approx(stationary("minimalrnn").growth_rate)
    assert found["growth_over_steps"] > found["chi1"]  # at this point sharing lets gradients grow


@pytest.mark.slow
@pytest.mark.parametrize("cell", [gru, pytest.param(lstm, marks=pytest.mark.thorough)])
def test_two_close_networks_part_as_gradients_grow(cell: Cell) -> None:
    """The slope of the correlation dynamics, by the equations of the cell as they are."""
    law = stationary(cell, dynamics="tied", sites=4096)
    gradients, pairs = law.growth(16, sites=8192), law.pair_growth(16, sites=32768)
    for steps in (1, 4, 16):
        rate, error = gradients.rate(steps)
        other, noise = pairs.rate(steps)
        assert abs(rate - other) < 2 * math.hypot(error, noise)  # half widths of 95 %
    assert pairs.rate(16)[1] < 0.01


def test_a_pair_with_a_gate_that_reads_nothing() -> None:
    law = stationary(gru, {"update.weight_std": 0.0}, dynamics="tied", sites=640)
    assert np.isfinite(law.pair_growth(4, sites=1024).mean_squares).all()
