"""A backup of the landing bucket as a tar file: the sensor's cursors, and the landed files if S3 is a stand-in.

`python -m blocks.landing_archive save` writes the tar file to standard output, `… restore` reads it from standard
input. A restore does not overwrite objects, so a cursor that has moved on is not set back. Objects are streamed in
pieces, so their size does not matter. Each object keeps its ETag, by which the platform identifies it: an object that
was uploaded in parts is restored in the same parts.
"""

import argparse
import sys
import tarfile
from typing import IO, TYPE_CHECKING, Any, cast

import httpx
from botocore.exceptions import ClientError

from blocks.landing import CURSORS, NOT_S3, code_of, objects, unavailable
from blocks.settings import Settings
from blocks.systems import landing_from

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PARTS = "PLATFORM.parts"
"""Header of a member whose object was uploaded in parts: the parts' sizes in bytes, separated by commas."""
SMALL, PIECE = 8 * 2**20, 2**20
"""Size in bytes up to which boto3 holds an object in memory, and the piece of a larger object that is in memory."""
UPLOAD_SECONDS = 3600


def save(s3: "S3Client", bucket: str, out: IO[bytes], everything: bool) -> int:
    """Write the cursors, or every object in the bucket; return the number of objects."""
    saved = 0
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for each in objects(s3, bucket, "" if everything else CURSORS):
            try:
                answer = s3.get_object(Bucket=bucket, Key=each.key)
            except ClientError as error:
                if code_of(error) == "NoSuchKey":  # removed since it was listed
                    continue
                raise
            member = tarfile.TarInfo(each.key)
            member.size, member.mtime = answer["ContentLength"], int(each.date.timestamp())
            if "-" in answer["ETag"]:
                member.pax_headers = {PARTS: ",".join(map(str, _parts(s3, bucket, each.key)))}
            archive.addfile(member, cast(IO[bytes], answer["Body"]))
            saved += 1
    return saved


def _parts(s3: "S3Client", bucket: str, key: str) -> list[int]:
    """Return the sizes in bytes of the parts in which an object was uploaded."""
    first = s3.head_object(Bucket=bucket, Key=key, PartNumber=1)
    others = range(2, first.get("PartsCount", 1) + 1)
    rest = (s3.head_object(Bucket=bucket, Key=key, PartNumber=number) for number in others)
    return [first["ContentLength"], *(each["ContentLength"] for each in rest)]


def restore(s3: "S3Client", bucket: str, source: IO[bytes]) -> int:
    """Upload the objects of an archive that are not in the bucket; return their number."""
    there = {each.key for each in objects(s3, bucket, "")}
    restored = 0
    with tarfile.open(fileobj=source, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if member.name in there or not content:
                continue
            to: dict[str, Any] = {"Bucket": bucket, "Key": member.name}
            if parts := member.pax_headers.get(PARTS):
                _upload(s3, to, content, [int(size) for size in parts.split(",")])
            elif member.size <= SMALL:
                s3.put_object(**to, Body=content.read())
            else:
                _send(s3, "put_object", to, content, member.size)
            restored += 1
    return restored


def _upload(s3: "S3Client", to: dict[str, Any], content: IO[bytes], sizes: list[int]) -> None:
    """Upload an object in parts of these sizes."""
    upload = {**to, "UploadId": s3.create_multipart_upload(**to)["UploadId"]}
    parts: list[CompletedPartTypeDef] = []
    for number, size in enumerate(sizes, start=1):
        etag = _send(s3, "upload_part", {**upload, "PartNumber": number}, content, size)
        parts.append({"PartNumber": number, "ETag": etag})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def _send(s3: "S3Client", operation: str, to: dict[str, Any], content: IO[bytes], size: int) -> str:
    """Upload the next `size` bytes in pieces, and return the ETag. boto3 can do this only if it can read them twice.

    Raises:
        httpx.HTTPError: S3 does not answer, or denies the upload.
    """
    url = s3.generate_presigned_url(operation, Params=to, ExpiresIn=UPLOAD_SECONDS)
    pieces = (content.read(min(PIECE, size - start)) for start in range(0, size, PIECE))
    answer = httpx.put(url, content=pieces, headers={"Content-Length": str(size)}, timeout=60)
    return str(answer.raise_for_status().headers["ETag"])


def main() -> int:
    """Save or restore the environment's bucket. Return 1 if S3 fails."""
    parser = argparse.ArgumentParser(prog="python -m blocks.landing_archive", description=__doc__)
    parser.add_argument("what", choices=("save", "restore"))
    parser.add_argument("--everything", action="store_true", help="also save the landed files")
    options = parser.parse_args()
    landing = landing_from(Settings())
    try:
        if options.what == "save":
            count = save(landing.get_client(), landing.bucket, sys.stdout.buffer, options.everything)
        else:
            count = restore(landing.get_client(), landing.bucket, sys.stdin.buffer)
    except (*NOT_S3, httpx.HTTPError) as error:
        print(unavailable(landing.bucket, error), file=sys.stderr)
        return 1
    print(f"{options.what}d {count} objects of s3://{landing.bucket}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
