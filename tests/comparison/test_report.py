import json
import math
from dataclasses import replace

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, minimalrnn, vanilla
from rmt_jacobian.comparison import compare_spectrum, to_json, to_markdown, to_text, verify
from rmt_jacobian.laws import QuarterCircle


@pytest.fixture(scope="module")
def found():
    return verify(minimalrnn, Parameters.of(minimalrnn), steps=[1, 2], width=32, samples=4,
                  spectra=False)  # fmt: skip


def test_json_has_the_promised_keys_and_is_strict(found):
    content = to_json(found)
    assert {"cell", "parameters", "mean_field", "rows"} <= content.keys()
    assert content["mean_field"].keys() == {"preactivation_variance", "state_variance", "chi1"}
    assert [(row["weights"], row["steps"]) for row in content["rows"]] == [
        ("gaussian", 1), ("gaussian", 2), ("orthogonal", 1), ("orthogonal", 2),
    ]  # fmt: skip
    columns = {
        "printed", "s_transform", "exact", "exact_error", "paired", "sampled", "standard_error",
        "paired_ratio", "paired_ratio_error", "on_sites", "on_sites_error", "limit", "limit_error",
        "z", "raw_z", "verdicts",
    }  # fmt: skip
    for row in content["rows"]:
        for name in ("mean", "second_moment", "variance"):
            number = row[name]
            assert number.keys() == columns
            assert number["limit"] == pytest.approx(number["on_sites"] * number["paired_ratio"])
            z = (number["exact"] - number["on_sites"]) / number["on_sites_error"]
            assert number["z"]["exact_on_sites"] == pytest.approx(z)
            z = (1 - number["paired_ratio"]) / number["paired_ratio_error"]
            assert number["z"]["paired"] == pytest.approx(z)
    json.dumps(content, allow_nan=False)


def test_printed_is_the_same_right_hand_side_in_both_columns(found):
    for row in to_json(found)["rows"]:
        assert row["variance"]["printed"] == row["second_moment"]["printed"]
        difference = row["second_moment"]["exact"] - row["variance"]["exact"]
        assert difference == pytest.approx(row["mean"]["exact"] ** 2)


def test_text_table_is_aligned_and_complete(found):
    lines = to_text(found).splitlines()
    header = next(k for k, line in enumerate(lines) if "S-transform" in line and "verdict" in line)
    table = lines[header : header + 2 + len(found.rows)]
    assert len({len(line) for line in table}) == 1
    assert max(len(line) for line in table) < 120
    for line, row in zip(table[2:], found.rows, strict=True):
        words = [word for word in row.verdicts.values() if word]
        assert line.endswith(" / ".join(words))
        assert row.verdict.endswith(f"exact {words[-1]}")


def test_markdown_names_figure_and_every_quantity(found):
    text = to_markdown(found, figure="picture.png")
    assert "](picture.png)" in text
    for heading in ("Second moment", "Mean", "s₁", "Orthogonal minus Gaussian"):
        assert heading in text


def test_report_without_printed_value_and_second_ensemble():
    found = verify(
        vanilla,
        Parameters.of(vanilla),
        weights=["gaussian"],
        steps=[1],
        width=16,
        samples=3,
        spectra=False,
    )
    assert to_json(found)["rows"][0]["second_moment"]["printed"] is None
    assert to_json(found)["orthogonal_minus_gaussian"] == []
    assert " - " in to_text(found)
    assert math.isfinite(to_json(found)["s_1"][0]["sampled"])


def test_spectra_stand_below_the_moments(found):
    values = np.linalg.svd(
        np.random.default_rng(0).standard_normal((4, 64, 64)) / 8, compute_uv=False
    )
    rows = (
        compare_spectrum(QuarterCircle(), values, label="Gaussian W, T = 1"),
        compare_spectrum(QuarterCircle(3.0), values, label="too wide"),
    )
    with_spectra = replace(found, spectra=rows)
    lines = to_text(with_spectra).splitlines()
    first = next(k for k, line in enumerate(lines) if "Wasserstein" in line)
    assert len({len(line) for line in lines[first : first + 4]}) == 1
    assert lines[first + 2].endswith("agrees")
    assert lines[first + 3].endswith("fails")
    assert "99 % of right laws" in to_text(with_spectra)
    assert "## Spectra" in to_markdown(with_spectra)
    content = to_json(with_spectra)["spectra"]
    assert [row["verdict"] for row in content] == ["agrees", "fails"]
    assert content[0]["ks"] < content[0]["ks_null"] < content[1]["ks"]
    json.dumps(content, allow_nan=False)
    assert to_json(found)["spectra"] == []
    assert "Wasserstein" not in to_text(found) + to_markdown(found)
