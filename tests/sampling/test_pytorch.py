"""The same networks in PyTorch's arrays as in NumPy's: numbers are drawn by NumPy for both."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rmt_jacobian.sampling import (
    sample_eigenvalues,
    sample_log_singular_values,
    sample_lyapunov,
    sample_matrix_free,
    sample_singular_values,
)

pytest.importorskip("torch", reason="PyTorch is not installed")

SAMPLED: dict[str, Callable[..., Any]] = {
    "singular values": lambda **of: sample_singular_values(steps=3, **of),
    "log singular values": lambda **of: sample_log_singular_values(steps=30, **of).values,
    "exponents": lambda **of: sample_lyapunov(steps=40, **of).exponents,
    "eigenvalues": lambda **of: np.sort_complex(sample_eigenvalues(**of)),
    "moments": lambda **of: sample_matrix_free(steps=3, **of).moments.second_moment,
    "lanczos": lambda **of: sample_matrix_free(steps=3, lanczos_steps=6, **of).spectrum.moments(3),
}


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal", "fast-orthogonal"])
@pytest.mark.parametrize("what", SAMPLED)
def test_samples_are_those_of_numpy(what: str, weights: str) -> None:
    if weights.startswith("fast") and what not in ("moments", "lanczos", "singular values"):
        pytest.skip("dense matrices alone")
    host, there = (
        SAMPLED[what](
            cell="gru", parameters={}, weights=weights, width=24, samples=2, seed=3, device=device
        )
        for device in ("cpu", "torch")
    )
    np.testing.assert_allclose(np.asarray(there), np.asarray(host), rtol=1e-8, atol=1e-10)
