"""What one would write without this package: dense matrices, QR, products, a decomposition."""

import numpy as np

from rmt_jacobian.cells import Cell, Parameters, minimalrnn, vanilla

__all__ = ["obvious_singular_values", "obvious_weights"]


def obvious_weights(weights: str, width: int, std: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a dense W; orthogonal ones by QR of a Gaussian matrix, with its signs mended."""
    gaussian = rng.standard_normal((width, width))
    if weights == "gaussian":
        return gaussian * (std / np.sqrt(width))
    Q, R = np.linalg.qr(gaussian)
    return std * Q * np.sign(np.diag(R))


def obvious_singular_values(cell: Cell, weights: str, width: int, steps: int) -> np.ndarray:
    """Draw W and V, run the network, multiply the Jacobians and decompose the product."""
    assert cell in (minimalrnn, vanilla)
    rng, p = np.random.default_rng(0), Parameters.of(cell)
    h, product = rng.standard_normal(width) * 0.5, np.eye(width)
    for _ in range(steps):
        W = obvious_weights(weights, width, p.only.weight_std, rng)
        V = obvious_weights("gaussian", width, p.only.input_std, rng)
        x = rng.standard_normal(width) * np.sqrt(p.input_variance)
        e = W @ h + V @ x + p.only.bias_mean
        if cell is minimalrnn:
            u = 1 / (1 + np.exp(-e))
            J = (u * (1 - u) * (h - x))[:, None] * W
            J[np.diag_indices(width)] += u
            h = u * h + (1 - u) * x
        else:
            h = np.tanh(e)
            J = (1 - h**2)[:, None] * W
        product = J @ product
    return np.linalg.svd(product, compute_uv=False)
