"""The notes of a release, cut out of the changelog."""

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CHANGELOG = """# Changelog

## [Unreleased]

- not yet

## [0.2.0] - 2026-12-01

### Added

- something

## [0.1.0] - 2026-11-01

- the first
"""


def notes(folder: Path, version: str) -> subprocess.CompletedProcess[str]:
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    return subprocess.run(
        [REPOSITORY / ".ci" / "release-notes", version],
        env={"CHANGELOG": str(folder / "CHANGELOG.md"), "PATH": "/usr/bin:/bin"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_notes_of_a_release_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    assert "### Added\n\n- something\n" == notes(tmp_path, "0.2.0").stdout
    assert "- the first\n" == notes(tmp_path, "0.1.0").stdout


def test_a_release_without_notes_is_refused(tmp_path: Path) -> None:
    ended = notes(tmp_path, "0.3.0")

    assert (1, "") == (ended.returncode, ended.stdout)
    assert "no section [0.3.0]" in ended.stderr
