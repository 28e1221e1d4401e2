import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, strategies as st

from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.solvers import (
    Solution,
    bracketed_root,
    fixed_point_from,
    fixed_point_of_orbit,
    roots_in,
)


def test_unwrap_gives_the_value_of_an_answer() -> None:
    assert Solution(2.5, True, 0.0, 1).unwrap() == 2.5


def test_unwrap_raises_where_there_is_no_answer() -> None:
    with pytest.raises(ConvergenceError, match=r"after 7 evaluations.*0\.125.*start elsewhere"):
        Solution(2.5, False, 0.125, 7, "start elsewhere").unwrap()


def test_unwrap_names_a_remedy_where_none_was_given() -> None:
    with pytest.raises(ConvergenceError, match="another starting point"):
        Solution(2.5, False, 0.125, 7).unwrap()


@given(root=st.floats(-0.9, 0.9), steepness=st.floats(0.1, 50))
def test_bracketed_root_of_an_increasing_function(root: float, steepness: float) -> None:
    found = bracketed_root(lambda x: math.tanh(steepness * (x - root)), -1.0, 1.0)
    # Four machine epsilons of the root, and the rounding of x - root on the scale of 1.
    assert found.unwrap() == pytest.approx(root, rel=1e-15, abs=1e-15)
    assert found.residual <= 1e-14 * steepness


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 0.0)])
def test_bracketed_root_at_an_end(low: float, high: float) -> None:
    assert bracketed_root(lambda x: x, low, high).unwrap() == 0.0


def test_bracketed_root_without_a_change_of_sign_does_not_converge() -> None:
    found = bracketed_root(lambda x: x * x + 1, -1.0, 2.0, remedy="widen the bracket")
    assert not found.converged
    assert found.residual == 2.0  # the smaller of 2 and 5
    with pytest.raises(ConvergenceError, match="widen the bracket"):
        found.unwrap()


def test_bracketed_root_of_a_function_that_is_not_a_number() -> None:
    assert not bracketed_root(lambda x: math.nan, -1.0, 2.0).converged


def test_bracketed_root_out_of_evaluations_says_so() -> None:
    # A triple zero at the origin: to 4 epsilons *relative to 0* Brent's method needs more
    # evaluations than it has.  It may answer or not, but the flag has to tell.
    found = bracketed_root(lambda x: x**3, -1.0, 0.7)
    assert not found.converged or abs(found.value) < 1e-15


def test_bracketed_root_of_a_very_small_function() -> None:
    # The product of its values at the ends underflows.
    found = bracketed_root(lambda x: 1e-200 * (x - 0.25), -1.0, 1.0)
    assert found.unwrap() == pytest.approx(0.25, rel=1e-14)


def test_roots_in_finds_each_change_of_sign_once() -> None:
    roots = [-1.5, 0.0, 1.25, 2.0]

    def polynomial(x: float) -> float:
        return math.prod(x - root for root in roots)

    # 0 and 2 are points of the grid, 2 its last.
    found = roots_in(polynomial, [-2.0, -1.0, 0.0, 1.0, 1.5, 2.0])
    assert [root.unwrap() for root in found] == pytest.approx(roots, rel=1e-14, abs=1e-15)


def test_roots_in_finds_nothing_where_nothing_changes_sign() -> None:
    assert roots_in(lambda x: x * x + 1, [-1.0, 0.0, 1.0]) == []


@given(
    slope=st.floats(0.0, 1 - 1e-6),
    target=st.floats(1e-3, 1e3),
    start=st.floats(1e-3, 1e3),
)
def test_fixed_point_of_a_line(slope: float, target: float, start: float) -> None:
    offset = target * (1 - slope)
    found = fixed_point_from(lambda x: offset + slope * x, start)
    exact = offset / (1 - slope)
    # Rounding of the map, 2 epsilons, is amplified by 1 / (1 - slope).
    assert found.unwrap() == pytest.approx(exact, rel=4e-16 * (2 + 2 / (1 - slope)))


def three_fixed_points(x: float) -> float:
    """Increasing, with stable fixed points 0.1 and 10 and an unstable one at 1."""
    s = math.log(x)
    return math.exp(s - 0.1 * s * (s * s - math.log(10) ** 2) / (1 + s * s))


@pytest.mark.parametrize(
    ("start", "expected"),
    [(1e-3, 0.1), (0.9, 0.1), (1.1, 10.0), (1e3, 10.0), (0.1, 0.1), (1.0, 1.0)],
)
def test_the_orbit_selects_among_several_fixed_points(start: float, expected: float) -> None:
    def orbit(x: float) -> float:
        for _ in range(3000):
            x = three_fixed_points(x)
        return x

    assert orbit(start) == pytest.approx(expected, rel=1e-9)
    assert fixed_point_from(three_fixed_points, start).unwrap() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("slope", [0.0, 0.5, 0.99])
def test_an_orbit_that_runs_into_zero(slope: float) -> None:
    found = fixed_point_from(lambda x: slope * x, 2.0)
    assert found.converged
    assert found.value == 0.0


def test_an_orbit_that_runs_down_to_a_jump_has_no_fixed_point() -> None:
    found = fixed_point_from(lambda x: x / 2 if x else 1.0, 1.0)
    assert not found.converged
    assert found.residual == 1.0


@pytest.mark.parametrize(
    "function",
    [lambda x: 2 * x + 1, lambda x: 1.5 * x, lambda x: math.nan],
    ids=["runs away", "runs away from zero", "not a number"],
)
def test_no_fixed_point_is_not_an_answer(function: Callable[[float], float]) -> None:
    found = fixed_point_from(function, 1.0, remedy="lower weight_std")
    assert not found.converged
    with pytest.raises(ConvergenceError, match="lower weight_std"):
        found.unwrap()


@pytest.mark.parametrize("drift", [1e-3, 1.0])
def test_an_orbit_that_rises_for_ever_by_a_constant_ends_nowhere(drift: float) -> None:
    # Beyond drift / epsilon the map is the identity in floating point, and no fixed point.
    found = fixed_point_from(lambda x: x + drift, 1.0)
    assert not found.converged
    assert found.value == found.residual == math.inf


def test_slope_one_at_the_fixed_point() -> None:
    # x = 2 is a tangent point that attracts from the left only: the orbit takes 1 / distance steps.
    found = fixed_point_from(lambda x: x + (2 - x) ** 3 / 10, 0.5)
    # A triple zero is found to the cube root of the rounding of the map.
    assert found.unwrap() == pytest.approx(2.0, abs=(10 * 4e-16) ** (1 / 3))


def test_values_do_not_depend_on_the_kind_of_float() -> None:
    plain = fixed_point_from(lambda x: 1 + x / 3, 0.3).unwrap()
    numpy = fixed_point_from(lambda x: np.float64(1) + x / 3, np.float64(0.3)).unwrap()
    assert plain == numpy


def test_a_slow_orbit_of_several_variables_is_ended_by_newtons_method() -> None:
    # The orbit by itself would take 30,000 steps.
    slopes, start = np.array([0.999, 0.99]), np.array([1.0, 2.0])
    found = fixed_point_of_orbit(lambda x: 1 + slopes * x, start)
    assert found.unwrap() == pytest.approx([1000, 100], rel=1e-9)
    assert found.iterations < 60


def test_an_orbit_that_rounding_keeps_from_its_end_is_at_its_end() -> None:
    # Rounding is that of sums of many numbers: the image hops to and fro around 1.
    def image(x: np.ndarray) -> np.ndarray:
        near = 1 + 0.2 * (x - 1)
        return np.where(abs(near - 1) < 2e-13, np.where(x > 1, 1 - 1.2e-13, 1 + 1.2e-13), near)

    found = fixed_point_of_orbit(image, np.array([2.0, 3.0]))
    assert found.unwrap() == pytest.approx([1.0, 1.0], rel=1e-12)
    assert found.iterations < 60  # and not all that are allowed


def test_an_orbit_that_dies_into_rounding_is_at_its_end() -> None:
    found = fixed_point_of_orbit(lambda x: np.where(x > 4e-17, x / 3, 5e-17), np.array([1.0]))
    assert found.unwrap() == pytest.approx([0.0], abs=1e-12)
    assert found.iterations < 90


def test_an_orbit_that_creeps_is_not_taken_for_one_that_comes_back() -> None:
    found = fixed_point_of_orbit(lambda x: x + 1e-12, np.array([1.0]))
    assert not found.converged
