"""Laws whose equation cannot be followed all the way to 0, where next to nothing is left there."""

import pytest
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters, Preactivation, hard_tanh, sigmoid
from rmt_jacobian.comparison import finite_size_null, ks_distance
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.pencils.chain.continuation import descend
from rmt_jacobian.sampling import sample_singular_values
from rmt_jacobian.singular_values import singular_value_law

s, t, e, x = sp.symbols("s t e x", real=True)
UPDATE = e / 10 + sp.tanh(s) / 2 + hard_tanh(2 * e)
GATED = Cell(
    "gated", (s, t), x, (Preactivation("drive", e, t),), (UPDATE, sp.tanh(UPDATE) * sigmoid(e))
)
"""Where the drive is beyond 1/2 its slope is 1/10, and little of the output is left."""
POINT = {"weight_std": 0.2228, "input_std": 0.4309, "bias_std": 0.6279, "input_variance": 0.2974}


def test_what_is_below_the_last_rung_is_less_than_is_tolerated() -> None:
    parameters = Parameters.of(GATED, POINT)
    law = singular_value_law(
        GATED, parameters, weights="orthogonal", steps=1, sites=128, tolerance=1e-3, seed=1
    )
    found = sample_singular_values(
        GATED, parameters, weights="orthogonal", steps=1, width=512, samples=4, seed=1
    )
    allowed = finite_size_null(2 * 512, 4) + law.error_estimate
    assert ks_distance(found, law) < allowed


def test_what_is_more_is_refused() -> None:
    law = singular_value_law(
        GATED, Parameters.of(GATED, POINT), weights="orthogonal", steps=1, sites=128, seed=1
    )
    with pytest.raises(ConvergenceError, match="was not solved at s = "):
        descend(law.chain, least=1e-300, unresolved=0.0)
