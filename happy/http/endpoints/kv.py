"""The key-value store (protocol: http#key-value-store)."""

from functools import partial
from typing import Annotated, Literal

import msgspec
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Raw, Struct

from happy.domain.artifacts import KvEntry, KvMutation
from happy.domain.encoding import decode_strict
from happy.domain.errors import Invalid
from happy.domain.listing import Large, is_whole
from happy.domain.names import Name
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure, unacceptable
from happy.http.framework.limits import MAX_DOCUMENT_BODY, MAX_KEYS_BODY
from happy.http.framework.listing import ListResponse
from happy.http.framework.requests import ApiRequest
from happy.http.framework.responses import Response, json_response
from happy.http.framework.validation import problem
from happy.services.kv import KvService, StaleMutations

MAX_VERSION = 2**31 - 2
BATCH = Meta(min_length=1, max_length=100)


class Items(Struct):
    items: list[KvEntry]


class BulkRead(Struct):
    keys: Annotated[list[Name], BATCH]


class Values(Struct):
    values: list[KvEntry]


class Mutation(Struct):
    """A value as base64; null and the empty text delete."""

    key: Name
    value: str | None
    version: Annotated[Raw, Meta(extra_json_schema={"type": "number"})]


class Mutate(Struct):
    mutations: Annotated[list[Mutation], BATCH]


class Result(Struct):
    key: str
    version: int


class Mutated(Struct):
    results: list[Result]
    success: Literal[True] = True


class StaleEntry(Struct):
    """The stored version and value of each key whose expected version did not match."""

    key: str
    version: int
    value: bytes | None
    error: Literal["version-mismatch"] = "version-mismatch"


class Stale(Struct):
    errors: list[StaleEntry]
    success: Literal[False] = False


class KvEndpoints:
    def __init__(self, kv: KvService) -> None:
        self._kv = kv

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET",
                "/v1/kv/{key:str}",
                self.get,
                missing="Key not found",
                failure=Failure("Failed to get value"),
                any_text=True,
            ),
            Endpoint("GET", "/v1/kv", self.page, failure=Failure("Failed to list items")),
            Endpoint(
                "POST",
                "/v1/kv/bulk",
                self.get_many,
                limit=MAX_KEYS_BODY,
                failure=Failure("Failed to get values"),
            ),
            Endpoint(
                "POST",
                "/v1/kv",
                self.mutate,
                limit=MAX_DOCUMENT_BODY,
                failure=Failure("Failed to mutate values"),
                other_responses={409: Stale},
            ),
        ]

    async def get(self, request: ApiRequest, key: FromPath[str]) -> KvEntry:
        """One value and its version."""
        return await self._kv.get(request.account_id, key)

    async def page(
        self,
        request: ApiRequest,
        prefix: Annotated[str, QueryParameter()] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
    ) -> Items | ListResponse[KvEntry]:
        """Values whose keys begin with a prefix, in the order of their keys."""
        entries = await self._kv.page(request.account_id, prefix, limit)
        return Items(entries) if is_whole(entries) else self._listed(Items([]), entries, request)

    async def get_many(self, request: ApiRequest, data: JSONBody[BulkRead]) -> Values | ListResponse[KvEntry]:
        """The values of up to a hundred keys; those without one are left out."""
        entries = await self._kv.get_many(request.account_id, data.keys)
        return Values(entries) if is_whole(entries) else self._listed(Values([]), entries, request)

    def _listed(
        self, around: Struct, rows: list[KvEntry | Large], request: ApiRequest
    ) -> ListResponse[KvEntry]:
        return ListResponse(around, rows, lambda entry: entry, partial(self._kv.find, request.account_id))

    async def mutate(self, request: ApiRequest, data: JSONBody[Mutate]) -> Mutated | Response:
        """Write and delete values, all or none: each names the version it replaces."""
        mutations = [_mutation(mutation) for mutation in data.mutations]
        try:
            versions = await self._kv.mutate(request.account_id, mutations)
        except StaleMutations as conflict:
            entries = [StaleEntry(entry.key, entry.version, entry.value) for entry in conflict.entries]
            return json_response(409, Stale(entries))
        keys = (mutation.key for mutation in mutations)
        return Mutated([Result(key, version) for key, version in zip(keys, versions, strict=True)])


def _number(sent: Raw) -> float:
    """Parsed only when it is known that there are few, and few digits: some take 50 microseconds each."""
    try:
        return msgspec.json.decode(sent, type=int | float)
    except msgspec.DecodeError as error:
        raise unacceptable(f"body/mutations/version {problem(str(error))}") from None


def _mutation(mutation: Mutation) -> KvMutation:
    version = _number(mutation.version)
    if not -1 <= version <= MAX_VERSION or version != int(version):
        raise Invalid("Invalid version")
    try:
        value = decode_strict(mutation.value) if mutation.value else None
    except ValueError:
        raise Invalid("Invalid base64") from None
    return KvMutation(mutation.key, value, int(version))
