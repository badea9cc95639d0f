# -*- coding: utf-8 -*-
"""Whether a value fits a JSON schema, and what of it does not.

Fetches nothing from anywhere. Knows no models. Raises nothing: a schema that
is broken is a reason too.
"""

import re
from collections.abc import Mapping
from typing import Any

from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable


def mismatch(value: object, schema: Mapping[str, Any]) -> str:
    """Say what of a value does not fit; empty where all does.

    Args:
        value (`object`):
            A value of JSON.
        schema (`Mapping[str, Any]`):
            What it must fit.

    Returns:
        `str`: A verb and its object, as in "do not fit: a: 1 is too small".
    """
    try:
        return _mismatch(value, schema)
    except (SchemaError, Unresolvable, RecursionError, re.error) as error:
        first_line = str(error).partition("\n")[0]
        return f"cannot be checked, its schema is broken: {first_line}"


def _mismatch(value: object, schema: Mapping[str, Any]) -> str:
    kind = validator_for(schema, default=Draft202012Validator)
    kind.check_schema(schema)
    # With a registry of its own it fetches no reference from the network.
    found = kind(schema, registry=Registry()).iter_errors(value)
    error = best_match(found)
    return "" if error is None else f"do not fit: {_place(error)}"


def _place(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    return f"{where}: {error.message}" if where else error.message
