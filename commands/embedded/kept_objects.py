"""Keeps the embedded S3's objects on disk. moto keeps them only in memory, so they would be lost with its process."""

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from moto.s3.models import FakeKey, s3_backends

from commands.embedded.queue import ACCOUNT

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

READS = frozenset({"GET", "HEAD", "OPTIONS"})


class KeptObjects:
    """A WSGI application around moto's. A request that changes objects is answered after the change is on disk.

    An object keeps its key, content, ETag, date and metadata. In a bucket with versions, only the newest one is kept.
    Tags, ACLs, unfinished uploads and the settings of buckets are not kept.

    Args:
        app: moto's application.
        folder: folder with a subfolder for each bucket, and in it a file for each object: a line of JSON, then its
            content.
    """

    def __init__(self, app: "WSGIApplication", folder: Path) -> None:
        self._app, self._folder, self._lock = app, folder, Lock()
        self._s3 = s3_backends[ACCOUNT]["aws"]
        self._kept: dict[Path, FakeKey] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for bucket in sorted(each for each in folder.iterdir() if each.is_dir()):
            self._restore(bucket)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Handle a request."""
        answer = self._app(environ, start_response)
        if environ["REQUEST_METHOD"] in READS:
            return answer
        body = list(answer)
        with self._lock:
            self._keep()
        return body

    def _restore(self, folder: Path) -> None:
        self._s3.create_bucket(folder.name, "us-east-1")
        for file in folder.glob("*.object"):
            with file.open("rb") as kept:
                facts, content = json.loads(kept.readline()), kept.read()
            key = self._s3.put_object(folder.name, facts["key"], content, etag=facts["etag"], disable_notification=True)
            key.last_modified = datetime.fromisoformat(facts["last_modified"])
            key.set_metadata(facts["metadata"])
            self._kept[file] = key

    def _keep(self) -> None:
        objects = dict(self._objects())
        for file, key in objects.items():
            if self._kept.get(file) is not key:
                with suppress(ValueError):  # moto closed it: another request replaced it, and will keep the new one
                    _write(file, key)
                    self._kept[file] = key
        for file in self._kept.keys() - objects.keys():
            file.unlink(missing_ok=True)
            del self._kept[file]
        for bucket in self._folder.iterdir():
            if bucket.is_dir() and bucket.name not in self._s3.buckets:
                shutil.rmtree(bucket)

    def _objects(self) -> Iterable[tuple[Path, FakeKey]]:
        """Yield each current object with the file that keeps it."""
        for name, bucket in list(self._s3.buckets.items()):
            (self._folder / name).mkdir(exist_ok=True)
            for key_name, key in bucket.keys.items():
                if isinstance(key, FakeKey):  # otherwise a delete marker, in a bucket with versions
                    yield self._folder / name / f"{sha256(key_name.encode()).hexdigest()}.object", key


def _write(file: Path, key: FakeKey) -> None:
    facts: dict[str, Any] = {
        "key": key.name,
        "etag": key.etag.strip('"'),
        "last_modified": key.last_modified.isoformat(),
        "metadata": dict(key.metadata),
    }
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(json.dumps(facts).encode() + b"\n" + key.value)
    unfinished.replace(file)
