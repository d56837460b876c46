"""Which flavor the environment asks for, what each variable means, and the one line a wrong one gets."""

import base64
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from happy.settings import (
    S3,
    Full,
    GithubSettings,
    Light,
    OutboundSettings,
    RegistrationSettings,
    Secret,
    SettingsError,
    Ui,
    VoiceSettings,
    load,
)
from happy.settings.model import LOOPBACK, NEARBY, PRIVATE

HOME = {"HOME": "/home/ada"}
POSTGRES = "postgresql://ada:pa55@db/happy"
FULL = {"DATABASE_URL": POSTGRES, "HANDY_MASTER_SECRET": "s3cret"}
S3_VARIABLES = {
    "S3_HOST": "s3.example.org",
    "S3_ACCESS_KEY": "acc3ss",
    "S3_SECRET_KEY": "k3y",
    "S3_BUCKET": "happy",
    "S3_PUBLIC_URL": "https://files.example.org/",
}


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")


def light(**variables: str) -> Light:
    settings = load(variables, flavor="light")
    assert isinstance(settings, Light)
    return settings


def full(**variables: str) -> Full:
    settings = load({**FULL, **variables}, flavor="full")
    assert isinstance(settings, Full)
    return settings


# ---- the flavor


@pytest.mark.parametrize(
    ("variables", "flavor", "expected"),
    [
        ({}, None, Light),
        (FULL, None, Full),
        ({**FULL, "DATABASE_URL": "postgres://db/happy"}, None, Full),
        (FULL | {"DB_PROVIDER": "postgres"}, None, Full),
        (FULL | {"DB_PROVIDER": "pglite", "DATA_DIR": "/data"}, None, Light),
        ({"DATABASE_URL": "file:/tmp/x.sqlite"}, None, Light),
        ({"HAPPY_FLAVOR": "light"}, None, Light),
        (FULL | {"HAPPY_FLAVOR": "full"}, None, Full),
        ({"HAPPY_FLAVOR": "full"}, "light", Light),
        (FULL | {"HAPPY_FLAVOR": "light"}, "full", Full),
        ({"HAPPY_FLAVOR": " "}, None, Light),
    ],
)
def test_the_flavor_is_named_or_follows_from_the_database(
    variables: dict[str, str], flavor: str | None, expected: type
) -> None:
    assert isinstance(load(variables, flavor=flavor), expected)


# ---- light


def test_nothing_set_gives_a_server_for_one_household() -> None:
    expected = Light(
        host="0.0.0.0",
        port=3005,
        public_url=None,
        ui=None,
        metrics_port=9090,
        log_level="info",
        remote_debug_log=False,
        data_dir=Path("/home/ada/.happy/server-light"),
        database=Path("/home/ada/.happy/server-light/happy-server-light.sqlite"),
        files_dir=Path("/home/ada/.happy/server-light/files"),
        synchronous="FULL",
        secret=None,
    )

    assert expected == light()


def test_blank_variables_count_as_unset() -> None:
    names = ("PORT", "HOST", "DATABASE_URL", "HANDY_MASTER_SECRET", "HAPPY_SERVER_LIGHT_DATA_DIR")
    blank = dict.fromkeys((*names, "HAPPY_SERVER_LIGHT_FILES_DIR", "PUBLIC_URL", "METRICS_PORT"), " \t")

    assert light() == light(**blank)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", []),
        ("loopback", ["127.0.0.0/8", "::1/128"]),
        (
            "loopback, 203.0.113.9, 2001:db8::1/32,",
            ["127.0.0.0/8", "::1/128", "203.0.113.9/32", "2001:db8::/32"],
        ),
        (" ", [str(network) for network in NEARBY]),
        ("Private,loopback", [*PRIVATE, *LOOPBACK]),
    ],
)
def test_proxies_are_trusted_by_network_or_by_word(text: str, expected: list[str]) -> None:
    assert expected == [str(network) for network in light(HAPPY_TRUSTED_PROXIES=text).trusted_proxies]


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.0/33", "none,private", "0.0.0.0/0;"])
def test_a_trusted_proxy_that_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="HAPPY_TRUSTED_PROXIES: expected networks such as"):
        light(HAPPY_TRUSTED_PROXIES=text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("*", None),
        ("https://Happy.example.org/", ("https://happy.example.org",)),
        ("http://localhost:8081, tauri://localhost", ("http://localhost:8081", "tauri://localhost")),
    ],
)
def test_origins_are_named_as_browsers_send_them(text: str, expected: tuple[str, ...] | None) -> None:
    assert expected == light(HAPPY_CORS_ORIGINS=text).cors_origins


@pytest.mark.parametrize(
    "text", ["happy.example.org", "*,https://a.example", "https://a.example/app", "https://*.a.example", ","]
)
def test_an_origin_that_no_browser_sends_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"HAPPY_CORS_ORIGINS: expected \* or origins such as"):
        light(HAPPY_CORS_ORIGINS=text)


def test_every_light_variable_is_obeyed() -> None:
    settings = light(
        HOST="127.0.0.1",
        PORT="8080",
        PUBLIC_URL="https://happy.example.org/base//",
        METRICS_PORT="9999",
        HAPPY_LOG_LEVEL="debug",
        HAPPY_DOCS="false",
        DANGEROUSLY_LOG_TO_SERVER_FOR_AI_AUTO_DEBUGGING="0",
        HAPPY_SERVER_LIGHT_DATA_DIR="~/data",
        HAPPY_SERVER_LIGHT_FILES_DIR=" /files ",
        DATABASE_URL="file:/elsewhere/my.sqlite",
        HAPPY_SQLITE_SYNCHRONOUS="NORMAL",
        HANDY_MASTER_SECRET=" spaces count ",
    )

    expected = Light(
        host="127.0.0.1",
        port=8080,
        public_url="https://happy.example.org/base",
        ui=None,
        metrics_port=9999,
        log_level="debug",
        docs=False,
        remote_debug_log=True,
        data_dir=Path("/home/ada/data"),
        database=Path("/elsewhere/my.sqlite"),
        files_dir=Path("/files"),
        synchronous="NORMAL",
        secret=Secret(" spaces count "),
    )
    assert expected == settings


def test_database_and_files_follow_the_data_directory() -> None:
    settings = light(HAPPY_SERVER_LIGHT_DATA_DIR="/srv/happy")

    assert Path("/srv/happy/happy-server-light.sqlite") == settings.database
    assert Path("/srv/happy/files") == settings.files_dir


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("file:/a/b.sqlite", "/a/b.sqlite"),
        ("file:///a/b.sqlite", "/a/b.sqlite"),
        ("file:/a/b c.sqlite?connection_limit=1", "/a/b c.sqlite"),
        ("file:b.sqlite", "{cwd}/b.sqlite"),
        ("file:./b.sqlite", "{cwd}/b.sqlite"),
    ],
)
def test_a_sqlite_address_names_a_file(url: str, expected: str) -> None:
    assert Path(expected.format(cwd=Path.cwd())) == light(DATABASE_URL=url).database


@pytest.mark.parametrize(
    ("value", "port"), [("true", 9090), ("0", 9090), ("", 9090), ("False", 9090), ("false", None)]
)
def test_metrics_are_off_for_exactly_false(value: str, port: int | None) -> None:
    assert port == light(METRICS_ENABLED=value).metrics_port


def test_the_launcher_of_the_embedded_server_gets_a_light_one_in_its_data_directory() -> None:
    settings = load(
        {**FULL, "DB_PROVIDER": "pglite", "DATA_DIR": "/data", "HOST": "127.0.0.1", "PORT": "4000"}
    )

    assert isinstance(settings, Light)
    assert Path("/data/happy-server-light.sqlite") == settings.database
    assert Path("/data/files") == settings.files_dir
    assert ("127.0.0.1", 4000) == (settings.host, settings.port)
    assert Secret("s3cret") == settings.secret


def test_without_that_launcher_a_stray_data_dir_does_not_move_the_data() -> None:
    assert light().data_dir == light(DATA_DIR="/data").data_dir


# ---- the web app


def test_a_web_app_is_served_from_the_folder_that_is_named() -> None:
    expected = Ui(folder=Path("/srv/app"), prefix="/", config={"serverUrl": "http://ada"})

    assert (
        expected
        == light(HAPPY_SERVER_UI_DIR="/srv/app", HAPPY_INJECT_HTML_CONFIG='{"serverUrl":"http://ada"}').ui
    )


@pytest.mark.parametrize(
    ("variables", "prefix"),
    [
        ({"HAPPY_SERVER_UI_PREFIX": "/ui/"}, "/ui"),
        ({"HAPPY_SERVER_LIGHT_UI_PREFIX": "/ui"}, "/ui"),
        ({"HAPPY_SERVER_UI_PREFIX": " ", "HAPPY_SERVER_LIGHT_UI_PREFIX": "/ui"}, "/"),
    ],
)
def test_the_prefix_has_a_legacy_name_that_a_blank_new_one_hides(
    variables: dict[str, str], prefix: str
) -> None:
    ui = light(HAPPY_SERVER_LIGHT_UI_DIR="/srv/app", **variables).ui

    assert ui is not None
    assert prefix == ui.prefix


@pytest.mark.parametrize("text", ["{", "[]", "5", " "])
def test_an_injected_configuration_that_is_no_object_is_ignored(text: str) -> None:
    ui = light(HAPPY_SERVER_UI_DIR="/srv/app", HAPPY_INJECT_HTML_CONFIG=text).ui

    assert ui is not None
    assert {} == ui.config


def test_an_unnamed_web_app_is_found_by_its_page(tmp_path: Path) -> None:
    assert light(HAPPY_STATIC_DIR=str(tmp_path)).ui is None
    (tmp_path / "index.html").write_text("")

    assert Ui(folder=tmp_path, prefix="/", config={}) == light(HAPPY_STATIC_DIR=str(tmp_path)).ui


# ---- the .env file


def test_a_dotenv_file_fills_in_what_the_environment_lacks(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("PORT=4000\nPUBLIC_URL=http://ada\n")
    settings = load({"PORT": "5000", "PUBLIC_URL": " "}, dotenv=dotenv)

    assert (5000, "http://ada") == (settings.port, settings.public_url)


def test_the_full_flavor_reads_no_dotenv_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("PORT=4000")

    assert 3005 == load(FULL, dotenv=dotenv).port
    assert 3005 == load({}, dotenv=tmp_path / "absent").port


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("HANDY_MASTER_SECRET=plain", "plain"),
        ("  export HANDY_MASTER_SECRET = plain  # why", "plain"),
        ("HANDY_MASTER_SECRET=a b\r", "a b"),
        ("HANDY_MASTER_SECRET='it # stays \\n'", "it # stays \\n"),
        ('HANDY_MASTER_SECRET="two\\nlines"', "two\nlines"),
        ('HANDY_MASTER_SECRET="two\nlines"  # why', "two\nlines"),
        ("HANDY_MASTER_SECRET=`\"'`", "\"'"),
        ("HANDY_MASTER_SECRET=`a # b`  # why", "a # b"),
        ("\ufeffHANDY_MASTER_SECRET=first", "first"),
        ("OTHER=1\r\nHANDY_MASTER_SECRET=plain\r\nMORE='2'\r\n", "plain"),
        ("HANDY_MASTER_SECRET='a#b'", "a#b"),
        ('OTHER="open\nHANDY_MASTER_SECRET=plain', "plain"),
        ("# HANDY_MASTER_SECRET=no", None),
        ("HANDY_MASTER_SECRET=", None),
        ("nonsense", None),
        ("OTHER=1\n\nHANDY_MASTER_SECRET=x=y\nMORE='2'", "x=y"),
    ],
)
def test_lines_of_a_dotenv_file(tmp_path: Path, line: str, value: str | None) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(line.encode())
    settings = load({}, dotenv=dotenv)

    assert value == settings.secret


def test_lines_of_a_dotenv_file_that_are_not_understood_are_named_without_their_text(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"\r\nPORT=4000\r\n\r\nhunter2\r\nPUBLIC_URL='http://hunter2\r\n# fine\r\n")
    settings = load({}, dotenv=dotenv)

    assert 4000 == settings.port
    assert (
        f"{dotenv}: lines 4, 5 not understood and ignored: expected NAME=value, with closed quotes if any",
    ) == settings.warnings


@pytest.mark.parametrize("value", ["s3cret#1", "#s3cret"])
def test_an_unquoted_secret_with_a_hash_is_refused(tmp_path: Path, value: str) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"PORT=1\nHANDY_MASTER_SECRET={value}\n")

    with pytest.raises(
        SettingsError, match=r"\.env line 2: HANDY_MASTER_SECRET holds a #: put quotes"
    ) as caught:
        load({}, dotenv=dotenv)
    assert "s3cret" not in str(caught.value)


def test_a_dotenv_that_is_a_folder_is_named(tmp_path: Path) -> None:
    settings = load({}, dotenv=tmp_path)

    assert (f"{tmp_path} is a folder and not read: expected a text file",) == settings.warnings


def test_no_library_is_imported_for_a_dotenv_file_that_is_not_there(tmp_path: Path) -> None:
    program = "import sys, pathlib; from happy.settings import load; load({}, dotenv=pathlib.Path('.env'));"
    program += "print('dotenv' in sys.modules)"
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "HOME": "/"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "False\n" == ran.stdout


def test_a_dotenv_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"\xff\xfe")

    with pytest.raises(SettingsError, match=r"\.env: expected a readable text file"):
        load({}, dotenv=dotenv)


# ---- full


def test_full_needs_a_database_and_a_secret_and_takes_the_rest_as_given() -> None:
    settings = full(REDIS_URL="redis://cache:6379", DATA_DIR="/data")

    assert Secret(POSTGRES) == settings.database_url
    assert Secret("redis://cache:6379") == settings.redis_url
    assert Path("/data/files") == settings.files


def test_an_s3_host_selects_the_object_store() -> None:
    expected = S3(
        host="s3.example.org",
        port=None,
        use_ssl=True,
        region="us-east-1",
        bucket="happy",
        access_key=Secret("acc3ss"),
        secret_key=Secret("k3y"),
        public_url="https://files.example.org",
    )

    assert expected == full(**S3_VARIABLES).files


def test_clients_may_reach_the_object_store_under_another_address() -> None:
    files = full(**S3_VARIABLES, HAPPY_S3_PUBLIC_ENDPOINT="https://s3.example.com/").files

    assert isinstance(files, S3)
    assert "https://s3.example.com" == files.public_endpoint


@pytest.mark.parametrize(("value", "expected"), [("", True), ("true", True), ("false", False), ("1", False)])
def test_only_the_word_true_turns_tls_on(value: str, expected: bool) -> None:
    files = full(**S3_VARIABLES, S3_USE_SSL=value).files

    assert isinstance(files, S3)
    assert expected == files.use_ssl


# ---- what others set under these names


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "tcp://10.0.0.1:3005", "the link to another service"),
        ("METRICS_PORT", " udp://10.0.0.1:9090", "the link to another service"),
        ("PORT", "/dev/ttyUSB0", "a device or a path"),
        ("HOST", "x86_64-conda-linux-gnu", "toolchain"),
        ("HOST", "aarch64-apple-darwin20.0.0", "toolchain"),
        ("HOST", socket.gethostname(), "this machine's name"),
        ("PUBLIC_URL", "/", "a path"),
        ("PUBLIC_URL", ".", "a path"),
    ],
)
def test_a_variable_that_somebody_else_set_is_a_warning_and_the_default(
    name: str, value: str, said: str
) -> None:
    settings = light(**{name: value})

    assert light() == msgspec.structs.replace(settings, warnings=())
    assert 1 == len(settings.warnings)
    assert settings.warnings[0].startswith(f"{name} is not used: it holds ")
    assert said in settings.warnings[0]
    assert len(value) == 1 or value not in settings.warnings[0]


def test_the_port_of_another_service_is_not_the_object_stores() -> None:
    settings = full(**S3_VARIABLES, S3_PORT="tcp://10.0.0.7:9000")

    assert isinstance(settings.files, S3)
    assert None is settings.files.port
    assert 1 == len(settings.warnings)


def test_spaces_around_a_value_do_not_count() -> None:
    spaced = {name: f" {value}\t\r\n" for name, value in {**S3_VARIABLES, "DATABASE_URL": POSTGRES}.items()}
    spaced |= {"PORT": " 4000\n", "HOST": " 127.0.0.1 ", "REDIS_URL": "redis://cache\r"}
    settings = full(**spaced)

    assert full(**S3_VARIABLES, PORT="4000", HOST="127.0.0.1", REDIS_URL="redis://cache") == settings


# ---- what a wrong value is told


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PORT": "eighty"}, "PORT: expected a port from 1 to 65535, got 'eighty'"),
        ({"PORT": "0"}, "PORT: expected a port from 1 to 65535, got '0'"),
        ({"PORT": "-1"}, "PORT: expected a port from 1 to 65535, got '-1'"),
        ({"PORT": "65536"}, "PORT: expected a port from 1 to 65535, got '65536'"),
        ({"PORT": "²"}, "PORT: expected a port from 1 to 65535, got '²'"),
        ({"METRICS_PORT": "x"}, "METRICS_PORT: expected a port from 1 to 65535, got 'x'"),
        ({"HOST": "my-laptop"}, "HOST: expected an IP address to listen on, .*, got 'my-laptop'"),
        ({"PUBLIC_URL": "happy.org"}, "PUBLIC_URL: expected an address such as .*, got 'happy.org'"),
        ({"PUBLIC_URL": "https://a.org/v1"}, "PUBLIC_URL: expected an address without .* a path such as /v1"),
        ({"PUBLIC_URL": "https://a.org/x?y=1"}, "PUBLIC_URL: expected an address without"),
        (
            {"HAPPY_SERVER_UI_DIR": "/a", "HAPPY_SERVER_UI_PREFIX": "ui"},
            "HAPPY_SERVER_UI_PREFIX: expected a path",
        ),
        ({"HAPPY_FLAVOR": "huge"}, "HAPPY_FLAVOR: expected light or full, got 'huge'"),
        ({"DB_PROVIDER": "mysql"}, "DB_PROVIDER: expected pglite or postgres, got 'mysql'"),
        (
            {"HAPPY_LOG_LEVEL": "all"},
            "HAPPY_LOG_LEVEL: expected debug or info or warning or error, got 'all'",
        ),
        ({"HAPPY_SQLITE_SYNCHRONOUS": "OFF"}, "HAPPY_SQLITE_SYNCHRONOUS: expected FULL or NORMAL, got 'OFF'"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL: expected file:<path of the SQLite database>"),
        ({"DATABASE_URL": "file:"}, "DATABASE_URL: expected file:<path of the SQLite database>"),
        (
            FULL | {"HAPPY_FLAVOR": "light"},
            "DATABASE_URL: expected file:<path of the SQLite database> .*PostgreSQL is for --flavor full",
        ),
        ({"HAPPY_FLAVOR": "full", "DATABASE_URL": POSTGRES}, "HANDY_MASTER_SECRET is required"),
        ({"HAPPY_FLAVOR": "full", "HANDY_MASTER_SECRET": "s"}, "DATABASE_URL: expected postgresql://"),
        ({"DB_PROVIDER": "postgres", "HANDY_MASTER_SECRET": "s"}, "DATABASE_URL: expected postgresql://"),
        (FULL | {"REDIS_URL": "cache"}, "REDIS_URL: expected redis://"),
        (FULL | {"S3_HOST": "x"}, "Missing required env var: S3_BUCKET"),
        (FULL | S3_VARIABLES | {"S3_PORT": "x"}, "S3_PORT: expected a port"),
        (
            FULL | S3_VARIABLES | {"HAPPY_S3_PUBLIC_ENDPOINT": "x"},
            "HAPPY_S3_PUBLIC_ENDPOINT: expected an address",
        ),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_with_what_is_expected(
    variables: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load({**HOME, **variables})
    assert "\n" not in str(caught.value)
    assert "pa55" not in str(caught.value)


def test_a_wrong_flavor_on_the_command_line_is_named() -> None:
    with pytest.raises(SettingsError, match="--flavor: expected light or full, got 'huge'"):
        load({}, flavor="huge")


def test_an_unknown_home_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)

    with pytest.raises(SettingsError, match=r"HAPPY_SERVER_LIGHT_DATA_DIR: .*home directory is unknown"):
        load({})


def test_printed_settings_show_no_credential() -> None:
    settings = full(REDIS_URL="redis://:pa55@cache", **S3_VARIABLES)
    shown = f"{settings} {settings!r} {light(HANDY_MASTER_SECRET='s3cret')}"

    assert [] == [word for word in ("pa55", "s3cret", "acc3ss", "k3y") if word in shown]


# ---- other companies' services


def test_outside_services_have_their_public_addresses_by_default() -> None:
    assert OutboundSettings() == light().outbound == full().outbound


def test_every_outside_variable_is_obeyed() -> None:
    settings = light(
        HAPPY_EXPO_URL="http://127.0.0.1:1/",
        HAPPY_GITHUB_URL="http://127.0.0.1:2",
        HAPPY_GITHUB_API_URL="http://127.0.0.1:3/api/v3",
        HAPPY_ELEVENLABS_URL="http://127.0.0.1:4",
        HAPPY_REVENUECAT_URL="http://127.0.0.1:5",
        HAPPY_REVENUECAT_PROJECT="proj1",
        HAPPY_APP_URL="https://app.example.org/",
        HAPPY_AVATAR_PRIVATE_HOSTS="on",
        HAPPY_VOICE_REQUIRE_SUBSCRIPTION="1",
        GITHUB_CLIENT_ID="id",
        GITHUB_CLIENT_SECRET=" s3cret\n",
        GITHUB_REDIRECT_URL="https://happy.example.org/callback/",
        ELEVENLABS_API_KEY="el",
        REVENUECAT_API_KEY="rc",
    )

    expected = OutboundSettings(
        expo_url="http://127.0.0.1:1",
        private_avatars=True,
        github=GithubSettings(
            url="http://127.0.0.1:2",
            api_url="http://127.0.0.1:3/api/v3",
            return_url="https://app.example.org",
            client_id="id",
            client_secret=Secret("s3cret"),
            redirect_url="https://happy.example.org/callback/",
        ),
        voice=VoiceSettings(
            elevenlabs_url="http://127.0.0.1:4",
            elevenlabs_key=Secret("el"),
            revenuecat_url="http://127.0.0.1:5",
            revenuecat_key=Secret("rc"),
            revenuecat_project="proj1",
            require_subscription=True,
        ),
    )
    assert expected == settings.outbound


GITHUB = {
    "GITHUB_CLIENT_ID": "id",
    "GITHUB_CLIENT_SECRET": "s3cret",
    "GITHUB_APP_ID": "1",
    "GITHUB_PRIVATE_KEY": "pem",
    "GITHUB_WEBHOOK_SECRET": "h00k",
}


@pytest.mark.parametrize("redirect", ["GITHUB_REDIRECT_URL", "GITHUB_REDIRECT_URI"])
def test_webhooks_need_everything_about_the_app_and_one_redirect_address(redirect: str) -> None:
    complete = {**GITHUB, redirect: "https://h/cb"}

    assert ("h00k", "https://h/cb") == (
        light(**complete).outbound.github.webhook_secret,
        light(**complete).outbound.github.redirect_url,
    )
    for missing in complete:
        partial = {name: value for name, value in complete.items() if name != missing}
        assert None is light(**partial).outbound.github.webhook_secret


def test_printed_outside_settings_show_no_credential() -> None:
    keys = {"ELEVENLABS_API_KEY": "3l", "REVENUECAT_API_KEY": "rc4t"}
    shown = repr(light(**GITHUB, GITHUB_REDIRECT_URL="https://h/cb", **keys))

    assert [] == [word for word in ("s3cret", "h00k", "3l", "rc4t") if word in shown]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("HAPPY_EXPO_URL", "HAPPY_EXPO_URL: expected an address such as"),
        ("HAPPY_APP_URL", "HAPPY_APP_URL: expected an address such as"),
        ("HAPPY_AVATAR_PRIVATE_HOSTS", "HAPPY_AVATAR_PRIVATE_HOSTS: expected true or false, got 'perhaps'"),
        ("HAPPY_VOICE_REQUIRE_SUBSCRIPTION", "HAPPY_VOICE_REQUIRE_SUBSCRIPTION: expected true or false"),
    ],
)
def test_an_outside_variable_that_cannot_be_used_is_named(name: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        light(**{name: "perhaps"})


# ---- who may make an account

KEY = "0F" * 32
BASE64 = base64.b64encode(bytes.fromhex(KEY)).decode()


def test_keys_that_may_make_an_account_are_hex_or_base64(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# the family\n{'AB' * 32}  # Ada\n\n{BASE64.rstrip('=')}\n")
    found = light(
        HAPPY_REGISTRATION="closed",
        HAPPY_REGISTRATION_KEYS=f"{KEY.lower()}, {'CD' * 32} {BASE64}",
        HAPPY_REGISTRATION_KEYS_FILE=str(file),
    ).registration

    assert RegistrationSettings(mode="closed", keys=(KEY, "CD" * 32, "AB" * 32)) == found
    assert RegistrationSettings(mode="open", keys=()) == full().registration


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"HAPPY_REGISTRATION": "private"}, "HAPPY_REGISTRATION: expected open or first or approve"),
        ({"HAPPY_REGISTRATION_KEYS": KEY[:-1]}, "HAPPY_REGISTRATION_KEYS: expected a public key in hex"),
        ({"HAPPY_REGISTRATION_KEYS_FILE": "/nowhere"}, "HAPPY_REGISTRATION_KEYS_FILE: expected a readable"),
    ],
)
def test_a_wrong_registration_is_named(variables: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        light(**variables)


def test_a_wrong_line_among_keys_is_named_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEY}\nada\n")
    with pytest.raises(SettingsError, match="line 2: expected a public key in hex"):
        light(HAPPY_REGISTRATION_KEYS_FILE=str(file))


# ---- backups


def test_backups_go_to_a_folder_or_an_object_store() -> None:
    assert None is light().backups.target
    assert "/var/backups/happy" == light(HAPPY_BACKUP_DIR=" /var/backups/happy ").backups.target
    assert "/home/ada/backups" == light(HAPPY_BACKUP_DIR="~/backups").backups.target
    found = full(**S3_VARIABLES, HAPPY_BACKUP_DIR="s3://kept/here", HAPPY_BACKUP_EVERY="90m").backups
    assert ("s3://kept/here", 5400, (7, 4, 6)) == (found.target, found.every_seconds, found.keep)
    assert (30, 0, 12) == light(HAPPY_BACKUP_KEEP="30, 0, 12").backups.keep


def test_the_object_store_of_backups_is_that_of_files_unless_it_has_a_host_of_its_own() -> None:
    same = full(**S3_VARIABLES).backups.store
    assert same is not None
    assert ("s3.example.org", "acc3ss") == (same.host, same.access_key)

    own = full(**S3_VARIABLES, HAPPY_BACKUP_S3_HOST="other.example.org").backups.store

    assert own is not None
    assert ("other.example.org", "", "us-east-1") == (own.host, own.access_key, own.region)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HAPPY_BACKUP_DIR", "s3://", "expected a folder or s3://bucket/prefix"),
        ("HAPPY_BACKUP_EVERY", "daily", "expected a period such as 24h"),
        ("HAPPY_BACKUP_EVERY", "0h", "expected a period such as 24h"),
        ("HAPPY_BACKUP_KEEP", "7", "expected numbers of days, weeks and months"),
    ],
)
def test_a_setting_of_backups_that_cannot_be_used_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: {message}"):
        light(**{name: value})
