"""Our own results on gated cells: untied mean field, moments of products, eigenvalues, supports."""

import math

import numpy as np
import pytest
from scipy.special import expit

from rmt_jacobian.cells import Parameters, gru, lstm, lstm_peephole, vanilla
from rmt_jacobian.eigenvalues import eigenvalue_law
from rmt_jacobian.mean_field import Sites, fixed_points, untied_state
from rmt_jacobian.pencils import (
    BlockChain,
    BlockHistory,
    GaussianWeights,
    OrthogonalWeights,
    chain_moments,
)
from tests.in_turn import in_turn
from tests.ledger.gated import (
    dense_weights,
    gru_jacobian,
    gru_steps,
    lstm_jacobian,
    lstm_steps,
    nonzero_state_variances,
    open_gain,
    word_moment,
)
from tests.ledger.independent import (
    average,
    difference_quotient,
    pair_average,
    slope_of_sigmoid,
)
from tests.ledger.verdicts import agrees
from tests.mean_field.two_routes import by_sites

GRU = ((2.0, 0.5, 0.7), (1.5, 0.8, -0.4), (2.5, 1.1, 0.0))  # update, reset, candidate
RESETTING = ((1.0, 0.3, 0.0), (8.0, 0.3, 0.0), (4.0, 0.3, 0.0))
LSTM = ((1.4, 0.6, 1.5), (1.4, 0.6, 0.0), (1.4, 0.6, 0.5), (2.0, 0.6, 0.0))
NAMES = {
    "gru": ("update", "reset", "candidate"),
    "lstm": ("forget", "input", "output", "candidate"),
}


def at(cell, point):
    values = {"input_variance": 1.0, "bias_std": 0.0}
    for name, (std, input_std, mean) in zip(NAMES[cell.name.split("-")[0]], point, strict=True):
        values |= {f"{name}.weight_std": std, f"{name}.input_std": input_std}
        values[f"{name}.bias_mean"] = mean
    return Parameters.of(cell, values)


def networks(run, *, seed, samples=8, skip=40, steps=90):
    """For each network the mean over its last steps of what ``run`` yields, as rows."""
    for rng in np.random.default_rng(seed).spawn(samples):
        rows = list(run(rng, steps))[skip:]
        yield np.mean(rows, axis=0)


def test_variances():
    """Each gate of a network of width 10 000 reads E[h^2] or E[c^2] at its last steps."""

    def run(rng, steps):
        for h, c, _ in lstm_steps(LSTM, 10_000, steps, rng, "c"):
            yield np.mean(h**2), np.mean(c**2)

    squares = np.array(list(networks(run, seed=1)))
    state = untied_state(lstm_peephole, at(lstm_peephole, LSTM))
    h2, c2 = squares.mean(axis=0)
    for k, (std, input_std, _) in enumerate(LSTM):
        q = std**2 * (squares[:, 0] if k == 3 else squares[:, 1]) + input_std**2
        # 80,000 sites over 50 steps with a memory of some ten: a standard error of about 9e-4.
        assert np.mean(q) == pytest.approx(state.preactivation_variances[k], rel=3e-3)
        agrees(q, state.preactivation_variances[k], errors=6.0)
    assert c2 > 2 * h2


def gru_growth(point):
    """The closed form, by our own sums; no bias of the candidate, so that E[h] = 0."""
    (s_z, n_z, m_z), (s_r, n_r, m_r), (s_y, n_y, _) = point
    Q = 0.3
    for _ in range(2000):
        q_z, q_r = s_z**2 * Q + n_z**2, s_r**2 * Q + n_r**2
        r2 = average(lambda e: expit(e) ** 2, m_r, q_r)
        q_y = s_y**2 * r2 * Q + n_y**2
        z2 = average(lambda e: expit(e) ** 2, m_z, q_z)
        open2 = average(lambda e: expit(-e) ** 2, m_z, q_z)
        f2 = average(lambda e: np.tanh(e) ** 2, 0.0, q_y)
        Q = open2 * f2 / (1 - z2)
    slope_z, slope_r = (average(lambda e: slope_of_sigmoid(e) ** 2, m, q)
                        for m, q in ((m_z, q_z), (m_r, q_r)))  # fmt: skip
    slope_y = average(lambda e: np.cosh(e) ** -4.0, 0.0, q_y)
    return z2 + s_z**2 * slope_z * (Q + f2) + open2 * s_y**2 * slope_y * (r2 + s_r**2 * slope_r * Q)


@pytest.mark.parametrize(
    "point",
    [GRU, pytest.param(RESETTING, marks=pytest.mark.thorough)],
    ids=["weak reset", "strong reset"],
)
def test_growth_rate_of_the_gru(point):
    def run(rng, steps):
        return (ratio for _, _, ratio in gru_steps(point, 20_000, steps, rng))

    found = by_sites(gru, at(gru, point)).chi1
    assert found == pytest.approx(gru_growth(point), rel=1e-9)
    agrees(list(networks(run, seed=2, samples=6)), found)


@pytest.mark.parametrize(
    ("cell", "reads"), [(lstm, "h"), pytest.param(lstm_peephole, "c", marks=pytest.mark.thorough)]
)
def test_growth_rate_of_the_lstm(cell, reads):
    """Changes of h and c along a network, after those of the start have turned into the fastest."""

    def run(rng, steps):
        return (math.log(ratio) for _, _, ratio in lstm_steps(LSTM, 10_000, steps, rng, reads))

    found = by_sites(cell, at(cell, LSTM)).chi1
    rates = list(networks(run, seed=3, samples=6, steps=140))
    assert np.mean(rates) == pytest.approx(math.log(found), abs=4e-3)
    agrees(rates, math.log(found), errors=6.0)


def test_slope_of_the_correlation_map():
    """Without a bias of the candidate E[h] = 0, and E[h_1 h_2] alone carries the correlation."""
    (s_z, n_z, m_z), (s_r, n_r, m_r), (s_y, n_y, _) = GRU
    sigma_12, found = 0.5, by_sites(gru, at(gru, GRU), input_correlation=0.5)
    q_z, q_r, q_y = found.state.preactivation_variances

    def after(C):
        c_z, c_r = (
            (s**2 * C + n**2 * sigma_12) / q for s, n, q in ((s_z, n_z, q_z), (s_r, n_r, q_r))
        )
        c_y = (s_y**2 * C * pair_average(expit, expit, m_r, q_r, c_r) + n_y**2 * sigma_12) / q_y
        kept = pair_average(expit, expit, m_z, q_z, c_z)
        fresh = pair_average(lambda e: expit(-e), lambda e: expit(-e), m_z, q_z, c_z)
        return kept * C + fresh * pair_average(np.tanh, np.tanh, 0.0, q_y, c_y)

    C = 0.1
    for _ in range(200):
        C = after(C)
    assert found.pair.source_products[0] == pytest.approx(C, rel=1e-8)
    assert found.chi == pytest.approx(difference_quotient(after, C), rel=1e-6)


# Products on a few sites, which large networks repeat


def few_sites(cell, rng, count=4, steps=1):
    """Steps at sites with numbers of any kind: the moments are exact on them."""
    parameters = at(cell, GRU if cell is gru else LSTM)
    found = []
    for _ in range(steps):
        states = [0.7 * rng.standard_normal(count) for _ in cell.states]
        gates = [rng.standard_normal(count) for _ in cell.gates]
        found.append(Sites.of(cell, parameters, states, gates, rng.standard_normal(count)))
    return found


def moments_on(sites, ensemble):
    cell, shares = sites[0].cell, sites[0].weights
    history = BlockHistory.of([each.derivatives for each in sites], cell, shares)
    point = GRU if cell is gru else LSTM
    chain = BlockChain.of(history, [ensemble(std) for std, _, _ in point])
    return chain_moments(chain, 2)


def gru_words(sites, step=0):
    """The words of J and of J^T, with matrices numbered from 3 step on."""
    h, (e_z, e_r, e_y) = sites.states[0], sites.gates
    z, f = expit(e_z), np.tanh(e_y)
    update, open_slope = slope_of_sigmoid(e_z) * (h - f), (1 - z) * (1 - f**2)
    W_z, W_r, W_y = ((3 * step + k, False) for k in range(3))
    words = [(z,), (update, W_z), (open_slope, W_y, expit(e_r)),
             (open_slope, W_y, h * slope_of_sigmoid(e_r), W_r)]  # fmt: skip
    return [[words]], [[[transposed(word) for word in words]]]


def transposed(word):
    return tuple((x[0], not x[1]) if isinstance(x, tuple) else x for x in reversed(word))


def test_first_moment_over_t_steps():
    """Two steps of a GRU, by words; and the closed recursion of E_D[J J^T] site by site."""
    rng = np.random.default_rng(5)
    first, second = few_sites(gru, rng, steps=2)
    stds = [std for std, _, _ in GRU] * 2
    J1, J1t = gru_words(first, 0)
    J2, J2t = gru_words(second, 1)
    exact = word_moment([J2, J1, J1t, J2t], stds, first.weights)
    assert moments_on([first, second], GaussianWeights)[1] == pytest.approx(exact, rel=1e-12)
    assert moments_on([first, second], OrthogonalWeights)[1] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("cell", [gru, lstm], ids=["gru", "lstm"])
def test_second_moment_of_one_step(cell):
    rng = np.random.default_rng(6)
    (sites,) = few_sites(cell, rng, count=3)
    J, Jt = gru_words(sites) if cell is gru else lstm_words(sites)
    stds = [std for std, _, _ in (GRU if cell is gru else LSTM)]
    m_1 = word_moment([J, Jt], stds, sites.weights)
    m_2 = word_moment([J, Jt, J, Jt], stds, sites.weights)
    assert moments_on([sites], GaussianWeights)[1:] == pytest.approx([m_1, m_2], rel=1e-12)
    # The interaction of several preactivations matters: other ensembles have another m_2.
    assert moments_on([sites], OrthogonalWeights)[2] != pytest.approx(m_2, rel=1e-3)


def lstm_words(sites):
    (_, c), gates = sites.states, sites.gates
    f, i, o = (expit(e) for e in gates[:3])
    f1, i1, o1 = (slope_of_sigmoid(e) for e in gates[:3])
    y = np.tanh(gates[3])
    new = f * c + i * y
    W = [(k, False) for k in range(4)]
    memory = [(c * f1, W[0]), (y * i1, W[1]), (i * (1 - y**2), W[3])]
    through = o / np.cosh(new) ** 2
    hidden = [(o1 * np.tanh(new), W[2]), *((through * word[0], word[1]) for word in memory)]
    J = [[hidden, [(through * f,)]], [memory, [(f,)]]]
    Jt = [[[transposed(word) for word in J[b][a]] for b in range(2)] for a in range(2)]
    return J, Jt


@pytest.mark.parametrize(
    ("cell", "weights"),
    in_turn([gru, lstm], ["gaussian", "orthogonal"]),
    ids=lambda value: getattr(value, "name", value),
)
def test_second_moment_over_t_steps(cell, weights):
    """Three steps of networks whose sites repeat a few."""
    rng, width, count = np.random.default_rng(7), 360, 4
    sites = few_sites(cell, rng, count=count, steps=3)
    ensemble = GaussianWeights if weights == "gaussian" else OrthogonalWeights
    _, m_1, m_2 = moments_on(sites, ensemble)
    stds = [std for std, _, _ in (GRU if cell is gru else LSTM)]
    rows = []
    for child in rng.spawn(6):
        product = np.eye(width * len(cell.states))
        for each in sites:
            states, gates = (
                [np.tile(a, width // count) for a in part] for part in (each.states, each.gates)
            )
            W = dense_weights(width, stds, child, weights)
            J = (
                gru_jacobian(states[0], gates, W)
                if cell is gru
                else lstm_jacobian(states[1], gates, W)
            )
            product = J @ product
        squares = np.linalg.svd(product, compute_uv=False) ** 2
        rows.append((np.mean(squares), np.mean(squares**2)))
    for found, exact in zip(np.array(rows).T, (m_1, m_2), strict=True):
        assert np.mean(found) == pytest.approx(
            exact, rel=0.02 + 4 * np.std(found) / exact / math.sqrt(6)
        )


# Eigenvalues


@pytest.mark.parametrize(
    "weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.thorough)]
)
def test_eigenvalue_law(weights):
    """Shares of eigenvalues in disks, of an LSTM whose gates read c, at drawn sites."""
    rng, width = np.random.default_rng(8), 400
    parameters = at(lstm_peephole, LSTM)
    states = [0.4 * rng.standard_normal(width), 0.8 * rng.standard_normal(width)]
    gates = [mean + rng.standard_normal(width) for _, _, mean in LSTM]
    sites = Sites.of(lstm_peephole, parameters, states, gates, rng.standard_normal(width))
    law = eigenvalue_law(sites, weights=weights)
    disks = [(0.0, 0.0, 0.3), (0.0, 0.0, 0.7), (0.5, 0.0, 0.4), (0.3, 0.3, 0.3)]
    stds = [std for std, _, _ in LSTM]
    shares = []
    for child in rng.spawn(5):
        J = lstm_jacobian(states[1], gates, dense_weights(width, stds, child, weights), "c")
        lam = np.linalg.eigvals(J)
        shares.append([np.mean(np.abs(lam - complex(x, y)) < r) for x, y, r in disks])
    assert law.inside(disks) == pytest.approx(np.mean(shares, axis=0), abs=0.006)


def test_hole_of_the_support():
    """J = D W with Haar W fills a ring whose radii are in closed form."""
    rng = np.random.default_rng(9)
    e = 0.4 * rng.standard_normal(2000)
    parameters = Parameters.of(vanilla, weight_std=1.3, input_std=0.0, input_variance=1.0)
    sites = Sites.of(vanilla, parameters, [np.tanh(e)], [e])
    curves = eigenvalue_law(sites, weights="orthogonal").boundary(60)
    slope = np.cosh(e) ** -2.0
    radii = 1.3 * math.sqrt(np.mean(slope**2)), 1.3 / math.sqrt(np.mean(slope**-2))
    for curve, radius in zip(curves, radii, strict=True):
        assert np.abs(curve) == pytest.approx(radius, rel=1e-6)
    (only,) = eigenvalue_law(sites).boundary(60)
    assert np.abs(only) == pytest.approx(radii[0], rel=1e-6)


def test_atoms():
    """Without W_o the states h of an LSTM only follow the c: half of the eigenvalues are 0."""
    rng, width = np.random.default_rng(10), 200
    parameters = at(lstm, LSTM).with_values({"output.weight_std": 0.0})
    states, gates = 0.5 * rng.standard_normal((2, width)), rng.standard_normal((4, width))
    law = eigenvalue_law(Sites.of(lstm, parameters, list(states), list(gates), states[0]))
    stds = [std if k != 2 else 0.0 for k, (std, _, _) in enumerate(LSTM)]
    J = lstm_jacobian(states[1], gates, dense_weights(width, stds, rng))
    rank = np.linalg.matrix_rank(J)
    ((re, im, mass),) = law.atoms()
    assert (re, im) == (0.0, 0.0)
    assert mass == pytest.approx(1 - rank / (2 * width), abs=1e-4)


def test_instability_of_the_nonzero_fixed_points():
    """At lambda = 1 the update gate drops out of S, and rho_0^2 - 1 is what is left."""
    for a_h in (1.6, 3.0, 9.0):
        for a_r in (0.5, 5.0, 90.0):
            found = nonzero_state_variances(a_h, a_r)
            stds = {"update.weight_std": 3.0, "reset.weight_std": a_r, "candidate.weight_std": a_h}
            points = [
                p
                for p in fixed_points(gru, Parameters.of(gru, input_std=0).with_values(stds))
                if not p.vanishes
            ]
            assert [p.moments[0] for p in points] == pytest.approx(found, rel=1e-6)
            for C_h, point in zip(found, points, strict=True):
                assert open_gain(C_h, a_h, a_r) > 1
                assert point.loop_gain(0.0) > 1
                assert not point.stable
