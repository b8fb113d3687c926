"""The sensor's cursors, and where S3 is a stand-in the landed files too, as a tar file: for back-ups.

`python -m blocks.landing_archive save` writes it to standard output, `… restore` reads it from standard input. What is
in the bucket already stays as it is, so that a cursor which has moved on is not set back.
"""

import argparse
import sys
import tarfile
from io import BytesIO
from typing import IO, TYPE_CHECKING

from blocks.connections import landing_from
from blocks.landing import CURSORS, NOT_S3, objects, unavailable
from blocks.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def save(s3: "S3Client", bucket: str, out: IO[bytes], everything: bool) -> int:
    """Write the cursors, or every object of the bucket; return how many objects there were."""
    count = 0
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for each in objects(s3, bucket, "" if everything else CURSORS):
            content = s3.get_object(Bucket=bucket, Key=each.key)["Body"].read()
            member = tarfile.TarInfo(each.key)
            member.size, member.mtime = len(content), int(each.date.timestamp())
            archive.addfile(member, BytesIO(content))
            count += 1
    return count


def restore(s3: "S3Client", bucket: str, source: IO[bytes]) -> int:
    """Put the objects of an archive that are not in the bucket there; return how many."""
    there = {each.key for each in objects(s3, bucket, "")}
    count = 0
    with tarfile.open(fileobj=source, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if member.name not in there and content:
                s3.put_object(Bucket=bucket, Key=member.name, Body=content.read())
                count += 1
    return count


def main() -> int:
    """Save or restore the bucket of the environment; 1 where S3 does not answer or refuses."""
    parser = argparse.ArgumentParser(prog="python -m blocks.landing_archive", description=__doc__)
    parser.add_argument("what", choices=("save", "restore"))
    parser.add_argument("--everything", action="store_true", help="save the landed files, too")
    options = parser.parse_args()
    landing = landing_from(Settings())
    try:
        if options.what == "save":
            count = save(landing.get_client(), landing.bucket, sys.stdout.buffer, options.everything)
        else:
            count = restore(landing.get_client(), landing.bucket, sys.stdin.buffer)
    except NOT_S3 as error:
        print(unavailable(landing.bucket, error), file=sys.stderr)
        return 1
    print(f"{count} objects of s3://{landing.bucket}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
