"""GRU and LSTM written for the ledger alone: averages, dense Jacobians, networks of any width."""

import math
from itertools import product

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from tests.ledger.independent import gaussian_image, normal_nodes, slope_of_sigmoid

PANELS = 160  # gates of large gain are steep


def average(f, mean, variance):
    z, w = normal_nodes(PANELS)
    return float(w @ f(mean + math.sqrt(variance) * z))


# Fixed points of the GRU without input and biases


def state_variance_after(C_h, a_h, a_r):
    """The C_h that follows from a given one."""
    C_y = C_h * average(lambda e: expit(e) ** 2, 0.0, a_r**2 * C_h)
    return average(lambda e: np.tanh(e) ** 2, 0.0, a_h**2 * C_y)


def nonzero_state_variances(a_h, a_r, points=400):
    """All C_h > 0, between 1e-7 and 1, where the map meets the diagonal."""

    def gap(s):
        C_h = math.exp(s)
        return state_variance_after(C_h, a_h, a_r) / C_h - 1

    grid = np.linspace(math.log(1e-7), 0.0, points)
    values = [gap(s) for s in grid]
    signs = np.flatnonzero(np.diff(np.sign(values)))
    return [math.exp(brentq(gap, grid[k], grid[k + 1], xtol=1e-14)) for k in signs]


def open_gain(C_h, a_h, a_r):
    """rho_0^2."""
    reset = average(lambda e: expit(e) ** 2, 0.0, a_r**2 * C_h)
    slope = average(lambda e: slope_of_sigmoid(e) ** 2, 0.0, a_r**2 * C_h)
    candidate = average(lambda e: np.cosh(e) ** -4.0, 0.0, a_h**2 * C_h * reset)
    return a_h**2 * candidate * (reset + a_r**2 * slope * C_h)


# Dense Jacobians


def dense_weights(width, stds, rng, weights="gaussian"):
    if weights == "gaussian":
        return [std / math.sqrt(width) * rng.standard_normal((width, width)) for std in stds]
    found = []
    for std in stds:
        Q, R = np.linalg.qr(rng.standard_normal((width, width)))
        found.append(std * Q * np.sign(np.diag(R)))
    return found


def gru_jacobian(h, gates, matrices):
    """d h' / d h from e_z, e_r, e_y and the three W."""
    e_z, e_r, e_y = gates
    W_z, W_r, W_y = matrices
    z, r, f = expit(e_z), expit(e_r), np.tanh(e_y)
    reset = np.diag(r) + (h * slope_of_sigmoid(e_r))[:, None] * W_r
    return (
        np.diag(z)
        + (slope_of_sigmoid(e_z) * (h - f))[:, None] * W_z
        + ((1 - z) * (1 - f**2))[:, None] * (W_y @ reset)
    )


def lstm_jacobian(c, gates, matrices, reads="h"):
    """d (h', c') / d (h, c) from e_f, e_i, e_o, e_y; with peepholes the gates read c."""
    f, i, o = (expit(e) for e in gates[:3])
    slopes = [slope_of_sigmoid(e) for e in gates[:3]]
    y = np.tanh(gates[3])
    new, N = f * c + i * y, len(c)
    hidden, memory = np.zeros((2, N, 2 * N))
    read = slice(0, N) if reads == "h" else slice(N, 2 * N)
    memory[:, read] += (c * slopes[0])[:, None] * matrices[0]
    memory[:, read] += (y * slopes[1])[:, None] * matrices[1]
    memory[:, :N] += (i * (1 - y**2))[:, None] * matrices[3]
    memory[:, N:] += np.diag(f)
    hidden[:, read] += (np.tanh(new) * slopes[2])[:, None] * matrices[2]
    hidden += (o / np.cosh(new) ** 2)[:, None] * memory
    return np.concatenate([hidden, memory])


# Networks of any width, with fresh Gaussian W


def gru_steps(point, width, steps, rng):
    """Yield (h, new h, norm ratio of a small change) of an untied GRU, step by step.

    ``point`` has pairs (weight_std, input_std, bias_mean) of update, reset and candidate, inputs of
    variance 1.
    """
    h, v = 0.5 * rng.standard_normal((2, width))
    for _ in range(steps):
        x = rng.standard_normal(width)
        gates, changes = [], []
        for k, (std, input_std, mean) in enumerate(point):
            source, change = h, v
            if k == 2:
                r, slope = expit(gates[1]), slope_of_sigmoid(gates[1])
                source, change = r * h, r * v + h * slope * changes[1]
            image = gaussian_image(np.stack([source, change], axis=1), std, rng)
            noise = input_std * np.linalg.norm(x) / math.sqrt(width)
            gates.append(image[:, 0] + mean + noise * rng.standard_normal(width))
            changes.append(image[:, 1])
        z, f = expit(gates[0]), np.tanh(gates[2])
        new = z * h + (1 - z) * f
        moved = z * v + slope_of_sigmoid(gates[0]) * (h - f) * changes[0]
        moved += (1 - z) * (1 - f**2) * changes[2]
        yield h, new, float((moved @ moved) / (v @ v))
        h, v = new, moved / np.linalg.norm(moved) * math.sqrt(width)


def lstm_steps(point, width, steps, rng, reads="h"):
    """The same of an untied LSTM; yields (h, c, norm ratio of the change of both)."""
    h, c = 0.1 * rng.standard_normal((2, width))
    v, w = rng.standard_normal((2, width))
    v, w = _scaled(v, w, width)
    for _ in range(steps):
        x = rng.standard_normal(width)
        gates, changes = [], []
        for k, (std, input_std, mean) in enumerate(point):
            source, change = (c, w) if reads == "c" and k < 3 else (h, v)
            image = gaussian_image(np.stack([source, change], axis=1), std, rng)
            noise = input_std * np.linalg.norm(x) / math.sqrt(width)
            gates.append(image[:, 0] + mean + noise * rng.standard_normal(width))
            changes.append(image[:, 1])
        f, i, o = (expit(e) for e in gates[:3])
        d_f, d_i, d_o = (slope_of_sigmoid(e) * d for e, d in zip(gates, changes[:3], strict=False))
        y = np.tanh(gates[3])
        new = f * c + i * y
        moved = f * w + c * d_f + y * d_i + i * (1 - y**2) * changes[3]
        v = np.tanh(new) * d_o + o * moved / np.cosh(new) ** 2
        h, c = o * np.tanh(new), new
        yield h, c, float(v @ v + moved @ moved) / (2 * width)
        v, w = _scaled(v, moved, width)


def _scaled(v, w, width):
    scale = math.sqrt(2 * width / float(v @ v + w @ w))
    return scale * v, scale * w


# Moments by words: every letter is a diagonal or a Gaussian matrix


def word_moment(factors, stds, weights):
    """tau of a product of matrices of words, by pairings that do not cross.

    ``factors`` are matrices (lists of rows) of sums of words; a word is a tuple of letters, each a
    vector over sites or a pair (k, whether transposed).
    """
    total = 0.0
    inner = len(factors[0])
    for path in product(range(inner), repeat=len(factors)):
        ways = [factors[n][path[n]][path[(n + 1) % len(path)]] for n in range(len(path))]
        for words in product(*ways):
            letters = [letter for word in words for letter in word]
            total += float(weights @ conditional(letters, stds, weights))
    return total / inner


def conditional(letters, stds, weights):
    """The diagonal part of a word, by the partner of its first random letter."""
    n = next((n for n, x in enumerate(letters) if isinstance(x, tuple)), len(letters))
    value = np.ones_like(weights)
    for letter in letters[:n]:
        value = value * letter
    if n == len(letters):
        return value
    k, transposed = letters[n]
    total = np.zeros_like(weights)
    for m in range(n + 1, len(letters)):
        if isinstance(letters[m], tuple) and letters[m] == (k, not transposed):
            between = stds[k] ** 2 * (weights @ conditional(letters[n + 1 : m], stds, weights))
            if between != 0.0:
                total = total + between * conditional(letters[m + 1 :], stds, weights)
    return value * total
