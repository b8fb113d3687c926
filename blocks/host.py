"""Protects the platform's programs from the machine's proxies, terminals and paths. Standard library only."""

import codecs
import io
import os
import re
import stat
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from blocks.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LOCAL_HOSTS = "127.0.0.1,localhost"
"""The hosts that NO_PROXY must name, so that requests to this machine's own ports do not go to a proxy."""

# These patterns have no backslashes, since awk reads them too, in the file that `make dev` writes for other shells.
PROXY = "^([Hh][Tt][Tt][Pp][Ss]?://)?([^/?#@ ]*@)?[A-Za-z0-9_.-]+(:[0-9]+)?/?$"
"""A proxy that httpx can use: an HTTP proxy with a host name."""
NO_PROXY_ENTRY = (
    "^([*]|[*.]*[A-Za-z0-9_-][A-Za-z0-9_.-]*(:[0-9]+|/[0-9]+)?|[0-9A-Fa-f]*(:[0-9A-Fa-f]*)*::[0-9A-Fa-f:.]*)$"
)
"""An entry of NO_PROXY that httpx can read, after the brackets of an IPv6 address have been removed."""
HARMLESS = frozenset(
    {"PYTHONIOENCODING", "PYTHONUTF8", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
)
"""Python's variables that affect neither which modules Python finds nor what they do."""

PLAIN = {"…": "...", "✓": "ok", "█": "#", "─": "-", "━": "-", "→": "->", "–": "-", "—": "-", "’": "'", "•": "*"}  # noqa: RUF001
SPINNER = range(0x2800, 0x2900)


def proxy_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment's proxy variables in a form that our clients can use, without a proxy for this machine.

    httpx rejects every request while NO_PROXY contains `[::1]` or a range of IPv6 addresses, or while a proxy has a
    scheme that httpx does not know. Such entries are left out.
    """
    lower = {name.lower(): value for name, value in environment.items() if name.lower().endswith("_proxy") and value}
    # The lower-case variable takes precedence, as in curl, boto3 and httpx.
    lower |= {name: environment[name] for name in lower if environment.get(name)}
    entries = re.sub(r"[\[\]]", "", lower.pop("no_proxy", "")).replace(",", " ").split()
    kept = [entry for entry in entries if re.match(NO_PROXY_ENTRY, entry)]
    found = {name: value for name, value in lower.items() if re.match(PROXY, value)}
    found["no_proxy"] = ",".join(dict.fromkeys([*kept, *LOCAL_HOSTS.split(",")]))
    return found | {name.upper(): value for name, value in found.items()}


def bypass_proxy_locally() -> None:
    """Use no proxy for this machine, in this process and its child processes. Without a proxy, change nothing."""
    names = [name for name in os.environ if name.lower().endswith("_proxy")]
    if names:
        proxies = proxy_variables(os.environ)
        for name in names:
            del os.environ[name]
        os.environ.update(proxies)


def through_proxy(url: str) -> str:
    """Return a sentence that names the proxy for a URL; "" if there is none."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme, "")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return ""
    shown = re.sub("[^/]*@", "", proxy)
    return f" Requests to it go through the proxy {shown}. Check that proxy, or add the host to NO_PROXY."


class _Output(io.FileIO):
    """Standard output or error that leads nowhere after its reader has gone."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            return super().write(data)


def reliable_output() -> None:
    """Show each line at once, and let this program finish its work after its reader has gone, as in `make run | head`.

    Otherwise, a pipe would get 8 KiB at a time. Without a reader, `print` would raise an error, and dbt and `logging`
    would print a stack trace for each further line.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        with suppress(AttributeError, OSError):
            kind = os.fstat(stream.fileno()).st_mode
            if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
                stream.flush()
                buffer = io.BufferedWriter(_Output(stream.fileno(), "wb", closefd=False))
                stream = io.TextIOWrapper(buffer, stream.encoding, stream.errors)
                setattr(sys, name, stream)
            stream.reconfigure(line_buffering=True)


def plain_output() -> None:
    """Replace characters that the encoding of standard output or error lacks, and ignore a terminal size of 0."""
    codecs.register_error("plain", _plain)
    for name in ("COLUMNS", "LINES"):  # with a size of 0, Rich prints nothing
        if not os.environ.get(name, "1").strip("0"):
            del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) in ("strict", "surrogateescape", "backslashreplace"):
            with suppress(AttributeError, OSError, ValueError):
                stream.reconfigure(errors="plain")  # type: ignore[union-attr]


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "*" if ord(sign) in SPINNER else "?") for sign in text), error.end


def plain_path(file: Path) -> Path:
    """Return a path of a DuckDB file that DuckDB and dbt can use: a link if a folder has a # in its name.

    dbt-duckdb (1.11) parses the path as a URL, and looks for a database `c` below a folder `c#`. DuckDB (2.0) cuts the
    name of the write-ahead log at a `?`, so no transaction commits. It also reads a backslash as a slash.

    Raises:
        blocks.errors.ConfigurationError: DuckDB cannot write there, or the link's path belongs to somebody else.
    """
    folder = file.absolute().parent
    if wrong := re.search(r"[?\\\x00-\x1f]", str(folder)):
        raise ConfigurationError(
            f"DuckDB cannot write {str(file)!r}: a folder has {wrong.group()!r} in its name. Rename the folder, or "
            "choose another one."
        )
    if "#" not in str(folder):
        return file
    link = Path(tempfile.gettempdir(), f"platform-{os.getuid()}-{sha256(os.fsencode(folder)).hexdigest()[:16]}")
    with suppress(FileExistsError):
        link.symlink_to(folder)
    if link.lstat().st_uid != os.getuid() or not link.is_symlink() or link.readlink() != folder:
        raise ConfigurationError(f"{link} is not the expected link to {folder}. Remove it, then try again.")
    return link / file.name


def isolate(module: str) -> None:
    """Restart this program as `python -m MODULE` if Python would search foreign folders, or does not use UTF-8.

    A folder in PYTHONPATH, or the working directory, may have a module with a name that we import. In a locale without
    UTF-8, Python decodes paths differently from DuckDB. The output keeps the locale's encoding.
    """
    foreign = [name for name in os.environ if name.startswith("PYTHON") and name not in HARMLESS]
    utf8 = sys.getfilesystemencoding() == "utf-8"
    if foreign or not utf8 or not sys.flags.safe_path:
        own = {name: value for name, value in os.environ.items() if name not in foreign}
        if not utf8:
            shown = os.environ.get("PYTHONIOENCODING") or sys.stdout.encoding
            own |= {"PYTHONUTF8": "1", "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": shown}
        os.execve(sys.executable, [sys.executable, "-P", "-s", "-m", module, *sys.argv[1:]], own)  # noqa: S606
