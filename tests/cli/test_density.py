import json
from pathlib import Path

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, minimalrnn, vanilla
from rmt_jacobian.cli import main
from rmt_jacobian.mean_field import site_law
from rmt_jacobian.singular_values import exact_moments
from tests.pencils.heavy_tails import POINT, moments


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["density", *arguments])
    return stopped.value.code  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize("squared", [False, True])
def test_json_holds_the_law(tmp_path: Path, squared: bool) -> None:
    path = tmp_path / "law.json"
    flags = ["--squared"] if squared else []
    status = run(
        "vanilla", "--steps", "2", "--weights", "orthogonal", "--sites", "128", "--points", "300",
        "--json", str(path), *flags,
    )  # fmt: skip
    found = json.loads(path.read_text())
    x, density, below = (np.array(found[name]) for name in ("x", "density", "cdf"))
    assert status == 0
    assert x.shape == density.shape == below.shape == (300,)
    assert found["edges"][-1][1] == pytest.approx(x[-1])
    assert found["atoms"] == []
    # What lies below the first point does so because the density is infinite at 0.
    assert np.trapezoid(density, x) + below[0] == pytest.approx(1, abs=3e-3)
    exact = exact_moments(site_law(vanilla, Parameters.of(vanilla)), 2, 0.0)
    assert (found["mean"], found["second_moment"]) == pytest.approx(exact, rel=1e-8)
    # Steps that get no shorter next to many equal singular values end at 1e-8; by which processor
    # it was, here they ended above or below 1e-9.
    assert 0 < found["residual"] < 1e-8
    assert 0 < found["error_estimate"] < 0.1


def test_mean_is_that_of_the_squares_either_way(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["minimalrnn", "--sites", "64", "--points", "200", "--json", "-"]
    values = []
    for flags in ([], ["--squared"]):
        run(*arguments, *flags)
        values.append(json.loads(capsys.readouterr().out)["mean"])
    chi1 = site_law(minimalrnn, Parameters.of(minimalrnn)).chi1
    assert values == pytest.approx([chi1, chi1], rel=1e-8)


def test_summary_and_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "law.png"
    status = run(
        "vanilla", "--sites", "64", "--width", "32", "--samples", "2", "--figure", str(path)
    )
    text = capsys.readouterr().out
    assert status == 0
    assert "second moment of J J^T" in text
    assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vanilla", "--steps", "0"], "steps"),
        (["vanilla", "--points", "3"], "points"),
        (["vanilla", "-p", "weight_std=0"], "weight_std = 0"),
        (["nosuchcell"], "nosuchcell"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


HEAVY = [
    "minimalrnn", "-p", "weight_std=1.544", "-p", "input_std=4.066", "-p", "bias_mean=-2.2736",
    "-p", "bias_std=1", "-p", "input_variance=.733", "--steps", "8", "--sites", "64", "--points",
    "40",
]  # fmt: skip


def test_the_printed_moments_are_exact_and_what_sites_miss_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*HEAVY, "--json", "-") == 0
    found = json.loads(capsys.readouterr().out)
    exact = moments(POINT, 8, -1.0)
    assert (found["mean"], found["second_moment"]) == pytest.approx(exact, rel=1e-9)
    assert found["moment_errors"] == [0, 0]
    assert found["calibration"]["reached"]
    assert found["calibration"]["sites"] == 80  # with a quarter more, where gates are open
    run(*HEAVY)
    text = capsys.readouterr().out
    missed = 100 * found["calibration"]["missed"][1]
    assert f"the 80 sites miss them by  {100 * found['calibration']['missed'][0]:+.2g} %" in text
    assert f"and {missed:+.2g} %, which their weights make up for" in text


def test_moments_of_sites_are_printed_with_their_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("gru", "-p", "input_std=1", "--sites", "16", "--points", "20") == 0
    lines = capsys.readouterr().out.splitlines()
    (mean,) = [line for line in lines if line.startswith("mean of J J^T")]
    assert "±" in mean
    assert "of the sites" in mean


def test_a_variance_that_diverges_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("vanilla:identity", "-p", "weight_std=3") == 2
    error = capsys.readouterr().err
    assert "weight_std must be below 1" in error
    assert error.count("\n") == 1
