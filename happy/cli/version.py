"""The command that prints the version, and only with `--check` queries the package index for a later one."""

import platform
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from happy import __version__
from happy.cli.common import PROGRAM, CommandFailed, flavor_option, json_option
from happy.cli.output import Output

if TYPE_CHECKING:
    from happy.adapters.outbound.http_client import WebResponse

INDEX: Final = "https://pypi.org/simple"
MEDIA_TYPE: Final = "application/vnd.pypi.simple.v1+json"
SECONDS: Final = 10.0
RELEASE: Final = re.compile(r"happy_server-(\d{1,9}(?:\.\d{1,9}){0,5})-py3-none-any\.whl")
"""The wheel of a final release; previews are not recommended to anybody."""
NOT_FOUND: Final = 404


@click.command("version")
@click.option(
    "--check",
    is_flag=True,
    help="Query the package index for the latest release; exit code 1 if that fails.",
)
@click.option(
    "--index", default=INDEX, show_default=True, metavar="URL", help="The index that --check queries."
)
@json_option
@flavor_option
def version(*, check: bool, index: str, as_json: bool, flavor: str | None) -> None:  # noqa: ARG001 - same for both
    """Print the version; with --check also the latest release."""
    document: dict[str, Any] = {"version": __version__, "python": platform.python_version()}
    fields = dict(document)
    if check:
        latest = _latest(index.rstrip("/"))
        newer = _number(latest) > _number(__version__)
        document |= {"latest": latest, "newer": newer}
        fields["latest"] = f"{latest} ({'newer' if newer else 'this is not older'})"
    Output(as_json=as_json).details(document, fields)


def _latest(index: str) -> str:
    """The latest final release on the index. Raises CommandFailed when it cannot be reached or has none."""
    import asyncio

    from happy.domain.errors import HappyError

    try:
        response = asyncio.run(_fetch(f"{index}/{PROGRAM}/"))
        if response.status == NOT_FOUND:
            raise CommandFailed(f"{index} has no {PROGRAM}")
        if not response.ok:
            raise CommandFailed(f"{index} answered {response.status}")
        files = response.read(dict[str, Any]).get("files")
    except HappyError as error:
        raise CommandFailed(f"{index} could not be reached within {SECONDS:g} s: no usable answer") from error
    found = sorted(_releases(files if isinstance(files, list) else []), key=_number)
    if not found:
        raise CommandFailed(f"{index} has no release of {PROGRAM}")
    return found[-1]


async def _fetch(url: str) -> "WebResponse":
    from happy.adapters.outbound.http_client import HttpClient

    client = HttpClient(SECONDS)
    try:
        return await client.call("GET", url, headers={"Accept": MEDIA_TYPE})
    finally:
        await client.close()


def _releases(files: Iterable[Any]) -> Iterable[str]:
    """Versions of the wheels that were not withdrawn."""
    for file in files:
        if isinstance(file, dict) and not file.get("yanked"):
            match = RELEASE.fullmatch(str(file.get("filename")))
            if match is not None:
                yield match[1]


def _number(release: str) -> tuple[int, ...]:
    """Comparable: 1.10 is later than 1.9, and 1.0 equals 1."""
    numbers = [int(part) for part in re.findall(r"\d+", release)]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
