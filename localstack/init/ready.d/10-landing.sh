#!/bin/bash
# Makes the landing bucket and lands the sample files. LocalStack forgets both when it stops, so this runs at each start;
# the same content under the same key is not loaded again.
set -euo pipefail
awslocal s3api create-bucket --bucket "$S3_BUCKET" >/dev/null
awslocal s3 cp --recursive --quiet --exclude NOTICE /landing "s3://$S3_BUCKET/$S3_PREFIX"
