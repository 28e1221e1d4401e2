"""How long the symbolic derivations take, from nothing: every cache is emptied first."""

import pytest

from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.derive import (
    diagonal_valued_recursion,
    exact_variance,
    one_step_moment,
    one_step_variance,
    s_transform_variance,
)


def _forget() -> None:
    for derivation in (
        diagonal_valued_recursion,
        exact_variance,
        one_step_moment,
        one_step_variance,
        s_transform_variance,
    ):
        derivation.cache_clear()


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_one_step_moment(benchmark, k):
    """Goal: the fourth moment in under 30 s."""
    benchmark.pedantic(lambda: one_step_moment(minimalrnn, k), setup=_forget, rounds=5)


def test_one_step_variance(benchmark):
    """Goal: under 2 s."""
    benchmark.pedantic(lambda: one_step_variance(minimalrnn), setup=_forget, rounds=5)


def test_t_step_variance_s_transform(benchmark):
    benchmark.pedantic(lambda: s_transform_variance(minimalrnn), setup=_forget, rounds=5)


def test_t_step_variance_exact(benchmark):
    benchmark.pedantic(lambda: exact_variance(minimalrnn), setup=_forget, rounds=3)


def test_exact_second_moment_as_a_number(benchmark):
    recursion = diagonal_valued_recursion(minimalrnn)
    parameters = Parameters.of(minimalrnn)
    benchmark(lambda: recursion.evaluate(parameters, weights="orthogonal", steps=20))
