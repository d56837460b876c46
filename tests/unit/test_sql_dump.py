"""Rows of SQL dumps, in every form in which pg_dump writes them, whatever strings are in them."""

import io
from pathlib import Path
from typing import Any

import pytest

from happy.adapters.imports import sql_text
from happy.adapters.imports.errors import SourceRefused
from happy.adapters.imports.sql_dump import SqlDump
from happy.adapters.imports.tables import LEFT_OUT, OWN_RULES, imported_tables, owned_tables
from happy.adapters.imports.values import RowShape
from schema.tables import accounts, artifacts, metadata, push_tokens

HEAD = '''--
-- PostgreSQL database dump
--

\\restrict 5EYzf
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TYPE public."RelationshipStatus" AS ENUM ('none', 'it''s; (odd)');
/* a comment /* in a comment; */ INSERT INTO x VALUES (1); */
CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $_$ SELECT ';' || $$INSERT INTO$$; $_$;
CREATE TABLE public."Odd" (
    id text NOT NULL,
    "second ""column""" numeric(10, 2) DEFAULT 1.5 NOT NULL,
    third jsonb,
    CONSTRAINT "Odd_check" CHECK ((id <> ','::text))
);
'''
END = "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict 5EYzf\n"
COLUMNS = ("id", 'second "column"', "third")


def rows_of(text: str) -> list[tuple[str, tuple[str, ...], list[Any]]]:
    batches = SqlDump(io.BytesIO((HEAD + text + END).encode())).batches()
    return [(table, columns, row) for table, columns, rows in batches for row in rows]


STRINGS = {
    "it''s": "it's",
    "back\\slash \\n \\\\": "back\\slash \\n \\\\",
    "two\nlines -- no comment; /* neither */": "two\nlines -- no comment; /* neither */",
    'ü "quoted" 漢字 😀 (a, b); $$': 'ü "quoted" 漢字 😀 (a, b); $$',
    "": "",
    "\\x00ff": "\\x00ff",
}


@pytest.mark.parametrize(("written", "meant"), STRINGS.items())
def test_insert_without_names_of_columns_takes_those_of_the_table(written: str, meant: str) -> None:
    inserted = rows_of(
        f"""INSERT INTO public."Odd" VALUES ('{written}', -1.5, NULL), ('b', 2e3, 'x'::jsonb);\n"""
    )
    assert [("Odd", COLUMNS, [meant, "-1.5", None]), ("Odd", COLUMNS, ["b", "2e3", "x"])] == inserted


def test_insert_with_names_of_columns_and_strings_with_escapes() -> None:
    text = """INSERT INTO "Odd" (third, "id") VALUES (E'a\\\\b\\n\\'\\x41''', true) ON CONFLICT DO NOTHING;"""
    assert [("Odd", ("third", "id"), ["a\\b\n'A'", True])] == rows_of(text)


def test_copy_with_every_escape() -> None:
    text = (
        'COPY public."Odd" (id, "second ""column""", third) FROM stdin;\n'
        "plain\t1\t\\N\n"
        "a\\tb\\nc\\rd\\\\e\\\\N\t2\t\\\\x00ff\n"
        "\t\\N\tü 😀\n"
        "\\.\n"
        "ALTER TABLE ONLY public.x OWNER TO me;\n"
    )
    assert [
        ["plain", "1", None],
        ["a\tb\nc\rd\\e\\N", "2", "\\x00ff"],
        ["", None, "ü 😀"],
    ] == [row for _, _, row in rows_of(text)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_pieces_of_any_size_make_the_same_rows(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "INSERT INTO \"Odd\" VALUES ('it''s', 1, E'e\\''), ('ü', 2, $a$d'$a$);\n"
        'COPY "Odd" (id) FROM stdin;\nü\\\\\n\\.\n'
        "INSERT INTO \"Odd\" (id) VALUES ('last');\n"
    )
    whole = rows_of(text)
    monkeypatch.setattr(sql_text, "CHUNK", size)
    assert whole == rows_of(text)
    assert 4 == len(whole)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('INSERT INTO "Odd" VALUES (\'a', "a string has no end"),
        ("INSERT INTO \"Odd\" VALUES ('a', 1", "a statement has no end"),
        ('COPY "Odd" (id) FROM stdin;\na\n', "rows of COPY have no end"),
        ('INSERT INTO "Odd" VALUES (now());', "which is not read"),
        ("SET client_encoding = 'LATIN1';", "--encoding=UTF8"),
        ("INSERT INTO unknown VALUES ('a');", "nothing says which columns"),
        ("INSERT INTO \"Odd\" VALUES ('a', 1, NULL);", "database dump complete"),
    ],
)
def test_what_is_cut_short_or_cannot_be_read_is_refused(text: str, problem: str) -> None:
    with pytest.raises(SourceRefused) as refused:
        list(SqlDump(io.BytesIO((HEAD + text).encode())).batches())
    assert problem in str(refused.value)


def test_a_long_string_takes_no_more_memory_than_a_few_of_its_kind() -> None:
    value = "x''" * 1_000_000
    ((_, _, (found, _, _)),) = rows_of(f"INSERT INTO \"Odd\" VALUES ('{value}', 1, NULL);")
    assert 2_000_000 == len(found)


def test_values_get_the_types_of_the_columns() -> None:
    shape = RowShape(
        artifacts, ["id", "accountId", "header", "body", "dataEncryptionKey", "createdAt", "updatedAt"]
    )
    row = shape.row(
        ["a", "b", "\\x00ff", "\\001\\\\a", "", "2025-11-28 07:00:00.123", "2025-11-28 08:00:00.123456+01"]
    )
    found = dict(zip([column.name for column in artifacts.columns], row, strict=True))
    assert b"\x00\xff" == found["header"]
    assert b"\x01\\a" == found["body"]
    assert b"" == found["dataEncryptionKey"]
    assert 1_764_313_200_123 == found["createdAt"] == found["updatedAt"]
    assert (0, 0, 0) == (found["headerVersion"], found["bodyVersion"], found["seq"])


def test_a_row_without_a_column_that_it_must_have_is_refused() -> None:
    with pytest.raises(SourceRefused, match="have no token"):
        RowShape(push_tokens, ["id", "accountId", "createdAt", "updatedAt"])


def test_columns_that_are_not_known_are_named() -> None:
    assert ["newer"] == RowShape(accounts, ["id", "publicKey", "createdAt", "updatedAt", "newer"]).unknown


def test_every_table_is_imported_or_left_out_for_a_reason() -> None:
    """A new table has to be one or the other: this test names it."""
    owned = {table.name for table in owned_tables(imported_tables())}
    assert metadata.tables.keys() == owned | set(OWN_RULES) | LEFT_OUT
    assert [] == [table.name for table in owned_tables(imported_tables()) if table.owner is None]


def test_a_file_that_is_no_dump_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="no UTF-8"):
        list(SqlDump(io.BytesIO(b"\xff\xfe\x00")).batches())
