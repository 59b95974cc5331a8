#!/usr/bin/env python3
"""Makes `signatures.json`: for each case the Authorization header that botocore's own signer gives to the request the client sent.

    ASSAY_SIGNATURE_REQUESTS=/tmp/requests.json cargo test -p assay-cloud signatures_are_botocores
    python make_signatures.py /tmp/requests.json

The first command writes the requests as sent (fixed clock, AWS's documented example key), the second signs method, URL, body and the
same set of headers with botocore and writes the vectors. A case that botocore would sign for another region or service fails here.
"""

import json
import sys
from pathlib import Path

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SCOPES = {  # what must be signed for, where it is not the region of the call and the service's own name
    ("iam", "eu-west-1"): ("us-east-1", "iam"),
    ("route53", "eu-west-1"): ("us-east-1", "route53"),
    ("organizations", "ap-southeast-2"): ("us-east-1", "organizations"),
    ("s3control", "eu-west-1"): ("eu-west-1", "s3"),
    ("efs", "eu-west-1"): ("eu-west-1", "elasticfilesystem"),
}


def authorization(case):
    sent = case["request"]
    headers = dict(sent["headers"])
    region, name = SCOPES.get((case["service"], case["region"]), (case["region"], case["service"]))
    parts = dict(p.strip().split("=", 1) for p in headers["authorization"].split(" ", 1)[1].split(","))
    request = AWSRequest(method=sent["method"], url=sent["url"], data=sent["body"].encode())
    for header in parts["SignedHeaders"].split(";"):
        if header != "host":
            request.headers[header] = headers[header]
    request.headers["host"] = sent["url"].split("/")[2]
    request.context.update(timestamp=headers["x-amz-date"], client_config=None)
    signer = (S3SigV4Auth if name == "s3" else SigV4Auth)(Credentials(KEY, SECRET, case.get("token")), name, region)
    if name != "s3":
        request.context["payload_signing_enabled"] = True
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    scope = f"{headers['x-amz-date'][:8]}/{region}/{name}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={parts['SignedHeaders']}, Signature={signature}"


def main():
    cases = json.loads(Path(sys.argv[1]).read_text())
    for case in cases:
        case["authorization"] = authorization(case)
        del case["request"]
    lines = ",\n".join(" " + json.dumps(case, ensure_ascii=False) for case in cases)
    Path(__file__).with_name("signatures.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
