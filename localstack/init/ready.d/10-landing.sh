#!/bin/bash
# Creates the landing bucket and uploads the files of localstack/landing. LocalStack loses both when it stops, so this runs
# at each start. The same content under the same key is not loaded again.
set -euo pipefail
export PYTHONPYCACHEPREFIX=/tmp/pycache # the image is read-only, so each call would otherwise compile the whole client

# S3 accepts no location constraint for us-east-1, and requires one for every other region.
constraint=()
region=${AWS_DEFAULT_REGION:-us-east-1}
[ "$region" = us-east-1 ] || constraint=(--create-bucket-configuration "LocationConstraint=$region")

awslocal --region "$region" s3api create-bucket --bucket "$S3_BUCKET" "${constraint[@]}" >/dev/null
awslocal s3 cp --recursive --quiet --exclude NOTICE --exclude '.*' --exclude '*/.*' /landing "s3://$S3_BUCKET/$S3_PREFIX"
