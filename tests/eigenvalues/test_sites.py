import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    vanilla,
)
from rmt_jacobian.eigenvalues.polynomials import minor
from rmt_jacobian.eigenvalues.sites import site_problem
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.mean_field import Sites
from tests.eigenvalues.cells import CELLS, drawn_sites

h, g, x, e, f = sp.symbols("h g x e f", real=True)


def site_matrices(sites: Sites, i: int):
    """A, B, Ys, Ye at one site."""
    d, K = len(sites.cell.states), len(sites.cell.gates)
    shapes = {"state": (d, d), "gate": (d, K), "source_state": (K, d), "source_gate": (K, K)}
    found = []
    for name, shape in shapes.items():
        matrix = np.zeros(shape)
        for key, value in getattr(sites.derivatives, name).items():
            matrix[key] = value[i] if np.ndim(value) else value
        found.append(matrix)
    return found


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_the_sum_of_squares_is_the_determinant(cell, weights):
    """Against |det(lambda - A)|^2 det(1 + b H a H*) of dense matrices, all K sources apart."""
    sites = drawn_sites(cell, 5)
    problem = site_problem(sites, weights)
    (block,) = problem.blocks
    rng = np.random.default_rng(1)
    logs = rng.normal(size=len(block.groups) + block.sources)
    a_groups, b_sources = np.exp(logs[: len(block.groups)]), np.exp(logs[len(block.groups) :])
    K = len(cell.gates)
    a, b, taken = np.zeros(K), np.zeros(K), set()
    for value, group in zip(a_groups, block.groups, strict=True):
        for member in group.members:
            std = sites.parameters[cell.preactivations[member].name].weight_std
            # A Gaussian W enters with its variance; other ensembles state their own scale.
            a[member] = value * (std**2 if weights == "gaussian" else 1)
            if group.source not in taken:  # equal sources count once
                b[member] = b_sources[group.source]
                taken.add(group.source)
    lam = np.array([0.3 + 0.4j, -1.1 + 0.2j])
    terms = block.terms(lam)
    powers = np.abs(lam) ** (2 * block.common_power)
    ours = np.einsum("m,pms->ps", np.exp(block.exponents @ logs), terms) * powers[:, None]
    for p, point in enumerate(lam):
        for i in range(sites.count):
            A, B, Ys, Ye = site_matrices(sites, i)
            inverse = np.linalg.inv(point * np.eye(len(A)) - A)
            H = Ys @ inverse @ B + Ye
            expected = np.linalg.det(np.eye(K) + np.diag(b) @ H @ np.diag(a) @ H.conj().T)
            expected = (expected * abs(np.linalg.det(inverse)) ** -2).real
            assert ours[p, i] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_slopes_are_derivatives_of_the_terms(cell):
    (block,) = site_problem(drawn_sites(cell, 4), "orthogonal").blocks
    lam, step = np.array([0.3 + 0.4j]), 1e-5
    first, second = block.slopes(lam)

    def along(direction):
        return (block.terms(lam + step * direction) - block.terms(lam - step * direction)) / (
            2 * step
        )

    # d|q|^2 / d lambda = q' conj(q).
    assert first == pytest.approx((along(1) - 1j * along(1j)) / 2, rel=1e-6, abs=1e-8)
    laplacian = sum(
        block.terms(lam + move) - block.terms(lam) for move in (1e-3, -1e-3, 1e-3j, -1e-3j)
    )
    assert second == pytest.approx(laplacian / 4e-6, rel=1e-4, abs=1e-6)


def test_equal_sources_are_one():
    blocks = {
        cell.name: site_problem(drawn_sites(cell, 4), "gaussian").blocks[0]
        for cell in (gru, gru_reset_after, lstm, lstm_peephole)
    }
    assert {name: block.sources for name, block in blocks.items()} == {
        "gru": 2, "gru-reset-after": 1, "lstm": 1, "lstm-peephole": 2,
    }  # fmt: skip
    # Gaussian matrices on one source need one pair of self-energies.
    assert {name: len(block.groups) for name, block in blocks.items()} == {
        "gru": 2, "gru-reset-after": 1, "lstm": 1, "lstm-peephole": 2,
    }  # fmt: skip


def test_parts_that_do_not_reach_each_other_are_apart():
    one_way = Cell(
        "one-way", (h, g), x, (Preactivation("a", e, h), Preactivation("b", f, g)),
        (sp.tanh(e), h + sp.tanh(f)),
    )  # fmt: skip
    problem = site_problem(drawn_sites(one_way, 4), "gaussian")
    assert [group.members for block in problem.blocks for group in block.groups] in (
        [(0,), (1,)],
        [(1,), (0,)],
    )


def test_weights_without_scale_and_unread_ones_drop_out():
    sites = drawn_sites(gru, 4)
    still = Sites.of(gru, Parameters.of(gru, {
        "update.weight_std": 0, "reset.weight_std": 1, "candidate.weight_std": 0, "input_std": 0,
        "input_variance": 1,
    }), sites.states, sites.gates)  # fmt: skip
    assert (
        site_problem(still, "gaussian").blocks == ()
    )  # e_r moves the source of the candidate only


def test_cancelling_terms_vanish_exactly():
    # The LSTM's H of the forget gate has no pole at 0, though (lambda - A)^-1 B has.
    one, a, b = np.ones(1), np.array([0.1]), np.array([0.7])
    found = minor(
        [[{1: one}, {0: -a * b}, {0: a}], [{}, {1: one, 0: -b}, {0: one}], [{0: -one}, {}, {}]]
    )
    assert found[0][0] == 0.0
    assert found[1][0] == pytest.approx(0.1)


def test_ensembles_by_name():
    sites = drawn_sites(gru, 4)
    mixed = {"update": "orthogonal", "reset": "gaussian", "candidate": "gaussian"}
    (block,) = site_problem(sites, mixed).blocks
    assert sorted(group.members for group in block.groups) == [(0,), (1,), (2,)]
    with pytest.raises(ParameterError, match="candidate"):
        site_problem(sites, {"update": "orthogonal"})
    with pytest.raises(ParameterError, match="unknown weights"):
        site_problem(sites, "goe")


def test_infinite_derivatives_are_refused():
    sites = drawn_sites(vanilla, 2)
    broken = Sites.of(vanilla, sites.parameters, sites.states, [np.array([np.nan, 0.0])])
    with pytest.raises(ParameterError, match="infinite"):
        site_problem(broken, "gaussian")


def test_too_many_minors_are_refused():
    symbols = sp.symbols("e0:9", real=True)
    wide = Cell(
        "wide", (h,), x,
        tuple(Preactivation(f"p{n}", symbol, h ** (n + 1)) for n, symbol in enumerate(symbols)),
        (sum(symbols, sp.S.Zero),),
    )  # fmt: skip
    with pytest.raises(HypothesisError, match="minors"):
        site_problem(drawn_sites(wide, 2), "gaussian")


def test_any_namespace(xp):
    problem = site_problem(drawn_sites(gru, 6, xp=xp), "orthogonal")
    expected = site_problem(drawn_sites(gru, 6), "orthogonal")
    lam = np.array([0.2 + 0.3j])
    ours = problem.blocks[0].terms(xp.asarray(lam))
    assert to_numpy(ours) == pytest.approx(expected.blocks[0].terms(lam))
