from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    gru,
    lstm,
    lstm_peephole,
    vanilla_cell,
)
from rmt_jacobian.eigenvalues import EigenvalueLaw, eigenvalue_law
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field import Sites
from rmt_jacobian.pencils.ensembles import TransformWeights
from tests.eigenvalues.cells import CELLS, TURNING, drawn_sites

h, g, x, e, f = sp.symbols("h g x e f", real=True)
# h' = a h + b e, with e = W h, for any site values a and b.
LINEAR = Cell("linear", (h,), x, (Preactivation("w", e, h),), (x * e + sp.tanh(x) * h,))
SCALED = Cell("scaled", (h,), x, (Preactivation("w", e, h),), (x * e,))
ZERO = np.zeros(1)


def one_weight(cell: Cell, std: float) -> Parameters:
    return Parameters.of(cell, weight_std=std, input_std=0, input_variance=1)


def scaled_law(b: np.ndarray, std: float, weights) -> EigenvalueLaw:
    sites = Sites.of(SCALED, one_weight(SCALED, std), [0 * b], [0 * b], b)
    return eigenvalue_law(sites, weights=weights)


def area(curve: np.ndarray) -> float:
    return float(0.5 * np.sum(np.imag(np.conj(curve[:-1]) * curve[1:])))


def test_ginibre():
    law = scaled_law(np.ones(1), 0.8, "gaussian")
    (curve,) = law.boundary(64)
    assert np.abs(curve) == pytest.approx(0.8, abs=1e-12)
    assert curve[0] == curve[-1]
    assert area(curve) > 0  # counterclockwise
    assert law.spectral_radius == pytest.approx(0.8, abs=1e-12)
    points = np.array([0.1 + 0.2j, -0.3 - 0.4j, 0.7j, 0.0])
    assert law.density(points) == pytest.approx(1 / (np.pi * 0.64), rel=1e-8)
    assert law.resolvent(points) == pytest.approx(np.conj(points) / 0.64, rel=1e-8, abs=1e-12)
    assert law.resolvent(2 + 1j) == pytest.approx(1 / (2 + 1j), rel=1e-12)
    assert law.density(2 + 1j) == 0
    fractions = law.inside([(0.0, 0.0, 0.4), (0.1, 0.2, 0.3), (0.0, 0.0, 2.0), (3.0, 0.0, 1.0)])
    assert fractions == pytest.approx([0.25, 0.09 / 0.64, 1, 0], abs=1e-6)
    assert law.atoms() == ()


def test_haar_is_a_circle():
    law = scaled_law(np.ones(1), 0.8, "orthogonal")
    outer, hole = law.boundary(64)
    assert np.abs(outer) == pytest.approx(0.8, abs=1e-12)
    assert np.abs(hole) == pytest.approx(0.8, abs=1e-12)
    assert area(outer) > 0 > area(hole)
    assert law.resolvent(np.array([0.3j, 0.5])) == pytest.approx(0, abs=1e-12)
    assert law.inside([(0.0, 0.0, 0.7), (0.0, 0.0, 0.9)]) == pytest.approx([0, 1], abs=1e-12)


def test_single_ring():
    """Haar W between diagonals: :math:`|F^{-1}(p)|` of the ring theorem, by its S-transform."""
    rng = np.random.default_rng(0)
    b, std = rng.uniform(0.5, 1.5, 400), 1.2
    law = scaled_law(b, std, "orthogonal")
    outer, hole = law.boundary(48)
    assert np.abs(outer) == pytest.approx(std * np.sqrt(np.mean(b**2)), rel=1e-12)
    assert np.abs(hole) == pytest.approx(std / np.sqrt(np.mean(b**-2.0)), rel=1e-12)
    # The mass p within r: S of B^2 at p - 1 is r^-2, where psi(-1/w) = p - 1.
    for w in (0.3, 1.0, 3.0):
        psi = np.mean(-(b**2) / w / (1 + b**2 / w))
        s_transform = -(1 + psi) / psi / w
        radius = std / np.sqrt(s_transform)
        assert law.inside([(0.0, 0.0, radius)]) == pytest.approx(1 + psi, abs=1e-8)


def test_thin_ring_is_found():
    b = np.linspace(0.999, 1.001, 101)
    outer, hole = scaled_law(b, 1.0, "orthogonal").boundary(48)
    width = np.sqrt(np.mean(b**2)) - np.mean(b**-2.0) ** -0.5
    assert width < 1e-6
    assert np.abs(outer).max() - np.abs(hole).min() == pytest.approx(width, rel=1e-6)


def test_product_with_another_ensemble():
    """W W^T of the arcsine law on (0, 2): the ring theorem gives the mass within r."""
    W = TransformWeights(lambda u: (2 + u) / (2 * (1 + u)), lambda u: -0.5 / (1 + u) ** 2)
    law = scaled_law(np.ones(1), 0.0, W)
    for u in (-0.8, -0.5, -0.1):
        radius = np.sqrt(2 * (1 + u) / (2 + u))
        assert law.inside([(0.0, 0.0, radius)]) == pytest.approx(1 + u, abs=1e-8)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_zero_fixed_points(weights):
    """Can et al. (2020): disks, or circles, about the remembering gate; half of the LSTM at 0."""
    values = {"update.bias_mean": 0.5, "reset.bias_mean": -0.3, "candidate.weight_std": 3.0,
              "update.weight_std": 2.0, "reset.weight_std": 1.0, "input_std": 0,
              "input_variance": 1}  # fmt: skip
    sites = Sites.of(gru, Parameters.of(gru, values), [ZERO], [ZERO + 0.5, ZERO - 0.3, ZERO])
    z, r = 1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(0.3))
    law = eigenvalue_law(sites, weights=weights)
    radius = (1 - z) * r * 3
    curves = law.boundary(48)
    assert len(curves) == (1 if weights == "gaussian" else 2)
    for curve in curves:
        assert np.abs(curve - z) == pytest.approx(radius, rel=1e-10)
    assert law.spectral_radius == pytest.approx(z + radius)
    if weights == "gaussian":
        assert law.density(z + 0.3j * radius) == pytest.approx(1 / (np.pi * radius**2))

    biases = {"forget": 1.0, "input": 0.2, "output": -0.4, "candidate": 0.0}
    sites = Sites.of(
        lstm, Parameters.of(lstm, input_std=0), [ZERO, ZERO], [ZERO + b for b in biases.values()]
    )
    forget, i, o = (1 / (1 + np.exp(-biases[k])) for k in ("forget", "input", "output"))
    law = eigenvalue_law(sites, weights=weights)
    assert np.abs(law.boundary(48)[0] - forget) == pytest.approx(3 * i * o, rel=1e-10)
    assert law.atoms() == ((0.0, 0.0, pytest.approx(0.5, abs=1e-9)),)
    assert np.isinf(law.resolvent(0.0))
    assert law.inside([(0.0, 0.0, 0.01), (forget, 0.0, 2.0)]) == pytest.approx([0.5, 1], abs=0.01)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_dead_sites_are_an_atom(weights):
    """Sites of relu that are off: their rows of J vanish."""
    cell = vanilla_cell("relu")
    e_values = np.random.default_rng(0).standard_normal(500)
    law = eigenvalue_law(
        Sites.of(cell, one_weight(cell, 1.5), [0 * e_values], [e_values]), weights=weights
    )
    ((re, im, mass),) = law.atoms()
    assert (re, im) == (0, 0)
    assert mass == pytest.approx(np.mean(e_values <= 0), abs=1e-5)
    assert law.spectral_radius == pytest.approx(1.5 * np.sqrt(np.mean(e_values > 0)))


def test_blocks_that_do_not_reach_each_other_add_up():
    """Two networks, one driving the other: half the mass each."""
    cell = Cell("one-way", (h, g), x, (Preactivation("a", e, h), Preactivation("b", f, g)),
                (e, h + g / 2 + f / 4))  # fmt: skip
    zero = np.zeros(3)
    sites = Sites.of(cell, one_weight(cell, 1.0), [zero] * 2, [zero] * 2)
    law = eigenvalue_law(sites, weights={"a": "orthogonal", "b": "gaussian"})
    assert law.density(0.5 + 0.1j) == pytest.approx(16 / np.pi / 2)
    assert law.inside([(0.0, 0.0, 0.9), (0.5, 0.0, 0.125)]) == pytest.approx([0.5, 0.125], abs=1e-3)
    assert sorted(round(area(curve) / np.pi, 2) for curve in law.boundary(400)) == [-1, 0.06, 1]


def test_without_weights_the_sites_are_left():
    a = np.array([0.2, 0.2, 0.6, 0.6])
    cell = Cell("still", (h,), x, (Preactivation("w", e, sp.S.Zero),), (x * h,))
    law = eigenvalue_law(
        Sites.of(cell, Parameters.of(cell, input_std=0, input_variance=1), [0 * a], [0 * a], a)
    )
    assert law.boundary() == []
    assert [(round(re, 9), im, round(m, 6)) for re, im, m in law.atoms()] == [
        (0.2, 0, 0.5),
        (0.6, 0, 0.5),
    ]
    assert law.spectral_radius == pytest.approx(0.6)
    assert law.resolvent(1j) == pytest.approx(np.mean(1 / (1j - a)))


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_a_grid_over_the_support_is_solved(cell, weights):
    law = eigenvalue_law(drawn_sites(cell, 512), weights=weights)
    radius = law.spectral_radius
    line = np.linspace(-radius, radius, 50)
    found = law.solve(line[:, None] + 1j * line)
    assert found.converged.all()
    assert found.inside.any()
    assert (found.density[found.inside] > 0).all()
    assert law.inside([(0.0, 0.0, 1.1 * law._support.radius)]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", [gru, lstm_peephole, TURNING], ids=lambda cell: cell.name)
def test_density_is_the_slope_of_the_resolvent(cell, weights):
    law = eigenvalue_law(drawn_sites(cell, 256), weights=weights)
    points, step = np.array([0.2 + 0.15j, 0.4 - 0.1j, 0.1 + 0.3j]), 1e-5

    def along(direction):
        return (
            law.resolvent(points + step * direction) - law.resolvent(points - step * direction)
        ) / (2 * step)

    slope = (along(1) + 1j * along(1j)) / 2
    assert slope.imag == pytest.approx(0, abs=1e-6)
    assert law.solve(points).inside.any()
    assert law.density(points) == pytest.approx(slope.real / np.pi, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", [gru, lstm, TURNING], ids=lambda cell: cell.name)
def test_resolvent_is_continuous_across_the_boundary(cell, weights):
    law = eigenvalue_law(drawn_sites(cell, 512), weights=weights)
    for curve in law.boundary(24):
        middle = curve[1:-1]
        outward = (curve[2:] - curve[:-2]) / 1j
        outward = 1e-7 * outward / np.abs(outward)
        assert law.solve(middle - outward).inside.all()
        assert not law.solve(middle + outward).inside.any()
        assert law.resolvent(middle - outward) == pytest.approx(
            law.resolvent(middle + outward), rel=1e-3, abs=1e-4
        )


def test_a_map_uses_the_symmetry():
    law = eigenvalue_law(drawn_sites(gru, 128))
    re, im = np.linspace(-1, 1, 5), np.linspace(-0.9, 0.6, 6)
    expected = law.density(re[:, None] + 1j * im)
    assert law.density_map(re, im) == pytest.approx(expected)
    assert law.density_map(re, im) == pytest.approx(law.density_map(re, -im[::-1])[:, ::-1])


def test_any_namespace(xp):
    ours = eigenvalue_law(drawn_sites(gru, 64, xp=xp), weights="orthogonal")
    expected = eigenvalue_law(drawn_sites(gru, 64), weights="orthogonal")
    points = np.array([0.2 + 0.3j, 0.4 - 0.1j, 2.0])
    assert ours.resolvent(points) == pytest.approx(expected.resolvent(points))
    assert ours.density(points) == pytest.approx(expected.density(points))
    assert ours.spectral_radius == pytest.approx(expected.spectral_radius)


def test_single_sites_far_off_are_no_component():
    b = np.full(999, 0.5)
    a = np.concatenate([np.zeros(998), [5.0]])  # tanh(5) is far outside the disk of radius 1/2
    sites = Sites.of(
        Cell("kept", (h,), x, (Preactivation("w", e, h),), (e + sp.tanh(x) * h,)),
        one_weight(LINEAR, 0.1), [0 * b], [0 * b], a,
    )  # fmt: skip
    assert len(eigenvalue_law(sites).boundary()) == 1
    assert len(eigenvalue_law(sites, grain=1).boundary(detail=4)) == 2


def test_refusals():
    law = scaled_law(np.ones(1), 1.0, "gaussian")
    with pytest.raises(ParameterError, match="radius"):
        law.inside([(0.0, 0.0, 0.0)])
    with pytest.raises(ConvergenceError, match="contour"):
        scaled_law(np.ones(1), 1.0, "orthogonal").inside([(1.0, 0.0, 0.5)], tolerance=1e-9)


@pytest.mark.parametrize("side", [-0.03, 0.03])
def test_the_furthest_point_is_looked_for_on_both_sides(side) -> None:
    """A boundary r(angle) = 1 + cos(4 (angle - 1)) / 50, of which a point beside is known."""

    def radius(angle):
        return 1 + np.cos(4 * (angle - 1)) / 50

    boundary = SimpleNamespace(_outer=lambda lam: radius(np.angle(lam)) - np.abs(lam))
    point = radius(1 + side) * np.exp(1j * (1 + side))
    found = EigenvalueLaw._furthest(boundary, point)  # pyright: ignore[reportArgumentType]
    assert found == pytest.approx(1.02, abs=1e-6)
