"""Check S3 and its queue the way the sensor and the cursor use them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from blocks.errors import PlatformError
from blocks.landing import CURSORS, REDIRECTED, code_of, error_text, remedy
from blocks.systems import S3Landing
from commands.doctor.finding import Finding

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROBE = f"{CURSORS}doctor"
NEVER = '"00000000000000000000000000000000"'


def landing(block: S3Landing) -> Iterable[Finding]:
    """Check that the bucket can be listed and supports conditional writes, and that the queue exists."""
    where = f"s3://{block.bucket}/{block.prefix}"
    s3 = block.get_client()
    try:
        listed = s3.list_objects_v2(Bucket=block.bucket, Prefix=block.prefix, MaxKeys=1)
    except (BotoCoreError, ClientError, REDIRECTED) as error:
        yield Finding("s3 listing", "fail", f"{where}: {error_text(error)}", remedy(error))
        return
    if listed["KeyCount"]:
        yield Finding("s3 listing", "ok", f"{where} can be listed")
    else:
        yield Finding("s3 listing", "warn", f"{where} is empty", "Check S3_PREFIX: files land below it.")
    yield conditional_write(s3, block.bucket)
    if block.queue_url:
        yield queue(block)


def conditional_write(s3: "S3Client", bucket: str) -> Finding:
    """Try a write whose condition cannot be met. A store with conditional writes rejects it and writes nothing."""
    name, keep = "s3 conditional writes", "The sensor's cursor needs If-Match. Use a store that supports it."
    try:
        s3.put_object(Bucket=bucket, Key=PROBE, Body=b"", IfMatch=NEVER)
    except ClientError as error:
        code = code_of(error)
        if code in ("PreconditionFailed", "NoSuchKey", "404", "412"):
            return Finding(name, "ok", "a write whose condition is not met is rejected")
        fix = (
            f"Give the user or role s3:PutObject and s3:DeleteObject on {CURSORS}*."
            if code in ("AccessDenied", "403")
            else keep
        )
        return Finding(name, "fail", f"{bucket}/{PROBE}: {error}", fix)
    except BotoCoreError as error:
        return Finding(name, "fail", str(error), keep)
    s3.delete_object(Bucket=bucket, Key=PROBE)  # only a store without conditional writes gets here
    return Finding(name, "fail", "the store writes even if the condition is not met", keep)


def queue(block: S3Landing) -> Finding:
    """Check that the queue of SENSOR_QUEUE_URL can be read and has a dead-letter queue."""
    try:
        sqs = block.get_queue_client()
        answer = sqs.get_queue_attributes(QueueUrl=block.queue_url, AttributeNames=["All"])
    except (BotoCoreError, ClientError, PlatformError) as error:
        fix = "Correct SENSOR_QUEUE_URL, or give the user or role sqs:GetQueueAttributes and sqs:ReceiveMessage."
        return Finding("queue", "fail", f"{block.queue_url}: {error}", fix)
    if "RedrivePolicy" not in answer.get("Attributes", {}):
        fix = "Give it a redrive policy, as localstack/init/ready.d/20-queue.sh does."
        return Finding("queue", "fail", f"{block.queue_url} has no dead-letter queue", fix)
    return Finding("queue", "ok", f"{block.queue_url} exists and has a dead-letter queue")
