"""How long laws take to solve for, and how exactly: against closed forms and polynomial roots.

The largest error of each is in ``extra_info`` of the report.
"""

import numpy as np
import pytest

from rmt_jacobian.laws import (
    FussCatalan,
    MarchenkoPastur,
    Semicircle,
    boxplus,
    boxtimes,
    boxtimes_power,
)


def _inner(law, count):
    return np.linspace(*law.support(), count + 2)[1:-1]


def _roots(polynomial, x, density):
    values = [max(0.0, *(density(np.roots(polynomial(t)), t))) for t in x]
    return np.array(values) / np.pi


def _product(x):
    def cubic(t):
        coefficients = np.polymul(np.polymul([1, 1], [0.5, 1]), [0.3, 1])
        coefficients[-2] -= t
        return coefficients

    return _roots(cubic, x, lambda m, t: m.imag / t)


def _sum(x):
    return _roots(lambda z: [-0.5, 1 + 0.5 * z, 0.5 - z, 1], x, lambda g, t: g.imag)


@pytest.mark.parametrize("order", [2, 10])
def test_fuss_catalan(benchmark, order):
    """Goal: 1e-10 in 20 ms."""
    law = FussCatalan(order)
    x = _inner(law, 400)
    density = benchmark(lambda: law.pdf(x))
    solved = boxtimes_power(MarchenkoPastur(), order).pdf(x)
    error = np.max(np.abs(density / solved - 1))
    benchmark.extra_info["error"] = float(error)
    assert error <= 1e-10


@pytest.mark.parametrize("with_edges", [False, True], ids=["density", "edges and density"])
def test_product_of_marchenko_pastur(benchmark, with_edges):
    """Goal: 1e-9 in 50 ms."""
    law = boxtimes(MarchenkoPastur(0.5), MarchenkoPastur(0.3))
    x = _inner(law, 400)

    def solve():
        fresh = boxtimes(MarchenkoPastur(0.5), MarchenkoPastur(0.3)) if with_edges else law
        return fresh.pdf(x)

    error = np.max(np.abs(benchmark(solve) - _product(x)))
    benchmark.extra_info["error"] = float(error)
    assert error <= 1e-9


@pytest.mark.parametrize("with_edges", [False, True], ids=["density", "edges and density"])
def test_semicircle_plus_marchenko_pastur(benchmark, with_edges):
    """Goal: 1e-9 in 50 ms."""
    law = boxplus(Semicircle(), MarchenkoPastur(0.5))
    x = _inner(law, 1001)

    def solve():
        fresh = boxplus(Semicircle(), MarchenkoPastur(0.5)) if with_edges else law
        return fresh.pdf(x)

    error = np.max(np.abs(benchmark(solve) - _sum(x)))
    benchmark.extra_info["error"] = float(error)
    assert error <= 1e-9


def test_fiftieth_power_of_marchenko_pastur(benchmark):
    """Goal: 1e-9, relative, in 1 s; edges included."""
    same = FussCatalan(50)
    x = _inner(same, 400)
    density = benchmark(lambda: boxtimes_power(MarchenkoPastur(), 50).pdf(x))
    error = np.max(np.abs(density / same.pdf(x) - 1))
    benchmark.extra_info["error"] = float(error)
    assert error <= 1e-9
