"""An object store with a new bucket for each test that asks for one: in a thread of the tests, or a real one.

`HAPPY_TEST_S3=http://access:secret@127.0.0.1:7480` names a real one, whose buckets are emptied afterwards.
"""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import pytest

from happy.domain.ports.filestore import UploadTicket
from happy.settings import S3, Full, Secret, load
from tests.support.object_provider import Provider, run_provider

REAL = urlsplit(os.environ.get("HAPPY_TEST_S3", ""))
ACCESS_KEY = unquote(REAL.username or "tests")
SECRET_KEY = unquote(REAL.password or "a secret of the tests")
PUBLIC_URL = "http://files.example.org"

enforces_policies = pytest.mark.skipif(
    REAL.port is None, reason="the store in a thread enforces no policy: name a real one, HAPPY_TEST_S3"
)


class ObjectStore:
    def __init__(self, port: int, provider: Provider | None = None) -> None:
        self.port = port
        self._provider = provider
        self.url = f"http://127.0.0.1:{port}"
        self._made: list[str] = []
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )

    @property
    def provider(self) -> Provider:
        """Its habits; the test is skipped on a real store, which has its own."""
        if self._provider is None:
            pytest.skip("a real store has habits of its own")
        return self._provider

    def forget(self) -> None:
        """Back to usual habits."""
        if self._provider is not None:
            self._provider.reset()

    def variables(self, bucket: str, **others: str) -> dict[str, str]:
        return {
            "S3_HOST": "127.0.0.1",
            "S3_PORT": str(self.port),
            "S3_USE_SSL": "false",
            "S3_ACCESS_KEY": ACCESS_KEY,
            "S3_SECRET_KEY": SECRET_KEY,
            "S3_BUCKET": bucket,
            "S3_PUBLIC_URL": PUBLIC_URL,
            **others,
        }

    def settings(self, bucket: str, **others: str) -> S3:
        files = full_settings("postgresql://unused", self.variables(bucket, **others)).files
        assert isinstance(files, S3)
        return files

    def new_bucket(self) -> str:
        name = f"happy-{uuid.uuid4().hex}"
        self.client.create_bucket(Bucket=name)
        self._made.append(name)
        return name

    def empty(self) -> None:
        """Delete every bucket that was made here."""
        there = {found["Name"] for found in self.client.list_buckets()["Buckets"]}
        for bucket in there.intersection(self._made):
            for key in self.keys(bucket):
                self.client.delete_object(Bucket=bucket, Key=key)
            self.client.delete_bucket(Bucket=bucket)

    def keys(self, bucket: str) -> list[str]:
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=bucket).get("Contents", ())]


def full_settings(database_url: str, variables: Mapping[str, str]) -> Full:
    secrets = {"DATABASE_URL": database_url, "HANDY_MASTER_SECRET": Secret("a secret for tests")}
    settings = load({**secrets, "METRICS_ENABLED": "false", **variables}, flavor="full")
    assert isinstance(settings, Full)
    return settings


@contextmanager
def run_object_store() -> Iterator[ObjectStore]:
    if REAL.port is not None:
        real = ObjectStore(REAL.port)
        yield real
        real.empty()
        real.client.close()
        return
    with run_provider(SECRET_KEY) as (provider, port):
        store = ObjectStore(port, provider)
        yield store
        store.client.close()


def fields_of(ticket: UploadTicket) -> dict[str, str]:
    """Of an upload that goes past the server as a form."""
    assert ticket.form_fields is not None
    return ticket.form_fields


def form(fields: Mapping[str, str], content: bytes) -> dict[str, Any]:
    """What a client posts for an upload: all fields, then the file."""
    return {"data": dict(fields), "files": {"file": ("blob", content)}}
