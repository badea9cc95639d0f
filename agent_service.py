# -*- coding: utf-8 -*-
"""AgentScope's agent service on models of this process.

Checks what a service needs before anything is loaded, puts the service
together and runs it. Its packages are imported where they are used. Raises
ConfigError and ServiceError.
"""

import asyncio
import contextlib
import importlib.util
import ipaddress
import logging
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune_dialog_agent import Finetune_DialogAgent
from huggingface_credential import HuggingFaceCredential
from local_llm.errors import ConfigError, LocalLLMError, ServiceError
from service_agents import TalkingAgent

if TYPE_CHECKING:
    from fastapi import FastAPI

PACKAGES = (
    *("fastapi", "uvicorn", "apscheduler"),
    *("sqlalchemy", "alembic", "aiosqlite"),
)
INSTALL = "pip install -r requirements-service.txt"

_GRACE_S = 2
"""What open connections get when the service ends, in seconds; those that
listen to a session never end by themselves."""

_LOCK_S = 2.0

_NOT_IN_PATHS = "?%"


@dataclass(frozen=True)
class ServiceSettings:
    """How a service runs.

    Attributes:
        host (`str`):
            The address to listen at.
        port (`int`):
            The port; 0 for any that is free.
        storage (`Path`):
            The file that keeps agents, sessions and messages.
        agent_class (`type[Finetune_DialogAgent]`):
            What agents are made of.
        web_origins (`tuple[str, ...]`):
            Web pages of other addresses that may use the service.
    """

    host: str
    port: int
    storage: Path
    agent_class: type[Finetune_DialogAgent] = TalkingAgent
    web_origins: tuple[str, ...] = ()

    @property
    def workspaces(self) -> Path:
        """Where agents keep files, beside the storage."""
        return self.storage.with_name(f"{self.storage.stem}-workspaces")

    @property
    def url(self) -> str:
        """How the storage is named to SQLAlchemy."""
        return f"sqlite+aiosqlite:///{self.storage.absolute()}"


def check_packages() -> None:
    """Find out whether the packages of the service are installed.

    Raises:
        `ConfigError`: Some are not; the command that installs them is told.
    """
    missing = [
        name for name in PACKAGES if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ConfigError(
            "the agent service",
            [f"the package {name} is not installed" for name in missing],
            fix=INSTALL,
        )


@contextlib.contextmanager
def opened_storage(settings: ServiceSettings) -> Iterator[None]:
    """Make or update the storage file; no other service uses it meanwhile.

    Raises:
        `ServiceError`: It cannot be written, holds something else, or another
            service uses it.
    """
    from filelock import FileLock, Timeout

    path = settings.storage.absolute()
    _check_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise _unusable(path, "another agent service uses it") from error
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    try:
        _check_writable(path)
        asyncio.run(_migrate(settings))
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Take the address; who comes early waits until the service answers.

    Raises:
        `ServiceError`: It is in use, or not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host,
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
        taken = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise _no_address(host, port, error) from error
    with taken:
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
            taken.listen()  # else another service could still take it
        except OSError as error:
            raise _no_address(host, port, error) from error
        yield taken


def make_app(settings: ServiceSettings) -> "FastAPI":
    """AgentScope's service with our credential, agents and storage.

    Args:
        settings (`ServiceSettings`):
            How it runs; the storage is there already.
    """
    from agentscope.app import create_app
    from agentscope.app.message_bus import InMemoryMessageBus
    from agentscope.app.storage import AsyncSQLAlchemyStorage
    from agentscope.app.workspace_manager import LocalWorkspaceManager

    for logger in ("as", "uvicorn.error"):
        logging.getLogger(logger).addFilter(_in_one_line)
    return create_app(
        storage=AsyncSQLAlchemyStorage(settings.url, create_tables=False),
        message_bus=InMemoryMessageBus(),
        workspace_manager=LocalWorkspaceManager(str(settings.workspaces)),
        extra_credentials=[HuggingFaceCredential],
        extra_middlewares=_http_middlewares(settings),
        custom_agent_cls=settings.agent_class,
        title="Agents on models of your own",
    )


def run_app(
    app: "FastAPI",
    listener: socket.socket,
    on_start: Callable[[], None],
) -> None:
    """Serve until a signal ends it; running replies are broken off then.

    Args:
        app (`FastAPI`):
            The service.
        listener (`socket.socket`):
            Where to listen.
        on_start (`Callable[[], None]`):
            Called when it answers.

    Raises:
        `ServiceError`: It could not start.
    """
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_start()

    server = Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_GRACE_S,
        ),
    )
    server.run(sockets=[listener])
    if not server.started:
        raise ServiceError(
            "the agent service could not start",
            fix="look at the lines above; --debug shows more",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _http_middlewares(settings: ServiceSettings) -> list[Any]:
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    middlewares = []
    if is_loopback(settings.host):
        # Else a web page could give its own name the address of this
        # machine, and its visitor's browser would talk to the service.
        hosts = ["localhost", "127.0.0.1", "::1", "[::1]", settings.host]
        middlewares.append(
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
        )
    if settings.web_origins:
        middlewares.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.web_origins),
                allow_methods=["*"],
                allow_headers=["*"],
            ),
        )
    return middlewares


def _check_path(path: Path) -> None:
    """Refuse what is no file, and what AgentScope would take for another one
    when it reads the path as a part of an address."""
    if path.is_dir():
        raise _unusable(path, "it is a folder")
    found = [mark for mark in _NOT_IN_PATHS if mark in str(path)]
    if found:
        raise _unusable(path, f"its path has a {found[0]!r}")


def _check_writable(path: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path, _LOCK_S)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("CREATE TABLE whether_it_can_be_written (one)")
            database.rollback()
    except sqlite3.Error as error:
        raise _unusable(path, str(error)) from error


async def _migrate(settings: ServiceSettings) -> None:
    """Give the file the tables of this version of AgentScope."""
    from agentscope.app.storage import AsyncSQLAlchemyStorage
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    storage = AsyncSQLAlchemyStorage(
        settings.url,
        create_tables=False,
        auto_migrate=True,
    )
    try:
        async with storage:
            pass
    except (CommandError, SQLAlchemyError) as error:
        reason = str(error).partition("\n")[0]
        raise _unusable(settings.storage.absolute(), reason) from error


def _unusable(path: Path, reason: str) -> ServiceError:
    return ServiceError(
        f"the storage {path} cannot be used: {reason}",
        fix="name another file with --storage",
    )


def _no_address(host: str, port: int, error: Exception) -> ServiceError:
    reason = getattr(error, "strerror", None) or error
    return ServiceError(
        f"cannot listen at {host}:{port}: {reason}",
        fix="choose another --port or --host, or end what listens there",
    )


def _in_one_line(record: logging.LogRecord) -> bool:
    """Tell errors that users cause in a line, and nothing of connections that
    end with the service; a traceback helps nobody."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, asyncio.CancelledError):
        return False
    if isinstance(error, LocalLLMError):
        record.msg = f"{record.getMessage()} {error}"
        record.args, record.exc_info = (), None
    return True
