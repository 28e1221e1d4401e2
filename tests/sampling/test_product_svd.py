"""Log singular values of products against exact products, determinants and exterior powers."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    activation_named,
    gru,
    lstm,
    minimalrnn,
    vanilla,
    vanilla_cell,
)
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling import dense_jacobian, run_network
from rmt_jacobian.sampling.products.log_spectra import sample_log_singular_values
from rmt_jacobian.sampling.products.product_svd import log_singular_values
from rmt_jacobian.sampling.products.runs import sample_singular_values
from tests.in_turn import in_turn

_h, _x, _e = sp.symbols("h x e", real=True)
INPUTS = {
    "gru": {f"{name}.input_std": 1.0 for name in ("update", "reset", "candidate")},
    "lstm": {f"{name}.input_std": 0.7 for name in ("forget", "input", "output", "candidate")}
    | {"forget.bias_mean": 1.0},
}
CELLS = {"vanilla": vanilla, "minimalrnn": minimalrnn, "gru": gru, "lstm": lstm}


def parameters(cell):
    return Parameters.of(cell, {**Parameters.of(cell).named(), **INPUTS.get(cell.name, {})})


def jacobians(cell, weights, width, steps, seed=1):
    run = run_network(
        cell, parameters(cell), weights=weights, width=width, steps=steps,
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    return [dense_jacobian(step) for step in run]


def exact_log_singular_values(factors, digits):
    """Multiply the factors in whole numbers and decompose the product in many digits.

    Entries of floating-point matrices are whole numbers times a power of two, so that no rounding
    happens but that of the product to the digits given.
    """
    bits = int(digits * math.log2(10))
    product, exponent = None, 0
    for factor in factors:
        mantissas, exponents = np.frexp(factor)
        lowest = int(exponents[factor != 0].min()) - 53
        shifts = np.where(factor != 0, exponents - 53 - lowest, 0)
        whole = np.array(
            [[int(m) << int(s) for m, s in zip(*row, strict=True)]
             for row in zip(np.ldexp(mantissas, 53), shifts, strict=True)], dtype=object,
        )  # fmt: skip
        product = whole if product is None else whole @ product
        exponent += lowest
        excess = max(int(entry).bit_length() for entry in product.ravel()) - bits
        if excess > 0:
            product = np.array([[int(entry) >> excess for entry in row] for row in product], object)
            exponent += excess
    with mpmath.workdps(digits):
        values = mpmath.svd_r(mpmath.matrix(product.tolist()), compute_uv=False)
        floor = mpmath.mpf(10) ** (30 - digits) * abs(values[0])  # an exact zero is noise here
        return np.array(
            [float(mpmath.log(s) + exponent * mpmath.log(2)) if s > floor else -np.inf
             for s in map(abs, values)]
        )  # fmt: skip


def check(found, factors):
    """Compare with the exact product; every value must be as good as it claims, and 1e-8."""
    finite = found.values[np.isfinite(found.values)]
    digits = int(1.5 * (finite[0] - finite[-1]) / math.log(10)) + 60
    exact = exact_log_singular_values(factors, digits)
    assert np.array_equal(np.isneginf(found.values), np.isneginf(exact))
    known = found.resolved & np.isfinite(exact)
    error = np.abs(found.values[known] - exact[known])
    assert (error <= 1e-8 * np.maximum(1, np.abs(exact[known]))).all()
    # An estimate, not a bound: one value in thousands exceeds it.
    assert (error <= 3 * found.errors[known]).all()
    return exact


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_against_exact_products(name, weights):
    factors = jacobians(CELLS[name], weights, width=5, steps=80)
    found = log_singular_values(factors)
    exact = check(found, factors)
    assert found.resolved.all()
    # The product as it stands would know few of them.
    assert exact[0] - exact[-1] > (10 if weights == "orthogonal" and name == "vanilla" else 60)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "drawn"),
    in_turn(CELLS, itertools.product([(8, 1000), (16, 200)], ["gaussian", "orthogonal"])),
    ids=str,
)
def test_long_products_against_exact_ones(name, drawn):
    (width, steps), weights = drawn
    if CELLS[name] is lstm:
        width //= 2  # of two states
    factors = jacobians(CELLS[name], weights, width, steps)
    found = log_singular_values(factors)
    check(found, factors)
    assert found.resolved.all()


@pytest.mark.parametrize(
    ("cell", "weights", "width", "steps"),
    [
        (vanilla, "gaussian", 32, 100),
        (vanilla, "orthogonal", 32, 100),
        (minimalrnn, "gaussian", 32, 100),
        (minimalrnn, "orthogonal", 32, 100),
        pytest.param(minimalrnn, "gaussian", 256, 1000, marks=pytest.mark.thorough),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_sum_is_the_log_determinant(cell, weights, width, steps):
    logs = []

    def run():
        for step in run_network(
            cell, parameters(cell), weights=weights, width=width, steps=steps,
            rng=np.random.default_rng(2),
        ):  # fmt: skip
            logs.append(np.linalg.slogdet(dense_jacobian(step))[1])
            yield step

    found = log_singular_values(run())
    assert found.resolved.all()
    assert (found.errors < 1e-8 * np.maximum(1, np.abs(found.values))).all()
    assert math.fsum(found.values) == pytest.approx(math.fsum(logs), rel=1e-13)
    assert found.steps == steps
    assert found.decompositions <= steps


def compound(matrix, k):
    """The matrix of the k x k minors."""
    rows = list(itertools.combinations(range(len(matrix)), k))
    return np.array([[np.linalg.det(matrix[np.ix_(a, b)]) for b in rows] for a in rows])


@pytest.mark.parametrize("name", ["minimalrnn", "gru"])
def test_exterior_powers_grow_as_the_product_of_the_largest(name):
    factors = jacobians(CELLS[name], "gaussian", width=5, steps=60, seed=3)
    found = log_singular_values(factors)
    for k in (1, 2, 3):
        product, log = np.eye(math.comb(5, k)), 0.0
        for factor in factors:
            product = compound(factor, k) @ product
            log += math.log(np.abs(product).max())
            product = product / np.abs(product).max()
        norm = np.linalg.norm(product, 2)
        assert found.values[:k].sum() == pytest.approx(log + math.log(norm), abs=1e-9)


def test_transposes_in_reverse_order_and_inverses():
    factors = jacobians(vanilla, "orthogonal", width=12, steps=150)
    found = log_singular_values(factors)
    reverse = log_singular_values([factor.T for factor in factors[::-1]])
    assert np.abs(found.values - reverse.values).max() < 1e-10
    inverse = log_singular_values([np.linalg.inv(factor) for factor in factors[::-1]])
    assert np.abs(found.values + inverse.values[::-1]).max() < 1e-9


def test_bases_and_groups_do_not_matter():
    factors = jacobians(vanilla, "gaussian", width=10, steps=100)
    one, other = (log_singular_values(factors, seed=seed) for seed in (0, 1))
    assert np.abs(one.values - other.values).max() < one.errors.max() + other.errors.max()
    assert not np.array_equal(one.values, other.values)
    assert np.array_equal(one.values, log_singular_values(iter(factors)).values)
    assert one.exponents == pytest.approx(one.values / 100)


def test_steps_that_lose_no_digits_are_multiplied_before_they_are_decomposed():
    # Twice as many as before, up to 16: 1 + 2 + 4 + 8 + 16 + 16 steps.
    assert log_singular_values([np.array([[2.0]])] * 47).decompositions == 6
    # Every step has directions that are 1e8 apart, and is decomposed by itself.
    rng = np.random.default_rng(11)
    lossy = [rng.standard_normal((4, 4)) * np.logspace(0, -8, 4) for _ in range(9)]
    assert log_singular_values(lossy).decompositions == 9


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_error_estimates_of_numbers(factor):
    # One direction: no cosines, and every step of a group of g loses as much as the group, g.  Both
    # bases give the same value, so that the estimate is what rounding may do, and no difference.
    found = log_singular_values([np.array([[factor]])] * 47)
    losses = math.sqrt(sum(g**2 for g in (1, 2, 4, 8, 16, 16)))
    value = 47 * math.log(factor)
    assert found.values == pytest.approx([value], abs=1e-13)
    assert found.errors == pytest.approx([2.0**-52 * (losses + 1 + value)], rel=1e-12, abs=0)
    assert found.condition == pytest.approx(1)


def test_one_factor_has_its_own_singular_values():
    factor = np.random.default_rng(0).standard_normal((7, 7))
    found = log_singular_values([factor])
    assert found.values == pytest.approx(np.log(np.linalg.svdvals(factor)), abs=1e-13)
    assert log_singular_values([np.array([[-3.0]])]).values == pytest.approx([math.log(3)])


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_scales_far_out_of_range(scale):
    """The product is 1e+-6000; the singular values of a power of a triangle are known."""
    factors = [scale * np.array([[2.0, 1.0], [0.0, 0.5]])] * 100
    found = log_singular_values(factors)
    check(found, factors)
    assert found.resolved.all()


def test_sites_with_closed_gates_keep_their_digits():
    """Rows of 1e-25: singular to rounding as a matrix, but not row by row."""
    rng = np.random.default_rng(5)
    factors = []
    for _ in range(20):
        rows = np.ones(6)
        rows[rng.integers(6)] = 1e-25
        factors.append(rows[:, None] * rng.standard_normal((6, 6)))
    found = log_singular_values(factors)
    exact = check(found, factors)
    assert found.resolved.all()
    assert exact[0] - exact[-1] > 1000


def test_values_that_rounding_hides_are_not_claimed():
    """A direction of 1e-30 that is not along a site is lost when the factor is written down."""
    rng = np.random.default_rng(6)
    factors = []
    for t in range(30):
        U, V = (np.linalg.qr(rng.standard_normal((6, 6))).Q for _ in range(2))
        last = 1e-30 if t % 3 == 0 else 0.4
        factors.append(U @ np.diag([2.0, 1.6, 1.3, 1.0, 0.8, last]) @ V)
    found = log_singular_values(factors)
    check(found, factors)
    assert found.resolved.tolist() == [True] * 5 + [False]
    assert math.isinf(found.errors[-1])


@pytest.mark.parametrize("size", [2, 3])
def test_equal_rows_leave_one_direction(size):
    """The triangle has zeros on its diagonal, or what rounding makes of them."""
    found = log_singular_values([np.ones((size, size))] * 3)
    assert found.values[0] == pytest.approx(3 * math.log(size))
    assert found.resolved.tolist() == [True] + [False] * (size - 1)
    assert (found.values[1:] < -60).all()


def test_a_network_that_dies_out_leaves_half_of_its_directions_unknown():
    """Without input the states of an LSTM become multiples of each other."""
    factors = list(
        run_network(
            lstm, Parameters.of(lstm, input_std=0), width=4, steps=150, rng=np.random.default_rng(0)
        )
    )
    found = log_singular_values(factors)
    assert not found.resolved.all()
    assert found.resolved[:3].all()
    exact = exact_log_singular_values([dense_jacobian(step) for step in factors], 400)
    known = found.resolved
    assert found.values[known] == pytest.approx(exact[known], rel=1e-9)


def test_rows_and_columns_of_zeros_are_exact_zeros():
    rng = np.random.default_rng(7)
    factors = [rng.standard_normal((6, 6)) for _ in range(40)]
    factors[10][2] = 0.0
    factors[20][:, [1, 4]] = 0.0
    factors[30][3] = 0.0  # four directions are left, and a row of zeros costs none of them
    found = log_singular_values(factors)
    check(found, factors)
    assert np.isneginf(found.values).tolist() == [False] * 4 + [True] * 2
    assert (found.errors[4:] == 0).all()
    factors[35][:] = 0.0
    found = log_singular_values(factors)
    assert np.isneginf(found.values).all()
    assert found.resolved.all()


def test_rectifiers_close_as_many_directions_as_sites():
    """Every clipped site is a row of zeros, in steps of a network as in its matrices."""
    cell = vanilla_cell("hard-tanh")
    p = Parameters.of(
        cell,
        {"weight_std": 1.0, "input_std": 0.5, "bias_mean": 0.0, "bias_std": 0.0,
         "input_variance": 1.0},
    )  # fmt: skip
    run = list(run_network(cell, p, width=16, steps=12, rng=np.random.default_rng(8)))
    found, factors = log_singular_values(run), [dense_jacobian(step) for step in run]
    check(found, factors)
    open_sites = [int((step.derivatives.gate[0, 0] != 0).sum()) for step in run]
    assert np.isfinite(found.values).sum() == min(open_sites) < 16


def test_columns_of_zeros_of_a_step():
    """A source that ignores some sites."""
    cell = Cell(
        "rectified",
        (_h,),
        _x,
        (Preactivation("candidate", _e, activation_named("relu")(_h)),),
        (sp.tanh(_e),),
    )
    p = Parameters.of(
        cell,
        {"weight_std": 2.0, "input_std": 0.5, "bias_mean": 0.0, "bias_std": 0.0,
         "input_variance": 1.0},
    )  # fmt: skip
    run = list(run_network(cell, p, width=12, steps=10, rng=np.random.default_rng(9)))
    found, factors = log_singular_values(run), [dense_jacobian(step) for step in run]
    check(found, factors)
    ranks = [int((factor != 0).any(axis=0).sum()) for factor in factors]
    assert np.isfinite(found.values).sum() == min(ranks) < 12


def test_any_array_namespace(xp):
    factors = jacobians(minimalrnn, "gaussian", width=7, steps=40)
    factors[5][2] = 0.0
    factors[9][:, 3] = 0.0
    found = log_singular_values([xp.asarray(factor) for factor in factors])
    expected = log_singular_values(factors)
    assert to_numpy(found.values) == pytest.approx(expected.values, rel=1e-11)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([], "at least one factor"),
        ([np.ones((2, 3))], "square"),
        ([np.eye(2), np.eye(3)], "one size"),
        ([np.array([[1.0, np.nan], [0.0, 1.0]])], "finite"),
    ],
)
def test_wrong_factors_are_refused(factors, message):
    with pytest.raises(ParameterError, match=message):
        log_singular_values(factors)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_samples_are_those_of_the_plain_product(weights):
    options = {"weights": weights, "steps": 3, "width": 12, "samples": 2, "seed": 4}
    found = sample_log_singular_values(minimalrnn, Parameters.of(minimalrnn), **options)
    plain = sample_singular_values(minimalrnn, Parameters.of(minimalrnn), **options)
    assert found.values == pytest.approx(np.log(plain), abs=1e-6)
    assert found.resolved.all()
    assert found.exponents == pytest.approx(found.values / 3)
    with pytest.raises(ParameterError, match="samples"):
        sample_log_singular_values(
            minimalrnn, Parameters.of(minimalrnn), **{**options, "samples": 0}
        )
