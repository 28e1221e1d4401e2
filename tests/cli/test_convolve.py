"""``rmt-jacobian convolve``."""

import json
import math

import numpy as np
import pytest

from rmt_jacobian.cli import main
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import FussCatalan, MarchenkoPastur, Semicircle, parse_law


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_info:
        main(["convolve", *arguments])
    captured = capsys.readouterr()
    return exit_info.value.code, captured.out, captured.err


def test_product_of_two_is_fuss_catalan(capsys, tmp_path):
    law = ("--law", "marchenko-pastur(1)", "--law", "marchenko-pastur(ratio=1, scale=1)")
    figure = tmp_path / "law.png"
    code, out, _ = run(capsys, *law, "--multiply", "--points", "150", "--json", "-",
                       "--figure", str(figure))  # fmt: skip
    assert code == 0
    found = json.loads(out)
    x, density = np.array(found["x"]), np.array(found["density"])
    assert len(x) == 150
    inner = x < 6.75
    np.testing.assert_allclose(density[inner], FussCatalan(2).pdf(x[inner]), rtol=1e-6)
    assert found["edges"] == [[0.0, pytest.approx(6.75, abs=1e-10)]]
    assert found["atoms"] == []
    assert found["mean"] == pytest.approx(1)
    assert found["second_moment"] == pytest.approx(3)
    assert found["residual"] < 1e-12
    assert found["error_estimate"] == pytest.approx(abs(np.trapezoid(density, x) - 1))
    assert figure.stat().st_size > 1000


def test_sum_with_two_intervals_and_three_laws(capsys, tmp_path):
    path = tmp_path / "out.json"
    code, out, _ = run(
        capsys, "--law", "point-masses(-1:0.5, 1:0.5)", "--law", "semicircle(0.6)",
        "--law", "semicircle(radius=0.8)", "--add", "--json", str(path),
    )  # fmt: skip
    assert code == 0
    assert out.count("support") == 2
    found = json.loads(path.read_text())
    assert len(found["edges"]) == 2
    assert found["second_moment"] == pytest.approx(1.25)
    assert found["error_estimate"] < 1e-3


def test_atoms_are_exact(capsys):
    code, out, _ = run(capsys, "--law", "point-masses(0:0.5,1:0.5)", "--law",
                       "point-masses(0:0.4,1:0.6)", "--multiply", "--json", "-")  # fmt: skip
    assert code == 0
    assert json.loads(out)["atoms"] == [[0.0, 0.5], [1.0, pytest.approx(0.1)]]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--add",),
        ("--law", "semicircle", "--law", "semicircle"),
        ("--law", "semicircle", "--add"),
        ("--law", "semicircle", "--law", "marchenko-pastur", "--multiply"),
        ("--law", "semicircle", "--law", "cauchy(1)", "--add"),
        ("--law", "semicircle", "--law", "semicircle(0)", "--add"),
        ("--law", "semicircle", "--law", "semicircle", "--add", "--points", "1"),
        ("--law", "semicircle", "--law", "semicircle", "--add", "--json", "/dev/null/x.json"),
    ],
)
def test_bad_input_is_one_line_and_code_two(capsys, arguments):
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1


def test_unconverged_points_are_code_one(capsys, monkeypatch):
    monkeypatch.setattr("rmt_jacobian.laws.convolution.subordination._FINAL", 0)
    monkeypatch.setattr("rmt_jacobian.laws.convolution.subordination._CORRECTIONS", 0)
    code, _, err = run(capsys, "--law", "semicircle", "--law", "marchenko-pastur", "--add")
    assert code == 1
    assert "certified" in err


def test_laws_as_text():
    assert parse_law(" semicircle ( 2 , centre = 1 ) ") == Semicircle(2, 1)
    assert parse_law("marchenko-pastur") == MarchenkoPastur()
    assert parse_law("fuss-catalan(order=3)") == FussCatalan(3)
    assert parse_law("quarter-circle(2)").support() == (0.0, 2.0)
    assert parse_law("free-poisson(rate=0.5)").atoms() == ((0.0, 0.5),)


@pytest.mark.parametrize(
    "text",
    [
        "", "semicircle(", "semicircle(2", "semicircle(2))", "semicircle(1, 2, 3)", "Semicircle(1)",
        "semicircle(radius=1, radius=2)", "semicircle(radius=1, 2)", "semicircle(width=1)",
        "semicircle(__import__('os'))", "semicircle(1+1)", "semicircle(inf)", "semicircle(nan)",
        "fuss-catalan", "fuss-catalan(1.5)", "point-masses", "point-masses(1)",
        "point-masses(1:a)", "point-masses(1:0.5)", "free-poisson()", "semicircle(1,)",
    ],
)  # fmt: skip
def test_bad_text_is_refused_in_one_line(text):
    with pytest.raises(ParameterError) as raised:
        parse_law(text)
    assert "\n" not in str(raised.value)


def test_sum_and_product_at_once_are_refused(capsys):
    code, _, err = run(capsys, *["--law", "semicircle"] * 2, "--add", "--multiply")
    assert code == 2
    assert "either" in err


def test_numbers_out_of_range_are_refused(capsys):
    code, _, err = run(capsys, "--law", "semicircle(1e200)", "--law", "semicircle(1)", "--add")
    assert code == 2
    assert "out of range" in err


def test_an_atom_far_away_is_split_by_what_is_small(capsys):
    # At an eigenvalue of trace 1/2 a semicircle of radius 1 is one of radius sqrt(1/2).
    far = "point-masses(1e20:0.5,0:0.5)"
    code, out, _ = run(capsys, "--law", far, "--law", "semicircle(1)", "--add", "--json", "-")
    assert code == 0
    found = json.loads(out)
    assert found["edges"] == [[pytest.approx(-math.sqrt(0.5)), pytest.approx(math.sqrt(0.5))]]
    assert found["atoms"] == [[1e20, 0.5]]
    x, density = np.array(found["x"]), np.array(found["density"])
    np.testing.assert_allclose(density, np.sqrt(np.maximum(2 - 4 * x**2, 0)) / np.pi, atol=1e-7)


def test_numbers_next_to_the_bounds_are_read():
    assert parse_law("semicircle(1e-50)").support() == (-1e-50, 1e-50)
    assert parse_law("semicircle(1, -1e50)").mean() == -1e50
    for text in ("semicircle(1.01e50)", "semicircle(9.9e-51)", "semicircle(1, -1.01e50)"):
        with pytest.raises(ParameterError, match="out of range"):
            parse_law(text)


@pytest.mark.parametrize(
    "law",
    [pytest.param("quarter-circle(2)", marks=pytest.mark.thorough), "point-masses(0:0.5, 1:0.5)"],
)
def test_products_with_themselves(capsys, law):
    code, out, _ = run(capsys, "--law", law, "--law", law, "--multiply", "--json", "-")
    found = json.loads(out)
    assert code == 0
    mass = np.trapezoid(found["density"], found["x"]) + sum(m for _, m in found["atoms"])
    assert mass == pytest.approx(1, abs=0.02)
