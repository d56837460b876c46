"""Requests to an object store that both the check at the start and the server make."""

from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from happy.adapters.full.s3.client import code_of
from happy.domain.amounts import counted
from happy.domain.errors import Unavailable

UPLOAD_SECONDS = 900
NO_LISTS = frozenset({"NotImplemented", "501", "405", "MethodNotAllowed"})


async def form(signer: Any, bucket: str, key: str, max_bytes: int) -> dict[str, Any]:
    """A URL and the form fields to post there with the file; the store enforces the size."""
    made: dict[str, Any] = await signer.generate_presigned_post(
        bucket,
        key,
        Fields={"bucket": bucket},
        Conditions=[["content-length-range", 0, max_bytes]],
        ExpiresIn=UPLOAD_SECONDS,
    )
    return made


async def signed_put(signer: Any, bucket: str, key: str, size: int) -> str:
    """A URL for a PUT of the file. Its size is signed, so the store refuses another one."""
    url: str = await signer.generate_presigned_url(
        "put_object",
        Params={"Bucket": bucket, "Key": key, "ContentLength": size},
        ExpiresIn=UPLOAD_SECONDS,
    )
    return url


async def delete(client: Any, bucket: str, keys: list[str]) -> None:
    """One request, or one per key if the store supports no lists. Raises Unavailable for keys that remain."""
    listed = [{"Key": key} for key in keys]
    try:
        response = await client.delete_objects(Bucket=bucket, Delete={"Objects": listed, "Quiet": True})
    except ClientError as error:
        if code_of(error) not in NO_LISTS:
            raise
        for key in keys:
            await client.delete_object(Bucket=bucket, Key=key)
        return
    errors = response.get("Errors")
    if errors and all(one.get("Code") == "AccessDenied" for one in errors):
        raise ClientError({"Error": errors[0]}, "DeleteObjects")
    if errors:
        raise Unavailable(f"the file store kept {len(errors):,} of {counted(len(keys), 'file')}")
