"""Mixed moments against sampled matrices, the diagonals being the very ones that are averaged."""

from functools import reduce

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.freeprob import (
    Diagonal,
    RDiagonal,
    diagonal_trace,
    mixed_moment,
    power_trace,
    r_diagonal_cumulants,
    s_coefficients_of_weights,
)
from tests.freeprob.sampled import MATRICES, WIDTH, extrapolated

a, b = sp.symbols("a b")
A, B = Diagonal(a), Diagonal(b)
W, V = RDiagonal("W"), RDiagonal("V")

# Dependent site variables, the same at every width: a gate and the slope of the same gate.
SITES = np.random.default_rng(7).normal(scale=1.5, size=WIDTH)
VALUES = {a: 1 / (1 + np.exp(-SITES)), b: np.exp(-(SITES**2) / 2) - 0.4 * SITES}

WORDS = {
    "W A W* B W B W* A": (W, A, W.adjoint_letter, B, W, B, W.adjoint_letter, A),
    "two weights, nested": (
        *(W, A, V, B, V.adjoint_letter, A, V, V.adjoint_letter, B, W.adjoint_letter, B),
    ),
    "two weights, side by side": (
        *(W, A, W.adjoint_letter, B, V, B, V.adjoint_letter, A, W, W.adjoint_letter),
    ),
    "two weights, crossing": (W, A, V, B, W.adjoint_letter, A, V.adjoint_letter, B),
}
ENSEMBLES = [("gaussian", "orthogonal"), ("orthogonal", "gaussian"), ("orthogonal", "orthogonal")]


def average(product):
    return sp.Float(np.mean(sp.lambdify((a, b), product)(VALUES[a], VALUES[b])))


def cumulants(first, second):
    names = {"W": first, "V": second}
    return {
        name: r_diagonal_cumulants(s_coefficients_of_weights(weights, 3), 4)
        for name, weights in names.items()
    }


def draw(first, second, width, rng):
    copies = width // WIDTH
    diagonals = {Diagonal(key): np.diag(np.tile(value, copies)) for key, value in VALUES.items()}
    one, other = MATRICES[first](width, rng), MATRICES[second](width, rng)
    return diagonals | {
        W: one,
        W.adjoint_letter: one.T,
        V: other,
        V.adjoint_letter: other.T,
    }


@pytest.mark.parametrize(("first", "second"), ENSEMBLES)
def test_words(first, second):
    def traces(width, rng):
        matrices = draw(first, second, width, rng)
        products = (reduce(np.matmul, [matrices[x] for x in word]) for word in WORDS.values())
        return np.array([np.trace(product) / width for product in products])

    known = cumulants(first, second)
    theory = [mixed_moment(word, known, diagonal_trace(average)) for word in WORDS.values()]
    mean, error = extrapolated(traces, seed=11)
    # A crossing word has trace zero in the limit, with only terms of order 1 / N^2 and noise left.
    assert np.all(np.abs(mean - np.array(theory, dtype=float)) < error + 1 / WIDTH**2)


@pytest.mark.parametrize(("first", "second"), ENSEMBLES)
def test_moments_of_a_gated_step_with_two_weights(first, second):
    J = ((A,), (B, W), (A, V, B, W.adjoint_letter))

    def traces(width, rng):
        matrices = draw(first, second, width, rng)
        step = sum(reduce(np.matmul, [matrices[letter] for letter in word]) for word in J)
        squares = np.linalg.svd(step, compute_uv=False) ** 2
        return np.array([np.mean(squares**k) for k in (1, 2, 3)])

    known = cumulants(first, second)
    theory = [power_trace(J, k, known, diagonal_trace(average)) for k in (1, 2, 3)]
    mean, error = extrapolated(traces, seed=13)
    assert np.all(np.abs(mean - np.array(theory, dtype=float)) < error)
