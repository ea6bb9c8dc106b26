"""What is wrong with a scenario, in words for whoever wrote it: the full key, the value and what is allowed.

Pydantic finds the problems; what is allowed at a key is read from the JSON Schema of the spec, so that message, schema and
check cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import ValidationError

_Schema: TypeAlias = Mapping[str, Any]
_Location: TypeAlias = tuple[int | str, ...]
_LONGEST_VALUE = 80


@dataclass(frozen=True)
class SpecProblem:
    """The first problem of a scenario; `key` is dotted as in `--set`, "" for the scenario as a whole."""

    key: str
    problem: str
    allowed: str | None


def first_problem(error: ValidationError, schema: _Schema) -> SpecProblem:
    """Return the first problem that pydantic found; missing keys are told together.

    Parameters
    ----------
    error
        What validation raised.
    schema
        JSON Schema of the model that was validated.
    """
    problems = error.errors()
    first = problems[0]
    if first["type"] in ("missing", "union_tag_not_found"):
        missing = [
            _key_of_missing(problem, schema) for problem in problems if problem["type"] in ("missing", "union_tag_not_found")
        ]
        allowed = _words(_node_at(first["loc"], schema)) if len(missing) == 1 and first["type"] == "missing" else None
        if first["type"] == "union_tag_not_found":
            allowed = _one_of(_node_at(first["loc"], schema)["discriminator"]["mapping"])
        return SpecProblem(", ".join(missing), f"missing{_more(len(problems) - len(missing))}", allowed)
    key, more = _key_of(first["loc"], schema), _more(len(problems) - 1)
    if first["type"] == "extra_forbidden":
        known = _node_at(first["loc"][:-1], schema).get("properties", {})
        return SpecProblem(key, f"unknown key{_owner(first['loc'], schema)}{more}", ", ".join(known) or None)
    if first["type"] == "union_tag_invalid":
        choice = _node_at(first["loc"], schema)["discriminator"]
        allowed = _one_of(choice["mapping"])
        return SpecProblem(f"{key}.{choice['propertyName']}", f"{first['ctx']['tag']!r}{more}", allowed)
    if first["type"] == "value_error":
        return SpecProblem(key, f"{first['ctx']['error']}{more}", None)
    return SpecProblem(key, f"{shown_value(first['input'])}{more}", _words(_node_at(first["loc"], schema)) or first["msg"])


def shown_value(value: Any) -> str:
    """Return a value of a scenario in a form that fits into a message."""
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        value = list(value)
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write out whole numbers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _owner(location: _Location, schema: _Schema) -> str:
    """Return which other kind of the same section knows an unknown key, in words; "" where none does."""
    choice = _node_at(location[:-2], schema).get("discriminator") if len(location) > 1 else None
    if choice is None:
        return ""
    owners = [
        tag
        for tag, reference in choice["mapping"].items()
        if location[-1] in _resolved({"$ref": reference}, schema)["properties"]
    ]
    name = choice["propertyName"]
    return f' with {name} = "{location[-2]}" (known with {" or ".join(f"{tag!r}" for tag in owners)})' if owners else ""


def _more(n_problems: int) -> str:
    return f" (and {n_problems} more {'problem' if n_problems == 1 else 'problems'})" if n_problems else ""


def _key_of_missing(problem: Any, schema: _Schema) -> str:
    key = _key_of(problem["loc"], schema)
    if problem["type"] != "union_tag_not_found":
        return key
    return f"{key}.{_node_at(problem['loc'], schema)['discriminator']['propertyName']}"


def _key_of(location: _Location, schema: _Schema) -> str:
    """Return the dotted key; the variant that pydantic puts behind `network` and `demand` is left out, since nobody typed it."""
    key = ""
    for position, part in enumerate(location):
        if isinstance(part, int):
            key += f"[{part + 1}]"
        elif "discriminator" not in _node_at(location[:position], schema):
            key += f".{part}" if key else part
    return key


def _node_at(location: _Location, schema: _Schema) -> _Schema:
    """Return the part of the schema that describes a location, {} where it has none."""
    node = _resolved(schema, schema)
    for part in location:
        if "discriminator" in node:
            inner = {"$ref": node["discriminator"]["mapping"][part]}
        elif isinstance(part, int):
            inner = node.get("items", {})
        else:
            other = node.get("additionalProperties")
            inner = node.get("properties", {}).get(part, other if isinstance(other, Mapping) else {})
        node = _resolved(inner, schema)
    return node


def _resolved(node: _Schema, schema: _Schema) -> _Schema:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    variants = [variant for variant in node.get("anyOf", []) if variant.get("type") != "null"]
    return _resolved(variants[0], schema) if len(variants) == 1 else node


def _words(node: _Schema) -> str | None:
    """Return what a part of the schema allows, in words."""
    if "const" in node or "enum" in node:
        return _one_of(node.get("enum", [node.get("const")]))
    kind = node.get("type")
    if kind in ("number", "integer"):
        words = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "and below", "maximum": "to"}
        bounds = [f"{word} {node[key]:,}" for key, word in words.items() if key in node]
        return " ".join(["a number" if kind == "number" else "a whole number", *bounds])
    if "discriminator" in node:
        choice = node["discriminator"]
        return f"a section with {choice['propertyName']} = {_one_of(choice['mapping'])}"
    items = node.get("items", {})
    if kind == "array" and ("discriminator" in items or "description" in items):
        return f"a list, each of them {_words(items)}"
    if "anyOf" in node and "description" in node:
        return str(node["description"])
    if kind == "string" and "pattern" in node:
        return str(node.get("description", f"a text that matches {node['pattern']}")).rstrip(".")
    return {"string": "a text", "boolean": "true or false", "array": "a list of texts", "object": "a section"}.get(str(kind))


def _one_of(values: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(f'"{value}"' for value in values)
