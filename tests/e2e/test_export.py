"""An account is given out with everything that is its own, and goes on elsewhere."""

from pathlib import Path

import httpx
import pytest

from happy.adapters.archive.reading import read_secret
from happy.adapters.backups import verify
from tests.e2e.test_backup import Person, server_of
from tests.support.api_client import ApiClient
from tests.support.commands import command
from tests.support.environments import Environment, light_environment

pytestmark = pytest.mark.slow


async def test_one_of_two_friends_moves_out_with_everything_that_is_his_own(
    environment: Environment, tmp_path: Path
) -> None:
    async with (
        server_of(environment, tmp_path / "one") as server,
        ApiClient.signed_in(server.url) as api,
        ApiClient.signed_in(server.url) as friend,
    ):
        person, other = Person(api), Person(friend)
        await person.fill()
        await other.fill()
        seen = await person.seen()
        me, them = [(await each.get("/v1/account/profile"))["id"] for each in (api, friend)]
        await api.post("/v1/friends/add", {"uid": them})
        await friend.post("/v1/friends/add", {"uid": me})

        made = await command(environment, "export", me, str(tmp_path), "--json")
        everything = await command(environment, "export", "--all", str(tmp_path / "all.tar.zst"), "--json")
        nobody = await command(environment, "export", "nobody")

    archive = Path(made.json["path"])
    assert archive.name.startswith(f"happy-account-{me}-")
    _, manifest = verify(archive)
    assert (1, 1, 30, 0) == tuple(
        manifest.tables[name].rows for name in ("Account", "Session", "SessionMessage", "UserRelationship")
    )
    assert (1, 2) == (manifest.files, everything.json["files"])
    assert 1 == nobody.code

    elsewhere = light_environment(tmp_path / "elsewhere")
    taken = await command(elsewhere, "import", str(archive), "--yes", "--json")
    assert (0, "known") == (taken.json["conflictCount"], taken.json["secret"])
    async with (
        server_of(elsewhere, tmp_path / "two") as server,
        ApiClient(server.url, token=api.token) as again,
    ):
        moved = Person(again)
        moved.session, moved.file = person.session, person.file
        found = await moved.seen()
        assert {**seen, "/v1/feed": None} == {**found, "/v1/feed": None}
        assert httpx.codes.OK == (await again.request("GET", "/v1/friends")).status_code


async def test_exports_and_imports_are_in_the_audit_log(environment: Environment, tmp_path: Path) -> None:
    """Whoever takes everything away leaves a trace, whatever the command is called."""
    elsewhere, passphrase = light_environment(tmp_path / "elsewhere"), "correct horse"
    environment.variables["HAPPY_BACKUP_PASSPHRASE"] = passphrase
    async with server_of(environment, tmp_path / "one") as server, ApiClient.signed_in(server.url) as api:
        account = (await api.get("/v1/account/profile"))["id"]
        one, everything = tmp_path / "one.tar.zst", tmp_path / "all.tar.zst"
        assert 0 == (await command(environment, "export", account, str(one))).code
        made = await command(environment, "export", "--all", str(everything), "--with-secret", "--json")
        misplaced = await command(environment, "export", account, str(one), "--with-secret")
    imported = [await command(elsewhere, "import", str(one), *yes) for yes in (["--dry-run"], ["--yes"], [])]
    acts = await acts_of(environment), await acts_of(elsewhere)

    assert (None, []) == (made.json["account"], made.json["dangling"])
    assert read_secret(everything) is not None
    assert (2, [0, 0, 0]) == (misplaced.code, [ended.code for ended in imported])
    assert [
        ("account.export", account, "to one.tar.zst"),
        ("database.backup", "all.tar.zst", "with the master secret"),
    ] == acts[0]
    ((action, subject, detail),) = acts[1]
    assert ("database.import", "one.tar.zst") == (action, subject)
    assert detail.startswith("1 account, ")


async def acts_of(environment: Environment) -> list[tuple[str, str, str]]:
    entries = (await command(environment, "audit", "--json")).json
    return [(entry["action"], entry["subject"], entry["detail"]) for entry in entries]
