"""``rmt-jacobian lanczos`` from its arguments to its files."""

import json
from pathlib import Path

import pytest

from rmt_jacobian.cli import main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["lanczos", *arguments])
    return int(stopped.value.code or 0)


def test_moments_and_spectrum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, figure = tmp_path / "out.json", tmp_path / "out.png"
    status = run("minimalrnn", "--steps", "2", "--width", "2048", "--weights", "fast-gaussian",
                 "--vectors", "4", "--lanczos-steps", "20", "--lanczos-vectors", "2",
                 "--json", str(out), "--figure", str(figure))  # fmt: skip
    assert status == 0
    printed = capsys.readouterr().out
    assert "second moment of J J^T" in printed
    assert "resolution in s" in printed
    found = json.loads(out.read_text())
    assert figure.stat().st_size > 1000
    mean, error = found["mean"]
    assert abs(mean - found["paired_mean"][0]) < 6 * error + 0.01
    ratio, its_error = found["ratio_to_paired"]["second_moment"]
    assert abs(ratio - 1) < 8 * its_error + 0.01  # t, 3 degrees
    assert all(
        low <= high for low, high in zip(found["cdf_lower"], found["cdf_upper"], strict=True)
    )
    assert found["largest"][0] < found["largest"][1]
    assert len(found["s"]) == len(found["density"]) == len(found["resolution"])
    assert len(found["moments"]) == 5


def test_moments_only(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert run("gru", "-p", "input_std=1", "--width", "256", "--lanczos-steps", "0",
               "--json", str(out)) == 0  # fmt: skip
    found = json.loads(out.read_text())
    assert "cdf" not in found
    assert found["paired_second_moment"][0] > 0


@pytest.mark.slow
def test_the_limiting_law(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    status = run("vanilla", "--steps", "2", "--width", "4096", "--lanczos-steps", "25", "--law",
                 "--sites", "128", "--json", str(out))  # fmt: skip
    assert status == 0
    found = json.loads(out.read_text())["law"]
    assert found["verdict"] == "agrees"
    assert found["ks"] < found["null"] < 0.08
    assert "limiting law" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vectors", "2", "--lanczos-vectors", "3"], "more than --vectors 2"),
        (["--lanczos-steps", "0", "--law"], "--lanczos-steps above 0"),
        (["--weights", "haar"], "haar"),
        (["--width", "1"], "--width"),
        (["--figure", "x.nope"], "nope"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("vanilla", "--steps", "1", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
