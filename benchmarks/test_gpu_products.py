"""Products of 100 Jacobians at width 4096 in double precision, beside the card's own rate.

A step with Gaussian W costs one product of square matrices, 2 N^3 operations, and no step of a
gated cell with K matrices more than K of them.  The rate of that is reported as a share of what the
same card reaches with nothing but such products.
"""

import os

import numpy as np
import pytest

from benchmarks.gpu import device_or_skip, seconds, wait
from rmt_jacobian.arrays import array_generator
from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.sampling import jacobian_products, run_network

WIDTH = int(os.environ.get("RMT_BENCHMARK_WIDTH", "4096"))
STEPS = int(os.environ.get("RMT_BENCHMARK_STEPS", "100"))


def matmul_rate(xp, width):
    """Return the operations per second of products of square matrices in double precision."""
    rng = array_generator(np.random.default_rng(0), "gpu" if "cupy" in xp.__name__ else "cpu")
    a, b = rng.standard_normal((width, width)), rng.standard_normal((width, width))
    return 2 * width**3 / seconds(xp, lambda: a @ b, repeats=5)


@pytest.mark.parametrize("device", [pytest.param("gpu", marks=pytest.mark.gpu)])
def test_a_hundred_steps(benchmark, device):
    """Goal: half of the rate of the card's matrix product, drawing W included."""
    xp = device_or_skip(device)
    benchmark.group = f"{STEPS} steps of the minimalrnn at width {WIDTH}, float64"
    parameters = Parameters.of(minimalrnn)

    def product():
        run = run_network(
            minimalrnn, parameters, weights="gaussian", width=WIDTH, steps=STEPS,
            rng=np.random.default_rng(0), burn_in=0, device=device,
        )  # fmt: skip
        *_, (_, _, found) = jacobian_products(run, [STEPS])
        wait(xp)
        return found

    found = benchmark.pedantic(product, rounds=2, warmup_rounds=1)
    assert bool(xp.all(xp.isfinite(found)))
    rate = 2 * WIDTH**3 * STEPS / benchmark.stats.stats.min
    peak = matmul_rate(xp, WIDTH)
    benchmark.extra_info.update(
        teraflops=rate / 1e12, matmul_teraflops=peak / 1e12, share_of_matmul=rate / peak
    )
