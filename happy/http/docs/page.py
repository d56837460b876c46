"""The OpenAPI document as a page: one file without scripts or external resources."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from happy.http.docs.style import STYLE

Json = dict[str, Any]


def page(document: Json) -> str:
    info = document["info"]
    title = f"{info['title']} {info['version']}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>\n{''.join(_body(document, title))}</body></html>\n"
    )


def _body(document: Json, title: str) -> Iterator[str]:
    yield f"<h1>{escape(title)}</h1><p>{escape(document['info']['description'])}</p>"
    yield '<p><a href="/docs/openapi.json">openapi.json</a></p><nav>'
    for tag in document["tags"]:
        yield f'<a href="#{escape(_anchor(tag["name"]))}">{escape(tag["name"])}</a> '
    yield "</nav>\n"
    for tag in document["tags"]:
        yield f'<h2 id="{escape(_anchor(tag["name"]))}">{escape(tag["name"].capitalize())}</h2>'
        yield f"<p>{escape(tag['description'])}</p>\n"
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(path, method, operation)
    yield '<h2 id="schemas">Schemas</h2>\n'
    for name, schema in sorted(document["components"]["schemas"].items()):
        head = f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        yield f"{head}{_json(schema)}</details>\n"


def _operation(path: str, method: str, operation: Json) -> Iterator[str]:
    lock = "" if operation["security"] else ' <span class="dim">without a token</span>'
    name = f'<b class="method">{escape(method.upper())}</b> <code>{escape(path)}</code>'
    yield f"<details><summary>{name}{lock}</summary>"
    yield f"<p>{escape(operation['summary'])}</p><table>"
    for parameter in operation["parameters"]:
        needed = "" if parameter["required"] else "optional"
        yield _row(parameter["name"], f"{parameter['in']} {needed}", _shape(parameter["schema"]))
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield _row("body", media_type, _shape(content["schema"]))
    for status, response in operation["responses"].items():
        contents = response.get("content", {"": {"schema": {}}})
        for media_type, content in contents.items():
            shape = _shape(content["schema"]) or escape(media_type)
            yield _row(status, " · ".join([response["description"], *_texts(content)]), shape)
    yield "</table></details>\n"


def _texts(content: Json) -> Iterator[str]:
    """What an error is called, where an endpoint has words of its own for it."""
    for example in content.get("examples", {}).values():
        yield f"“{example['value']['error']}”"


def _row(name: str, about: str, shape: str) -> str:
    return (
        f'<tr><td><code>{escape(name)}</code></td><td class="dim">{escape(about)}</td><td>{shape}</td></tr>'
    )


def _shape(schema: Json) -> str:
    """A name where the schema has one, else its JSON on one line."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}"><code>{name}</code></a>'
    if "anyOf" in schema:
        return " or ".join(_shape(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_shape(schema['items'])}"
    return f"<code>{escape(json.dumps(schema))}</code>" if schema else ""


def _json(schema: Json) -> str:
    return f"<pre>{escape(json.dumps(schema, indent=2))}</pre>"


def _anchor(tag: str) -> str:
    return f"about-{tag.replace(' ', '-')}"
