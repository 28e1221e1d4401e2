import math

import numpy as np
import pytest

from rmt_jacobian.compare import Comparison, Estimate, verdict


def test_estimate_is_mean_and_standard_error_of_the_mean():
    found = Estimate.of(np.array([1.0, 2.0, 3.0, 6.0]))
    assert found.value == 3.0
    assert found.standard_error == pytest.approx(np.sqrt((4 + 1 + 0 + 9) / 3) / 2)


def test_z_counts_standard_errors_from_sample_to_theory():
    assert Estimate(10.0, 2.0).z(13.0) == 1.5
    assert Estimate(10.0, 0.0).z(10.0) == 0.0
    assert Estimate(10.0, 0.0).z(11.0) == math.inf


def test_control_variate_removes_what_samples_share_with_the_theory_on_their_sites():
    rng = np.random.default_rng(0)
    sites = rng.standard_normal(50)  # large noise of the sites, in both columns
    weights = 0.01 * rng.standard_normal(50)
    sampled, paired = 5 + sites + weights, 5 + sites
    found = Comparison(
        printed=4.0,
        s_transform=4.9,
        exact=5.0,
        paired=float(paired.mean()),
        sampled=Estimate.of(sampled),
        paired_standard_error=Estimate.of(sampled - paired).standard_error,
    )
    assert found.sampled.standard_error > 0.1
    assert found.without_site_noise.value == pytest.approx(5 + weights.mean(), abs=1e-12)
    z, raw = found.z(), found.raw_z()
    assert abs(z["exact"]) < 4
    assert z["s_transform"] < -20  # invisible in the raw column
    assert abs(raw["s_transform"]) < 4
    assert z["paired"] == pytest.approx(z["exact"])
    assert z["printed"] < z["s_transform"]


def test_printed_may_be_missing():
    found = Comparison(None, 1.0, 1.0, 1.0, Estimate(1.0, 0.1), 0.1)
    assert found.z()["printed"] is None
    assert found.raw_z()["printed"] is None


@pytest.mark.parametrize(
    ("z", "word"),
    [(0, "agrees"), (-2.9, "agrees"), (3.5, "in doubt"), (-4.1, "fails"), (math.nan, "fails")],
)
def test_verdict(z, word):
    assert verdict(z) == word
