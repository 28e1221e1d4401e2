"""How the cost of a matrix-free sample grows with the width; prints a table and the exponents.

Run as ``python -m benchmarks.matrix_free_scaling --largest 20``.  Times are those of the processor
(all threads together), so that a machine that is busy with other things counts little.  As in the
command ``rmt-jacobian lanczos``, freed memory is kept; with ``--default-allocation`` it is not.
"""

import argparse
import time

import numpy as np
from threadpoolctl import threadpool_limits

from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.cli.allocation import keep_freed_memory
from rmt_jacobian.sampling import JacobianProduct, run_network, sample_matrix_free

_VECTORS, _LANCZOS_VECTORS, _LANCZOS_STEPS = 8, 2, 32


def seconds(action, rounds):
    """Return the least processor time of some rounds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def product_with_a_vector(weights, width, steps, rounds):
    """Return the time of J^T J v."""
    run = run_network(minimalrnn, Parameters.of(minimalrnn), weights=weights, width=width,
                      steps=steps, rng=np.random.default_rng(0))  # fmt: skip
    product = JacobianProduct.of(run)
    v = product.random_signs(np.random.default_rng(1))
    product.gram(v)
    return seconds(lambda: product.gram(v), rounds)


def whole_sample(weights, width, steps, rounds):
    """Return the time of a sample: network, moments by 8 vectors, 32 Lanczos steps of two."""
    return seconds(
        lambda: sample_matrix_free(
            minimalrnn, Parameters.of(minimalrnn), weights=weights, steps=steps, width=width,
            vectors=_VECTORS, lanczos_steps=_LANCZOS_STEPS, lanczos_vectors=_LANCZOS_VECTORS,
            workers=1,
        ),
        rounds,
    )  # fmt: skip


def exponent(widths, times):
    return np.polyfit(np.log(widths), np.log(times), 1)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smallest", type=int, default=12, help="log2 of the width")
    parser.add_argument("--largest", type=int, default=20, help="log2 of the width")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--default-allocation", action="store_true")
    parser.add_argument("--weights", action="append", choices=["fast-orthogonal", "fast-gaussian"])
    options = parser.parse_args()
    if not options.default_allocation:
        keep_freed_memory()
    widths = [2**k for k in range(options.smallest, options.largest + 1)]
    with threadpool_limits(1):
        # The first sample compiles and solves the mean field.
        whole_sample("fast-orthogonal", 256, options.steps, 1)
        for weights in options.weights or ("fast-orthogonal", "fast-gaussian"):
            columns = {
                "J^T J v": [
                    product_with_a_vector(weights, n, options.steps, 5 if n < 2**18 else 2)
                    for n in widths
                ],
                "sample": [
                    whole_sample(weights, n, options.steps, 3 if n < 2**16 else 1) for n in widths
                ],
            }
            print(f"\n{weights}, T = {options.steps}, milliseconds of processor time")
            print(f"{'N':>9}" + "".join(f"{name:>12}" for name in columns))
            for i, n in enumerate(widths):
                row = "".join(f"{1e3 * times[i]:12.1f}" for times in columns.values())
                print(f"{n:9d}{row}")
            fitted = "".join(f"{exponent(widths, times):12.3f}" for times in columns.values())
            print(f"{'exponent':>9}{fitted}", flush=True)


if __name__ == "__main__":
    main()
