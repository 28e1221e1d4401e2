"""Networks that keep their weights beside their theory: means, resolvents and whole laws.

Run as ``python -m benchmarks.shared_verdicts means`` (5 minutes of one core), ``resolvents``
(paired, on the paths of the drawn sites; 2 minutes), ``laws`` or ``exponents`` (dynamical mean
field theory alone, Lyapunov spectra by QR for the latter), or ``routes`` (the growth rate three
times: of gradients, of the distance of two networks, and from the top of the Lyapunov spectrum).
"""

import argparse
import math
import time
from collections.abc import Iterator

import numpy as np

from rmt_jacobian.arrays import spawn
from rmt_jacobian.cells import Cell, Parameters, gru, lstm, minimalrnn
from rmt_jacobian.comparison import compare
from rmt_jacobian.lyapunov import lyapunov_law
from rmt_jacobian.lyapunov.shared import ring_of
from rmt_jacobian.mean_field import TiedLaw, stationary
from rmt_jacobian.pencils import BlockHistory, SharedChain, ensemble, solve_chain
from rmt_jacobian.pencils.shared.ring import Ring
from rmt_jacobian.sampling import run_network, sample_lyapunov
from rmt_jacobian.sampling.products.product import jacobian_products, singular_values
from rmt_jacobian.singular_values import singular_value_law

POINTS = {
    "minimalrnn": Parameters.of(
        minimalrnn, weight_std=5.0, input_std=2.0, bias_mean=2.0, input_variance=0.46
    ),
    "gru": Parameters.of(gru),
    "lstm": Parameters.of(lstm),
}
CELLS: dict[str, Cell] = {"minimalrnn": minimalrnn, "gru": gru, "lstm": lstm}
ENSEMBLES = ("gaussian", "orthogonal")
S = np.array([0.3 + 0.3j, 1 + 0.5j, 2 + 0.5j, 0.5j])


def mean_squares(
    name: str, weights: str, width: int, steps: int, seed: int, vectors: int = 64
) -> np.ndarray:
    """Return m_1 of 1, ..., T steps of one network, by random vectors."""
    rng = np.random.default_rng(seed)
    run = run_network(
        CELLS[name], POINTS[name], weights=weights, width=width, steps=steps, rng=rng, tied=True
    )
    change = list(rng.choice([-1.0, 1.0], (len(CELLS[name].states), width, vectors)))
    found = []
    for step in run:
        change = step.times(change)
        found.append(sum(np.mean(each**2) for each in change) / len(change))
    return np.array(found)


def means(width: int, networks: int) -> Iterator[str]:
    """Compare m_1 with dynamical mean field theory, and with that of fresh weights."""
    times = np.array([2, 5, 10, 20, 50])
    for name, point in POINTS.items():
        law = stationary(name, point, dynamics="tied", sites=32768)
        assert isinstance(law, TiedLaw)
        growth = law.growth(int(times[-1]), sites=32768)
        tied = growth.mean_squares[times]
        tied_error = growth.samples[:, times].std(axis=0, ddof=1) / math.sqrt(len(growth.samples))
        untied = [stationary(name, point).growth_over_with_error(int(T))[0] ** T for T in times]
        for weights in ENSEMBLES:
            samples = np.array([
                mean_squares(name, weights, width, int(times[-1]), seed) for seed in range(networks)
            ])[:, times - 1]  # fmt: skip
            mean, error = samples.mean(axis=0), samples.std(axis=0, ddof=1) / math.sqrt(networks)
            for k, T in enumerate(times):
                ratio = mean[k] / tied[k]
                of_ratio = ratio * math.hypot(error[k] / mean[k], tied_error[k] / tied[k])
                yield (
                    f"{name:<11} {weights:<11} {T:3d}  {mean[k]:10.4g} ± {error[k]:8.2g}  "
                    f"tied: {ratio:.4f} ± {of_ratio:.4f} ({(ratio - 1) / of_ratio:+.1f})  "
                    f"untied: {mean[k] / untied[k]:.4g}"
                )


def resolvents(width: int, networks: int) -> Iterator[str]:
    """Compare tr (s - H)^-1 of products with the theory on their own paths of sites."""
    for name, cell in CELLS.items():
        for weights in ENSEMBLES:
            excess: dict[int, list[np.ndarray]] = {T: [] for T in (2, 4, 8)}
            for rng in spawn(1, networks):
                run = run_network(
                    cell, POINTS[name], weights=weights, width=width, steps=8, rng=rng, tied=True
                )
                steps = []
                for T, step, product in jacobian_products(run, tuple(excess)):
                    steps.append(step.derivatives)
                    if product is None:
                        continue
                    history = BlockHistory.of(steps, cell)
                    groups = POINTS[name]
                    own = [ensemble(weights, groups[each].weight_std) for each in history.names]
                    theory = solve_chain(SharedChain.of(history, own), S, workers=1)
                    assert theory.converged.all()
                    values = singular_values(product)
                    sampled = np.mean(S[:, None] / (S[:, None] ** 2 - values**2), axis=1)
                    excess[T].append(sampled - theory.cauchy)
            for T, differences in excess.items():
                each = np.array(differences)
                mean = np.abs(each.mean(axis=0))
                error = np.sqrt((each.std(axis=0, ddof=1) ** 2) / networks)
                shown = "  ".join(f"{m:.5f} ± {e:.5f}" for m, e in zip(mean, error, strict=True))
                yield f"{name:<11} {weights:<11} T = {T}  {shown}"


def laws(width: int, networks: int, most: int) -> Iterator[str]:
    """Compare singular values with the law of shared weights."""
    for steps in (T for T in (1, 4, 10) if most >= T):
        for name, cell in CELLS.items():
            state = stationary(name, POINTS[name], dynamics="tied")
            for weights in ENSEMBLES:
                began = time.perf_counter()
                law = singular_value_law(state, weights=weights, steps=steps)
                values = []
                for rng in spawn(2, networks):
                    run = run_network(
                        cell, POINTS[name], weights=weights, width=width, steps=steps, rng=rng,
                        tied=True,
                    )  # fmt: skip
                    ((_, _, product),) = list(jacobian_products(run, (steps,)))[-1:]
                    values.append(singular_values(product))
                found = compare(np.array(values), law)
                yield (
                    f"T = {steps:2d}  {name:<11} {weights:<11} KS {found.ks:.4f}, 99 % null "
                    f"{found.ks_null:.4f}: {found.verdict}; error of the law "
                    f"{law.error_estimate:.4f}, {time.perf_counter() - began:.0f} s"
                )


def exponents(width: int, networks: int, steps: int) -> Iterator[str]:
    """Compare Lyapunov spectra by QR with the law of shared weights."""
    for name in CELLS:
        state = stationary(name, POINTS[name], dynamics="tied")
        for weights in ENSEMBLES:
            began = time.perf_counter()
            law = lyapunov_law(state, weights=weights)
            took = time.perf_counter() - began
            found = sample_lyapunov(
                name, POINTS[name], weights=weights, width=width, steps=steps, samples=networks,
                tied=True, seed=3,
            )  # fmt: skip
            values = np.sort(found.exponents.ravel())
            places = (np.arange(values.size) + 0.5) / values.size
            gap = np.abs(law.cdf(values) - places)
            yield (
                f"{name:<11} {weights:<11} sup |F - sampled| {gap.max():.4f}, mean "
                f"{gap.mean():.4f}; largest {law.largest:.4f}, sampled {values[-1]:.4f}; law in "
                f"{took:.0f} s"
            )


def routes(sites: int) -> Iterator[str]:
    """Return the growth rate of squared gradients by three routes."""
    for name in CELLS:
        law = stationary(name, POINTS[name], dynamics="tied", sites=sites)
        assert isinstance(law, TiedLaw)
        rate, error = law.growth(64, sites=sites).rate(64, since=32)
        yield f"{name:<11} gradients          {rate:.5f} ± {error:.5f}"
        rate, error = law.pair_growth(64, sites=4 * sites).rate(64, since=32)
        yield f"{name:<11} distance           {rate:.5f} ± {error:.5f}"
        tops = []
        for seed in range(4):
            ring = ring_of(law, "gaussian", steps=32, sites=1024, seed=seed)
            tops.append(math.exp(2 * _top(ring, math.log(rate) / 2)))
        yield (
            f"{name:<11} top of the ring    {np.mean(tops):.5f} ± "
            f"{2 * np.std(tops, ddof=1) / 2:.5f}"
        )


def _top(ring: Ring, near: float) -> float:
    """Return where the share above vanishes, by a parabola through small shares."""
    places = near - np.array([0.01, 0.015, 0.02, 0.03, 0.04])
    shares = [ring.state(float(place)).unwrap().above for place in places]
    return float(np.polyval(np.polyfit(shares, places, 2), 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["means", "resolvents", "laws", "exponents", "routes"])
    parser.add_argument("--sites", type=int, default=65536)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--width", type=int)
    parser.add_argument("--networks", type=int)
    parser.add_argument("--most-steps", type=int, default=10)
    asked = parser.parse_args()
    if asked.what == "means":
        lines = means(asked.width or 2000, asked.networks or 8)
    elif asked.what == "resolvents":
        lines = resolvents(asked.width or 600, asked.networks or 4)
    elif asked.what == "exponents":
        lines = exponents(asked.width or 1000, asked.networks or 1, asked.steps)
    elif asked.what == "routes":
        lines = routes(asked.sites)
    else:
        lines = laws(asked.width or 1500, asked.networks or 1, asked.most_steps)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
