"""``rmt-jacobian run``: ensembles and sweeps that can be interrupted and resumed."""

import shlex
from contextlib import closing, nullcontext
from typing import Any

import click

from rmt_jacobian.cli.options import OUTPUT, WholeNumber
from rmt_jacobian.cli.request import Request, command
from rmt_jacobian.cli.show import check_figure, report_store
from rmt_jacobian.errors import ParameterError

__all__ = ["run_command"]

_PATIENCE = 30  # seconds for a scheduler to answer
_INTERRUPTED, _UNFINISHED = 130, 1


@command(
    "run",
    click.argument("specification", metavar="SPEC.toml", type=OUTPUT),
    click.option(
        "--store",
        type=OUTPUT,
        required=True,
        metavar="PATH",
        help="Folder that every finished sample is added to, in the Zarr format.",
    ),
    click.option(
        "--workers",
        type=WholeNumber(min=1, max=10_000),
        help="Processes on this machine; default: one for each core.",
    ),
    click.option(
        "--dask",
        metavar="ADDRESS",
        help="Scheduler of a dask.distributed cluster to run on.",
    ),
    click.option(
        "--resume", is_flag=True, help="Go on with the store; start it if it does not exist yet."
    ),
    figure="Draw the results, as rmt-jacobian show does.",
    table="all points of the grid",
)
def run_command(request: Request) -> int | None:
    """Run an ensemble of networks, or a sweep of the theory, over a grid of parameters.

    Whatever interrupts it, Ctrl-C, a kill, a full disk or the death of workers, finished samples
    are kept, and --resume ends with the store of an uninterrupted run.
    """
    asked = request.options
    if asked.dask is not None and asked.workers is not None:
        raise ParameterError("--workers are processes here and --dask is a cluster: give only one")

    from rmt_jacobian.runs import UnfinishedRunError, execute, open_store, read_run

    run = read_run(asked.specification)
    check_figure(asked.figure, len(run.grid.axes))
    again = shlex.join(
        ["rmt-jacobian", "run", str(asked.specification), "--store", str(asked.store),
         *(["--dask", asked.dask] if asked.dask else []), "--resume"]
    )  # fmt: skip
    try:
        with nullcontext() if asked.dask is None else closing(_client(asked.dask)) as client:
            done = execute(
                run, asked.store, executor=client, workers=asked.workers, resume=asked.resume,
                progress=True, say=lambda text: click.echo(f"rmt-jacobian: {text}", err=True),
            )  # fmt: skip
        report_store(request, done)
    except KeyboardInterrupt:
        kept = "nothing was stored"
        if asked.store.exists():
            status = open_store(asked.store).status()
            kept = f"{(status != 0).sum()} of {status.size} are stored"
        click.echo(f"rmt-jacobian: interrupted: {kept}; go on with: {again}", err=True)
        return _INTERRUPTED
    except UnfinishedRunError as error:
        text = " ".join(str(error).split())
        click.echo(f"rmt-jacobian: {text}; go on with: {again}", err=True)
        return _UNFINISHED
    return None


def _client(address: str) -> Any:
    try:
        from distributed import Client  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ParameterError(
            "--dask needs dask.distributed: pip install 'rmt-jacobian[dask]', or use --workers"
        ) from error
    try:
        return Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error) or type(error).__name__
        raise ParameterError(f"no dask scheduler answers at {address}: {reason}") from error
