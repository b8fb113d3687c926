#!/bin/sh
# Creates the queue for the landing bucket's events, for SENSOR_QUEUE_URL, and its dead-letter queue. It may run repeatedly.
set -eu
export PYTHONPYCACHEPREFIX=/tmp/pycache # as in 10-landing.sh

bucket=$S3_BUCKET
prefix=$S3_PREFIX
queue=landing-events
export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-us-east-1}"

awslocal sqs create-queue --queue-name "$queue-dead" >/dev/null
url=$(awslocal sqs create-queue --queue-name "$queue" --query QueueUrl --output text)
# LocalStack puts a queue in another region if it does not know the region, so ask for the queue's ARN.
arn=$(awslocal sqs get-queue-attributes --queue-url "$url" --attribute-names QueueArn \
  --query Attributes.QueueArn --output text)
# The sensor itself moves malformed messages, with the reason. The count is for messages that crash the sensor each time.
awslocal sqs set-queue-attributes --queue-url "$url" --attributes "$(cat <<END
{"MessageRetentionPeriod": "1209600",
 "RedrivePolicy": "{\"deadLetterTargetArn\": \"$arn-dead\", \"maxReceiveCount\": \"1000\"}"}
END
)"
awslocal s3api put-bucket-notification-configuration --bucket "$bucket" --notification-configuration "$(cat <<END
{"QueueConfigurations": [{"QueueArn": "$arn", "Events": ["s3:ObjectCreated:*"],
  "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "$prefix"}]}}}]}
END
)"
