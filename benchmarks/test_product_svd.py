"""All log singular values of long products: to high relative accuracy, and as QR alone has them."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from rmt_jacobian.cells import Parameters, minimalrnn, vanilla
from rmt_jacobian.sampling import log_singular_values, run_network, sample_lyapunov

WIDTH, STEPS = 256, 100


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", [vanilla, minimalrnn], ids=lambda cell: cell.name)
def test_log_singular_values(benchmark, cell, weights):
    benchmark.group = f"{STEPS} steps at width {WIDTH}, {cell.name}, {weights} W"

    def values():
        return log_singular_values(
            run_network(
                cell, Parameters.of(cell), weights=weights, width=WIDTH, steps=STEPS,
                rng=np.random.default_rng(0),
            )
        )  # fmt: skip

    with threadpool_limits(1):
        found = benchmark.pedantic(values, rounds=2, warmup_rounds=1)
    assert found.resolved.all()


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", [vanilla, minimalrnn], ids=lambda cell: cell.name)
def test_lyapunov_exponents_of_the_same_steps(benchmark, cell, weights):
    benchmark.group = f"{STEPS} steps at width {WIDTH}, {cell.name}, {weights} W"
    options = {"weights": weights, "steps": STEPS, "width": WIDTH, "samples": 1, "transient": 0}
    benchmark.pedantic(
        lambda: sample_lyapunov(cell, Parameters.of(cell), **options, workers=1),
        rounds=2, warmup_rounds=1,
    )  # fmt: skip
