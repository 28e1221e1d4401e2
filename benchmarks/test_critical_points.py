"""How long critical points take, and one point on common sites beside the full theory."""

import time

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, cell_named, lstm
from rmt_jacobian.initialization import critical_initialization
from rmt_jacobian.initialization.common_sites import CommonSites
from rmt_jacobian.mean_field import PairState, untied_state
from rmt_jacobian.pencils import product_moments_of

CASES = {
    "vanilla": {"bias_mean": 1.0},
    "minimalrnn": {},
    "gru": {"update.bias_mean": 1.0},
    "gru-reset-after": {},
    "lstm": {},
    "lstm-peephole": {},
}


@pytest.mark.parametrize("name", list(CASES))
def test_all_weights(benchmark, name):
    """Goal: under 10 s on two cores, all weights free, T = 20."""
    cell, fixed = cell_named(name), {"input_variance": 1.0, **CASES[name]}
    found = benchmark.pedantic(
        lambda: critical_initialization(cell, fixed, dynamics="untied"), rounds=1
    )
    assert found.minimum


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_shared_weights(benchmark, name):
    """Goal: under 4 minutes on two cores, all weights free, horizon 100."""
    cell, fixed = cell_named(name), {"input_variance": 1.0, **CASES[name]}
    found = benchmark.pedantic(lambda: critical_initialization(cell, fixed), rounds=1)
    assert found.minimum


def test_all_biases_of_an_lstm(benchmark):
    """Goal: under 20 s, all weights and biases free, T = 20."""
    found = benchmark.pedantic(
        lambda: critical_initialization(
            lstm, {"input_variance": 1.0}, free=("weight_std", "bias_mean"), dynamics="untied"
        ),
        rounds=1,
    )
    assert found.minimum
    assert found.report.relative_variance < 1.2


def test_a_point_on_common_sites(benchmark, record_property):
    """Goal: growth rate and moments on 4096 sites ten times faster than by the full theory."""
    points = [
        Parameters.of(lstm, {"weight_std": 2 + k / 100, "input_std": 1.0, "input_variance": 0.5})
        for k in range(8)
    ]
    sites = CommonSites.draw(
        lstm, "orthogonal", 10, settle=16, count=4096, rngs=[np.random.default_rng(0)]
    )
    sites.rates(points[:1])
    began = time.process_time()
    state = untied_state(lstm, points[0])
    rate = PairState(state, 1.0, state.source_squares).chi
    product_moments_of(state, "orthogonal", 10, count=4096)
    full = time.process_time() - began
    began = time.process_time()
    rates = benchmark.pedantic(lambda: sites.rates(points), rounds=1)
    ours = (time.process_time() - began) / len(points)
    record_property("ratio", full / ours)
    print(f"full theory / common sites: {full / ours:.0f}")
    assert np.exp(rates.growth[0]) == pytest.approx(rate, rel=0.01)
