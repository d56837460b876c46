"""Every proxy example of the documentation, started before a real server with the address as it is typed."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest

from tests.support.api_client import ApiClient
from tests.support.official_client import NodeClient
from tests.support.reverse_proxies import DOCUMENTATION, Setup, nginx_at, nginx_with, started
from tests.support.server_process import Server, free_port

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]
CERTIFICATE = "/etc/ssl/happy.pem"
MODULES = Path("/usr/lib/apache2/modules")
EXAMPLES = [
    (language, text)
    for language, text in re.findall(r"```([\w-]+)\n(.*?)```", DOCUMENTATION.read_text("utf-8"), re.DOTALL)
    if language not in {"yaml", "sh"}  # Traefik, Cloudflare and Tailscale, which cannot be run here
    and "location /happy/" not in text  # test_address_with_a_path has a server for that
]


def caddy(text: str, folder: Path, port: int) -> Setup:
    site = text.replace("happy.example.org {", f"http://127.0.0.1:{port} {{")
    command = ["run", "--adapter", "caddyfile", "--config", str(folder / "caddy")]
    return Setup("{\n\tadmin off\n}\n" + site, command)


def nginx(text: str, folder: Path, port: int) -> Setup:
    return nginx_with(folder, text.replace("listen 443 ", f"listen 127.0.0.1:{port} "))


def nginx_locations(text: str, folder: Path, port: int) -> Setup:
    """What Nginx Proxy Manager puts around the lines for one host."""
    return nginx_at(folder, port, f"{text}\nlocation / {{ proxy_pass http://127.0.0.1:3005; }}")


def haproxy(text: str, folder: Path, port: int) -> Setup:
    return Setup(
        text.replace("bind :443 ", f"bind 127.0.0.1:{port} "), ["-db", "-f", str(folder / "haproxy")]
    )


def apache(text: str, folder: Path, port: int) -> Setup:
    names = ["mpm_event", "authz_core", "ssl", "socache_shmcb", "headers", "proxy", "proxy_http"]
    loaded = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in names)
    around = (
        f"PidFile {folder}/pid\nErrorLog {folder}/errors\nServerName localhost\nListen 127.0.0.1:{port}\n"
    )
    users = "User www-data\nGroup www-data\n"
    site = text.replace("*:443", f"127.0.0.1:{port}")
    return Setup(loaded + around + users + site, ["-DFOREGROUND", "-f", str(folder / "apache2")])


PROGRAMS: dict[str, tuple[str, Callable[[str, Path, int], Setup]]] = {
    "caddyfile": ("caddy", caddy),
    "nginx": ("nginx", nginx),
    "nginx-locations": ("nginx", nginx_locations),
    "haproxy": ("haproxy", haproxy),
    "apache": ("apache2", apache),
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    openssl, folder = which("openssl"), tmp_path_factory.mktemp("certificate")
    if openssl is None:
        pytest.skip("NO OPENSSL")
    request = ["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=happy.example.org"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    subprocess.run([openssl, *request, *files], capture_output=True, check=True)
    whole = folder / "happy.pem"
    whole.write_text((folder / "key").read_text() + (folder / "certificate").read_text())
    return whole


@pytest.mark.parametrize(
    ("language", "text"), EXAMPLES, ids=[f"{kind}-{n}" for n, (kind, _) in enumerate(EXAMPLES)]
)
async def test_an_example_of_the_documentation_did_not_work_as_it_stands(
    server: Server, client: NodeClient, tmp_path: Path, certificate: Path, language: str, text: str
) -> None:
    """HTTP, the realtime channel, and addresses of attachments with the port that clients used."""
    name, setup = PROGRAMS[language]
    port = free_port()
    for address in ("127.0.0.1", "10.0.0.1", "10.0.0.2"):
        text = text.replace(f"{address}:3005", f"127.0.0.1:{server.port}")
    made = setup(text.replace(CERTIFICATE, str(certificate)), tmp_path / name, port)
    made = Setup(made.text.replace("127.0.0.1:3005", f"127.0.0.1:{server.port}"), made.command)
    scheme = "https" if str(certificate) in made.text else "http"
    async with (
        started(name, tmp_path / name, made, f"{scheme}://127.0.0.1:{port}") as url,
        ApiClient.signed_in(url) as api,
    ):
        session = await api.create_session()
        socket = client.socket(url, token=api.token, clientType="user-scoped")
        async with socket.with_options(rejectUnauthorized=False) as phone:
            await api.post_messages(session["id"], ["hello"])
            assert session["id"] == (await phone.next_update("new-message"))["sid"]
        asked = {"filename": "a.enc", "size": 3}
        upload = await api.post(f"/v1/sessions/{session['id']}/attachments/request-upload", asked)

    assert upload["uploadUrl"].startswith(f"{url}/")
    assert "the reverse proxy at" not in server.log.read_text(), "it says whose requests it passes on"
