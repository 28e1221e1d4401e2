"""Traces of sampled matrices, with the error to be allowed for at a finite width."""

import numpy as np

WIDTH = 96
SAMPLES = 24


def gaussian(width, rng):
    return rng.standard_normal((width, width)) / np.sqrt(width)


def orthogonal(width, rng):
    q, r = np.linalg.qr(rng.standard_normal((width, width)))
    return q * np.sign(np.diagonal(r))  # without the signs it is not Haar


MATRICES = {"gaussian": gaussian, "orthogonal": orthogonal}


def extrapolated(traces, seed):
    """Limit of a trace at infinite width and the error allowed.

    The trace at width N is the limit plus c / N plus terms of order 1 / N^2, so twice the value
    at 2 N minus the value at N has no term of order 1 / N.  Allowed are 4.5 standard errors, and
    (5 / N)^2 relative to the trace for the terms that are left.
    """
    rng = np.random.default_rng(seed)
    narrow = np.array([traces(WIDTH, rng) for _ in range(SAMPLES)])
    wide = np.array([traces(2 * WIDTH, rng) for _ in range(SAMPLES)])
    mean = 2 * wide.mean(axis=0) - narrow.mean(axis=0)
    variance = 4 * wide.var(axis=0, ddof=1) + narrow.var(axis=0, ddof=1)
    error = 4.5 * np.sqrt(variance / SAMPLES) + np.abs(mean) * (5 / WIDTH) ** 2
    return mean, error
