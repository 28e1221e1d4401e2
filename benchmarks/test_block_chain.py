"""The law of singular values of T steps of a GRU and an LSTM: one evaluation, and the table."""

from time import process_time

import numpy as np
import pytest

from rmt_jacobian.cells import Cell, compile_cell, gru, lstm
from rmt_jacobian.pencils import BlockChain, BlockHistory, GaussianWeights, OrthogonalWeights
from rmt_jacobian.singular_values import SingularValueLaw, singular_value_law
from rmt_jacobian.singular_values.table import tabulate

SCALES = {"gru": (gru, [3.0, 1.0, 3.0]), "lstm": (lstm, [1.0, 1.0, 1.0, 6.0])}
ENSEMBLES = {"gaussian": GaussianWeights, "orthogonal": OrthogonalWeights}


def history(cell: Cell, scales: list[float], steps: int, sites: int, seed: int = 0) -> BlockHistory:
    """Run sites with fresh preactivations of the variances that their sources imply."""
    rng, compiled = np.random.default_rng(seed), compile_cell(cell)
    states, found = [0.5 * rng.normal(size=sites) for _ in cell.states], []
    for t in range(50 + steps):
        gates: list[np.ndarray] = []
        for k, scale in enumerate(scales):
            std = scale * np.sqrt(np.mean(compiled.source(k, states, gates) ** 2))
            gates.append(std * rng.normal(size=sites))
        if t >= 50:
            found.append(compiled.derivatives(states, gates, 0 * states[0]))
        states = compiled.update(states, gates, 0 * states[0])
    return BlockHistory.of(found, cell)


def chain(name: str, weights: str, steps: int, sites: int) -> BlockChain:
    cell, scales = SCALES[name]
    laws = [ENSEMBLES[weights](scale) for scale in scales]
    return BlockChain.of(history(cell, scales, steps, sites), laws)


@pytest.mark.parametrize("name", SCALES)
def test_derivatives_of_twenty_steps(benchmark, name):
    """Goal: under 0.1 s for two points on 1024 sites."""
    ours, s = chain(name, "gaussian", 20, 1024), np.array([0.01 + 1e-4j, 0.02 + 1e-4j])
    sigma = ours.leading(0.1j * np.ones(2))
    benchmark(lambda: ours.responses(s, sigma))


@pytest.mark.parametrize("weights", ENSEMBLES)
@pytest.mark.parametrize("steps", [5, 20])
@pytest.mark.parametrize("name", SCALES)
def test_tables(benchmark, name, steps, weights):
    """Goal: a minute for 20 steps of the LSTM."""
    ours = chain(name, weights, steps, 512)
    table = benchmark.pedantic(lambda: tabulate(ours), rounds=1)
    assert table.nodes[-1].below == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("steps", [10, 20])
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_laws_with_their_errors(benchmark, name, steps):
    """Goal: the table and the error of 20 steps of an LSTM in 30 s of processor time."""
    point = {"forget.bias_mean": 1.0, "input_std": 0.577} if name == "lstm" else {}

    def law() -> SingularValueLaw:
        found = singular_value_law(name, point, weights="gaussian", steps=steps)
        assert found.error_estimate < 5e-3
        return found

    start = process_time()
    found = benchmark.pedantic(law, rounds=1)
    benchmark.extra_info.update(nodes=len(found.table.nodes), processor=process_time() - start)
    assert found.table.nodes[-1].below == pytest.approx(1, abs=1e-6)
