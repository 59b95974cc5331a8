"""Reads the source of Azure's Python management packages with `ast`: models and operations, as facts. Runs none of it."""

import ast
import re

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
        if dotted(node.value if isinstance(node, ast.Subscript) else node) in ("None", "IO", "JSON"):
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
        self.bases[node.name] = [b for b in bases if "." not in b and b != node.name]
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


def is_none(node):
    """`if x is not None:`: what follows may be left out."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Compare)


def builder(node, url=None):
    """What a `build_…_request` function says: method, path, version, query; None where it has no method. The oldest packages have no
    such functions: there the operation's method says it, all but its `url`."""
    out = {"query": {}, "method": None, "url": url, "version": None}

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
            if isinstance(line, (ast.If, ast.FunctionDef)):
                walk(line.body, optional or is_none(line))
                continue
            target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
            value = getattr(line, "value", None)
            if isinstance(target, ast.Name) and value is not None:
                if target.id in ("_url", "url") and out["url"] is None:
                    out["url"] = const(value)
                    if isinstance(value, ast.Call) and len(value.args) == 2 and const(value.args[0]) == "template_url":
                        out["url"] = const(value.args[1])
                out["version"] = out["version"] or (const(value) if target.id == "api_version" else None) or version(value)
            if isinstance(target, ast.Subscript) and dotted(target.value) in ("_params", "_query_parameters", "query_parameters"):
                query(const(target.slice), value, optional)
            for call in ast.walk(line):
                if isinstance(call, ast.Call) and dotted(call.func) == "HttpRequest":
                    for k in call.keywords:
                        out["method"] = const(k.value) if k.arg == "method" else out["method"]
                        out["url"] = out["url"] or (const(k.value) if k.arg == "url" else None)
                elif isinstance(call, ast.Call) and dotted(call.func) in ("self._client.get", "self._client.post"):
                    out["method"] = call.func.attr.upper()

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


def metadata_url(line):
    """(method, path) of `method.metadata = {"url": path}`."""
    if isinstance(line, ast.Assign) and isinstance(line.value, ast.Dict) and (dotted(line.targets[0]) or "").endswith(".metadata"):
        return dotted(line.targets[0]).split(".")[0], const(line.value.values[0])
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
            urls = dict(filter(None, map(metadata_url, cls.body)))
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
                if not used and method.name in urls:
                    facts = builder(method, urls[method.name])
                if not facts or method.name.endswith("_initial") or method.name.startswith("begin_"):
                    continue
                path = normal(facts["url"])
                if "/providers/{}/{}" in path or path == "/{}":
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
