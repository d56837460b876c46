"""The settings of proxies that the documentation and `compose/` give, judged by the proxies themselves."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.server_process import free_port

ROOT = Path(__file__).parents[2]
DOCUMENTATION = (ROOT / "docs" / "reverse-proxies.md").read_text("utf-8")
CERTIFICATE = "/etc/ssl/happy.pem"


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENTATION, re.DOTALL)


def program(name: str) -> str:
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if found is None:
        pytest.skip(f"NO {name.upper()}")
    return found


def judged(command: list[str], folder: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """Of nobody, for nobody: proxies look whether it can be read."""
    openssl, file = program("openssl"), tmp_path / "happy.pem"
    request = ["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=happy.example.org"]
    subprocess.run(
        [openssl, *request, "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")],
        capture_output=True,
        check=True,
    )
    file.write_text((tmp_path / "key").read_text() + (tmp_path / "certificate").read_text())
    return str(file)


@pytest.mark.parametrize("example", [*examples("caddyfile"), (ROOT / "compose" / "Caddyfile").read_text()])
def test_caddy_understands_them(example: str, tmp_path: Path) -> None:
    (file := tmp_path / "Caddyfile").write_text(example)

    judged([program("caddy"), "validate", "--adapter", "caddyfile", "--config", str(file)], tmp_path)


@pytest.mark.parametrize("example", examples("nginx"))
def test_nginx_understands_them(example: str, tmp_path: Path, certificate: str) -> None:
    here = example.replace(CERTIFICATE, certificate).replace(
        "listen 443 ", f"listen 127.0.0.1:{free_port()} "
    )
    paths = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (file := tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ access_log off; {paths}\n{here}}}\n"
    )

    judged([program("nginx"), "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(file)], tmp_path)


@pytest.mark.parametrize("example", examples("haproxy"))
def test_haproxy_understands_them(example: str, tmp_path: Path, certificate: str) -> None:
    (file := tmp_path / "haproxy.cfg").write_text(example.replace(CERTIFICATE, certificate))

    judged([program("haproxy"), "-c", "-f", str(file)], tmp_path)


def test_there_are_some_for_every_proxy() -> None:
    counts = {language: len(examples(language)) for language in ("caddyfile", "nginx", "haproxy", "yaml")}

    assert {"caddyfile": 2, "nginx": 3, "haproxy": 1, "yaml": 3} == counts
    assert all(isinstance(yaml.safe_load(example), dict) for example in examples("yaml"))


def test_the_container_stack_is_reached_as_the_documentation_says() -> None:
    shipped = (ROOT / "compose" / "Caddyfile").read_text("utf-8")
    settings = {line.strip() for line in examples("caddyfile")[1].splitlines()[2:-2]}

    assert settings <= {line.strip() for line in shipped.splitlines()}
