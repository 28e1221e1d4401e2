"""Find the critical points that are kept with the package, and write them where they are read.

Run as ``python -m benchmarks.known_points`` before a release; it takes about half an hour.
"""

import json
from pathlib import Path
from typing import Any

import rmt_jacobian as rj
from rmt_jacobian import initialization
from rmt_jacobian.files import write_whole

FIXED = {
    "vanilla": {},
    "gru": {"update.bias_mean": 1.0},
    "gru-reset-after": {"update.bias_mean": 1.0},
    "lstm": {"forget.bias_mean": 1.0},
}
WEIGHTS = ("orthogonal",)
TO = Path(initialization.__file__).with_name("known_points.json")


def entry(cell: str, weights: str) -> dict[str, Any]:
    """Return what is kept of one critical point."""
    found = rj.critical_initialization(
        cell, {"input_variance": 1.0, **FIXED[cell]}, weights=weights, progress=True
    )
    assert found.fresh is not None

    def kept(report: Any) -> dict[str, Any]:
        named = {name: value for name, value in report.parameters.named().items()
                 if name != "input_variance"}  # fmt: skip
        return {
            "parameters": named,
            "growth_rate": report.growth_rate,
            "growth_error": report.growth_error,
        }

    fixed = "".join(f" -p {name}={value:g}" for name, value in FIXED[cell].items())
    return {
        "cell": cell,
        "weights": weights,
        "input_variance": 1.0,
        "horizon": int(found.report.horizon),
        "origin": f"rmt-jacobian critical-init {cell} --tied --weights {weights}{fixed}, seed 0, "
        f"version {rj.__version__}",
        "tied": kept(found.report),
        "untied": kept(found.fresh),
    }


def main() -> None:
    """Write all of them."""
    entries = [entry(cell, weights) for cell in FIXED for weights in WEIGHTS]
    text = json.dumps(entries, indent=1) + "\n"
    write_whole(TO, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    main()
