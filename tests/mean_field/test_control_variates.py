"""Averages over sites that are corrected by exact moments, against closed forms."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad

from rmt_jacobian.cells import Cell, Parameters, Preactivation, sigmoid
from rmt_jacobian.mean_field import untied_state

S1, S2, S3, G, F, X = sp.symbols("s1 s2 s3 e1 e2 x", real=True)
# The memory s1 is driven by tanh of a bias: at -15 it is -1 to rounding, at every site.
SILENT = Cell(
    "silent",
    (S1, S2, S3),
    X,
    (Preactivation("g", G, S3), Preactivation("f", F, S2 * sigmoid(G))),
    (S1 * sigmoid(G) + (1 - sigmoid(G)) * sp.tanh(F), S1, sp.tanh(S1) * sigmoid(F)),
)


@pytest.mark.parametrize("bias", [-15.0, -14.0, -13.0])
def test_a_memory_that_does_not_vary_corrects_nothing(bias: float) -> None:
    p = Parameters.of(
        SILENT,
        {
            "g.weight_std": 1.1862973973090756,
            "f.weight_std": 0.525835633972263,
            "g.input_std": 0.1978924367248768,
            "f.input_std": 0.0,
            "bias_mean": bias,
            "input_variance": 0.8381016249371136,
        },
    )
    state = untied_state(SILENT, p)
    # What g reads is of the order of exp(bias), so that its deviation is that of the input.
    deviation = 0.1978924367248768 * np.sqrt(0.8381016249371136)
    square, _ = quad(
        lambda z: (1 + np.exp(-bias - deviation * z)) ** -2 * np.exp(-z * z / 2)
        / np.sqrt(2 * np.pi),
        -12, 12, epsabs=0, epsrel=1e-12,
    )  # fmt: skip
    assert state.source_squares[1] == pytest.approx(square, rel=5e-3, abs=0)  # 16,384 sites
    gate = 1 / (1 + np.exp(-bias))
    assert state.source_squares[0] == pytest.approx((np.tanh(1) * gate) ** 2, rel=5e-3, abs=0)
