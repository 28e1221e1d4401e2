"""Fitted laws, against many matrices of known parameters."""

import numpy as np
import pytest

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import MarchenkoPastur, QuarterCircle, Semicircle

TRIED = 400


def wishart(rng: np.random.Generator) -> np.ndarray:
    g = rng.standard_normal((24, 60)) * np.sqrt(3.0 / 60)
    return np.linalg.eigvalsh(g @ g.T)


def tall(rng: np.random.Generator) -> np.ndarray:
    g = rng.standard_normal((40, 20)) * np.sqrt(0.5 / 20)
    return np.linalg.eigvalsh(g @ g.T)


def goe(rng: np.random.Generator) -> np.ndarray:
    g = rng.standard_normal((30, 30)) / np.sqrt(2 * 30)
    return np.linalg.eigvalsh(1.5 * (g + g.T)) - 0.7


def ginibre(rng: np.random.Generator) -> np.ndarray:
    return np.linalg.svd(rng.standard_normal((30, 30)) * np.sqrt(2 / 30), compute_uv=False)


@pytest.mark.parametrize(
    ("shape", "drawn", "known"),
    [
        (MarchenkoPastur, wishart, {"ratio": 0.4, "scale": 3.0}),
        (MarchenkoPastur, tall, {"ratio": 2.0, "scale": 0.5}),
        (Semicircle, goe, {"radius": 3.0, "centre": -0.7}),
        (QuarterCircle, ginibre, {"radius": 2 * np.sqrt(2.0)}),
    ],
)
def test_fits_are_unbiased_and_scatter_as_they_say(shape, drawn, known) -> None:
    rng = np.random.default_rng(7)
    fits = [shape.fit(drawn(rng)) for _ in range(TRIED)]
    for name, right in known.items():
        z = np.array([(getattr(fit.law, name) - right) / fit.errors[name] for fit in fits])
        # Mean and deviation of z; what is left is of the order 1/N.
        assert abs(z.mean()) < 4 / np.sqrt(TRIED) + 0.1
        assert abs(z.std() - 1) < 4 / np.sqrt(2 * TRIED) + 0.1


def test_several_matrices_have_smaller_errors() -> None:
    rng = np.random.default_rng(1)
    rows = np.array([wishart(rng) for _ in range(16)])
    one, many = MarchenkoPastur.fit(rows[0]), MarchenkoPastur.fit(rows)
    assert many.errors["scale"] == pytest.approx(one.errors["scale"] / 4, rel=0.3)
    assert abs(many.law.ratio - 0.4) < 4 * many.errors["ratio"]


@pytest.mark.parametrize(
    ("shape", "values", "message"),
    [
        (MarchenkoPastur, [1.0, np.nan], "finite values of shape"),
        (MarchenkoPastur, [1.0], "N at least 2"),
        (MarchenkoPastur, [], "N at least 2"),
        (MarchenkoPastur, [-1.0, 2.0], "values below 0"),
        (QuarterCircle, [-1.0, 2.0], "values below 0"),
        (Semicircle, [2.0, 2.0], "all values are the same"),
        (Semicircle, np.zeros((2, 2, 2)), "shape"),
    ],
)
def test_what_cannot_be_fitted_is_refused(shape, values, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        shape.fit(values)
