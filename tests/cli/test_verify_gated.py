"""``rmt-jacobian verify`` and ``freeness`` of cells with several states or preactivations."""

import json

import pytest

SMALL = ["--width", 32, "--samples", 4, "--steps", 2, "-p", "input_std=1", "--no-shared"]


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param("gru", marks=pytest.mark.thorough),
        "gru-reset-after",
        pytest.param("lstm", marks=pytest.mark.thorough),
        pytest.param("lstm-peephole", marks=pytest.mark.thorough),
    ],
)
def test_verify_reports_both_moments_of_every_cell(run, tmp_path, cell):
    status, out, err = run("verify", cell, *SMALL, "--steps", 1, "--no-spectra")
    assert status == 0, err
    assert "nan" not in out
    assert "free steps is the S-transform route, which assumes that the steps" in out
    assert "eq. (12)" not in out
    content = json.loads((tmp_path / "rmt-report" / "report.json").read_text())
    assert [(row["weights"], row["steps"]) for row in content["rows"]] == [
        ("gaussian", 1), ("gaussian", 2), ("orthogonal", 1), ("orthogonal", 2),
    ]  # fmt: skip
    for row in content["rows"]:
        for name in ("mean", "second_moment"):
            assert row[name]["printed"] is None
            assert 0 < row[name]["paired_ratio_error"] < 1
            # 4 networks of width 32: Student's t with 3 degrees of freedom.
            off = abs(row[name]["paired_ratio"] - 1)
            assert off < 13 * row[name]["paired_ratio_error"]
            assert 0 < row[name]["exact_error"] < 0.1 * row[name]["exact"]
    assert content["s_1"] == []  # there is more than one W
    assert all(q > 0 for q in content["mean_field"]["preactivation_variance"].values())
    text = (tmp_path / "rmt-report" / "report.md").read_text()
    assert "sampled/paired" in text
    assert "s₁" not in text


@pytest.mark.slow
def test_verify_compares_spectra_of_two_states(run):
    status, out, err = run(
        "verify", "lstm", "-p", "input_std=1", "--width", 32, "--samples", 4, "--steps", 1,
        "--weights", "gaussian", "--json", "-",
    )  # fmt: skip
    assert status == 0, err
    (row,) = json.loads(out)["spectra"]
    assert (row["width"], row["samples"], row["verdict"]) == (32, 4, "agrees")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gru", "-p", "input_std=0"], "the states fall silent"),
        pytest.param(["gru", "--tied"], "an approximation here", marks=pytest.mark.thorough),
        (["gru", "-p", "weight_std=0", "-p", "input_std=1"], "free steps"),
        pytest.param(
            ["gru", "-p", "weight_std=1000", "-p", "input_std=1"],
            "free steps",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_extreme_points_give_a_finite_report(run, arguments, words):
    status, out, err = run(
        "verify", *arguments, "--width", 24, "--samples", 4, "--steps", 2, "--no-spectra",
        "--no-shared",
    )  # fmt: skip
    assert status == 0, err
    assert words in out
    assert "nan" not in out


@pytest.mark.thorough  # test_block_chain_moments.py has a cell of hard gates that saturate
def test_saturated_gates_lose_no_moment(run):
    # The states of most sites are multiples of each other here.
    status, out, err = run(
        "verify", "lstm", "-p", "weight_std=1000", "-p", "input_std=1", "--width", 24,
        "--samples", 4, "--steps", 2, "--no-spectra",
    )  # fmt: skip
    assert status == 0, err
    assert "unknown /" not in out
    assert "paired agrees in 4 of 4 moments" in out


@pytest.mark.parametrize(
    ("cell", "states"),
    [
        ("gru", 1),
        pytest.param("gru-reset-after", 1, marks=pytest.mark.thorough),
        pytest.param("lstm", 2, marks=pytest.mark.thorough),
        ("lstm-peephole", 2),
    ],
)
def test_freeness_of_every_cell(run, cell, states):
    status, out, err = run(
        "freeness", cell, "-p", "input_std=1", "--width", 64, "--samples", 8, "--steps", 4,
        "--json", "-",
    )  # fmt: skip
    assert status == 0, err
    content = json.loads(out)
    assert content["untied"]["states"] == content["tied"]["states"] == states
    assert content["untied"]["verdict"] != "neither"
    assert content["tied"]["verdict"] == "neither"
    assert ("Site matrices mix the states" in err) == (states == 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "lstmm"], "did you mean lstm?"),
        (["verify", "gru", "-p", "update.weight=3"], "did you mean update.weight_std?"),
        (["verify", "gru", "-p", "bias_std=-1"], "must be >= 0"),
        (["verify", "lstm", "-p", "forget.weight_std=wide"], "must be a number"),
        (["freeness", "gru", "-p", "gate.weight_std=1"], "no parameter 'gate.weight_std'"),
        (["freeness", "lstm", "-p", "weight_std=0", "-p", "bias_mean=-800"], "not zero"),
    ],
)
def test_bad_input_gets_one_line(run, arguments, words):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in err.splitlines()[-1]
