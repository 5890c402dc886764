"""The OpenAPI document as one readable page: plain HTML, no scripts, nothing from elsewhere."""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

Schema = Mapping[str, Any]

CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882 }
body { font: 15px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 2rem 1rem 6rem }
code, pre { font: 13px/1.5 ui-monospace, monospace } pre { background: var(--soft); padding: .75rem; overflow: auto }
section { border-top: 1px solid var(--line); padding: 1rem 0 } h3 { margin: 0; font-size: 1rem }
h3 b { display: inline-block; min-width: 4.5rem } nav { columns: 2 } nav a { display: block }
table { border-collapse: collapse; margin: .5rem 0 } td { padding: .15rem 1rem .15rem 0; vertical-align: top }
summary { cursor: pointer } p { margin: .4rem 0 } @media (max-width: 40rem) { nav { columns: 1 } }
"""


def render(openapi: Schema) -> str:
    """The page."""
    info = openapi["info"]
    routes = list(_routes(openapi))
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>',
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>',
        f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>",
        f'<p>{escape(info.get("description", ""))} Machines read <a href="/openapi.json">openapi.json</a>.</p>',
        "<nav>",
        *(f'<a href="#{anchor}"><code>{method} {escape(path)}</code></a>' for anchor, method, path, _ in routes),
        "</nav>",
        *(_route(*route) for route in routes),
        "<h2>Shapes</h2>",
        *(_shape(name, schema) for name, schema in sorted(openapi["components"]["schemas"].items())),
        "</body></html>",
    ]
    return "\n".join(parts)


def _routes(openapi: Schema) -> Iterator[tuple[str, str, str, Schema]]:
    for path, item in openapi["paths"].items():
        for method, operation in item.items():
            yield operation["operationId"], method.upper(), path, operation


def _route(anchor: str, method: str, path: str, operation: Schema) -> str:
    rows = [_parameter(parameter) for parameter in operation.get("parameters", ())]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        rows.append(_row("body", f"{escape(kind)} {_type(content.get('schema', {}))}"))
    for status, response in sorted(operation["responses"].items()):
        kinds = response.get("content", {})
        shapes = "<br>".join(f"{escape(kind)} {_type(content.get('schema', {}))}" for kind, content in kinds.items())
        rows.append(_row(status, shapes or _words(response.get("description", ""))))
    words = _words(operation.get("description", operation.get("summary", "")))
    heading = f"<h3><b>{method}</b> <code>{escape(path)}</code></h3>"
    return f'<section id="{anchor}">{heading}<p>{words}</p><table>{"".join(rows)}</table></section>'


def _words(text: str) -> str:
    """A description, its `code` marked as such."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _parameter(parameter: Schema) -> str:
    need = "required" if parameter.get("required") else "optional"
    schema = parameter.get("schema", {})
    words = _words(parameter.get("description", schema.get("description", "")))
    return _row(f"{parameter['in']} {parameter['name']}", f"{_type(schema)} {need}. {words}")


def _row(name: str, html: str) -> str:
    return f"<tr><td><code>{escape(name)}</code></td><td>{html}</td></tr>"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f'<a href="#shape-{escape(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if schema.get("type") == "array":
        return f"[{_type(schema.get('items', {}))}]"
    return escape(str(schema.get("type", "any")))


def _shape(name: str, schema: Schema) -> str:
    needed = schema.get("required", ())
    rows = [
        _row(field + ("" if field in needed else "?"), f"{_type(value)} {_words(value.get('description', ''))}")
        for field, value in schema.get("properties", {}).items()
    ]
    words = _words(schema.get("description", ""))
    heading = f'<section id="shape-{escape(name)}"><h3>{escape(name)}</h3>'
    return f"{heading}<p>{words}</p><table>{''.join(rows)}</table></section>"
