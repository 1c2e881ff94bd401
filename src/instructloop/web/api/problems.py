"""What is wrong with a body, in the words of the API: which parameter, and what it should be."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from instructloop.web.refusals import Refusal

ONLY_NOTHING = frozenset(
    {"presence_penalty", "frequency_penalty", "logit_bias", "best_of", "echo", "suffix", "response_format", "tools", "modalities", "store"}
)
"""Parameters that may only ask for nothing: another value is not wrong, but not supported."""

FILLED, NAME = r"^[^\x00]*[^\s\x00-\x1f\x85][^\x00]*$", "^[!-~]([ -~]*[!-~])?$"
PATTERNS: Mapping[str, str] = {
    FILLED: "the text is blank, or holds a NUL character, which no database keeps",
    NAME: "a name has printable ASCII characters, and no space at either end",
}
"""What texts are held to -> what is wrong with one that is not like that."""


def refusal_of_validation(request: Request, error: RequestValidationError) -> Refusal:
    """The first thing that is wrong; clients mend one at a time."""
    first = cast(Mapping[str, Any], error.errors()[0])
    kind, where = str(first["type"]), [part for part in first["loc"] if part != "body"]
    problem = PATTERNS.get(str(cast(Mapping[str, Any], first.get("ctx", {})).get("pattern")), _sentence(str(first["msg"])))
    if not request.url.path.startswith("/v1/"):
        return Refusal(400, "invalid", problem=f"{_name(where) or 'The request'}: {problem}.")
    if kind == "json_invalid" or not where:
        return Refusal(400, "invalid_json", problem=problem)
    param = _name(where)
    if kind == "missing":
        return Refusal(400, "missing_parameter", param=param)
    if kind == "extra_forbidden":
        return Refusal(400, "unsupported_parameter", param=param)
    if where[0] in ONLY_NOTHING:
        return Refusal(400, "unsupported_value", param=param, problem=f"is not supported with this value: {problem}")
    return Refusal(400, "invalid_value", param=param, problem=f"is wrong: {problem}")


def _name(where: Sequence[str | int]) -> str:
    """`messages[0].role`; the kinds of a union, which pydantic puts between, are left out."""
    if not where:
        return ""
    name = str(where[0])
    for part in where[1:]:
        if isinstance(part, int):
            name += f"[{part}]"
        elif part in FIELDS:
            name += f".{part}"
    return name


FIELDS = frozenset({"role", "content", "type", "text", "refusal", "include_usage", "include_obfuscation", "name"})
"""Names of what stands inside parameters."""


def _sentence(message: str) -> str:
    return message[:1].lower() + message[1:]
