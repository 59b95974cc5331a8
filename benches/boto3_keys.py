"""The keys of all users with boto3, as CSV: one call after the other, or with threads. Arguments: threads, retry mode."""
import concurrent.futures
import csv
import sys

import boto3
from botocore.config import Config

threads, retries = int(sys.argv[1]), sys.argv[2]
attempts = 20 if retries == "adaptive" else 5
iam = boto3.client("iam", config=Config(max_pool_connections=max(threads, 1), retries={"mode": retries, "max_attempts": attempts}))
out = csv.writer(sys.stdout)
out.writerow(["user_name", "access_key_id", "create_date"])


def keys(name):
    return iam.list_access_keys(UserName=name)["AccessKeyMetadata"]


pages = iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 1000})
names = (user["UserName"] for page in pages for user in page["Users"])
if threads > 1:
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(keys, list(names)))
else:
    found = map(keys, names)
for metadata in found:
    out.writerows([k["UserName"], k["AccessKeyId"], k["CreateDate"].isoformat()] for k in metadata)
