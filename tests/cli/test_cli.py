"""Every command as a user types it: results, exit codes, one clear line for bad input."""

import json
import math
import signal
import subprocess
import sys

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cli import main

FIGURE_1 = {"weight_std": 6.88, "input_std": 1.39, "input_variance": 0.46, "bias_mean": 0.0}
POINT = [part for name, value in FIGURE_1.items() for part in ("-p", f"{name}={value}")]


def test_verify_writes_report_and_figure(run, tmp_path):
    status, out, err = run(
        "verify", *POINT, "--steps", 1, "--steps", 3, "--width", 64, "--samples", 4, "--seed", 1
    )
    assert status == 0, err
    assert "verdict" in out
    folder = tmp_path / "rmt-report"
    content = json.loads((folder / "report.json").read_text())
    assert len(content["rows"]) == 4
    assert [row["label"] for row in content["spectra"]] == [
        "gaussian W, T = 3", "orthogonal W, T = 3",
    ]  # fmt: skip
    assert [row["steps"] for row in content["shared_weights"]] == [3, 3]
    assert "half as many networks, which keep their weights:" in out
    assert "Wasserstein-1" in out
    assert content["mean_field"]["preactivation_variance"] == pytest.approx(15.936222655949866)
    assert (folder / "second_moment.png").read_bytes().startswith(b"\x89PNG")
    assert "second_moment.png" in (folder / "report.md").read_text()
    assert sorted(path.name for path in folder.iterdir()) == [
        "report.json", "report.md", "second_moment.png",
    ]  # fmt: skip


def test_verify_json_on_standard_output_is_nothing_but_json(run):
    status, out, err = run(
        "verify", "vanilla", "--weights", "orthogonal", "--steps", 2, "--width", 32, "--samples", 3,
        "--out", "elsewhere", "--json", "-", "--tied", "--no-spectra",
    )  # fmt: skip
    assert status == 0, err
    content = json.loads(out)
    assert content["settings"]["tied"] is True
    (row,) = content["rows"]
    assert row["weights"] == "orthogonal"
    for name in ("mean", "second_moment"):
        # A cell without memory does not tell shared weights from fresh ones.
        assert row[name]["tied"] == pytest.approx(row[name]["exact"], rel=0.1)
        assert row[name]["tied_error"] < 0.05 * row[name]["tied"]
    assert "verdict" in err


@pytest.mark.parametrize("cell", ["minimalrnn", "vanilla"])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_derive_moment_is_read_back_by_sympy(run, cell, k):
    status, out, err = run("derive", cell, "--moment", k, "--json", "-")
    assert status == 0, err
    content = json.loads(out)
    expression = sp.sympify(content["expression"])
    assert {str(symbol) for symbol in expression.free_symbols} == set(content["symbols"])


@pytest.mark.parametrize("route", ["exact", "s-transform"])
@pytest.mark.parametrize("steps", ["T", "7"])
def test_derive_over_many_steps(run, route, steps):
    status, out, err = run(
        "derive", "minimalrnn", "--variance", "--route", route, "--steps", steps, "--json", "-"
    )
    assert status == 0, err
    content = json.loads(out)
    expression = sp.sympify(content["expression"])
    names = {str(symbol) for symbol in expression.free_symbols}
    assert ("T" in names) == (steps == "T")
    assert names <= set(content["symbols"])
    assert set(content["shorthands"]) <= set(content["symbols"])


def test_derive_evaluates_and_prints_latex(run):
    status, out, _ = run(
        "derive", "minimalrnn", "--moment", 2, "--steps", 20, "--weights", "orthogonal", *POINT,
        "--format", "latex", "--json", "result.json",
    )  # fmt: skip
    assert status == 0
    assert out.startswith((r"\begin{align}", r"\begingroup"))
    assert r"\langle \cdot \rangle$: average over sites" in out
    assert "% value with orthogonal W: 71.05627" in out
    with open("result.json") as file:
        assert json.load(file)["value"] == pytest.approx(71.0562736691642, rel=1e-8)


def test_derive_for_an_ensemble_over_t_steps(run):
    status, out, _ = run(
        "derive", "minimalrnn", "--variance", "--steps", "T", "--weights", "orthogonal",
        "--format", "latex", "--json", "result.json",
    )  # fmt: skip
    assert status == 0
    assert "s_{1}" not in out
    with open("result.json") as file:
        content = json.load(file)
    assert (content["weights"], content["steps"]) == ("orthogonal", "T")
    assert content["latex"] == out.rstrip("\n")
    assert "s_1" not in content["symbols"]
    assert "value" not in content


def test_mean_field_against_reference_values(run):
    status, out, _ = run("mean-field", "minimalrnn", *POINT, "--json", "-")
    assert status == 0
    content = json.loads(out)
    assert content["preactivation_variance"] == pytest.approx(15.936222655949866, rel=1e-10)
    assert content["state_variance"] == pytest.approx(0.3178968499854297, rel=1e-10)
    assert content["chi1"] == pytest.approx(0.9987795054968571, rel=1e-10)
    assert content["correlation"] == pytest.approx(1.0)
    assert content["timescale"] == pytest.approx(-1 / math.log(content["chi"]))


def test_critical_init(run):
    status, out, _ = run(
        "critical-init", "minimalrnn", "-p", "preactivation_variance=20", "-p", "bias_mean=4",
        "-p", "input_variance=0.46", "--json", "-",
    )  # fmt: skip
    assert status == 0
    content = json.loads(out)
    assert content["weight_std"] ** 2 == pytest.approx(37.04, abs=0.005)
    assert content["input_std"] ** 2 == pytest.approx(23.03, abs=0.005)
    assert content["chi1"] == pytest.approx(1.0, abs=1e-10)


def test_spectrum_file_needs_no_pickle(run, tmp_path):
    status, _, err = run(
        "spectrum", "minimalrnn", *POINT, "--steps", 2, "--weights", "orthogonal", "--width", 24,
        "--samples", 3, "--out", "values.npz", "--figure", "picture.png",
    )  # fmt: skip
    assert status == 0, err
    with np.load(tmp_path / "values.npz", allow_pickle=False) as file:
        assert file["singular_values"].shape == (3, 24)
        assert json.loads(str(file["metadata"]))["steps"] == 2
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_parameters_from_a_file_and_the_command_line(run, tmp_path):
    (tmp_path / "point.toml").write_text("[parameters]\nweight_std = 5\nbias_mean = 1.5\n")
    status, out, _ = run(
        "mean-field", "minimalrnn", "--config", "point.toml", "-p", "bias_mean=2", "--json", "-"
    )
    assert status == 0
    parameters = json.loads(out)["parameters"]
    assert (parameters["weight_std"], parameters["bias_mean"]) == (5.0, 2.0)


def test_groups_of_a_file_name_preactivations(run, tmp_path):
    (tmp_path / "point.toml").write_text("input_variance = 0.5\n[update]\nweight_std = 3\n")
    status, out, _ = run("mean-field", "minimalrnn", "--config", "point.toml", "--json", "-")
    assert status == 0
    assert json.loads(out)["parameters"]["weight_std"] == 3.0


BAD = [
    (["mean-field", "minimalrnn", "-p", "weight_std=-1"], "must be >= 0"),
    (["mean-field", "minimalrnn", "-p", "weight_std=nan"], "finite"),
    (["mean-field", "minimalrnn", "-p", "bias_mean=inf"], "finite"),
    (["mean-field", "minimalrnn", "-p", "input_variance=-0.1"], "input_variance"),
    (["mean-field", "minimalrnn", "-p", "weight_std"], "name=value"),
    (["mean-field", "minimalrnn", "-p", "weight_std=__import__('os')"], "must be a number"),
    (["mean-field", "minimalrnn", "-p", "wieght_std=1"], "did you mean weight_std"),
    (["mean-field", "minimalrn"], "did you mean minimalrnn"),
    (["mean-field", "minimalrnn", "--input-correlation", "2"], "-1<=x<=1"),
    (["mean-field", "minimalrnn", "--config", "missing.toml"], "No such file"),
    (["mean-field", "minimalrnn", "--json", "point.toml/x.json"], "not a folder"),
    (["mean-field"], "Missing argument"),
    (["derive", "minimalrnn"], "--moment"),
    (["derive", "minimalrnn", "--moment", "2", "--variance"], "either"),
    (["derive", "minimalrnn", "--moment", "0"], "x>=1"),
    (["derive", "minimalrnn", "--moment", "9"], "takes too long"),
    (["derive", "lstm", "--moment", "5"], "takes too long"),
    (
        ["derive", "minimalrnn", "--moment", "7", "--route", "s-transform", "--steps", "T"],
        "takes too long",
    ),
    (["derive", "minimalrnn", "--moment", "3", "--steps", "4"], "--route s-transform"),
    (["derive", "minimalrnn", "--variance", "--steps", "0"], "whole number above 0"),
    (["derive", "minimalrnn", "--variance", "--steps", "many"], "whole number above 0"),
    (["derive", "minimalrnn", "--variance", "-p", "weight_std=2"], "add --weights"),
    (
        ["derive", "minimalrnn", "--variance", "--steps", "T", "--weights", "gaussian",
         "-p", "bias_mean=1"],
        "--steps",
    ),
    (
        ["critical-init", "minimalrnn", "-p", "preactivation_variance=1", "-p", "bias_mean=0",
         "-p", "input_variance=0.46"],
        "choose preactivation_variance between",
    ),
    (["critical-init", "minimalrnn", "-p", "bias_mean=0"], "needs preactivation_variance"),
    (["critical-init", "minimalrnn", "-p", "weight_std=1"], "no parameter 'weight_std'"),
    (["verify", "--width", "0"], "1<=x<=100000"),
    (["verify", "--width", "wide"], "not a valid whole number"),
    (["verify", "--steps", "0"], "1<=x<=100000"),
    (["verify", "--samples", "1"], "at least 2"),
    (["verify", "--seed", "-1"], "x>=0"),
    (["verify", "--weights", "unitary"], "'gaussian', 'orthogonal'"),
    (["verify", "--out", "point.toml"], "not a folder"),
    (["spectrum", "vanilla", "--out", "values.txt"], ".npz"),
    (["spectrum", "vanilla", "--out", "v.npz", "--figure", "f.xyz"], "xyz"),
    (["nonsense"], "nonsense"),
    (["mean-field", "minimalrnn", "-p", "bias_mean=1000"], "change the parameters of 'update'"),
    (["mean-field", "minimalrnn", "-p", "weight_std=1e160"], "up to 1e+50"),
    (
        ["critical-init", "vanilla", "-p", "preactivation_variance=1", "-p", "bias_mean=400",
         "-p", "input_variance=1"],
        "move it towards 0",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_gets_one_line_and_leaves_nothing(run, tmp_path, arguments, words):
    (tmp_path / "point.toml").write_text("")
    status, out, err = run(*arguments)
    assert status == 2
    assert err.count("\n") == 1
    assert words in err
    assert "Traceback" not in err
    assert out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["point.toml"]


def test_without_a_command_the_help_is_shown(run):
    status, out, err = run()
    assert (status, err) == (0, "")
    assert "verify" in out


def test_values_outside_the_table_of_a_file_are_refused(run, tmp_path):
    (tmp_path / "point.toml").write_text("weight_std = 3\n[parameters]\ninput_std = 1\n")
    status, _, err = run("mean-field", "minimalrnn", "--config", "point.toml")
    assert status == 2
    assert "weight_std stands outside [parameters]" in err


def test_the_command_line_has_the_last_word_over_groups_too(run, tmp_path):
    (tmp_path / "point.toml").write_text("[update]\nweight_std = 3\n")
    status, out, _ = run(
        "mean-field", "minimalrnn", "--config", "point.toml", "-p", "weight_std=6", "--json", "-"
    )
    assert status == 0
    assert json.loads(out)["parameters"]["weight_std"] == 6.0


def test_a_link_is_written_through(run, tmp_path):
    (tmp_path / "link.json").symlink_to("target.json")
    status, _, _ = run("mean-field", "vanilla", "--json", "link.json")
    assert status == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "target.json").read_text())["cell"] == "vanilla"


@pytest.mark.parametrize(
    ("cell", "weight_std"),
    [
        ("minimalrnn", "1000"),
        ("vanilla", "0"),
        pytest.param("minimalrnn", "0", marks=pytest.mark.thorough),
        pytest.param("vanilla", "1000", marks=pytest.mark.thorough),
    ],
)
def test_extreme_weights_give_a_finite_report(run, cell, weight_std):
    status, out, err = run(
        "verify", cell, "-p", f"weight_std={weight_std}", "--width", 32, "--samples", 4,
        "--no-spectra",
    )  # fmt: skip
    assert status == 0, err
    assert "nan" not in out


def test_invalid_toml_is_named(run, tmp_path):
    (tmp_path / "bad.toml").write_text("weight_std = \n")
    status, _, err = run("mean-field", "vanilla", "--config", "bad.toml")
    assert status == 2
    assert "bad.toml is not valid TOML" in err


def test_help_lists_every_command(run):
    status, out, _ = run("--help")
    assert status == 0
    for command in (
        "verify",
        "derive",
        "mean-field",
        "critical-init",
        "spectrum",
        "lyapunov",
        "freeness",
    ):
        assert command in out


def test_help_imports_neither_sympy_nor_scipy_nor_matplotlib():
    code = (
        "import sys\nfrom rmt_jacobian.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'sympy', 'scipy', 'matplotlib', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "--width", 100_000], "480 GB"),
        (["spectrum", "vanilla", "--width", 100_000, "--workers", 1, "--out", "x.npz"], "240 GB"),
        (["lyapunov", "vanilla", "--width", 100_000, "--workers", 1], "240 GB"),
    ],
)
def test_networks_without_room_get_one_line(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.setattr("rmt_jacobian.sampling.networks.memory.os.cpu_count", lambda: 2)
    monkeypatch.setattr("rmt_jacobian.sampling.networks.memory._physical_memory", lambda: 1e11)
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("rmt-jacobian: not enough memory")
    assert words in line
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "error", [MemoryError(), np._core._exceptions._ArrayMemoryError((10, 10), np.dtype(float))]
)
def test_memory_that_gives_out_on_the_way_gets_one_line(run, monkeypatch, error):
    def none_left(*_, **__):
        raise error

    monkeypatch.setattr("rmt_jacobian.singular_values.singular_value_law", none_left)
    status, out, err = run("density", "vanilla", "--sites", 1024, "--steps", 2)
    assert status == 2
    assert "Traceback" not in out + err
    assert err.splitlines()[-1].startswith("rmt-jacobian: not enough memory")
    assert "fewer --sites" in err


def test_an_interrupt_is_one_line_and_the_code_of_its_signal(run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("rmt_jacobian.singular_values.singular_value_law", interrupted)
    status, out, err = run("density", "vanilla", "--steps", 2)
    assert (status, out) == (128 + signal.SIGINT, "")
    assert err.splitlines()[-1] == "rmt-jacobian: interrupted"


def test_values_below_rounding_are_said_to_be_noise(run):
    status, _, err = run(
        "spectrum", "vanilla", "--steps", 60, "--width", 16, "--samples", 1, "--out", "x.npz"
    )
    assert status == 0, err
    lines = [line for line in err.splitlines() if "noise" in line]
    assert len(lines) == 1
    assert lines[0].startswith("rmt-jacobian: ")
    assert "--log" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("spectrum", "vanilla", "--out", "x.npz", "--json", "./x.npz"), "--out and --json"),
        (("density", "vanilla", "--figure", "x.png", "--json", "x.png"), "--figure and --json"),
        (
            ("mean-field", "vanilla", "--config", "c.toml", "--json", "c.toml"),
            "--config and --json",
        ),
        (("compare", "x.npz", "--law", "semicircle(2)", "--json", "x.npz"), "VALUES and --json"),
        (("run", "s.toml", "--store", "store", "--json", "s.toml"), "SPEC.toml and --json"),
    ],
)
def test_files_of_one_name_are_refused_before_any_work(
    arguments, names, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    assert f"{names} are the same file" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["spectrum", "lanczos"])
def test_files_say_whether_biases_were_frozen(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {
        "spectrum": ("--samples", "1", "--out", "x.npz"),
        "lanczos": ("--samples", "1", "--vectors", "1"),
    }[command]
    for kind in ("frozen", "redrawn"):
        with pytest.raises(SystemExit) as exit_info:
            main([command, "minimalrnn", "-p", "bias_std=0.3", "--biases", kind, "--width", "16",
                  *options, "--json", "x.json"])  # fmt: skip
        assert exit_info.value.code == 0, capsys.readouterr().err
        assert json.loads((tmp_path / "x.json").read_text())["biases"] == kind
