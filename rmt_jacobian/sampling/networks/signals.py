"""Two input sequences sent through one sampled network: how similar its states become."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters, compile_cell
from rmt_jacobian.counts import check_counts
from rmt_jacobian.mean_field import site_law
from rmt_jacobian.mean_field.averages.one_site import single_site
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.weights.ensembles import draw_weights

__all__ = ["sample_correlations"]


def sample_correlations(
    cell: Cell,
    parameters: Parameters,
    input_correlations: Sequence[float],
    *,
    width: int = 512,
    samples: int = 16,
    seed: Seed = 0,
    tied: bool = False,
    start_correlation: float = 0.0,
    workers: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    r"""Sample the cosine similarity of the centred preactivations of two copies of a network.

    .. math:: c^t = \frac{\langle \hat e_1 \hat e_2 \rangle}
                         {\sqrt{\langle \hat e_1^2 \rangle \langle \hat e_2^2 \rangle}},
              \qquad \hat e = e - \mu_b

    with averages over sites; W is Gaussian.

    Parameters
    ----------
    cell, parameters
        A cell with one state and one preactivation.
    input_correlations
        Sigma_12 at steps 1, ..., T.
    width, samples, seed, workers, progress
        As in :func:`~rmt_jacobian.comparison.sample_moments`.
    tied
        Whether one W, V and b serve all steps.
    start_correlation
        Correlation of the two initial states, which are Gaussian with variance Q*.

    Returns
    -------
    numpy.ndarray
        c^t of every sample, shape (samples, T).

    Notes
    -----
    A fresh Gaussian W is needed only through W h_1 and W h_2, which are Gaussian with the Gram
    matrix of (h_1, h_2) as covariance; untied networks are sampled from that law, exact at every
    width.

    References
    ----------
    :cite:t:`Chen2018`, Figure 1.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> sample_correlations(minimalrnn, Parameters.of(minimalrnn), [1.0] * 5, width=32,
    ...                     samples=2, workers=1).shape
    (2, 5)
    """
    single_site(cell)
    check_counts(width=width, samples=samples)
    state_std = math.sqrt(site_law(cell, parameters).state_variance)

    def one(rng: np.random.Generator) -> np.ndarray:
        start = state_std * _correlated(rng, width, start_correlation)
        return _one_pair(cell, parameters, input_correlations, start, tied, rng)

    title = f"{cell.name} correlations" if progress else None
    return np.stack(list(map_samples(one, spawn(seed, samples), workers=workers, progress=title)))


def _correlated(rng: np.random.Generator, width: int, correlation: float) -> np.ndarray:
    z = rng.standard_normal((width, 2))
    second = correlation * z[:, 0] + math.sqrt((1 - correlation) * (1 + correlation)) * z[:, 1]
    return np.stack([z[:, 0], second], axis=1)


def _one_pair(
    cell: Cell,
    parameters: Parameters,
    input_correlations: Sequence[float],
    h: np.ndarray,
    tied: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    group, compiled, width = parameters.only, compile_cell(cell), h.shape[0]

    def image(std: float) -> Callable[[np.ndarray], np.ndarray]:
        """Return multiplication by one matrix kept for all steps, or by a fresh one each time."""
        if tied:
            return draw_weights("gaussian", width, std, rng).apply
        return lambda y: _fresh_image(std, y, rng)

    def bias() -> np.ndarray:
        return group.bias_std * rng.standard_normal((width, 1))

    W, V, kept_bias = image(group.weight_std), image(group.input_std), bias()
    path = []
    for sigma_12 in input_correlations:
        x = parameters.inputs.draw_pair(rng, width, sigma_12)
        centred = W(h) + V(x) + (kept_bias if tied else bias())
        path.append(_cosine(centred))
        (h,) = compiled.update([h], [group.bias_mean + centred], x)
    return np.array(path)


def _fresh_image(std: float, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw W y for a fresh Gaussian W: rows are independent with covariance std^2 y^T y / N."""
    # A square root by eigenvalues, because equal columns make the Gram matrix singular.
    values, vectors = np.linalg.eigh(y.T @ y / y.shape[0])
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    return std * rng.standard_normal(y.shape) @ root.T


def _cosine(e: np.ndarray) -> float:
    first, second = e[:, 0], e[:, 1]
    return float(first @ second / math.sqrt((first @ first) * (second @ second)))
