"""The command line: serve, check, run. Its options are the settings table; a failure is a sentence and exit code 1.

Commands import what they need when they run: the server takes a second to import, `check` and `--help` need none of it.
"""

import asyncio
import errno
import inspect
import json
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cellblock import __version__, settings
from cellblock.cli.checking import complete, look, look_at_servers, report, report_servers, sufficient
from cellblock.errors import CellblockError, ConfigurationError, InvalidRequest
from cellblock.logs import configure

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
BACKLOG = 2048


def main() -> None:
    """The console script."""
    cli()


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@cli.callback()
def about(
    version: Annotated[bool, typer.Option("--version", help="Print it.", callback=_version, is_eager=True)] = False,
) -> None:
    """A self-hosted code interpreter."""


@contextmanager
def one_sentence() -> Iterator[None]:
    """An error of ours as a sentence and its hint on stderr, with exit code 1."""
    try:
        yield
    except CellblockError as problem:
        hint = "" if isinstance(problem, InvalidRequest) else problem.hint  # those are for callers over HTTP
        print(f"cellblock: {problem.message}", *([hint] if hint else []), sep="\n", file=sys.stderr)
        raise typer.Exit(1) from None


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command that takes `**given` an option for each setting, the table being their only source."""
    own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [
        inspect.Parameter(row.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(row))
        for row in settings.rows()
        if row.option
    ]
    signature = inspect.Signature([*own, *options])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command


def _annotation(row: settings.Row) -> Any:
    """What is off unless it is asked for needs no value."""
    if row.default == "false":
        return Annotated[bool | None, typer.Option(row.option, help=row.description)]
    metavar = row.unit or "text"
    option = typer.Option(row.option, help=row.description, show_default=row.default or False, metavar=metavar)
    return Annotated[str | None, option]


TokenFile = Annotated[Path | None, typer.Option(help="Read the start token from this file.")]


@cli.command()
@with_settings
def serve(token_file: TokenFile = None, **given: Any) -> None:
    """Serve the page and the API."""
    with one_sentence():
        loaded = settings.load(token=_token(token_file), **given)
        configure(loaded.log_format)
        able(loaded, sys.platform)
        for sentence in settings.warnings():
            print(f"cellblock: {sentence}", file=sys.stderr)
        from cellblock.cli.serving import Listening

        with listen(loaded.host, loaded.port) as listener:
            loaded = loaded.model_copy(update={"port": listener.getsockname()[1]})
            jupyter = "--jupyter-port or CELLBLOCK_JUPYTER_PORT"
            more = [listen("127.0.0.1", loaded.jupyter_port, jupyter)] if loaded.jupyter_port else []
            Listening(loaded).serve_on(listener, *more)


def able(loaded: settings.Settings, platform: str) -> None:
    """ConfigurationError where kernels of our own cannot be had and none of other servers' are wanted."""
    if platform != "linux" and not loaded.remote_servers:
        hint = "Set JUPYTER_KERNEL_GATEWAY_URL to the address of a Jupyter server, and kernels come from there."
        raise ConfigurationError("Kernels of its own Cellblock starts on Linux only.", hint=hint)


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"The token file cannot be read: {problem}") from None
    if not token:
        raise ConfigurationError(f"The token file {path} is empty.")
    return token


def listen(host: str, port: int, setting: str = "--port or CELLBLOCK_PORT") -> socket.socket:
    """A listening socket. ConfigurationError when the address cannot be had."""
    address = "127.0.0.1" if host == "localhost" else host
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(BACKLOG)  # whoever calls while the server starts is answered when it has
    except OSError as problem:
        listener.close()
        setting = setting if problem.errno in (errno.EADDRINUSE, errno.EACCES) else "--host or CELLBLOCK_HOST"
        hint = f"Choose another with {setting}."
        raise ConfigurationError(f"Cannot listen on {host}:{port}: {problem.strerror}.", hint=hint) from None
    return listener


@cli.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Whose environments.toml to look at.")] = None,
) -> None:
    """Say what this host gives to shut kernels in, whether each environment has what kernels need, and how to get it."""
    with one_sentence():
        loaded = settings.load(data_dir=data_dir)
        if remote := settings.remote(loaded):
            seen = asyncio.run(look_at_servers(remote))
            good = any(layer["ok"] for layer in seen)
            print(json.dumps({"remote": seen, "ok": good}) if as_json else report_servers(seen))
            raise typer.Exit(0 if good else 1)
        found = asyncio.run(look(settings.environments(loaded.data_dir)))
        good = sufficient(loaded.sandbox, found["level"]) and complete(found)
        print(json.dumps({**found, "wanted": loaded.sandbox, "ok": good}) if as_json else report(found, loaded.sandbox))
        raise typer.Exit(0 if good else 1)


@cli.command()
def run(
    file: Annotated[Path, typer.Argument(help="A .py file, cells divided by `# %%`, or an .ipynb.", dir_okay=False)],
    output: Annotated[Path | None, typer.Option(help="Where the executed notebook goes: FILE.out.ipynb.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for each cell.")] = None,
    data: Annotated[
        list[Path] | None, typer.Option("--file", help="A file to put into the workspace; repeatable.")
    ] = None,
) -> None:
    """Run a file in a sandboxed kernel; the first error ends it with exit code 1."""
    with one_sentence():
        from cellblock.cli.script import Script

        configure("console", logging.WARNING)
        try:
            raise typer.Exit(asyncio.run(Script(file, output, timeout, data or []).run()))
        except asyncio.CancelledError:
            raise typer.Exit(128 + signal.SIGTERM) from None
