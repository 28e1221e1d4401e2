"""Laws of cells of which only a few neurons in ten thousand feel the weights."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.stats import norm

from rmt_jacobian.cells import Cell, Parameters, Preactivation, relu, sigmoid
from rmt_jacobian.mean_field import untied_state
from rmt_jacobian.pencils.blocks.untied import untied_history
from rmt_jacobian.singular_values import singular_value_law

h, e1, e2, x = sp.symbols("h e1 e2 x", real=True)
LEAKY = Cell(
    "leaky",
    states=(h,),
    input=x,
    preactivations=(Preactivation("gate", e1, h), Preactivation("drive", e2, h * sigmoid(e1))),
    updates=(h / 5 + sp.Rational(4, 5) * relu(e2 - sp.Rational(1, 2)),),
)
"""J = 1/5 + 4/5 D W ..., where D is the projection onto the neurons whose drive is above 1/2."""


def at(share: float) -> Parameters:
    """Inputs of variance 1 that drive so many neurons; what the states add to them is 1e-5."""
    spread = 0.5 / norm.isf(share)
    gate = {"gate.weight_std": 0.3, "gate.input_std": 0.8, "gate.bias_mean": -1}
    drive = {"drive.weight_std": 0.5, "drive.input_std": spread}
    return Parameters.of(LEAKY, gate | drive | {"input_variance": 1})


@pytest.mark.parametrize(
    "weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.thorough)]
)
def test_each_of_them_moves_one_value_down_and_one_up(weights: str) -> None:
    # A rank-r change of 1/5 moves r singular values down and r up and leaves the others.
    share = 2e-4
    law = singular_value_law(
        LEAKY, at(share), weights=weights, steps=1, sites=256, tolerance=1e-5, replicates=2
    )
    noise = 3 * math.sqrt(share / 131_072)
    assert law.cdf(0.2 - 1e-6) == pytest.approx(share, abs=noise)
    assert law.sf(0.2 + 1e-6) == pytest.approx(share, abs=noise)
    assert law.chain.sites.count < 4096 + 100  # all that W spreads, and some others
    low, atom, high = law.support_intervals()
    assert low[1] < atom[0] == pytest.approx(0.2) == atom[1] < high[0]


def test_thinned_sites_keep_what_is_spread_and_the_averages_of_the_rest() -> None:
    history = untied_history(untied_state(LEAKY, at(0.02)), 2, count=4096, seed=1)
    thin = history.thinned(1024)
    both = (history, thin)
    moved = [np.any([d.gate[0][1] != 0 for d in each.diagonals], axis=0) for each in both]
    assert np.sum(moved[0]) == np.sum(moved[1]) > 100
    assert thin.count == 1024 + np.sum(moved[1])
    assert np.sum(thin.weights) == pytest.approx(1, rel=1e-14)
    assert thin.weights @ moved[1] == pytest.approx(history.weights @ moved[0], rel=1e-14)
    opened = [each.diagonals[0].source_state[1][0] ** 2 for each in both]
    assert thin.weights @ opened[1] == pytest.approx(history.weights @ opened[0], rel=1e-2)


def test_sources_may_be_rare() -> None:
    """h' = h/2 + W relu(h - 3.5): the steps of rank r change as many values on either side."""
    cell = Cell(
        "reads", (h,), x, (Preactivation("read", e1, relu(h - sp.Rational(7, 2))),), (h / 2 + e1,)
    )
    point = {"weight_std": 1e-2, "input_std": math.sqrt(3) / 2, "input_variance": 1}
    law = singular_value_law(
        cell, Parameters.of(cell, point), weights="orthogonal", steps=1, sites=256, tolerance=1e-5
    )
    share = norm.sf(3.5)
    assert law.chain.sites.count < 4096 + 200
    noise = 3 * math.sqrt(share / 131_072)
    assert law.cdf(0.5 - 1e-5) == pytest.approx(share, abs=noise)
    assert law.sf(0.5 + 1e-5) == pytest.approx(share, abs=noise)


def test_weights_of_0_reach_no_site() -> None:
    cell = Cell(
        "gated", (h,), x,
        (Preactivation("gate", e1, h), Preactivation("drive", e2, h)),
        (h * sigmoid(e1) / 2 + relu(e2 - sp.Rational(1, 2)),),
    )  # fmt: skip
    gate = {"gate.weight_std": 0.0, "gate.input_std": 0.8}
    drive = {"drive.weight_std": 0.5, "drive.input_std": 0.5 / norm.isf(5e-4)}
    parameters = Parameters.of(cell, gate | drive | {"input_variance": 1})
    law = singular_value_law(cell, parameters, weights="orthogonal", steps=1, sites=256)
    assert law.chain.sites.count < 4096 + 200
