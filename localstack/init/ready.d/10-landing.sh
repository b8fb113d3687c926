#!/bin/bash
# Makes the landing bucket and lands the files of localstack/landing. LocalStack forgets both when it stops, so this runs at each start;
# the same content under the same key is not loaded again.
set -euo pipefail
export PYTHONPYCACHEPREFIX=/tmp/pycache # the image is read-only: without it each call would compile the whole client

# S3 takes no constraint for its first region, and wants one for every other.
constraint=()
region=${AWS_DEFAULT_REGION:-us-east-1}
[ "$region" = us-east-1 ] || constraint=(--create-bucket-configuration "LocationConstraint=$region")

awslocal --region "$region" s3api create-bucket --bucket "$S3_BUCKET" "${constraint[@]}" >/dev/null
awslocal s3 cp --recursive --quiet --exclude NOTICE --exclude '.*' --exclude '*/.*' /landing "s3://$S3_BUCKET/$S3_PREFIX"
