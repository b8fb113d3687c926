"""What a person's machine brings along, made harmless for every program of the platform. Standard library only."""

import codecs
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from blocks.errors import ConfigurationError

DIRECT = "127.0.0.1,localhost"
"""What NO_PROXY must name so that no proxy is asked for this machine's own ports."""

# Without a backslash: awk reads these too, in the file that `make dev` writes for other shells.
PROXY = "^([Hh][Tt][Tt][Pp][Ss]?://)?([^/?#@ ]*@)?[A-Za-z0-9_.-]+(:[0-9]+)?/?$"
"""A proxy that httpx can use: over HTTP, by the name of its host."""
NO_PROXY_ENTRY = (
    "^([*]|[*.]*[A-Za-z0-9_-][A-Za-z0-9_.-]*(:[0-9]+|/[0-9]+)?|[0-9A-Fa-f]*(:[0-9A-Fa-f]*)*::[0-9A-Fa-f:.]*)$"
)
"""An entry of NO_PROXY that httpx can read, once the brackets of an IPv6 address are gone."""
KEPT = frozenset(
    {"PYTHONIOENCODING", "PYTHONUTF8", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
)
"""Those of Python's own variables that change neither which modules are found nor what they do."""

PLAIN = {"…": "...", "✓": "ok", "█": "#", "─": "-", "━": "-", "→": "->", "–": "-", "—": "-", "’": "'", "•": "*"}  # noqa: RUF001
SPINNER = range(0x2800, 0x2900)


def direct(environment: Mapping[str, str]) -> dict[str, str]:
    """The proxy variables of an environment as our clients can use them, past the proxy for this machine.

    httpx refuses every request while NO_PROXY holds `[::1]` or a range of IPv6 addresses, or while a proxy is of a kind
    that it does not know. Such an entry is left out.
    """
    lower = {name.lower(): value for name, value in environment.items() if name.lower().endswith("_proxy") and value}
    # The lower-case one comes first, as in curl, boto3 and httpx.
    lower |= {name: environment[name] for name in lower if environment.get(name)}
    entries = re.sub(r"[\[\]]", "", lower.pop("no_proxy", "")).replace(",", " ").split()
    kept = [entry for entry in entries if re.match(NO_PROXY_ENTRY, entry)]
    found = {name: value for name, value in lower.items() if re.match(PROXY, value)}
    found["no_proxy"] = ",".join(dict.fromkeys([*kept, *DIRECT.split(",")]))
    return found | {name.upper(): value for name, value in found.items()}


def go_direct() -> None:
    """Take no proxy to this machine, in this process and those that it starts; without a proxy, change nothing."""
    names = [name for name in os.environ if name.lower().endswith("_proxy")]
    if names:
        proxies = direct(os.environ)
        for name in names:
            del os.environ[name]
        os.environ.update(proxies)


def through_proxy(url: str) -> str:
    """Return a sentence that names the proxy by which a URL is reached; "" where there is none."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme, "")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return ""
    shown = re.sub("[^/]*@", "", proxy)
    return f" It is reached through the proxy {shown}: does that let it through? NO_PROXY names hosts that need none."


def plain_output() -> None:
    """Let standard output and error show what their encoding can, and on a terminal of size 0, too."""
    codecs.register_error("plain", _plain)
    for name in ("COLUMNS", "LINES"):  # of a size of 0, Rich prints nothing
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
    """The path by which DuckDB and dbt can use a DuckDB file: below a folder with a # in its name, one by a link.

    dbt-duckdb (1.11) takes the path for a URL, and looks for a database `c` below a folder `c#`. DuckDB (2.0) gives
    the write-ahead log another name from a ? on, so that no transaction commits, and takes a backslash for a slash.

    Raises:
        blocks.errors.ConfigurationError: no DuckDB file can be written there, or the link's place is somebody else's.
    """
    folder = file.absolute().parent
    if wrong := re.search(r"[?\\\x00-\x1f]", str(folder)):
        raise ConfigurationError(
            f"DuckDB cannot write {str(file)!r}: a folder has {wrong.group()!r} in its name. Rename it, or take "
            "another place."
        )
    if "#" not in str(folder):
        return file
    link = Path(tempfile.gettempdir(), f"platform-{os.getuid()}-{sha256(os.fsencode(folder)).hexdigest()[:16]}")
    with suppress(FileExistsError):
        link.symlink_to(folder)
    if link.lstat().st_uid != os.getuid() or not link.is_symlink() or link.readlink() != folder:
        raise ConfigurationError(f"{link} should be a link to {folder}, and is not. Remove it, then try again.")
    return link / file.name


def isolate(module: str) -> None:
    """Start this program again, as `python -m MODULE`, where Python would look for modules elsewhere than in its own.

    A folder in PYTHONPATH, or the one in which a person stands, may hold a module with a name that we import. In a
    locale without UTF-8 Python reads a path's letters otherwise than DuckDB; what is printed stays in the locale's.
    """
    foreign = [name for name in os.environ if name.startswith("PYTHON") and name not in KEPT]
    utf8 = sys.getfilesystemencoding() == "utf-8"
    if foreign or not utf8 or not sys.flags.safe_path:
        own = {name: value for name, value in os.environ.items() if name not in foreign}
        if not utf8:
            shown = os.environ.get("PYTHONIOENCODING") or sys.stdout.encoding
            own |= {"PYTHONUTF8": "1", "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": shown}
        os.execve(sys.executable, [sys.executable, "-P", "-s", "-m", module, *sys.argv[1:]], own)  # noqa: S606
