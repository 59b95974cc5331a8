#!/usr/bin/env python3
"""Makes `aws.bin`: the service models of the installed botocore, stripped and compressed for embedding.

    python generate.py                      # write aws.bin and docs/aws-services.md
    python generate.py --check              # exit 1 when either differs from what botocore says
    python generate.py --data DIR           # another botocore `data` folder (its version is still checked)

Needs `botocore==1.44.5` and `zstandard`. Downloads nothing. The output depends on nothing but the botocore version
(and, for the compressed bytes only, on the zstd release: `--check` compares what is inside).

What is kept is what a client that only has JSON needs: wire facts of shapes, HTTP bindings, endpoint rules and their parameters,
error codes, retry facts, required members, paginators, how requests are signed, and where services are. Prose, examples, enums,
patterns, ranges, waiters and deprecation notes are left out. All operations are kept, writes too: the read allow-list
(`read_op.rs`) has to name them to refuse them, and leaving them out would save a third of a file that is small already.

Layout of `aws.bin` (integers little endian):

    magic "ASSAYMD1" · u32 length of the index · index · dictionary · one block for each service

The index is zstd of JSON: {botocore, dictionary: PLACE, partitions, services: {name: PLACE}}, a PLACE being
[offset, compressed length, length]. Blocks are zstd with
the dictionary (raw content: the endpoint rules that most services share, and one typical model). A block is UTF-8 text, one fact
a line, `KIND NAME JSON`, so that a reader can index it without parsing any JSON: `M` metadata, `R` endpoint rules, `G` regions
by partition, `P` paginators, `O` operations, `S` shapes.
"""

import argparse
import gzip
import json
import os
import struct
import sys
from pathlib import Path

BOTOCORE = "1.44.5"
MAGIC = b"ASSAYMD1"
HERE = Path(__file__).resolve().parent
OUT = HERE / "aws.bin"
DOC = HERE.parents[2] / "docs" / "aws-services.md"

METADATA = (
    "apiVersion", "endpointPrefix", "jsonVersion", "protocol", "protocols", "serviceId", "serviceFullName",
    "signatureVersion", "auth", "signingName", "targetPrefix", "xmlNamespace", "awsQueryCompatible",
)  # fmt: skip
OPERATION = (
    "http", "input", "output", "errors", "endpoint", "staticContextParams", "operationContextParams", "authtype",
    "auth", "readonly", "requestcompression", "unsignedPayload",
)  # fmt: skip
SHAPE = (
    "type", "members", "member", "key", "value", "required", "payload", "timestampFormat", "flattened", "locationName",
    "xmlNamespace", "document", "union", "exception", "error", "retryable", "eventstream", "streaming", "jsonvalue",
)  # fmt: skip
REFERENCE = (
    "shape", "location", "locationName", "flattened", "xmlAttribute", "xmlNamespace", "queryName", "idempotencyToken",
    "jsonvalue", "contextParam", "streaming", "timestampFormat", "resultWrapper",
)  # fmt: skip
PAGINATOR = ("input_token", "output_token", "more_results", "limit_key", "result_key")
DICTIONARY_SERVICES = ("sagemaker", "glue", "iam", "account")


def read_json(path):
    if path.exists():
        return json.loads(path.read_bytes())
    packed = path.with_name(path.name + ".gz")
    return json.loads(gzip.decompress(packed.read_bytes())) if packed.exists() else None


def merge(base, extra):
    """botocore's rule for `sdk-extras`: mappings are merged, everything else is replaced."""
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value


def document(folder, name):
    """A data file with its `sdk-extras` applied."""
    doc = read_json(folder / f"{name}.json")
    extras = read_json(folder / f"{name}.sdk-extras.json")
    if doc is not None and extras is not None:
        merge(doc, extras.get("merge", {}))
    return doc


def only(source, keys):
    return {k: source[k] for k in source if k in keys}


def reference(ref):
    out = only(ref, REFERENCE)
    if isinstance(out.get("contextParam"), dict):
        out["contextParam"] = only(out["contextParam"], ("name",))
    return out


def shape(name, source):
    out = only(source, SHAPE)
    for key in ("member", "key", "value"):
        if key in out:
            out[key] = reference(out[key])
    if "members" in out:
        out["members"] = {n: reference(r) for n, r in out["members"].items()}
    code = out.pop("error", {}).get("code")
    if code is not None and code != name:
        out["error"] = {"code": code}
    return out


def operation(source):
    out = only(source, OPERATION)
    out["http"] = only(out.get("http", {}), ("method", "requestUri"))
    for key in ("input", "output"):
        if key in out:
            out[key] = reference(out[key])
    if "errors" in out:
        out["errors"] = [e["shape"] for e in out["errors"]]
    if "endpoint" in out:
        out["endpoint"] = only(out["endpoint"], ("hostPrefix",))
    return out


def rules(source):
    """The rule set without prose; it is evaluated as it is."""
    def clean(x):
        if isinstance(x, dict):
            return {k: clean(v) for k, v in x.items() if k != "documentation"}
        return [clean(v) for v in x] if isinstance(x, list) else x

    return clean({"parameters": source["parameters"], "rules": source["rules"]})


def regions(endpoints, partitions, prefix):
    """Partition -> regions where the service has an endpoint; services the data does not know have no entry at all.

    A region that is newer than the endpoint data counts as having the service when every older region has it.
    """
    out = {}
    for part in endpoints["partitions"]:
        service = part["services"].get(prefix)
        if service is None:
            continue
        known = set(part["regions"])
        here = {r for r in service.get("endpoints", {}) if r in known}
        if not here and service.get("isRegionalized") is False:
            scope = service["endpoints"].get(service.get("partitionEndpoint"), {}).get("credentialScope", {})
            here = {scope["region"]} if "region" in scope else set()
        elif here == known:
            here |= {r for r in partitions.get(part["partition"], ()) if not r.endswith("-global")}
        if here:
            out[part["partition"]] = sorted(here)
    return out


def block(folder, endpoints, partitions):
    model = document(folder, "service-2")
    lines = []

    def put(kind, name, value):
        lines.append(f"{kind} {name} {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n")

    metadata = only(model["metadata"], METADATA)
    put("M", "-", metadata)
    put("G", "-", regions(endpoints, partitions, metadata["endpointPrefix"]))
    put("R", "-", rules(document(folder, "endpoint-rule-set-1")))
    pagination = (document(folder, "paginators-1") or {}).get("pagination", {})
    for name in sorted(pagination):
        if name in model["operations"]:
            put("P", name, only(pagination[name], PAGINATOR))
    for name in sorted(model["operations"]):
        put("O", name, operation(model["operations"][name]))
    for name in sorted(model["shapes"]):
        put("S", name, shape(name, model["shapes"][name]))
    return "".join(lines), model


PROTOCOLS = ("json", "rest-json", "rest-xml", "query", "ec2")


def left_out_service(metadata):
    """Why a service cannot be called, or None. The client decides by the same facts; a test compares."""
    if metadata["signatureVersion"] == "v2":
        return "Signature Version 2"
    if metadata["signatureVersion"] == "bearer":
        return "bearer tokens"
    if not set(metadata.get("protocols", []) + [metadata["protocol"]]) & set(PROTOCOLS):
        return "CBOR only"
    return None


def left_out_operation(name, op, shapes):
    def streams(ref):
        members = shapes[ref["shape"]].get("members", {}).values() if ref else ()
        return any(shapes[m["shape"]].get("eventstream") for m in members)

    if streams(op.get("input")) or streams(op.get("output")):
        return "event stream"
    if op.get("requestcompression"):
        return "request compression"
    if op.get("auth") == ["smithy.api#httpBearerAuth"]:
        return "bearer tokens"
    return None


def page(services):
    """docs/aws-services.md"""
    total = sum(len(m["operations"]) for m in services.values())
    out = [
        "# AWS services\n",
        f"Generated by `src/cloud/models/generate.py` from botocore {BOTOCORE}; do not edit.\n",
        f"{len(services)} services with {total:,} operations are known. A table may use every operation that the read allow-list",
        "(`src/cloud/read_op.rs`) lets through. Services whose first protocol is CBOR are called through their JSON or query protocol.\n",
        "## Left out\n",
        "Operations and services that need one of these are refused by name, with the reason, before anything is sent. Besides,",
        "resources that only Signature Version 4A can sign for (S3 multi-region access points, EventBridge global endpoints) are",
        "refused when their endpoint is resolved.\n",
        "| service | operation | needs |",
        "|---|---|---|",
    ]  # fmt: skip
    for name, model in services.items():
        why = left_out_service(model["metadata"])
        if why:
            out.append(f"| {name} | all {len(model['operations'])} | {why} |")
            continue
        for op in sorted(model["operations"]):
            why = left_out_operation(op, model["operations"][op], model["shapes"])
            if why:
                out.append(f"| {name} | {op} | {why} |")
    out += ["", "## Services\n", "| name | service | protocol | operations |", "|---|---|---|---|"]
    for name, model in services.items():
        meta = model["metadata"]
        used = next((p for p in meta.get("protocols", []) + [meta["protocol"]] if p in PROTOCOLS), "-")
        out.append(f"| {name} | {meta['serviceFullName']} | {used} | {len(model['operations'])} |")
    return "\n".join(out) + "\n"


def read_all(data):
    """Everything that goes into the file, uncompressed: (partitions document, {service: text}, page)."""
    partitions = read_json(data / "partitions.json")
    by_partition = {p["id"]: list(p["regions"]) for p in partitions["partitions"]}
    endpoints = read_json(data / "endpoints.json")
    texts, models = {}, {}
    for folder in sorted(p for p in data.iterdir() if p.is_dir()):
        versions = sorted(v for v in folder.iterdir() if document(v, "service-2") is not None) if folder.is_dir() else []
        if versions:
            texts[folder.name], models[folder.name] = block(versions[-1], endpoints, by_partition)
    return partitions, texts, page(models)


def dictionary(texts):
    """Raw content: zstd finds matches best near its end, so what all services share comes last."""
    parts = []
    for name in DICTIONARY_SERVICES:
        lines = texts[name].splitlines(keepends=True)
        rest = [line for line in lines if line[0] != "R"]
        parts.append("".join(rest)[: 48 * 1024])
        parts.append("".join(line for line in lines if line[0] == "R"))
    return "".join(parts).encode()


def pack(partitions, texts):
    import zstandard

    raw = dictionary(texts)
    shared = zstandard.ZstdCompressionDict(raw, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    plain = zstandard.ZstdCompressor(level=19, write_content_size=True)
    blocks = [(plain.compress(raw), len(raw))]
    # the window has to reach from the end of the largest model back into the dictionary
    for text in texts.values():
        body = text.encode()
        params = zstandard.ZstdCompressionParameters.from_level(
            19, source_size=len(body), window_log=max(19, (len(body) + len(raw)).bit_length()), write_content_size=True
        )
        blocks.append((zstandard.ZstdCompressor(dict_data=shared, compression_params=params).compress(body), len(body)))
    places, at = [], 0
    for packed, length in blocks:
        places.append([at, len(packed), length])
        at += len(packed)
    index = {
        "botocore": BOTOCORE,
        "dictionary": places[0],
        "partitions": partitions,
        "services": dict(zip(texts, places[1:])),
    }
    head = plain.compress(json.dumps(index, separators=(",", ":")).encode())
    return MAGIC + struct.pack("<I", len(head)) + head + b"".join(packed for packed, _ in blocks)


def unpack(packed):
    import zstandard

    if packed[:8] != MAGIC:
        sys.exit(f"{OUT}: not a model file")
    (length,) = struct.unpack("<I", packed[8:12])
    index = json.loads(zstandard.ZstdDecompressor().decompress(packed[12 : 12 + length]))
    rest = packed[12 + length :]
    cut = lambda place: rest[place[0] : place[0] + place[1]]
    raw = zstandard.ZstdDecompressor().decompress(cut(index["dictionary"]))
    shared = zstandard.ZstdCompressionDict(raw, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    reader = zstandard.ZstdDecompressor(dict_data=shared, max_window_size=1 << 27)
    return index["botocore"], index["partitions"], {n: reader.decompress(cut(p)).decode() for n, p in index["services"].items()}


def main():
    args = argparse.ArgumentParser(description="Generate the embedded AWS service models.")
    args.add_argument("--data", type=Path, help="botocore's data folder; default: of the installed botocore")
    args.add_argument("--check", action="store_true", help="write nothing; exit 1 when the files are not current")
    args = args.parse_args()
    import botocore

    if botocore.__version__ != BOTOCORE:
        sys.exit(f"botocore {BOTOCORE} is pinned, {botocore.__version__} is installed: pip install botocore=={BOTOCORE}")
    data = args.data or Path(botocore.__file__).parent / "data"
    partitions, texts, doc = read_all(data)
    if args.check:
        stale = []
        if not OUT.exists() or unpack(OUT.read_bytes()) != (BOTOCORE, partitions, texts):
            stale.append(OUT)
        if not DOC.exists() or DOC.read_text() != doc:
            stale.append(DOC)
        for path in stale:
            print(f"{path} is not current: run {Path(__file__).name}", file=sys.stderr)
        sys.exit(bool(stale))
    packed = pack(partitions, texts)
    for path, content in ((OUT, packed), (DOC, doc.encode())):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(content)
        os.replace(temporary, path)
    print(f"{OUT}: {len(packed):,} bytes, {len(texts)} services, {sum(map(len, texts.values())):,} bytes of text")


if __name__ == "__main__":
    main()
