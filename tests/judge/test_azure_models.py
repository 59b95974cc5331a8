"""The embedded facts about Azure (`src/cloud/models/azure.bin`), judged by the official specifications and by the packages' own classes.

`generate_azure.py` reads the packages' source without running it; here the specifications, which it never sees, and the imported classes
of the installed packages say the same things in their own way.
"""
import ast
import contextlib
import importlib
import json
import re
import sys

import pytest
import specifications
from conftest import ROOT

sys.path.append(str(ROOT / "src" / "cloud" / "models"))
import azure_sdk
import generate_azure

SCALARS = {("string", "date-time"): "t", "string": "s", "integer": "i", "number": "f", "boolean": "b", "object": "a"}
# Of a page whose envelope has no model.
ENVELOPE = {"nextLink"}


class Facts:
    """What azure.bin says."""

    def __init__(self):
        _, texts, _ = generate_azure.unpack(generate_azure.OUT.read_bytes())
        self.operations, self.shapes = {}, {}
        for group, text in texts.items():
            for line in text.splitlines():
                kind, name, facts = line.split("\t")
                if kind == "O":
                    self.operations.setdefault(name.lower(), []).append((group, json.loads(facts)))
                else:
                    self.shapes[group, name] = json.loads(facts)

    def find(self, method, path, version):
        """[(group, facts)] of an operation; a placeholder of ours may stand for constant text."""
        asked = f"{method} {re.sub(r'{[^}]*}', '{}', path)}".lower().rstrip("/").split("/")
        for name, found in self.operations.items():
            parts = name.split("/")
            if len(parts) == len(asked) and all(p == a or p == "{}" for p, a in zip(parts, asked)):
                for group, facts in found:
                    if version in facts["v"]:
                        return group, facts
        return None


@pytest.fixture(scope="module")
def facts():
    return Facts()


def described(specs, schema, file):
    """The schema without references and with what it inherits: (kind, members or element)."""
    schema, file = specs.resolve(schema, file)
    members = {}
    for base in schema.get("allOf", []):
        kind, inner = described(specs, base, file)
        if kind != "structure":
            return kind, inner
        members |= inner
    members |= {name: (member, file) for name, member in schema.get("properties", {}).items()}
    if members:
        return "structure", members
    if isinstance(schema.get("additionalProperties"), dict):
        return "map", (schema["additionalProperties"], file)
    if schema.get("type") == "array":
        return "list", (schema["items"], file)
    return "scalar", SCALARS.get((schema.get("type"), schema.get("format"))) or SCALARS.get(schema.get("type"), "a")


def compare(facts, group, kind, specs, schema, file, where, seen, out):
    """Members of the specification that our shape lacks, or has with another type."""
    what, inner = described(specs, schema, file)
    if kind == "a" or what == "scalar" and inner == "a":
        return
    if what == "list" or kind.startswith("["):
        if what != "list" or not kind.startswith("["):
            out.append(f"{where}: {kind}, specified {what}")
        else:
            compare(facts, group, kind[1:], specs, *inner, where + "[]", seen, out)
    elif what == "map" or kind.startswith("{"):
        if what != "map" or not kind.startswith("{"):
            out.append(f"{where}: {kind}, specified {what}")
        else:
            compare(facts, group, kind[1:], specs, *inner, where + "{}", seen, out)
    elif what == "scalar":
        if len(kind) != 1 or kind != inner:
            out.append(f"{where}: {kind}, specified {inner}")
    elif len(kind) == 1:
        out.append(f"{where}: {kind}, specified a structure")
    elif kind not in seen:
        members = facts.shapes[group, kind]
        for name, (member, at) in inner.items():
            if name in members:
                compare(facts, group, members[name], specs, member, at, f"{where}.{name}", seen | {kind}, out)
            elif "*" not in members and not (name in ENVELOPE and "value" in members):
                out.append(f"{where}.{name}: missing in {group} {kind}")


@specifications.needs_specifications
def test_operations_parameters_and_answers_are_those_of_the_specifications(facts):
    specs = specifications.official()
    wrong, judged, members = [], 0, 0
    for operation in specs.operations:
        if operation.method != "GET" or operation.path.endswith("/operations"):
            continue
        found = facts.find("GET", operation.path, operation.version)
        if found is None:
            continue
        group, known = found
        judged += 1
        where = f"{operation.path} {operation.version}"
        query = {}
        for parameter in operation.body.get("parameters", []) + operation.body["shared"]:
            parameter, _ = specs.resolve(parameter, operation.file)
            if parameter["in"] == "query" and parameter["name"] != "api-version":
                query[parameter["name"]] = parameter
        ours = known.get("q", {})
        # Parameters of the newest version are kept, which may have more.
        wrong += [f"{where}: no parameter {name}" for name in query if name not in ours]
        schema = operation.body["responses"]["200"].get("schema")
        if schema:
            members += 1
            compare(facts, group, known["v"][operation.version], specs, schema, operation.file, where, frozenset(), wrong)
    assert wrong == []
    assert judged >= 60 and members >= 60, (judged, members)


def wire(model):
    """Members of an imported class of either generation, as written on the wire."""
    if hasattr(model, "_attribute_map"):
        return {re.split(r"(?<!\\)\.", facts["key"])[0].replace("\\.", ".") for facts in model._attribute_map.values() if facts["key"]}
    with contextlib.suppress(TypeError):
        model({})  # lays its fields
    return {field._rest_name for field in model._attr_to_rest_field.values()}


def below(model):
    """Members of all subtypes."""
    return {n for sub in model.__subclasses__() for n in wire(sub) | below(sub)}


@pytest.mark.parametrize("package", ["azure.mgmt.storage", "azure.mgmt.monitor", "azure.mgmt.resource.resources"])
def test_models_are_those_that_the_installed_package_would_read(package, facts):
    group = package.split(".")[2]
    models = importlib.import_module(package + ".models")
    wrong, judged = [], 0
    for (of, name), members in facts.shapes.items():
        model = getattr(models, name, None)
        if of != group or model is None or "*" in members:
            continue
        judged += 1
        theirs = wire(model)
        if not theirs <= set(members) <= theirs | below(model):
            wrong.append(f"{name}: missing {sorted(theirs - set(members))}, too many {sorted(set(members) - theirs - below(model))}")
    assert wrong == []
    assert judged > 30, judged


def test_both_generations_are_read_alike():
    old = """
class Base(Model):
    _attribute_map = {"id": {"key": "id", "type": "str"}}
    _subtype_map = {"kind": {"A": "SubA"}}
class SubA(Base):
    _attribute_map = {"id": {"key": "id", "type": "str"}, "extra": {"key": "extra", "type": "{Leaf}"}}
class Thing(Base):
    _attribute_map = {
        "id": {"key": "id", "type": "str"}, "created": {"key": "properties.created", "type": "iso-8601"},
        "count": {"key": "properties.deep.count", "type": "int"}, "dotted": {"key": "properties.odata\\\\.type", "type": "str"},
        "leaves": {"key": "properties.leaves", "type": "[Leaf]"}, "ttl": {"key": "properties.ttl", "type": "duration"},
    }
class Leaf(Model):
    _attribute_map = {"more": {"key": "", "type": "{object}"}, "open": {"key": "open", "type": "bool"}}
class Color(str, Enum, metaclass=CaseInsensitiveEnumMeta):
    RED = "red"
"""
    new = """
class Base(_Model):
    __mapping__: dict[str, _Model] = {}
    id: Optional[str] = rest_field(visibility=["read"])
class SubA(Base, discriminator="A"):
    extra: Optional[dict[str, "_models.Leaf"]] = rest_field()
class Thing(Base):
    properties: Optional["_models.Properties"] = rest_field()
class Properties(_Model):
    created: Optional[datetime.datetime] = rest_field(format="rfc3339")
    seconds: Optional[datetime.datetime] = rest_field(format="unix-timestamp")
    color: Optional[Union[str, "_models.Color"]] = rest_field(name="theColor")
    leaves: Optional[list["_models.Leaf"]] = rest_field()
    ttl: Optional[datetime.timedelta] = rest_field()
class Leaf(_Model):
    open: bool = rest_field()
"""
    read = {}
    for name, source in (("old", old), ("new", new)):
        models = read[name] = azure_sdk.Models()
        models.read(ast.parse(source))
    assert read["old"].enums == {"Color"}
    assert read["old"].members("Thing") == {
        "id": "s", "properties": {"created": "t", "deep": {"count": "i"}, "odata.type": "s", "leaves": "[Leaf", "ttl": "s"},
    }  # fmt: skip
    assert read["old"].members("Base") == {"id": "s", "extra": "{Leaf"}
    assert read["old"].members("Leaf") == {"*": "a", "open": "b"}
    assert read["new"].members("Thing") == {"id": "s", "properties": "Properties"}
    assert read["new"].members("Properties") == {"created": "t", "seconds": "i", "theColor": "s", "leaves": "[Leaf", "ttl": "s"}
    assert read["new"].members("Base") == {"id": "s", "extra": "{Leaf"}


@pytest.mark.parametrize(
    "annotation, kind",
    [
        ("Optional[str]", "s"), ("Union[str, '_models.Kind']", "s"), ("Optional[Union[str, '_models.Kind']]", "s"), ("list['_models.Thing']", "[Thing"),
        ("Dict[str, List['_models.Thing']]", "{[Thing"), ("dict[str, Any]", "{a"), ("Any", "a"), ("Union['_models.A', '_models.B']", "a"), ("Literal['x']", "s"),
        ("ItemPaged['_models.EventData']", "[EventData"), ("Optional[datetime.datetime]", "t"), ("float", "f"), ("bytes", "s"), ("'_models.Thing | None'", "Thing"),
    ],
)  # fmt: skip
def test_annotations(annotation, kind):
    assert azure_sdk.new_type(ast.parse(annotation, mode="eval").body) == kind
