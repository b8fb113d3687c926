"""Serve an S3 bucket with any number of generated objects: `python benchmarks/synthetic_s3.py OBJECTS NEW`.

It generates the answers to ListObjectsV2, and stores only objects that are put (the cursor). moto cannot be used,
because its listing is quadratic in the number of objects. It prints its port. GET /calls returns the number of calls.
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
    """The server. The last `new` objects have the date NEW; the others have dates in the month before."""

    def __init__(self, objects: int, new: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects, self.new = objects, new
        self.saved: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()

    def page(self, start: int) -> str:
        """Return one page of the listing, starting at an object's number."""
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
    """Answers the calls that a sensor makes."""

    server: SyntheticS3
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a page of the listing, a stored object, or the counts of calls."""
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
        """Store an object."""
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
        """Log nothing, because a million objects take a thousand calls."""


if __name__ == "__main__":
    server = SyntheticS3(int(sys.argv[1]), int(sys.argv[2]))
    print(server.server_address[1], flush=True)
    server.serve_forever()
