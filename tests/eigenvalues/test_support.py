"""Curves of the support: the formulas of Can et al. (2020), coded apart, and geometry."""

from functools import partial
from itertools import product

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, gru, lstm
from rmt_jacobian.eigenvalues import eigenvalue_law
from rmt_jacobian.eigenvalues.level import LevelSet, zero_crossings
from rmt_jacobian.eigenvalues.support import _encloses
from rmt_jacobian.mean_field import Sites
from tests.gauss_legendre import sigmoid, sigmoid_slope, tanh_slope
from tests.in_turn import in_turn

PAIRS = list(product((1.0, 10.0), repeat=2))


def area(curve: np.ndarray) -> float:
    return float(0.5 * np.sum(np.imag(np.conj(curve[:-1]) * curve[1:])))


def nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    x, w = np.polynomial.hermite_e.hermegauss(count)
    return x, w / w.sum()


def tensor(*counts: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Independent standard normal variables on a tensor grid."""
    rules = [nodes(count) for count in counts]
    grids = np.meshgrid(*(x for x, _ in rules), indexing="ij")
    shares = np.meshgrid(*(w for _, w in rules), indexing="ij")
    return [grid.ravel() for grid in grids], np.prod(shares, axis=0).ravel()


def gru_on_nodes(a_z: float, a_r: float):
    """Sites with independent h, e_z, e_r, e_y, and C20's S in averages of few variables."""
    a_h, counts = 3.0, (6, 16, 8, 8)
    scale = 0.6  # of h: any law will do
    (n_h, n_z, n_r, n_y), weights = tensor(*counts)
    stds = np.array([scale * a_z, scale * a_r, 1.2])
    sites = Sites.of(
        gru,
        Parameters.of(gru, {"update.weight_std": a_z, "reset.weight_std": a_r,
                            "candidate.weight_std": a_h, "input_std": 0, "input_variance": 1}),
        [np.tanh(n_h)], [stds[0] * n_z, stds[1] * n_r, stds[2] * n_y], weights=weights,
    )  # fmt: skip
    (h, w_h), (e_z, w_z), (e_r, w_r), (e_y, w_y) = (nodes(count) for count in counts)
    h, e_z, e_r, e_y = np.tanh(h), stds[0] * e_z, stds[1] * e_r, stds[2] * e_y
    C_h, C_r = w_h @ h**2, w_r @ sigmoid(e_r) ** 2
    C_slope_r, C_slope_y = w_r @ sigmoid_slope(e_r) ** 2, w_y @ tanh_slope(e_y) ** 2
    rho2 = a_h**2 * C_slope_y * (C_r + a_r**2 * C_slope_r * C_h)
    gap2 = w_h @ (h[:, None] - np.tanh(e_y)) ** 2 @ w_y

    def S(lam: np.ndarray) -> np.ndarray:
        distance = np.abs(lam[:, None] - sigmoid(e_z)) ** -2.0
        pulled = ((1 - sigmoid(e_z)) ** 2 * distance) @ w_z
        moved = (sigmoid_slope(e_z) ** 2 * distance) @ w_z
        return rho2 * pulled + a_z**2 * gap2 * moved - 1

    return sites, S


def lstm_on_nodes(a_f: float, a_o: float):
    a_h, a_i, scale = 3.0, 1.0, 0.5
    (n_c, n_f, n_i, n_o, n_y), weights = tensor(4, 40, 3, 4, 3)
    c, e_f, e_i, e_o, e_y = 1.5 * n_c, scale * a_f * n_f, scale * n_i, scale * a_o * n_o, 1.5 * n_y
    sites = Sites.of(
        lstm,
        Parameters.of(lstm, {"forget.weight_std": a_f, "input.weight_std": a_i,
                             "output.weight_std": a_o, "candidate.weight_std": a_h,
                             "input_std": 0, "input_variance": 1}),
        [np.tanh(n_c), c], [e_f, e_i, e_o, e_y], weights=weights,
    )  # fmt: skip
    f, i, o, phi_y = sigmoid(e_f), sigmoid(e_i), sigmoid(e_o), np.tanh(e_y)
    new = f * c + i * phi_y
    q = a_o**2 * sigmoid_slope(e_o) ** 2 * np.tanh(new) ** 2
    p = o**2 * tanh_slope(new) ** 2 * (
        a_f**2 * c**2 * sigmoid_slope(e_f) ** 2
        + a_i**2 * sigmoid_slope(e_i) ** 2 * phi_y**2
        + a_h**2 * i**2 * tanh_slope(e_y) ** 2
    )  # fmt: skip

    def S(lam: np.ndarray) -> np.ndarray:
        distance = np.abs(lam[:, None] - f) ** -2.0
        return weights @ q / np.abs(lam) ** 2 + distance @ (weights * p) - 1

    return sites, S


@pytest.mark.parametrize(
    ("pair", "network"),
    in_turn(PAIRS, product([gru_on_nodes, lstm_on_nodes], ["gaussian", "orthogonal"])),
    ids=lambda value: str(value) if value in PAIRS else f"{value[0].__name__}-{value[1]}",
)
def test_boundary_of_can2020(pair, network):
    """It only knows the variance of W: that of Haar W is the same."""
    build, weights = network
    sites, S = build(*pair)
    law = eigenvalue_law(sites, weights=weights)
    curves = law.boundary(240)
    assert len(curves[0]) >= 180
    components = [curve for curve in curves if area(curve) > 0]  # Haar W may leave holes
    for curve in components:
        assert S(curve) == pytest.approx(0, abs=1e-9)
    # Roots of the formula along normals of the curve.
    outer = curves[0]
    middle, across = outer[20:-20:20], (outer[21:-19:20] - outer[19:-21:20]) / 1j
    across = 0.01 * across / np.abs(across)
    ends = [
        zero_crossings(function, middle - across, middle + across)
        for function in (S, partial(law._support.log_radius, 0, 0))
    ]
    assert ends[1] == pytest.approx(ends[0], rel=1e-10)
    rng = np.random.default_rng(0)
    points = law.spectral_radius * 1.3 * (rng.uniform(-1, 1, 200) + 1j * rng.uniform(0, 1, 200))
    if len(curves) == len(components):
        assert (law.solve(points).inside == (S(points) > 0)).all()
    furthest = max(np.abs(curve).max() for curve in curves)
    assert furthest * (1 - 1e-12) <= law.spectral_radius <= furthest * 1.001


def test_curves_of_a_known_function():
    """A disk with a hole on the axis and two off it."""

    def inside(z):
        holes = [np.abs(z - centre) ** 2 - 0.04 for centre in (0.3, -0.2 + 0.5j, -0.2 - 0.5j)]
        return np.minimum.reduce([1 - np.abs(z) ** 2, *holes])

    curves = LevelSet.on(inside, np.linspace(-2, 2, 41), np.linspace(0, 2, 21)).curves(60)
    assert len(curves) == 4
    for curve in curves:
        assert inside(curve) == pytest.approx(0, abs=1e-12)
        assert curve[0] == curve[-1]
        assert np.abs(np.diff(curve)).max() < 0.5
    areas = sorted(area(curve) for curve in curves)
    assert areas == pytest.approx([-0.04 * np.pi] * 3 + [np.pi], rel=0.02)


@pytest.mark.parametrize(("offset", "components"), [(-0.003, 2), (0.003, 1)])
def test_a_saddle_within_a_cell(offset, components):
    """Opposite quadrants of a disk, joined in the middle or not."""

    def inside(z):
        x, y = np.real(z), np.abs(np.imag(z)) - 1
        return np.minimum(x * y + offset, 0.81 - x**2 - y**2)

    curves = LevelSet.on(inside, np.linspace(-2, 2, 18), np.linspace(0, 2, 10)).curves(40)
    assert len(curves) == 2 * components  # with their mirror images


def test_zero_crossings_of_poles_and_steep_functions():
    def function(z):
        return 1e6 * (np.log(2.0) - np.log(np.abs(z) + 1e-300))

    ends = zero_crossings(function, np.array([0j, 1e-8j]), np.array([3 + 0j, 100j]))
    assert ends == pytest.approx(np.array([2, 2j]), rel=1e-12)


def test_points_inside_of_a_polygon() -> None:
    # The letter L: a square of side 2 without its upper right quarter.
    corners = np.array([0, 2, 2 + 1j, 1 + 1j, 1 + 2j, 2j, 0], dtype=complex)
    inside = np.array([0.5 + 0.5j, 1.5 + 0.5j, 0.5 + 1.5j, 0.9 + 1.1j])
    outside = np.array([1.5 + 1.5j, -0.5 + 0.5j, 2.5 + 0.5j, 0.5 - 0.5j, 0.5 + 2.5j, 1.1 + 1.1j])
    for curve in (corners, corners[::-1]):
        assert _encloses(curve, inside).all()
        assert not _encloses(curve, outside).any()
