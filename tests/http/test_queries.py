"""Query parameters (protocol: http#routing-details, http#scalars)."""

import pytest

from happy.http.framework.query import coerce_integer
from tests.http.conftest import Raw
from tests.support.api_client import ApiClient


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10", 10),
        (" 10\t", 10),
        ("", 0),
        ("  ", 0),
        ("+7", 7),
        ("-3", -3),
        ("1e1", 10),
        ("1.5E1", 15),
        ("5.", 5),
        ("10.0", 10),
        (".5e1", 5),
        ("0x1F", 31),
        ("007", 7),
        ("9007199254740991", 2**53 - 1),
        ("9007199254740992", None),
        ("1.5", None),
        ("x", None),
        ("1_000", None),
        ("١٢", None),
        ("0x", None),
        ("-0x1", None),
        ("1e", None),
        ("Infinity", None),
        ("1e999", None),
        ("NaN", None),
        ("1 2", None),
        ("0x" + "f" * 10_000, None),
        ("9" * 10_000, None),
    ],
)
def test_an_integer_is_read_as_javascript_reads_it(text: str, number: int | None) -> None:
    assert number == coerce_integer(text)


@pytest.mark.parametrize("limit", ["1", "%20500%20", "1e1", "0x10", "5.0"])
async def test_every_form_of_an_integer_is_accepted_in_a_query(raw: Raw, limit: str) -> None:
    assert 200 == (await raw("GET", f"/v2/sessions/active?limit={limit}")).status


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/v2/sessions/active?limit=0", "limit Too small: expected number to be >=1"),
        ("/v2/sessions/active?limit=", "limit Too small: expected number to be >=1"),
        ("/v2/sessions/active?limit=501", "limit Too big: expected number to be <=500"),
        ("/v2/sessions/active?limit=1.5", "limit Invalid input: expected number, received NaN"),
        ("/v2/sessions/active?limit=x", "limit Invalid input: expected number, received NaN"),
        ("/v2/sessions/active?limit=1&limit=2", "limit Invalid input: expected number, received array"),
        ("/v2/sessions?limit=201", "limit Too big: expected number to be <=200"),
        ("/v2/sessions?limit=0", "limit Too small: expected number to be >=1"),
        ("/v2/sessions?changedSince=0", "changedSince Too small: expected number to be >=1"),
        ("/v2/sessions?changedSince=-1", "changedSince Too small: expected number to be >=1"),
        (
            "/v2/sessions?cursor=cursor_v1_a&cursor=cursor_v1_b",
            "cursor Invalid input: expected string, received array",
        ),
        ("/v1/auth/request/status", "publicKey Invalid input: expected string, received undefined"),
        ("/v3/sessions/x/messages?limit=501", "limit Too big: expected number to be <=500"),
        ("/v3/sessions/x/messages?limit=0", "limit Too small: expected number to be >=1"),
        ("/v3/sessions/x/messages?after_seq=-1", "after_seq Too small: expected number to be >=0"),
        ("/v3/sessions/x/messages?before_seq=0", "before_seq Too small: expected number to be >=1"),
        (
            "/v3/sessions/x/messages?after_seq=0&before_seq=9",
            " after_seq and before_seq are mutually exclusive",
        ),
    ],
)
async def test_a_parameter_that_is_not_accepted_is_named(raw: Raw, path: str, problem: str) -> None:
    answer = await raw("GET", path)

    expected = {"error": "Error", "message": f"querystring/{problem}", "statusCode": 400}
    assert (400, expected) == (answer.status, answer.json())


async def test_unknown_parameters_are_ignored_even_when_they_repeat(raw: Raw) -> None:
    assert 200 == (await raw("GET", "/v2/sessions?x=1&x=2&=&%zz")).status


async def test_a_query_of_thousands_of_parameters_is_refused(raw: Raw) -> None:
    """It took the server 40 ms."""
    assert (await raw("GET", "/v1/feed?" + "a&" * 255)).status == 200
    answer = await raw("GET", "/v1/feed?" + "a&" * 256)

    assert (400, "querystring/ Too many parameters") == (answer.status, answer.json()["message"])


async def test_a_nul_in_a_cursor_is_refused(raw: Raw) -> None:
    assert 400 == (await raw("GET", "/v2/sessions?cursor=cursor_v1_%00")).status


async def test_a_date_out_of_range_is_refused_instead_of_failing(api: ApiClient) -> None:
    """06 C12."""
    await api.get("/v2/sessions", changedSince=8_640_000_000_000_001, expect=400)
    await api.get("/v2/sessions", changedSince=8_640_000_000_000_000)
