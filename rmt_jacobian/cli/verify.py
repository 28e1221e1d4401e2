"""``rmt-jacobian verify``: every route to the moments of J J^T beside sampled networks."""

from pathlib import Path

import click

from rmt_jacobian.cli.options import (
    OUTPUT,
    WholeNumber,
    different,
    said_of,
    sampling_options,
    weights_choice,
)
from rmt_jacobian.cli.request import Request, as_json, command
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.files import check_writable, write_whole

__all__ = ["verify_command"]

_FIGURE = "second_moment.png"
_FILES = ("report.md", "report.json", _FIGURE)


@command(
    "verify",
    click.option(
        "--steps",
        type=WholeNumber(min=1, max=100_000),
        multiple=True,
        callback=different,
        default=(1, 2, 5, 10),
        show_default=True,
        help="Number of steps T; repeatable.",
    ),
    click.option(
        "--weights",
        type=weights_choice,
        multiple=True,
        callback=different,
        default=("gaussian", "orthogonal"),
        show_default=True,
        help="Ensemble of W; repeatable.",
    ),
    click.option(
        "--spectra/--no-spectra",
        default=True,
        show_default=True,
        help="Compare singular values with their law too, at the largest T up to 20 (4 if tied).",
    ),
    click.option(
        "--shared/--no-shared",
        default=True,
        show_default=True,
        help="Add networks that keep their weights, T from 2 to 10, beside their own theory.",
    ),
    sampling_options(samples=64),
    click.option(
        "--out",
        type=OUTPUT,
        default=Path("rmt-report"),
        show_default=True,
        help="Folder for report.md, report.json and the figure.",
    ),
    cell="minimalrnn",
)
def verify_command(request: Request) -> None:
    """Compare printed, S-transform and exact moments of J J^T with sampled networks.

    For cells of several states or preactivations: the moments in the limit, on the drawn sites, and
    of steps that are free of each other.

    The singular values of 16 of the networks are compared with their law, too, and networks that
    keep their weights with theirs; with --tied all networks keep them.

    Without arguments: the minimalRNN at the critical point of Figure 1 of Chen et al. (2018).
    """
    asked = request.options
    for name in _FILES:
        _check_file(asked.out / name, asked.json)
    if asked.samples < 2:
        raise ParameterError("--samples must be at least 2, or there is no standard error")

    from rmt_jacobian.comparison import to_json, to_markdown, to_text, verify
    from rmt_jacobian.plotting import save_figure, verification_figure

    found = verify(*request.point, spectra=asked.spectra, shared=asked.shared, **request.sampling)
    content = to_json(found)
    save_figure(verification_figure(found), asked.out / _FIGURE)
    report = to_markdown(found, figure=_FIGURE)
    write_whole(asked.out / "report.json", lambda file: file.write(as_json(content).encode()))
    write_whole(asked.out / "report.md", lambda file: file.write(report.encode()))
    request.say(to_text(found))
    request.say(f"\nwrote {', '.join(str(asked.out / name) for name in _FILES[:2])} and "
                f"{asked.out / _FIGURE}")  # fmt: skip
    request.write(content, settings={})


def _check_file(path: Path, json: str | None) -> None:
    with said_of("--out"):
        check_writable(path)
    if json not in (None, "-") and Path(json).resolve() == path.resolve():
        raise ParameterError(f"--json and --out both write {path}: name another")
