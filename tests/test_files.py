import os
import stat
from pathlib import Path
from typing import IO

import pytest

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.files import check_writable, write_whole


def test_writes_the_bytes_and_makes_folders(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a" / "b" / "data.bin", lambda file: file.write(b"\x00\xff"))
    assert path.read_bytes() == b"\x00\xff"
    assert os.listdir(path.parent) == ["data.bin"]


def test_accepts_a_string(tmp_path: Path) -> None:
    assert write_whole(str(tmp_path / "x"), lambda file: file.write(b"1")).read_bytes() == b"1"


def test_replaces_an_older_file_with_all_of_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a much longer content than the new one")
    write_whole(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"


def test_a_writer_that_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fails(file: IO[bytes]) -> None:
        file.write(b"half")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        write_whole(path, fails)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX")
def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.write_bytes(b"")
    found = write_whole(tmp_path / "ours", lambda file: file.write(b""))
    assert stat.S_IMODE(found.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(ParameterError, match="cannot write"):
        write_whole(tmp_path / "x", lambda file: file.write(b""))
    assert os.listdir(tmp_path) == ["x"]
    with pytest.raises(ParameterError, match="it is a folder"):
        check_writable(tmp_path / "x")


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(ParameterError, match="cannot write"):
        write_whole(tmp_path / "x" / "y", lambda file: file.write(b""))
    with pytest.raises(ParameterError, match="not a folder"):
        check_writable(tmp_path / "x" / "y" / "z")


def test_check_writable_accepts_what_can_be_written_and_writes_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "deep" / "x")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_check_writable_sees_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ParameterError, match="no permission"):
            check_writable(tmp_path / "x")
    finally:
        tmp_path.chmod(0o700)
