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
import ast
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

MAGIC = b"ASSAYMD1"
HERE = Path(__file__).resolve().parent
OUT = HERE / "azure.bin"
PINS = HERE / "azure-packages.txt"

# POST operations that only read and that assay may call; `ReadOp::azure` has the same list.
POSTS = {
    "/providers/microsoft.resourcegraph/resources",
    "/subscriptions/{}/resourcegroups/{}/providers/microsoft.storage/storageaccounts/{}/listkeys",
}

SCALARS = {
    "str": "s", "int": "i", "long": "i", "unix-time": "i", "float": "f", "decimal": "f", "bool": "b", "iso-8601": "t",
    "rfc-1123": "s", "date": "s", "time": "s", "duration": "s", "bytearray": "s", "bytes": "s", "base64": "s", "base64url": "s",
    "object": "a", "any": "a", "IO": "s",
}  # fmt: skip
PYTHON = {
    "str": "s", "int": "i", "float": "f", "bool": "b", "bytes": "s", "Any": "a", "JSON": "a", "object": "a", "None": "a",
    "datetime.datetime": "t", "datetime.date": "s", "datetime.time": "s", "datetime.timedelta": "s", "decimal.Decimal": "f",
    "MutableMapping": "a", "IO": "s", "Iterator": "s", "Mapping": "a",
}  # fmt: skip
FORMATS = {"rfc3339": "t", "rfc7231": "s", "unix-timestamp": "i", "base64": "s", "base64url": "s"}


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
    path = cache / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(cache)]
        subprocess.run([*command, f"{name}=={version}"], check=True)
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
        out = {home: files for home, files in out.items() if home.split("/")[-1] in folders}
        missing = set(folders) - {home.split("/")[-1] for home in out}
        if missing:
            sys.exit(f"{archive.filename}: no folder {', '.join(sorted(missing))}")
    return out


def parse(archive, name):
    return ast.parse(archive.read(name).decode("utf-8-sig"), name)


def const(node):
    """The text of a constant; adjacent literals and parentheses are one constant already."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def dotted(node):
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else None
    return None


# ----------------------------------------------------------------------------------------------------------------- types


def old_type(text):
    """`[X]`, `{X}`, `str`, `X` of an `_attribute_map` or a `_deserialize`."""
    text = text.strip()
    if text[:1] in ("[", "{") and text[-1:] in ("]", "}"):
        return text[0] + old_type(text[1:-1])
    return SCALARS.get(text) or text.split(".")[-1]


def new_type(node):
    """The type an annotation stands for."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return "a"
        if isinstance(node.value, str):
            return new_type(ast.parse(node.value, mode="eval").body)
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = dotted(node) or ""
        if name in PYTHON:
            return PYTHON[name]
        if name.startswith("_models.") or name.startswith("models."):
            return name.split(".")[-1]
        if isinstance(node, ast.Name) and name[:1].isupper():
            return name
        return "a"
    if isinstance(node, ast.BinOp):
        return union([node.left, node.right])
    if isinstance(node, ast.Subscript):
        base = (dotted(node.value) or "").split(".")[-1]
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if base in ("Optional", "Union"):
            return union(inner)
        if base in ("list", "List", "Iterable", "Sequence", "ItemPaged"):
            return "[" + new_type(inner[0])
        if base in ("dict", "Dict", "MutableMapping", "Mapping"):
            value = new_type(inner[-1])
            return "{" + value
        if base == "Literal":
            first = inner[0]
            if isinstance(first, ast.Constant):
                kind = type(first.value)
                return {bool: "b", int: "i", float: "f"}.get(kind, "s")
            return "s"
    return "a"


def union(nodes):
    """Text or an enumeration is text; several models are anything, unless one is the only candidate."""
    types = []
    for node in nodes:
        if isinstance(node, ast.Constant) and node.value is None:
            continue
        if dotted(node) in ("None", "IO", "JSON"):
            continue
        t = new_type(node)
        if t not in types:
            types.append(t)
    scalars = [t for t in types if len(t) == 1]
    if len(types) == 1:
        return types[0]
    if "s" in scalars and len(scalars) == 1 and all(re.fullmatch(r"\w+", t) for t in types):
        return "s"
    if scalars == ["i"] or scalars == ["f"]:
        return scalars[0]
    return "a"


# ---------------------------------------------------------------------------------------------------------------- models


class Models:
    """The models of one client: {name: {member: type}}, inheritance and subtypes merged."""

    def __init__(self):
        self.own, self.bases, self.subs, self.enums = {}, {}, {}, set()
        self.merged = {}

    def read(self, tree):
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                self.read_class(node)

    def read_class(self, node):
        bases = [dotted(b) or "" for b in node.bases]
        if any(b.split(".")[-1] in ("Enum", "IntEnum", "CaseInsensitiveEnumMeta") for b in bases):
            self.enums.add(node.name)
            return
        members = {}
        for line in node.body:
            if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
                name = line.targets[0].id
                if name == "_attribute_map" and isinstance(line.value, ast.Dict):
                    self.attribute_map(line.value, members)
                elif name == "_subtype_map" and isinstance(line.value, ast.Dict):
                    for inner in line.value.values:
                        for value in inner.values if isinstance(inner, ast.Dict) else ():
                            self.subs.setdefault(node.name, set()).add(const(value))
            elif isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and isinstance(line.value, ast.Call):
                self.rest_field(line, members)
        self.own[node.name] = members
        self.bases[node.name] = [b.split(".")[-1] for b in bases]
        if any(k.arg == "discriminator" for k in node.keywords):
            for base in self.bases[node.name]:
                self.subs.setdefault(base, set()).add(node.name)

    def attribute_map(self, node, members):
        for value in node.values:
            facts = {const(k): const(v) for k, v in zip(value.keys, value.values)}
            key, kind = facts["key"], old_type(facts["type"])
            if key == "":
                members["*"] = "a"
                continue
            path = [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", key)]
            place = members
            for part in path[:-1]:
                inner = place.get(part)
                if not isinstance(inner, dict):
                    inner = place[part] = {} if inner is None else {"*": "a"}
                place = inner
            if isinstance(place.get(path[-1]), dict):
                place[path[-1]]["*"] = "a"
            else:
                place[path[-1]] = kind

    def rest_field(self, line, members):
        if dotted(line.value.func) not in ("rest_field", "rest_discriminator"):
            return
        keywords = {k.arg: k.value for k in line.value.keywords}
        name = const(keywords.get("name")) or line.target.id
        kind = new_type(line.annotation)
        fmt = const(keywords.get("format"))
        if fmt in FORMATS:
            kind = re.sub(r"[a-z]$", FORMATS[fmt], kind) if len(kind.lstrip("[{")) == 1 else kind
        if "xml" in keywords and "name" not in keywords:
            kind = kind
        members[name] = kind

    def members(self, name, seen=()):
        """All members: inherited ones, own ones, and those of every subtype."""
        if name in self.merged:
            return self.merged[name]
        if name in seen:
            return {}
        out = {}
        for base in reversed(self.bases.get(name, ())):
            if base in self.own:
                mix(out, self.inherited(base), over=True)
        mix(out, self.own.get(name, {}), over=True)
        for sub in sorted(self.subs.get(name, ())):
            if sub in self.own and sub != name:
                mix(out, self.members(sub, (*seen, name)), over=False)
        if not seen:
            self.merged[name] = out
        return out

    def inherited(self, name):
        """Members of a base, without those of its other subtypes."""
        out = {}
        for base in reversed(self.bases.get(name, ())):
            if base in self.own:
                mix(out, self.inherited(base), over=True)
        mix(out, self.own[name], over=True)
        return out


def mix(into, members, over):
    """Adds members. `over`: theirs replace; otherwise what contradicts becomes anything."""
    for name, kind in members.items():
        old = into.get(name)
        if isinstance(kind, dict):
            copy = into[name] = dict(old) if isinstance(old, dict) else ({"*": "a"} if isinstance(old, str) and not over else {})
            mix(copy, kind, over)
        elif old is None or over and not isinstance(old, dict):
            into[name] = kind
        elif isinstance(old, dict):
            into[name] = {**old, "*": "a"}
        elif old != kind:
            into[name] = "a"


# ------------------------------------------------------------------------------------------------------------ operations


def default_version(tree):
    """The `api_version` that a client's configuration falls back to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) == "kwargs.pop" and len(node.args) == 2:
            if const(node.args[0]) == "api_version" and const(node.args[1]):
                return const(node.args[1])
    return None


def builder(node):
    """What a `build_…_request` function says: method, path, version, query. None for what has no method."""
    out = {"query": {}, "method": None, "url": None, "version": None, "body": False}

    def version(call):
        if isinstance(call, ast.Call) and dotted(call.func) in ("kwargs.pop", "_params.pop") and len(call.args) == 2:
            if const(call.args[0]) in ("api_version", "api-version"):
                return const(call.args[1]) or version(call.args[1])
        return None

    def query(name, value, optional):
        kind = "s"
        if isinstance(value, ast.Call) and (dotted(value.func) or "").endswith(".query"):
            kind = old_type(const(value.args[2]) or "str")
        elif isinstance(value, ast.IfExp):
            return query(name, value.body, True)
        out["query"][name] = (kind, optional)
        return None

    def walk(body, optional):
        for line in body:
            if isinstance(line, ast.If):
                walk(line.body, True)
                continue
            target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
            value = getattr(line, "value", None)
            if isinstance(target, ast.Name) and value is not None:
                if target.id == "_url" and out["url"] is None:
                    out["url"] = const(value)
                    if isinstance(value, ast.Call) and len(value.args) == 2 and const(value.args[0]) == "template_url":
                        out["url"] = const(value.args[1])
                out["version"] = out["version"] or version(value)
            if isinstance(target, ast.Subscript) and dotted(target.value) in ("_params", "_query_parameters", "query_parameters"):
                query(const(target.slice), value, optional)
            for call in ast.walk(line):
                if isinstance(call, ast.Call) and dotted(call.func) == "HttpRequest":
                    for k in call.keywords:
                        out["method"] = const(k.value) if k.arg == "method" else out["method"]
                        out["url"] = out["url"] or (const(k.value) if k.arg == "url" else None)

    walk(node.body, False)
    return out if out["method"] and out["url"] is not None else None


def old_answers(node):
    """Texts given to `self._deserialize("X", …)` for the body: not for headers."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and dotted(call.func) == "self._deserialize" and len(call.args) > 1 and const(call.args[0]):
            if not (isinstance(call.args[1], ast.Call) and (dotted(call.args[1].func) or "").endswith("headers.get")):
                yield old_type(const(call.args[0]))


def answer(node):
    """(type of the answer, pages?) of an operation's method."""
    extract = next((f for f in ast.walk(node) if isinstance(f, ast.FunctionDef) and f.name == "extract_data"), None)
    if extract:
        found = next(old_answers(extract), None)
        gets = {}
        for call in ast.walk(extract):
            name = dotted(call.func) if isinstance(call, ast.Call) else None
            if name == "deserialized.get" and call.args and const(call.args[0]):
                gets.setdefault(const(call.args[0]), len(gets))
        if found:
            ends = [c for c in ast.walk(extract) if isinstance(c, ast.Return)]
            first = ends[-1].value.elts[0] if ends and isinstance(ends[-1].value, ast.Tuple) else None
            return found, not (isinstance(first, ast.Constant) and first.value is None)
        for call in ast.walk(extract):
            if isinstance(call, ast.Call) and dotted(call.func) == "_deserialize" and call.args:
                item = new_type(call.args[0])
                names = list(gets)
                key = names[0] if names else "value"
                link = names[1] if len(names) > 1 else None
                return {key: item, **({link: "s"} if link else {})}, link is not None
        return "a", True
    found = next(old_answers(node), None)
    if found:
        return found, False
    if node.returns is not None:
        return new_type(node.returns), False
    return "a", False


def body_type(node):
    """The model an operation's method takes as its body."""
    for arg in [*node.args.args, *node.args.kwonlyargs]:
        if arg.annotation is not None:
            kind = new_type(arg.annotation)
            if re.match(r"[A-Z]\w", kind):
                return kind
    return None


def operations(trees, default):
    """[(operation, api-version, answer, pages, query, body)]"""
    builders = {}
    for name, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("build_"):
                builders[name, node.name] = builders[node.name] = builder(node)
    for name, tree in trees.items():
        for cls in (n for n in tree.body if isinstance(n, ast.ClassDef)):
            for method in (n for n in cls.body if isinstance(n, ast.FunctionDef)):
                used = next(
                    (
                        call.func.id
                        for call in ast.walk(method)
                        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id.startswith("build_")
                    ),
                    None,
                )
                facts = used and (builders.get((name, used)) or builders.get(used))
                if not facts or method.name.endswith("_initial") or method.name.startswith("begin_"):
                    continue
                path = normal(facts["url"])
                if "/providers/{}/{}" in path:
                    continue  # any resource of any provider: it would match every misspelt path
                if facts["method"] != "GET" and not (facts["method"] == "POST" and path.lower() in POSTS):
                    continue
                version = facts["version"] or default
                if not version:
                    continue
                kind, pages = answer(method)
                query = {k: t + ("?" if o else "") for k, (t, o) in sorted(facts["query"].items()) if k and k != "api-version"}
                body = body_type(method) if facts["method"] == "POST" else None
                yield f"{facts['method']} {path}", version, kind, pages, query, body


def normal(url):
    """`/subscriptions/{subscriptionId}/x` as `/subscriptions/{}/x`."""
    url = re.sub(r"\{[^}]*\}", "{}", url.split("?")[0])
    return "/" + url.strip("/")


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
