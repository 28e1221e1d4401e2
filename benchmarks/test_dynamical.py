"""Steady states of tied networks in time: seconds at two accuracies, beside a network itself."""

import math

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from rmt_jacobian.cells import Parameters, gru, lstm
from rmt_jacobian.mean_field import stationary
from rmt_jacobian.mean_field.tied.growth import Paths, tied_mean_squares
from rmt_jacobian.mean_field.tied.paths import site_paths
from rmt_jacobian.mean_field.tied.steady_state import tied_steady_state

SILENT = {"input_std": 0.0, "bias_mean": 0.0, "bias_std": 0.0, "input_variance": 0.0}
CASES = {
    "gru": (gru, {"update.weight_std": 1.0, "reset.weight_std": 10.0}),
    "lstm": (
        lstm,
        {"forget.weight_std": 1.0, "input.weight_std": 1.0, "output.weight_std": 10.0},
    ),
}


def _parameters(name: str) -> Parameters:
    cell, weights = CASES[name]
    return Parameters.of(cell, {**SILENT, "candidate.weight_std": 3.0, **weights})


@pytest.mark.parametrize("sites", [2048, 65536], ids=["1 %", "0.2 %"])
@pytest.mark.parametrize("name", CASES)
def test_steady_state(benchmark, name, sites):
    """The standard error of E[h^2] is in the extra information."""
    cell, _ = CASES[name]
    benchmark.group = f"tied steady state of the {name}"
    with threadpool_limits(1):
        found = benchmark.pedantic(
            tied_steady_state, args=(cell, _parameters(name)), kwargs={"sites": sites},
            rounds=3 if sites < 10_000 else 1,
        )  # fmt: skip
    share = found.state_errors[0, 0] / found.state_covariances[0, 0]
    benchmark.extra_info["relative standard error"] = float(share)
    benchmark.extra_info["residual"] = found.residual
    assert found.converged


def _network(width: int, steps: int) -> float:
    """E[h^2] of one GRU of a given width, the obvious loop."""
    rng = np.random.default_rng(0)
    scale = np.float32(1 / math.sqrt(width))
    W_z, W_r, W_y = (
        np.float32(a) * scale * rng.standard_normal((width, width), dtype=np.float32)
        for a in (1.0, 10.0, 3.0)
    )
    h, total = rng.standard_normal(width, dtype=np.float32), 0.0
    for t in range(steps):
        z, r = (1 / (1 + np.exp(-np.clip(W @ h, -80, 80))) for W in (W_z, W_r))
        h = z * h + (1 - z) * np.tanh(W_y @ (r * h))
        if t >= steps // 2:
            total += float(np.mean(h * h))
    return 2 * total / steps


def test_one_network_of_width_2000(benchmark):
    """Its E[h^2] varies by 0.8 % from network to network, and is off by O(1/N) besides."""
    benchmark.group = "tied steady state of the gru"
    with threadpool_limits(1):
        benchmark.pedantic(_network, args=(2000, 800), rounds=1)


@pytest.mark.parametrize("name", ["minimalrnn", "gru", "lstm"])
def test_growth_over_200_steps_that_share_their_weights(benchmark, name):
    """Goal: 4096 paths, all m_1 up to T = 200, in under 10 s."""
    law = stationary(name, dynamics="tied")
    variances = [group.weight_std**2 for _, group in law.parameters.groups]

    def grown():
        paths = Paths.of_sites(site_paths(law.steady, 200, count=4096))
        return tied_mean_squares(paths, variances)

    found = benchmark.pedantic(grown, rounds=1)
    assert found.shape == (201,)
