"""Freeness is accepted where it holds and rejected where it does not, at the promised power."""

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, gru, minimalrnn, vanilla
from rmt_jacobian.comparison import DiagonalMoments, FreeMoments, freeness_of_cell, freeness_test
from rmt_jacobian.comparison.paired_theory import paired_theory
from rmt_jacobian.comparison.shared_freeness import Followed, shared_law_test
from rmt_jacobian.derive import PairedMoments
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling import run_network

GATED = Parameters.of(
    minimalrnn, weight_std=6.086, input_std=4.7986, bias_mean=4.0, input_variance=0.46
)


def haar(rng, width):
    q, r = np.linalg.qr(rng.standard_normal((width, width)))
    return q * np.sign(r.diagonal())


def scaled(matrices):
    return [J / np.sqrt(np.vdot(J, J) / len(J)) for J in matrices]


def test_moments_of_one_factor_are_those_of_the_factor():
    J = np.random.default_rng(0).standard_normal((20, 20))
    square = J @ J.T
    expected = np.trace(square) / 20, np.vdot(square, square) / 20
    for found in (FreeMoments().step(J), DiagonalMoments.identity(20).step(J)):
        assert (found.mean, found.second_moment) == pytest.approx(expected, rel=1e-12)


def test_diagonal_factors_are_exact_over_the_diagonal():
    gates = np.random.default_rng(1).uniform(0.2, 2, (4, 12))
    found = DiagonalMoments.identity(12)
    for gate in gates:
        found = found.step(np.diag(gate))
    product = np.prod(gates, axis=0) ** 2
    assert found.mean == pytest.approx(product.mean())
    assert found.second_moment == pytest.approx((product**2).mean())


@pytest.mark.parametrize("orthogonal", [False, True])
def test_matrix_route_is_the_theory_of_gated_steps(orthogonal):
    # d and F of A + B W from the matrices alone, against the same with W known.
    rng, width = np.random.default_rng(2), 400
    found, theory = DiagonalMoments.identity(width), PairedMoments.identity(np.ones(width))
    for _ in range(4):
        A, B = rng.uniform(0, 1, width), rng.standard_normal(width)
        W = haar(rng, width) if orthogonal else rng.standard_normal((width, width)) / width**0.5
        found = found.step(np.diag(A) + B[:, None] * W)
        theory = theory.step(A, B, weight_variance=1.0, s_1=0.0 if orthogonal else -1.0)
    assert found.mean == pytest.approx(theory.mean, rel=0.03)
    assert found.second_moment == pytest.approx(theory.second_moment, rel=0.06)


def test_independent_gaussian_and_orthogonal_factors_are_free():
    rng = np.random.default_rng(3)
    for draw in (lambda: rng.standard_normal((48, 48)), lambda: haar(rng, 48)):
        found = freeness_test([[draw() for _ in range(4)] for _ in range(16)])
        assert found.verdict == "free"
        assert found.is_free_over_diagonal
        assert (found.steps, found.width, found.samples) == (4, 48, 16)


def test_independent_wigner_factors_are_free_and_a_repeated_one_is_not():
    rng = np.random.default_rng(4)
    noise = rng.standard_normal((16, 3, 64, 64))
    wigner = noise + noise.swapaxes(-1, -2)
    assert freeness_test(wigner).verdict == "free"
    found = freeness_test([[J[0]] * 3 for J in wigner])
    # m_2 of S^3 is the sixth Catalan number, 132, where free factors have 1 + 3.
    assert found.row("m_2").sampled.value == pytest.approx(132, rel=0.25)
    assert found.row("m_2").free == pytest.approx(4, rel=0.05)
    assert found.row("m_2").free_z > 4
    assert found.row("m_2").diagonal_z > 4
    assert found.verdict == "neither"


@pytest.mark.parametrize("orthogonal", [False, True])
def test_moments_do_not_see_powers_of_a_bi_invariant_matrix_but_the_overlap_does(orthogonal):
    rng = np.random.default_rng(5)
    draw = (lambda: haar(rng, 64)) if orthogonal else (lambda: rng.standard_normal((64, 64)))
    found = freeness_test([[draw()] * 2 for _ in range(24)])
    for name in ("m_1", "m_2", "alternating"):
        assert abs(found.row(name).free_z) < 4
    assert found.row("overlap").sampled.value == pytest.approx(1.0)
    assert found.row("overlap").free_z > 20
    assert found.verdict == "neither"


@pytest.mark.parametrize(
    "weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.thorough)]
)
def test_gated_steps_are_free_over_the_diagonal_only(weights):
    found = freeness_of_cell(
        minimalrnn, GATED, weights=weights, steps=20, width=192, samples=16, seed=1
    )
    assert found.untied.verdict == "free over the diagonal"
    assert found.untied.row("alternating").free_z > 6
    assert abs(found.untied.row("m_2").diagonal_z) < 3
    # The diagonal prediction is less noisy beside the sample: the sites are the same.
    m_2 = found.untied.row("m_2")
    assert m_2.diagonal_excess.standard_error < 0.8 * m_2.free_excess.standard_error
    assert m_2.diagonal > 1.15 * m_2.free


def test_vanilla_steps_are_free_and_tied_ones_are_not():
    for weights in ("gaussian", "orthogonal"):
        found = freeness_of_cell(
            vanilla, Parameters.of(vanilla), weights=weights, steps=5, width=128, samples=16
        )
        assert found.untied.verdict == "free"
        assert found.tied.verdict == "neither"


def test_tied_gated_steps_are_neither():
    p = Parameters.of(minimalrnn)
    found = freeness_of_cell(minimalrnn, p, weights="gaussian", steps=10, width=192, samples=16)
    assert found.untied.verdict == "free over the diagonal"
    assert found.tied.verdict == "neither"
    assert found.shared.verdict == "not rejected"
    assert [row.name for row in found.shared.rows] == ["m_1", "m_2"]
    assert found.shared.content()["rows"][0]["z"] == found.shared.rows[0].z


def test_fresh_weights_do_not_explain_networks_that_keep_theirs():
    # Gradients of this GRU, as PyTorch initialises it, shrink more slowly than those of fresh W.
    p = Parameters.of(gru, weight_std=3**-0.5, input_std=3**-0.5, input_variance=1.0)
    ratios = {}
    for tied in (False, True):
        for seed in range(6):
            rng = np.random.default_rng(seed)
            run = run_network(gru, p, weights="gaussian", width=96, steps=4, rng=rng, tied=True)
            followed = Followed(run, paired_theory(gru, "gaussian", 96, tied=tied))
            assert len(list(followed)) == 4
            ratios.setdefault(tied, []).append(followed.ratios())
    fresh, shared = (shared_law_test(np.array(ratios[tied]), 4, 96) for tied in (False, True))
    assert shared.verdict == "not rejected"
    assert fresh.verdict == "rejected"
    assert fresh.rows[0].ratio.value > 1.3


def test_no_evidence_is_no_verdict():
    nothing = np.full((4, 2), np.nan)
    assert shared_law_test(nothing, 5, 64).verdict == "unknown"
    gone = shared_law_test(
        np.tile([1.0, 0.0], (4, 1)) + [[0.0, 0.01 * k] for k in range(4)], 10, 64
    )
    assert gone.verdict == "rejected"  # half of it or so is allowed for, and not all of it


def test_scale_of_the_factors_does_not_matter():
    samples = np.random.default_rng(6).standard_normal((4, 3, 16, 16))
    large = freeness_test(1e90 * samples)
    assert large.row("m_2").sampled.value == pytest.approx(
        freeness_test([scaled(J) for J in samples]).row("m_2").sampled.value
    )


def test_table_and_data_hold_every_statistic():
    found = freeness_test(np.random.default_rng(7).standard_normal((4, 3, 16, 16)))
    lines = str(found).splitlines()
    assert len({len(line) for line in lines[:-1]}) == 1
    assert [line.split()[0] for line in lines[1:-1]] == ["m_1", "m_2", "alternating", "overlap"]
    content = found.content()
    assert content["verdict"] == found.verdict == "free"
    assert content["rows"][1]["free_excess"].keys() == {"value", "standard_error"}


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "at least 2 samples"),
        (np.ones((1, 2, 3, 3)), "at least 2 samples"),
        (np.ones((2, 1, 3, 3)), "at least 2 matrices"),
        (np.ones((2, 2, 3, 4)), "square"),
        (np.zeros((2, 2, 3, 3)), "not zero"),
        (np.full((2, 2, 3, 3), np.nan), "finite"),
        ([np.ones((2, 3, 3)), np.ones((3, 3, 3))], "same number of steps"),
    ],
)
def test_bad_samples_are_refused(samples, message):
    with pytest.raises(ParameterError, match=message):
        freeness_test(samples)


def test_bad_arguments_are_refused():
    p = Parameters.of(vanilla)
    for arguments in ({"steps": 1}, {"samples": 1}, {"weights": "unitary"}):
        with pytest.raises(ParameterError):
            freeness_of_cell(vanilla, p, **{"weights": "gaussian", **arguments})
    with pytest.raises(ParameterError, match="no statistic"):
        freeness_test(np.random.default_rng(0).random((2, 2, 4, 4))).row("m_3")
