#!/usr/bin/env python3
"""Checks what Claude is asked, and what its stub answers, against the types of Anthropic's own package.

Reads JSON lines from standard input: bodies of requests, or with `--answers` bodies of answers. Prints a line for each: `ok`, or
`refused: ` and why. Ends with 1 if any was refused.

    pip install anthropic
"""

import json
import sys
import typing

import typing_extensions
from anthropic.types import CacheControlEphemeralParam, Message, TextBlockParam, ToolParam
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from anthropic.types.tool_param import InputSchema
from pydantic import BaseModel, ValidationError

NEEDED = (typing.Required, typing_extensions.Required)
FREE = (typing.NotRequired, typing_extensions.NotRequired)
PLAIN = {str: str, bool: bool, int: int, float: (int, float), type(None): type(None)}

# A schema is this or any dictionary, says the package; that would let anything through.
TYPED_SCHEMA = typing.get_args(InputSchema)[0]


def wrong(value, hint, at):
    """What of a value is not as a type says: no other type of a field, no field too few, and none too many.

    Written out here, because the package's types are lenient where its code is: what it takes for an `Iterable` is not looked into
    until somebody goes through it, and fields that a dictionary's type doesn't know are let through.
    """
    if typing_extensions.is_typeddict(hint):
        return wrong_in_dictionary(value, hint, at)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in NEEDED + FREE or origin is typing.Annotated:
        return wrong(value, arguments[0], at)
    if origin is typing.Union:
        # Of those that don't fit, the one that fits best says why.
        return min((wrong(value, argument, at) for argument in arguments), key=len)
    if origin is typing.Literal:
        fits = any(value == choice and type(value) is type(choice) for choice in arguments)
        return [] if fits else [f"{at}: {value!r} is none of {arguments}"]
    if hint is object:
        return []
    if hint in PLAIN:
        fits = isinstance(value, PLAIN[hint]) and (hint is bool or not isinstance(value, bool))
        return [] if fits else [f"{at}: {value!r} is no {hint.__name__}"]
    if origin is dict and isinstance(value, dict):
        return [more for name in value for more in wrong(value[name], arguments[1], f"{at}.{name}")]
    # `Iterable`, `List` and the like; files, which no JSON has, have other arguments or none.
    if origin is not dict and len(arguments) == 1 and isinstance(value, list):
        return [more for index, item in enumerate(value) for more in wrong(item, arguments[0], f"{at}.{index}")]
    return [f"{at}: {value!r} is no {hint}"]


def wrong_in_dictionary(value, hint, at):
    if not isinstance(value, dict):
        return [f"{at}: {value!r} is no {hint.__name__}"]
    fields = typing_extensions.get_type_hints(hint, include_extras=True)
    missing = [f"{at}.{name} is missing" for name, field in fields.items() if is_needed(field, hint) and name not in value]
    unknown = [] if hint is TYPED_SCHEMA else [f"{at}.{name} is not known" for name in sorted(value.keys() - fields.keys())]
    within = [more for name in value if name in fields for more in wrong(value[name], fields[name], f"{at}.{name}")]
    return missing + unknown + within


def is_needed(field, owner):
    """As the field's type says: what the class says of itself is wrong where its types are written as text."""
    origin = typing.get_origin(field)
    return origin in NEEDED or (owner.__total__ and origin not in FREE)


def check_request(body):
    found = wrong(body, MessageCreateParamsNonStreaming, "request")
    if found:
        return found
    # Of all that the package allows there, what is meant.
    for index, tool in enumerate(body["tools"]):
        found += wrong(tool, ToolParam, f"request.tools.{index}")
        found += wrong(tool["input_schema"], TYPED_SCHEMA, f"request.tools.{index}.input_schema")
    for index, block in enumerate(body["system"]):
        found += wrong(block, TextBlockParam, f"request.system.{index}")
        found += wrong(block.get("cache_control"), CacheControlEphemeralParam, f"request.system.{index}.cache_control")
    return found


def check_answer(body):
    try:
        return unknown_to(Message.model_validate(body, strict=True), "answer")
    except ValidationError as error:
        return [f"answer.{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]


def unknown_to(value, at):
    """The package's models keep fields that they don't know. There must be none, at any depth."""
    if isinstance(value, BaseModel):
        unknown = [f"{at}.{name} is not known" for name in value.model_extra or {}]
        fields = type(value).model_fields
        return unknown + [more for name in fields for more in unknown_to(getattr(value, name), f"{at}.{name}")]
    if isinstance(value, list):
        return [more for index, item in enumerate(value) for more in unknown_to(item, f"{at}.{index}")]
    return []


def main():
    check = check_answer if "--answers" in sys.argv[1:] else check_request
    is_refused = False
    for line in sys.stdin:
        try:
            found = check(json.loads(line))
        except (ValueError, KeyError) as error:
            found = [repr(error)]
        is_refused = is_refused or bool(found)
        print("refused: " + "; ".join(found).replace("\n", " ") if found else "ok")
    sys.exit(int(is_refused))


if __name__ == "__main__":
    main()
