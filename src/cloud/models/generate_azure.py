#!/usr/bin/env python3
"""Makes `azure.bin`: what Azure's management APIs take and answer, read from the Python management packages.

    python generate_azure.py                 # download what is missing, write azure.bin
    python generate_azure.py --check         # exit 1 when azure.bin is not what the packages say
    python generate_azure.py --cache DIR     # keep the downloaded wheels there; default: $TMPDIR/assay-azure-wheels
    python generate_azure.py --pin           # print azure-packages.txt with the hashes of the wheels at hand

Needs `zstandard`. The wheels that `azure-packages.txt` names (version and SHA-256) come from PyPI through pip; they are read as source
with `ast`, never installed, imported or run. Kept are facts only: methods, paths, API versions, query parameters, members with
their wire names and types. No prose, no enumerations' values, no code.

Both generations of the packages are read: the older (`_attribute_map`, keys like `properties.state` that stand for nesting) and
the newer (`rest_field`, models written as they are on the wire).

Kept are GET operations, and the POST operations that assay may call (`POSTS`: they read, too).

Layout of `azure.bin` (integers little endian):

    magic "ASSAYMD1" · u32 length of the index · index · one zstd block for each group

The index is zstd of JSON: {packages: [name==version], groups: {name: [offset, compressed length, length]}, providers: {namespace in
lower case: [group]}}; operations whose path names no provider are under "". A group is one package in all pinned versions. A block is
UTF-8 text, one fact a line, fields separated by tabs:

    O  operation  {"v": {api-version: type of the answer}, "q": {query parameter: type}, "b": type of the body, "p": 1 when it pages}
    S  shape      {member: type}

Operations are written `GET /subscriptions/{}/providers/…`. Types are one letter for what is no shape (`s` text, `i` integer, `f`
number, `b` boolean, `t` RFC 3339 time, `a` anything), `[` before a list's element, `{` before a map's value, or a shape's name. A
type of a query parameter ends in `?` when the parameter may be left out. A shape with the member `*` may have others.
"""

import argparse
import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from azure_sdk import Models, default_version, operations, parse

MAGIC = b"ASSAYMD1"
HERE = Path(__file__).resolve().parent
OUT = HERE / "azure.bin"
PINS = HERE / "azure-packages.txt"

# ---------------------------------------------------------------------------------------------------------------- source


def pins():
    """[(package, version, sha256, folders)]; folders are the versioned subfolders to take, empty for all there is."""
    out = []
    for line in PINS.read_text().splitlines():
        line = line.split("#")[0].split()
        if line:
            name, version = line[0].split("==")
            digest = next((w.removeprefix("sha256:") for w in line[1:] if w.startswith("sha256:")), "")
            out.append((name, version, digest, [w for w in line[1:] if not w.startswith("sha256:")]))
    return out


def wheel(name, version, digest, cache):
    """The path of a wheel with the pinned hash, downloaded if it is not in the cache."""
    stem = f"{name.replace('-', '_')}-{version}"
    find = lambda: next((p for tag in ("py3", "py2.py3") if (p := cache / f"{stem}-{tag}-none-any.whl").exists()), None)
    path = find()
    if path is None:
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(cache)]
        subprocess.run([*command, f"{name}=={version}"], check=True)
        path = find()
        if path is None:
            sys.exit(f"{name}=={version}: pip did not download {stem}-py3-none-any.whl")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest and found != digest:
        sys.exit(f"{path}: its SHA-256 is {found}, {PINS.name} has {digest}")
    return path, found


def is_mit(archive):
    """Is the package under the MIT licence, by its metadata or by its licence file?"""
    for name in archive.namelist():
        if name.endswith(".dist-info/METADATA"):
            head = archive.read(name).decode().split("\n\n")[0]
            if re.search(r"(?m)^(License: MIT|License-Expression: MIT|Classifier: License :: OSI Approved :: MIT)", head):
                return True
    return False


def clients(archive, folders):
    """{folder: {"models": [source files], "operations": [...], "configuration": file}} of a wheel."""
    out = {}
    for name in sorted(archive.namelist()):
        parts = name.split("/")
        if "aio" in parts or not name.endswith(".py") or parts[-1] == "__init__.py":
            continue
        if len(parts) > 2 and parts[-2] in ("models", "operations"):
            home, kind = "/".join(parts[:-2]), parts[-2]
        elif parts[-1] == "_configuration.py":
            home, kind = "/".join(parts[:-1]), "configuration"
        else:
            continue
        out.setdefault(home, {}).setdefault(kind, []).append(name)
    out = {home: files for home, files in out.items() if "operations" in files}
    if folders:
        ends = lambda home, folder: f"/{home}".endswith(f"/{folder}")
        missing = [f for f in folders if not any(ends(home, f) for home in out)]
        if missing:
            sys.exit(f"{archive.filename}: no folder {', '.join(missing)}")
        out = {home: files for home, files in out.items() if any(ends(home, f) for f in folders)}
    # The newest first: its shapes keep their plain names.
    return dict(sorted(out.items(), reverse=True))


# ----------------------------------------------------------------------------------------------------------------- group


class Group:
    """All pinned versions of one package. Later ones come first; a shape that differs from theirs gets its API version appended."""

    def __init__(self):
        self.operations, self.shapes = {}, {}

    def add(self, archive, files):
        models = Models()
        sources = files.get("models", [])
        if any(s.endswith("_models_py3.py") for s in sources):
            sources = [s for s in sources if not s.endswith("/_models.py")]
        for source in sources:
            models.read(parse(archive, source))
        default = None
        for source in files.get("configuration", ()):
            default = default_version(parse(archive, source))
        trees = {s: parse(archive, s) for s in files["operations"] if not s.endswith("_patch.py")}
        found = list(operations(trees, default))
        shapes, roots = {}, []
        for operation, _, kind, _, _, body in found:
            name = self.page(kind, shapes) if isinstance(kind, dict) else kind
            roots.append(name)
            for t in (name, body or "a"):
                self.reach(t, models, shapes)
        names = self.place(shapes, found[0][1] if found else "")
        rename = lambda t: re.sub(r"[^\[{]{2,}$", lambda m: names.get(m.group(), "a"), t)
        for (operation, version, _, pages, query, body), kind in zip(found, roots):
            key = operation.lower()
            entry = self.operations.setdefault(key, {"name": operation, "v": {}, "q": {}})
            entry["v"].setdefault(version, rename(kind))
            for k, v in query.items():
                entry["q"].setdefault(k, v)
            if pages:
                entry["p"] = 1
            if body:
                entry.setdefault("b", rename(body))
        return len(found)

    def page(self, members, shapes):
        """A shape for a page whose envelope has no model."""
        item = next(iter(members.values())).lstrip("[{")
        name = f"{item}.page" if list(members) == ["value", "nextLink"] else f"{item}.page.{'.'.join(members)}"
        shapes[name] = dict(members)
        return name

    def reach(self, kind, models, shapes):
        """Adds the shapes a type leads to; nested objects become shapes of their own."""
        name = kind.lstrip("[{")
        if len(name) == 1:
            return
        if name in shapes and name not in models.own:
            for inner in shapes[name].values():
                self.reach(inner, models, shapes)
            return
        if name in shapes or name not in models.own:
            return
        self.lay(name, models.members(name), models, shapes)

    def lay(self, name, members, models, shapes):
        flat = shapes[name] = {}
        for member, kind in members.items():
            if isinstance(kind, dict):
                flat[member] = f"{name}.{member}"
                self.lay(flat[member], kind, models, shapes)
                continue
            last = kind.lstrip("[{")
            if last in models.enums:
                kind = kind[: -len(last)] + "s"
            elif len(last) > 1 and last not in models.own:
                kind = kind[: -len(last)] + "a"
            flat[member] = kind
            self.reach(kind, models, shapes)

    def place(self, shapes, version):
        """{name: name in the group}: the same name where the group has the same shape already."""
        text = {n: json.dumps(s, sort_keys=True) for n, s in shapes.items()}
        same = {n for n in shapes if n in self.shapes and json.dumps(self.shapes[n], sort_keys=True) == text[n]}
        while True:
            wrong = {n for n in same for t in shapes[n].values() if len(t.lstrip("[{")) > 1 and t.lstrip("[{") not in same}
            if not wrong:
                break
            same -= wrong
        names, taken = {}, set(self.shapes)
        for n in sorted(shapes):
            new = n if n in same or n not in taken else f"{n}@{version}"
            while n not in same and new in taken:
                new += "'"
            names[n] = new
            taken.add(new)
        rename = lambda t: re.sub(r"[^\[{]{2,}$", lambda m: names.get(m.group(), "a"), t)
        for n, members in shapes.items():
            if n not in same:
                self.shapes[names[n]] = {m: rename(t) for m, t in sorted(members.items())}
        return names

    def text(self):
        lines = []
        for key in sorted(self.operations):
            entry = dict(self.operations[key])
            name = entry.pop("name")
            entry["v"] = dict(sorted(entry["v"].items(), reverse=True))
            if not entry["q"]:
                del entry["q"]
            lines.append(f"O\t{name}\t{compact(entry)}\n")
        for name in sorted(self.shapes):
            lines.append(f"S\t{name}\t{compact(self.shapes[name])}\n")
        return "".join(lines)


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def provider(operation):
    """The namespace whose provider answers, in lower case: that of the last `/providers/`."""
    parts = operation.lower().split("/")
    at = [i for i, p in enumerate(parts[:-1]) if p == "providers"]
    return parts[at[-1] + 1] if at else ""


# ------------------------------------------------------------------------------------------------------------------ file


def read_all(cache):
    groups, packages, pinned = {}, [], []
    for name, version, digest, folders in pins():
        path, found = wheel(name, version, digest, cache)
        archive = zipfile.ZipFile(path)
        if not is_mit(archive):
            sys.exit(f"{path}: its metadata does not say that it is under the MIT licence")
        group = groups.setdefault(name.removeprefix("azure-mgmt-"), Group())
        count = sum(group.add(archive, files) for files in clients(archive, folders).values())
        if not count:
            sys.exit(f"{path}: no operations found in it")
        packages.append(f"{name}=={version}")
        pinned.append(" ".join([f"{name}=={version}", f"sha256:{found}", *folders]))
    return packages, {n: groups[n].text() for n in sorted(groups)}, pinned, groups


def providers(groups):
    out = {}
    for name in sorted(groups):
        for operation in groups[name].operations:
            found = out.setdefault(provider(operation), [])
            if name not in found:
                found.append(name)
    return dict(sorted(out.items()))


def pack(packages, texts, by_provider):
    import zstandard

    plain = zstandard.ZstdCompressor(level=22, write_content_size=True)
    places, blocks, at = {}, [], 0
    for name, text in texts.items():
        body = text.encode()
        packed = plain.compress(body)
        places[name] = [at, len(packed), len(body)]
        blocks.append(packed)
        at += len(packed)
    head = plain.compress(compact({"packages": packages, "groups": places, "providers": by_provider}).encode())
    return MAGIC + struct.pack("<I", len(head)) + head + b"".join(blocks)


def unpack(packed):
    import zstandard

    if packed[:8] != MAGIC:
        sys.exit(f"{OUT}: not a model file")
    (length,) = struct.unpack("<I", packed[8:12])
    reader = zstandard.ZstdDecompressor()
    index = json.loads(reader.decompress(packed[12 : 12 + length]))
    rest = packed[12 + length :]
    texts = {n: reader.decompress(rest[at : at + size]).decode() for n, (at, size, _) in index["groups"].items()}
    return index["packages"], texts, index["providers"]


def main():
    args = argparse.ArgumentParser(description="Generate the embedded facts about Azure's management APIs.")
    args.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "assay-azure-wheels", help="where wheels are kept")
    args.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is not current")
    args.add_argument("--pin", action="store_true", help="print the pins with their hashes; write nothing")
    args = args.parse_args()
    packages, texts, pinned, groups = read_all(args.cache)
    if args.pin:
        print("\n".join(pinned))
        return
    by_provider = providers(groups)
    if args.check:
        if not OUT.exists() or unpack(OUT.read_bytes()) != (packages, texts, by_provider):
            print(f"{OUT} is not current: run {Path(__file__).name}", file=sys.stderr)
            sys.exit(1)
        return
    packed = pack(packages, texts, by_provider)
    temporary = OUT.with_suffix(".tmp")
    temporary.write_bytes(packed)
    os.replace(temporary, OUT)
    operations_count = sum(len(g.operations) for g in groups.values())
    shapes = sum(len(g.shapes) for g in groups.values())
    print(f"{OUT}: {len(packed):,} bytes, {len(packages)} packages, {operations_count} operations, {shapes} shapes, "
          f"{sum(map(len, texts.values())):,} bytes of text")  # fmt: skip


if __name__ == "__main__":
    main()
