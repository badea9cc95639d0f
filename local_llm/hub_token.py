# -*- coding: utf-8 -*-
"""The Hugging Face token, from the environment or a `.env` file.

Read when it is asked for, never at import, and never printed or logged.
Raises ConfigError when the file or the token in it cannot be used.
"""

import logging
import os
import stat
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

from local_llm.errors import ConfigError

log = logging.getLogger("local_llm.settings")

TOKEN_VARIABLES = ("HF_TOKEN", "HUGGINGFACE_TOKEN")
# Beside the programs, so that it is found from every working directory.
DEFAULT_ENV_FILE = Path(__file__).resolve().parent.parent / ".env"


def hub_token(env_file: Path | None = None) -> SecretStr | None:
    """The token: the environment's, else the file's; None without one.

    Args:
        env_file (`Path | None`, optional): A file of `NAME=value` lines;
            None takes `.env` beside the programs.
    """
    return _token_in(os.environ, "the environment") or _token_in_file(
        DEFAULT_ENV_FILE if env_file is None else Path(env_file),
    )


def _token_in_file(env_file: Path) -> SecretStr | None:
    try:
        if not env_file.is_file():
            return None
        values = dotenv_values(
            env_file,
            interpolate=False,
            encoding="utf-8-sig",
        )
    except (OSError, UnicodeDecodeError) as error:
        # Not the error's own text: it would quote the file.
        raise ConfigError(
            str(env_file),
            [f"cannot be read as UTF-8 text ({type(error).__name__})"],
        ) from None
    token = _token_in(values, str(env_file))
    if token is not None:
        _warn_if_others_can_read(env_file.resolve())
    return token


def _token_in(
    values: Mapping[str, str | None],
    where: str,
) -> SecretStr | None:
    for name in TOKEN_VARIABLES:
        token = (values.get(name) or "").strip()
        if token:
            _check_token(token, name, where)
            return SecretStr(token)
    return None


def _check_token(token: str, name: str, where: str) -> None:
    # It becomes a header of HTTP requests; libraries quote a bad header.
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError(
            where,
            [f"{name}: holds characters that no token has"],
            fix=f"copy the token again and set {name} to it",
        )


@cache
def _warn_if_others_can_read(env_file: Path) -> None:
    mode = stat.S_IMODE(env_file.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        log.warning(
            "%s holds a token and others can read it; run: chmod 600 %s",
            env_file,
            env_file,
        )
