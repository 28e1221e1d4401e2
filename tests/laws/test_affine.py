"""The law of a multiple of a variable, moved, against laws that have a place and a size."""

import numpy as np
import pytest

from rmt_jacobian.laws import Affine, MarchenkoPastur, PointMasses, Semicircle

LAW, SAME = Affine(Semicircle(2.0, 0.5), scale=1.5, shift=-3.0), Semicircle(3.0, -2.25)


def test_a_moved_semicircle_is_a_semicircle():
    x = np.linspace(-6, 2, 41)
    np.testing.assert_allclose(LAW.pdf(x), SAME.pdf(x), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(LAW.cdf(x), SAME.cdf(x), rtol=0, atol=1e-14)
    np.testing.assert_allclose(LAW.ppf([0, 0.1, 0.7, 1]), SAME.ppf([0, 0.1, 0.7, 1]), rtol=1e-13)
    z = np.array([0.3 + 0.2j, -7.0, -2 - 1j, 4.0])
    np.testing.assert_allclose(LAW.cauchy(z), SAME.cauchy(z), rtol=1e-13)
    found = LAW.solve(x)
    np.testing.assert_allclose(found.density, SAME.pdf(x), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.cauchy, SAME.cauchy(x), rtol=1e-12)


def test_transforms_moments_and_cumulants_of_a_moved_law():
    np.testing.assert_allclose(LAW.free_cumulants(4), [-2.25, 2.25, 0, 0], atol=1e-14)
    assert LAW.var() == pytest.approx(2.25)
    assert LAW.moment(3) == pytest.approx(-(2.25**3) - 3 * 2.25 * 2.25)
    w = np.array([0.1, 0.05 - 0.02j])
    np.testing.assert_allclose(LAW.r_transform(w), -2.25 + 2.25 * w, rtol=1e-13)
    u = np.array([0.01])
    np.testing.assert_allclose(LAW.s_transform(u), SAME.s_transform(u), rtol=1e-9)


def test_atoms_are_met_exactly():
    law = Affine(PointMasses((0.1, 0.7), (0.25, 0.75)), scale=3.0, shift=0.2)
    places = [at for at, _ in law.atoms()]
    assert places == [pytest.approx(0.5), pytest.approx(2.3)]
    assert law.cdf(places).tolist() == [0.25, 1.0]
    assert law.cdf(np.nextafter(places, -np.inf)).tolist() == [0.0, 0.25]


def test_a_hard_edge_is_kept_unless_it_is_moved():
    assert Affine(MarchenkoPastur(), 2.0).edge_exponent_at_zero == 0.5
    assert Affine(MarchenkoPastur(), 2.0, 1.0).edge_exponent_at_zero is None
