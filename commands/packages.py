"""Run uv with pip's settings: `python -I commands/packages.py pip sync …`. Install uv itself first.

People configure package indexes for pip, with variables and files that uv does not read. Only settings about indexes
are passed on; the others (`user`, `target`, `require-virtualenv`, …) would change where packages are installed.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements.lock"
INDEX_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
}
"""Pip's settings about indexes, with uv's names for them."""
UV_SETTINGS = re.compile(
    r"UV_(DEFAULT_INDEX|(EXTRA_)?INDEX_URL|INDEX(_.*)?|FIND_LINKS|NO_INDEX|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS"
    r"|HTTP_.*|KEYRING_PROVIDER|CACHE_DIR|NO_CACHE|OFFLINE|LINK_MODE|CONCURRENT_.*)"
)
"""Variables of uv that are kept: they are about indexes, or about how uv works."""


def pip_settings(listed: str) -> dict[str, str]:
    """Return the index settings in the output of `pip config list`. More specific sections override [global]."""
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for line in listed.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(f"{section}."):
                found[name.removeprefix(f"{section}.").replace("default-timeout", "timeout")] = ast.literal_eval(value)
    return {name: value for name, value in found.items() if name in INDEX_SETTINGS and value.strip()}


def environment(own: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for pip and uv: the user's without variables that redirect installs, plus `pip`."""
    kept = {
        name: value
        for name, value in own.items()
        if not name.startswith(("PIP_", "PYTHON", "UV_")) or UV_SETTINGS.fullmatch(name)
    }
    for_pip = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in pip.items()}
    for_uv = {INDEX_SETTINGS[name]: _for_uv(name, value) for name, value in pip.items()}
    if {"UV_INDEX_URL", "UV_DEFAULT_INDEX"} & kept.keys():
        for_uv.pop("UV_DEFAULT_INDEX", None)
    # Like pip, look for the locked version in every index. The lock's hashes decide which file is accepted.
    for_uv["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if certificates := own.get("REQUESTS_CA_BUNDLE") or own.get("CURL_CA_BUNDLE"):
        for_uv.setdefault("SSL_CERT_FILE", own.get("SSL_CERT_FILE") or certificates)
    overrides = {name: value for name, value in kept.items() if name.startswith("UV_")}
    return {
        **kept,
        **for_uv,
        **overrides,
        **for_pip,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def _for_uv(name: str, value: str) -> str:
    places = value.split()
    if name in ("extra-index-url", "find-links"):
        places = [place for place in places if not _is_missing(place)]
    return ("," if name == "find-links" else " ").join(places)


def _is_missing(place: str) -> bool:
    """Return whether a place is a missing local folder. Pip only warns about one, but uv would fail."""
    path = place.removeprefix("file://")
    return (path != place or "://" not in place) and not Path(path).expanduser().exists()


def main(arguments: list[str]) -> int:
    """Run uv and return its exit code."""
    python = [sys.executable, "-I", "-m"]
    listed = subprocess.run([*python, "pip", "config", "list"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    own = environment(os.environ, pip_settings(listed))
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        version = re.findall(r"^uv==[^ ]+", LOCK.read_text(), re.MULTILINE)
        if code := subprocess.run([*python, "pip", "install", "--quiet", *version], env=own, check=False).returncode:  # noqa: S603
            return code
    return subprocess.run([uv, *arguments], env=own, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
