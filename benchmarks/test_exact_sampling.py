"""Singular values of long products at large width beside the obvious loop, in one run.

On a machine with other work to do, ``--benchmark-timer=time.process_time`` counts CPU time.
"""

from collections.abc import Callable

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.obvious import obvious_singular_values
from rmt_jacobian.cells import Cell, Parameters, minimalrnn, vanilla
from rmt_jacobian.sampling import sample_singular_values

WIDTH, STEPS, THREADS = 2048, 32, 1


def obvious_loop(cell: Cell, weights: str) -> np.ndarray:
    """Return them from the obvious loop."""
    return obvious_singular_values(cell, weights, WIDTH, STEPS)


def ours(cell: Cell, weights: str) -> np.ndarray:
    """Return them from the package."""
    (values,) = sample_singular_values(
        cell, Parameters.of(cell), weights=weights, steps=STEPS, width=WIDTH, samples=1, workers=1
    )  # pyright: ignore[reportArgumentType]
    return values


ROUTES: list[tuple[Callable[[Cell, str], np.ndarray], str]] = [
    (obvious_loop, "orthogonal"),
    (obvious_loop, "gaussian"),
    (ours, "orthogonal"),
    (ours, "gaussian"),
    (ours, "fast-orthogonal"),
    (ours, "fast-gaussian"),
]


@pytest.mark.parametrize(
    ("route", "weights"), ROUTES, ids=[f"{route.__name__}-{weights}" for route, weights in ROUTES]
)
@pytest.mark.parametrize("cell", [minimalrnn, vanilla], ids=lambda cell: cell.name)
def test_singular_values_of_a_long_product(benchmark, cell, route, weights):
    benchmark.group = f"singular values of {STEPS} steps at width {WIDTH}, {cell.name}"
    with threadpool_limits(THREADS):
        values = benchmark.pedantic(route, args=(cell, weights), rounds=1)
    assert values.shape == (WIDTH,)
