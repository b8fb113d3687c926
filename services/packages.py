"""Runs uv with pip's settings: `python -I services/packages.py pip sync …`; installs uv itself first.

People tell pip where packages come from, by variables and by files; uv reads none of these. Of pip's settings only
those count that say how an index is reached: the rest (`user`, `target`, `require-virtualenv`, …) would lead elsewhere.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements.lock"
WAYS = {
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
"""Pip's settings that lead to an index, with uv's names."""
OWN_OF_UV = re.compile(
    r"UV_(DEFAULT_INDEX|(EXTRA_)?INDEX_URL|INDEX(_.*)?|FIND_LINKS|NO_INDEX|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS"
    r"|HTTP_.*|KEYRING_PROVIDER|CACHE_DIR|NO_CACHE|OFFLINE|LINK_MODE|CONCURRENT_.*)"
)
"""Uv's variables that count: they, too, lead to an index, or say how the work is done."""


def pip_settings(listed: str) -> dict[str, str]:
    """The ways to an index in what `pip config list` prints; the command's own come before the general ones."""
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for line in listed.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(f"{section}."):
                found[name.removeprefix(f"{section}.").replace("default-timeout", "timeout")] = ast.literal_eval(value)
    return {name: value for name, value in found.items() if name in WAYS and value.strip()}


def environment(own: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
    """The environment for pip and uv: a person's own, without what would lead elsewhere, and with pip's settings."""
    kept = {
        name: value
        for name, value in own.items()
        if not name.startswith(("PIP_", "PYTHON", "UV_")) or OWN_OF_UV.fullmatch(name)
    }
    for_pip = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in pip.items()}
    for_uv = {WAYS[name]: _for_uv(name, value) for name, value in pip.items()}
    if {"UV_INDEX_URL", "UV_DEFAULT_INDEX"} & kept.keys():
        for_uv.pop("UV_DEFAULT_INDEX", None)
    # Like pip, look for the locked version in every index; the lock's hashes say which file is right.
    for_uv["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if certificates := own.get("REQUESTS_CA_BUNDLE") or own.get("CURL_CA_BUNDLE"):
        for_uv.setdefault("SSL_CERT_FILE", own.get("SSL_CERT_FILE") or certificates)
    before = {name: value for name, value in kept.items() if name.startswith("UV_")}
    return {**kept, **for_uv, **before, **for_pip, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _for_uv(name: str, value: str) -> str:
    places = value.split()
    if name in ("extra-index-url", "find-links"):
        places = [place for place in places if not _is_missing(place)]
    return ("," if name == "find-links" else " ").join(places)


def _is_missing(place: str) -> bool:
    """Whether a place is a local folder that is not there: pip warns of it, and uv would stop."""
    path = place.removeprefix("file://")
    return (path != place or "://" not in place) and not Path(path).expanduser().exists()


def main(arguments: list[str]) -> int:
    """Run uv; its exit code."""
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
