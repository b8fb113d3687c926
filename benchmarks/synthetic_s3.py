"""An S3 that holds any number of objects without keeping them: `python benchmarks/synthetic_s3.py OBJECTS NEW`.

It answers ListObjectsV2 from arithmetic and keeps what is put (the cursor). moto's listing is quadratic in the number
of objects, so that it cannot hold this many. It prints its port; GET /calls tells how many of each call it got.
"""

import json
import sys
from collections import Counter
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NEW = "2013-02-01"
PAGE = 1000


class SyntheticS3(ThreadingHTTPServer):
    """The server; the last `new` of its objects are dated at NEW, the others within the month before."""

    def __init__(self, objects: int, new: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects, self.new = objects, new
        self.saved: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()

    def page(self, start: int) -> str:
        """One page of the listing, from an object's number on."""
        end = min(start + PAGE, self.objects)
        items = "".join(map(self._item, range(start, end)))
        more = end < self.objects
        token = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>landing</Name>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}<KeyCount>{end - start}</KeyCount>{items}"
            "</ListBucketResult>"
        )

    def _item(self, number: int) -> str:
        date = NEW if number >= self.objects - self.new else f"2013-01-{1 + number // PAGE % 30:02}"
        return (
            f"<Contents><Key>inbound/flights/{number:09}.csv.gz</Key><LastModified>{date}T00:00:00.000Z"
            f"</LastModified><ETag>&quot;{number:032x}&quot;</ETag><Size>16384</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )


class Handler(BaseHTTPRequestHandler):
    """The few calls that a sensor makes."""

    server: SyntheticS3
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """A page of the listing, an object that was put, or the counts of calls."""
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if url.path == "/calls":
            self._answer(200, json.dumps(self.server.calls).encode())
        elif "list-type" in query:
            self.server.calls["list"] += 1
            self._answer(200, self.server.page(int(query.get("continuation-token", ["0"])[0])).encode())
        elif body := self.server.saved.get(url.path):
            self.server.calls["get"] += 1
            self._answer(200, body, ETag=f'"{md5(body).hexdigest()}"')
        else:
            self.server.calls["get"] += 1
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_PUT(self) -> None:
        """Keep an object."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls["put"] += 1
        self.server.saved[urlsplit(self.path).path] = body
        self._answer(200, b"", ETag=f'"{md5(body).hexdigest()}"')

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: a million objects are a thousand calls."""


if __name__ == "__main__":
    server = SyntheticS3(int(sys.argv[1]), int(sys.argv[2]))
    print(server.server_address[1], flush=True)
    server.serve_forever()
