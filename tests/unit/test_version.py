"""`version --check` against a package index in miniature."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from happy import __version__
from happy.cli.main import run
from tests.support.outside_services import Answer, Upstream

PATH = "/simple/happy-server/"


@pytest.fixture
def index() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


def files(*versions: str, **more: Any) -> list[dict[str, Any]]:
    return [{"filename": f"happy_server-{each}-py3-none-any.whl", **more} for each in versions]


def check(index: Upstream, *more: str) -> int:
    return run(["version", "--check", "--index", f"{index.url}/simple/", *more], {})


def checked(index: Upstream, capsys: pytest.CaptureFixture[str]) -> Any:
    assert 0 == check(index, "--json")
    return json.loads(capsys.readouterr().out)


def test_the_index_is_not_asked_unless_told_to(index: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["version", "--index", f"{index.url}/simple"], {})
    assert f"version  {__version__}" == capsys.readouterr().out.splitlines()[0]
    assert 0 == run(["version", "--json"], {})
    assert {"version", "python"} == json.loads(capsys.readouterr().out).keys()
    assert [] == index.asked()


def test_the_latest_final_release_that_was_not_withdrawn_counts(
    index: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    offered = [
        *files("0.0.9", "99.9", "99.10", "99.11rc1"),
        *files("100.0", yanked="broken"),
        {"filename": "happy_server-101.0.tar.gz"},
        {"filename": "another-102.0-py3-none-any.whl"},
        {"filename": 7},
        "not a file",
    ]
    index.on("GET", PATH, Answer(json={"files": offered}))

    assert {"latest": "99.10", "newer": True}.items() <= checked(index, capsys).items()
    assert 0 == check(index)
    assert "latest   99.10 (newer)" == capsys.readouterr().out.splitlines()[-1]
    assert "application/vnd.pypi.simple.v1+json" == index.asked()[0].headers["accept"]


@pytest.mark.parametrize("latest", [__version__, f"{__version__}.0", "0.0.1"])
def test_an_equal_or_older_release_is_not_newer(
    index: Upstream, capsys: pytest.CaptureFixture[str], latest: str
) -> None:
    index.on("GET", PATH, Answer(json={"files": files(latest)}))

    assert {"latest": latest, "newer": False}.items() <= checked(index, capsys).items()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer(404), "has no happy-server"),
        (Answer(503), "answered 503"),
        (Answer(302, headers={"Location": "/elsewhere"}), "answered 302"),
        (Answer(json={"files": files("1.0.dev1")}), "has no release of happy-server"),
        (Answer(json={"files": "none"}), "has no release of happy-server"),
        (Answer(body=b"<html>"), "could not be reached within 0.5 s: no usable answer"),
        (Answer(json=[]), "could not be reached within 0.5 s: no usable answer"),
        (Answer(hang=True), "could not be reached within 0.5 s: no usable answer"),
        (Answer(body=b" " * 100, drip=0.1), "could not be reached within 0.5 s: no usable answer"),
    ],
)
def test_an_index_that_does_not_tell_is_one_line_and_exit_code_1(
    index: Upstream,
    answer: Answer,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("happy.cli.version.SECONDS", 0.5)
    index.on("GET", PATH, answer)

    assert 1 == check(index)
    assert ("", f"happy-server: {index.url}/simple {problem}\n") == tuple(capsys.readouterr())


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[", "ftp://127.0.0.1", "simple"])
def test_no_index_at_all_is_one_line_too(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run(["version", "--check", "--index", url], {})
    assert (
        f"happy-server: {url} could not be reached within 10 s: no usable answer\n" == capsys.readouterr().err
    )
