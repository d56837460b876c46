"""The requests to an object store that the start tries and the server makes in the same way."""

from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from happy.adapters.full.s3.client import code_of
from happy.domain.errors import Unavailable

UPLOAD_SECONDS = 900
NO_LISTS = frozenset({"NotImplemented", "501", "405", "MethodNotAllowed"})


async def form(signer: Any, bucket: str, key: str, max_bytes: int) -> dict[str, Any]:
    """An address and the fields to post there with the file, which the store holds to its size."""
    made: dict[str, Any] = await signer.generate_presigned_post(
        bucket,
        key,
        Fields={"bucket": bucket},
        Conditions=[["content-length-range", 0, max_bytes]],
        ExpiresIn=UPLOAD_SECONDS,
    )
    return made


async def signed_put(signer: Any, bucket: str, key: str, size: int | None) -> str:
    """An address to put the file to. Its size is signed too, so that no other one is taken."""
    exactly = {} if size is None else {"ContentLength": size}
    url: str = await signer.generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": key, **exactly}, ExpiresIn=UPLOAD_SECONDS
    )
    return url


async def delete(client: Any, bucket: str, keys: list[str]) -> None:
    """One request, or one for each where the store takes no lists. Raises Unavailable for what it keeps."""
    listed = [{"Key": key} for key in keys]
    try:
        answer = await client.delete_objects(Bucket=bucket, Delete={"Objects": listed, "Quiet": True})
    except ClientError as error:
        if code_of(error) not in NO_LISTS:
            raise
        for key in keys:
            await client.delete_object(Bucket=bucket, Key=key)
        return
    errors = answer.get("Errors")
    if errors and all(one.get("Code") == "AccessDenied" for one in errors):
        raise ClientError({"Error": errors[0]}, "DeleteObjects")
    if errors:
        raise Unavailable(f"the file store kept {len(errors)} of {len(keys)} files")
