import numpy as np
import pytest

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import (
    FussCatalan,
    Law,
    MarchenkoPastur,
    PointMasses,
    QuarterCircle,
    Semicircle,
    trapezoidal_grid,
)


@pytest.mark.parametrize(
    "law",
    [
        Semicircle(),
        QuarterCircle(3.0),
        MarchenkoPastur(0.5),
        MarchenkoPastur(2.0),
        MarchenkoPastur(1.0),
        FussCatalan(2),
    ],
    ids=repr,
)
def test_the_trapezoidal_rule_finds_the_mass(law: Law) -> None:
    x = trapezoidal_grid(law, 1000)
    assert x.shape == (1000,)
    assert np.all(np.diff(x) > 0)
    mass = np.trapezoid(law.pdf(x), x) + sum(mass for _, mass in law.atoms())
    assert mass == pytest.approx(1, abs=1e-4)


def test_the_error_falls_like_the_square_of_the_number_of_points() -> None:
    law = FussCatalan(3)
    errors = [
        abs(np.trapezoid(law.pdf(x), x) - 1)
        for x in (trapezoidal_grid(law, n) for n in (400, 1600))
    ]
    assert 10 < errors[0] / errors[1] < 25  # 16


def test_an_infinite_edge_is_left_out() -> None:
    x = trapezoidal_grid(MarchenkoPastur(1.0), 50)
    assert x[0] > 0
    assert x[-1] == pytest.approx(4.0)


def test_atoms_alone_have_no_grid() -> None:
    assert trapezoidal_grid(PointMasses((0.0, 1.0), (0.5, 0.5)), 100).size == 0


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ParameterError, match="at least 5 points"):
        trapezoidal_grid(Semicircle(), 4)
