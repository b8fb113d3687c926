"""The queue for the landing bucket's events, on moto. LocalStack creates it in localstack/init/ready.d/20-queue.sh."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

NAME = "landing-events"
ACCOUNT = "123456789012"
"""moto's default account."""


def queue_url(endpoint: str) -> str:
    """Return the queue's URL on moto."""
    return f"{endpoint}/{ACCOUNT}/{NAME}"


def make_queue(s3: "S3Client", sqs: "SQSClient", bucket: str, prefix: str) -> None:
    """Create the queue and its dead-letter queue, and send the bucket's events to it. Repeating this is harmless."""
    dead = sqs.create_queue(QueueName=f"{NAME}-dead")["QueueUrl"]
    queue = sqs.create_queue(QueueName=NAME)["QueueUrl"]
    arns = [
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for url in (dead, queue)
    ]
    policy = {"deadLetterTargetArn": arns[0], "maxReceiveCount": "1000"}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": json.dumps(policy)})
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "QueueArn": arns[1],
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
                }
            ]
        },
    )
