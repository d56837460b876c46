"""The light server's secret is made once, kept, and readable by its owner alone."""

import re
import threading
from pathlib import Path

import pytest

from happy.adapters.light.secret import FILE_NAME, master_secret
from happy.domain.errors import StartupError


def test_the_first_start_makes_a_secret_that_later_starts_find(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    made = master_secret(folder)

    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", made)
    assert made == (folder / FILE_NAME).read_text()
    assert made == master_secret(folder)
    assert [FILE_NAME] == [path.name for path in folder.iterdir()]


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    master_secret(folder)

    assert 0o600 == (folder / FILE_NAME).stat().st_mode & 0o777
    assert 0o700 == folder.stat().st_mode & 0o777


def test_a_restored_file_is_closed_to_others_again(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    file.write_text("kept")
    file.chmod(0o644)

    assert "kept" == master_secret(tmp_path)
    assert 0o600 == file.stat().st_mode & 0o777


def test_an_existing_secret_is_trimmed_and_used(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("  of another server of this protocol\n")

    assert "of another server of this protocol" == master_secret(tmp_path)


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_empty_file_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    made = master_secret(tmp_path)

    assert 43 == len(made)
    assert made == master_secret(tmp_path)


def test_servers_that_start_together_agree(tmp_path: Path) -> None:
    seen: list[str] = []
    gate = threading.Barrier(2)

    def start() -> None:
        gate.wait(5)
        seen.append(master_secret(tmp_path))

    (tmp_path / f".{FILE_NAME}.1").write_text("left over by one that was killed")
    starters = [threading.Thread(target=start) for _ in range(2)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(5)

    assert 1 == len({*seen, master_secret(tmp_path)})


def test_a_file_system_without_links_holds_a_secret_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)

    secret = master_secret(tmp_path)

    assert secret == master_secret(tmp_path) == (tmp_path / FILE_NAME).read_text("utf-8")


def test_a_folder_that_cannot_be_used_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StartupError, match=r"cannot use .*/file/data: Not a directory$"):
        master_secret(tmp_path / "file" / "data")


def test_a_damaged_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe\x00")

    with pytest.raises(StartupError, match="damaged"):
        master_secret(tmp_path)
    assert b"\xff\xfe\x00" == (tmp_path / FILE_NAME).read_bytes()
