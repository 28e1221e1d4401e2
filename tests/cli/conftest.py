"""What the tests of the command line share."""

from collections.abc import Callable
from typing import Any

import pytest

from rmt_jacobian.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch) -> Callable[..., tuple[Any, str, str]]:
    """Run a command line in an empty folder; return exit status, standard output and error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return call
