"""Coordinates in which populations are even, and what they gain."""

import math

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters, Preactivation, lstm, relu, sigmoid
from rmt_jacobian.mean_field.populations.coordinates import along_sums, gate_sums, lasting_memory
from rmt_jacobian.mean_field.populations.response import of_one_sign
from rmt_jacobian.mean_field.populations.site_models import Drives
from rmt_jacobian.mean_field.populations.sites import PopulationSites
from rmt_jacobian.mean_field.populations.walk import Walk

s, t, u, x, e, f, g = sp.symbols("s t u x e f g", real=True)


def cell_of(*updates: sp.Expr, sources: tuple[sp.Expr, ...] = (s, s, s)) -> Cell:
    symbols = zip("efg", (e, f, g), sources, strict=True)
    reads = tuple(Preactivation(name, gate, source) for name, gate, source in symbols)
    return Cell("cell", (s, t, u)[: len(updates)], x, reads, updates)


@pytest.mark.parametrize(
    ("update", "sums"),
    [
        (sp.tanh(e) * f, ()),
        (sp.sin(e + f) * g, ((1.0, 1.0, 0.0),)),
        (relu(-f - g) + relu(f + g) + sigmoid(e), ((0.0, 1.0, 1.0),)),
        (sp.tanh(2 * e - g + s + 1), ((1.0, 0.0, -0.5),)),
        (sp.sin(e + f) * sp.tanh(e), ()),  # e is read by itself, too
        (sp.sin(e + f) * sp.sin(e - f), ()),
        (sp.sin(e + f + sp.tanh(g)) + g, ((1.0, 1.0, 0.0),)),
    ],
)
def test_sums_that_are_read_as_one(update: sp.Expr, sums) -> None:
    assert gate_sums(cell_of(update)) == sums


def test_a_source_may_read_a_part_of_a_sum() -> None:
    assert gate_sums(cell_of(sp.sin(e + f), sources=(s, s, s * sigmoid(e)))) == ()


@pytest.mark.parametrize("scales", [(1.0, 2.0, 3.0), (1.0, 0.0, 2.0), (0.0, 0.0, 0.0)])
def test_orthogonal_coordinates_along_a_sum(scales) -> None:
    Q = along_sums(np.array([[0.0, 1.0, -2.0]]), np.array(scales))
    assert pytest.approx(np.eye(3), abs=1e-14) == Q.T @ Q
    weights = (np.array([0.0, 1.0, -2.0]) * scales) @ Q
    assert weights == pytest.approx([np.linalg.norm(weights), 0, 0], abs=1e-14)


@pytest.mark.parametrize(
    ("updates", "sources", "lasting"),
    [
        ((s / 2 + sp.tanh(e), s, u / 2 + t / 2), (t, t, t), (0,)),
        ((s / 2 + sp.tanh(e), s, u / 2 + t / 2), (s, u, s), (0,)),  # f writes nothing
        ((s / 2 + sp.tanh(e), s, u / 2 + t / 2), (s, s, s), (0,)),
        ((s / 2 + sp.tanh(e), s, u / 2 + t / 2), (u, s, s), (0, 1, 2)),
        ((s / 2 + sp.tanh(e), sp.sin(f)), (t, t, t), ()),  # e comes back to nothing
    ],
)
def test_memory_that_comes_back(updates, sources, lasting) -> None:
    assert lasting_memory(cell_of(*updates, sources=sources)) == lasting


def test_memory_of_an_lstm() -> None:
    assert lasting_memory(lstm) == lstm.memory == (1,)


SUM = cell_of(sp.sin(e + f) + sp.tanh(s) / 2)
UNIT = {"weight_std": 1.0, "input_std": 1.0, "input_variance": 1.0}


@pytest.mark.parametrize("kind", ["redrawn", "frozen"])
@pytest.mark.parametrize("correlations", [(0.6, 0.3, 0.1), (1.0, -0.5, 0.0), (-1.0, -1.0, 1.0)])
def test_preactivations_along_sums_have_their_law(kind, correlations) -> None:
    p = Parameters.of(SUM, UNIT, bias_kind=kind)
    variances = (1.7, 0.9, 1.3)
    walk = Walk(PopulationSites(SUM, p, 4096), variances, [Drives(variances, correlations)])
    walk.draw()
    gates = np.array([walk.copies[copy][1][k] for copy in range(2) for k in range(3)])
    found = np.einsum("irm,jrm->ij", gates, gates) / gates[0].size
    own, both = np.diag(variances), np.diag(np.multiply(variances, correlations))
    assert found == pytest.approx(np.block([[own, both], [both, own]]), abs=0.02)


def test_a_response_that_oscillates_along_a_sum() -> None:
    r"""E[cos(y) cos(y')] of y = e + f, which hardly differs from 0: noise would hide it."""
    variances, correlations = (3.0, 3.5, 1.0), (0.3, 0.5, 0.0)
    p = Parameters.of(SUM, UNIT)
    model = PopulationSites(SUM, p, 4096)
    series = model._responses(Drives(variances, correlations), 16)._series
    q, c = sum(variances[:2]), float(np.dot(variances, correlations))
    expected = math.exp(-q) * math.cosh(c)
    first = series[:, 0, 0, 0]
    assert first.std(ddof=1) < 2e-3  # a hundred thousand points at random would leave as much
    assert first.mean() == pytest.approx(expected, abs=4 * first.std(ddof=1) / math.sqrt(8))


def test_biases_of_preactivations_that_nothing_reads() -> None:
    values = {"e.bias_std": 0.5, "g.bias_std": 0.5}
    p = Parameters.of(SUM, UNIT | values, bias_kind="frozen")
    assert PopulationSites(SUM, p).frozen == [0]


def test_rates_that_differ_in_their_signs_alone() -> None:
    assert of_one_sign(np.array([0.5, -0.51, 0.49])) == pytest.approx([0.5, 0.51, 0.49])
    about_zero = np.array([0.5, -0.1, 0.2, -0.4])
    assert of_one_sign(about_zero) == pytest.approx(about_zero)
