"""Judges Azure requests and answers by the official specifications (Swagger 2.0 files with `$ref`s between them), found below a folder.

Says what differs and where, as text: `value[].properties.keyCreationTime.key1: null`. It knows what these specifications use: `$ref`,
`allOf`, discriminators, enums open and closed, formats, bounds, `x-nullable`; members that no schema names are differences too, since the
specifications describe every member of an answer.
"""
import dataclasses
import datetime as dt
import functools
import json
import os
import pathlib
import re
import urllib.parse

import pytest

FOLDER = pathlib.Path(os.environ.get("ASSAY_TEST_DATA", "/nonexistent")) / "azure-specs" / "specification"
MONITOR = "monitor/resource-manager/Microsoft.Insights"
RESOURCES = "resources/resource-manager/Microsoft.Resources/stable"
FILES = ("storage/resource-manager/Microsoft.Storage/stable/2021-06-01/*.json", f"{MONITOR}/stable/2015-04-01/*ctivityLogs_API.json", f"{MONITOR}/stable/2020-10-01/activityLogAlerts_API.json",
         f"{MONITOR}/preview/2021-05-01-preview/diagnosticsSettings_API.json", f"{MONITOR}/preview/2021-05-01-preview/subscriptionDiagnosticsSettings_API.json",
         "keyvault/resource-manager/Microsoft.KeyVault/stable/2019-09-01/keyvault.json", f"{RESOURCES}/2021-01-01/subscriptions.json", f"{RESOURCES}/2021-04-01/resources.json",
         "resourcegraph/resource-manager/Microsoft.ResourceGraph/stable/2021-03-01/resourcegraph.json")
needs_specifications = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the folder azure-specs below ASSAY_TEST_DATA")


@functools.cache
def official():
    """Storage, Activity Log, and what else of Azure's is there."""
    return Specifications(FOLDER, FILES)


KNOWN = {"$ref", "type", "properties", "items", "required", "enum", "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "allOf", "anyOf", "additionalProperties",
         "multipleOf", "discriminator", "readOnly", "description", "title", "default", "example", "externalDocs", "name", "in", "collectionFormat", "allowEmptyValue", "uniqueItems"}
INTEGERS = {"int32": 2**31, "int64": 2**63}


@dataclasses.dataclass(frozen=True)
class Operation:
    method: str
    path: str
    file: pathlib.Path
    version: str
    body: dict = dataclasses.field(hash=False, compare=False)

    @property
    def name(self):
        return self.body["operationId"]


class Specifications:
    """Every operation of the given files; paths are matched without regard to case, as the service does."""

    def __init__(self, folder, files):
        self.folder, self.documents, self.operations = pathlib.Path(folder).resolve(), {}, []
        for pattern in files:
            found = sorted(self.folder.glob(pattern))
            assert found, f"{pattern}: no such specification below {self.folder}"
            for file in found:
                document = self.document(file)
                for path, methods in document.get("paths", {}).items():
                    self.operations += [Operation(m.upper(), path, file, document["info"]["version"], methods[m] | {"shared": methods.get("parameters", [])})
                                        for m in methods if m != "parameters"]

    def document(self, file):
        if file not in self.documents:
            self.documents[file] = json.loads(file.read_text())
        return self.documents[file]

    def resolve(self, node, file):
        """(schema, the file it stands in), through any number of references."""
        while "$ref" in node:
            where, _, inside = node["$ref"].partition("#")
            file = (file.parent / where).resolve() if where else file
            node = self.document(file)
            for word in inside.strip("/").split("/"):
                node = node[word.replace("~1", "/").replace("~0", "~")]
        return node, file

    # -- requests -------------------------------------------------------------------------------------------------------

    def find(self, method, path, version=None):
        """(operation, values of its path's parameters) or None. Better is one of that version, then one with fewer placeholders."""
        hits = []
        for operation in self.operations:
            names = re.findall(r"{(\w+)}", operation.path)
            # `/{resourceUri}/…`: a whole id, with its slashes
            pattern = re.sub(r"\\{\w+\\}", "([^/]+)", re.sub(r"^/\\{resourceUri\\}", "/(.+)", re.escape(operation.path)))
            m = re.fullmatch(pattern, path, re.I)
            if m and operation.method == method:
                hits.append(((operation.version != version, len(names)), operation, dict(zip(names, map(urllib.parse.unquote, m.groups())))))
        return min(hits, key=lambda h: h[0])[1:] if hits else None

    def request(self, method, path, query, body=None, any_version=False):
        """Differences of a request; the first one if no operation has its path."""
        found = self.find(method, path, dict(query).get("api-version"))
        if not found:
            return [f"{method} {path}: no operation"]
        operation, values = found
        out, given = [], dict(query)
        for parameter in operation.body.get("parameters", []) + operation.body["shared"]:
            parameter, file = self.resolve(parameter, operation.file)
            name, place = parameter["name"], parameter["in"]
            if place == "path":
                out += self.differences(self.text_value(values.get(name), parameter), parameter, file, f"{{{name}}}")
            elif place == "query":
                if name in given:
                    out += [] if any_version and name == "api-version" else self.differences(self.text_value(given.pop(name), parameter), parameter, file, f"?{name}")
                    given.pop(name, None)
                elif parameter.get("required"):
                    out.append(f"?{name}: missing")
            elif place == "body":
                if body is None and parameter.get("required"):
                    out.append("body: missing")
                elif body is not None:
                    out += self.differences(body, parameter["schema"], file, "body")
        version = dict(query).get("api-version")
        if version != operation.version and not any_version:
            out.append(f"?api-version: {version} is not {operation.version}")
        return out + [f"?{name}: not in the specification" for name in given if name.lower() != "$skiptoken"]

    def text_value(self, value, parameter):
        if parameter.get("type") == "integer" and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            return int(value)
        return {"true": True, "false": False}.get(value, value) if parameter.get("type") == "boolean" else value

    # -- answers --------------------------------------------------------------------------------------------------------

    def answer(self, method, path, status, body, version=None):
        """Differences of an answer's body."""
        found = self.find(method, path, version)
        if not found:
            return [f"{method} {path}: no operation"]
        operation = found[0]
        responses = operation.body["responses"]
        response = responses.get(str(status), responses.get("default"))
        if response is None:
            return [f"status {status}: not in the specification"]
        response, file = self.resolve(response, operation.file)
        return self.differences(body, response["schema"], file, "") if "schema" in response else []

    def differences(self, value, schema, file, at):
        schema, file = self.resolve(schema, file)
        unknown = {k for k in schema if k not in KNOWN and not k.startswith("x-")}
        assert not unknown, f"{at}: this judge does not know {unknown}"
        if value is None:
            return [] if schema.get("x-nullable") else [f"{at}: null"]
        if schema.get("x-nullable") is False:
            return [f"{at}: null"]
        if "anyOf" in schema:
            tries = [self.differences(value, s, file, at) for s in schema["anyOf"]]
            return min(tries, key=len)
        kind = schema.get("type") or ("object" if "properties" in schema or "allOf" in schema or "additionalProperties" in schema else None)
        check = {"object": self.object, "array": self.array, "string": self.string, "integer": self.integer, "number": self.number, "boolean": self.boolean}.get(kind)
        return check(value, schema, file, at) if check else []

    def object(self, value, schema, file, at):
        if not isinstance(value, dict):
            return [f"{at}: not an object"]
        properties, required, extra = self.members(schema, file, value)
        out = [f"{join(at, name)}: missing" for name in sorted(required) if name not in value]
        for name, inner in value.items():
            if name in properties:
                out += self.differences(inner, *properties[name], join(at, name))
            elif isinstance(extra, tuple):
                out += self.differences(inner, *extra, join(at, name))
            elif extra is False and (properties or schema.get("type") != "object"):
                out.append(f"{join(at, name)}: not in the specification")
        return out

    def members(self, schema, file, value):
        """(members by name with their files, required names, what other members are: False, True or a schema), with all parents and, where
        the schema has a discriminator, of the kind that the value says it is."""
        schema, file = self.resolve(schema, file)
        name = schema.get("discriminator")
        properties, required, extra = {}, set(), False
        for parent in schema.get("allOf", []):
            more, needs, others = self.members(parent, file, {})
            properties |= more
            required |= needs
            extra = extra or others
        properties |= {k: (v, file) for k, v in schema.get("properties", {}).items()}
        required |= set(schema.get("required", []))
        others = schema.get("additionalProperties")
        if others is not None and others is not False:
            extra = True if others is True or others == {} else (others, file)
        elif not properties and not schema.get("allOf"):
            extra = True  # an object of which nothing is said
        if name and value.get(name):
            for other in self.document(file).get("definitions", {}).values():
                parents = [self.resolve(p, file)[0] for p in other.get("allOf", [])]
                if other.get("x-ms-discriminator-value") == value[name] and any(p is schema for p in parents):
                    return self.members(other, file, {})
        return properties, required, extra

    def array(self, value, schema, file, at):
        if not isinstance(value, list):
            return [f"{at}: not an array"]
        out = [f"{at}: {len(value)} items"] if len(value) < schema.get("minItems", 0) or len(value) > schema.get("maxItems", 10**9) else []
        for item in value:
            out += self.differences(item, schema.get("items", {}), file, f"{at}[]")
        return list(dict.fromkeys(out))

    def string(self, value, schema, file, at):
        if not isinstance(value, str):
            return [f"{at}: {type(value).__name__} is not a string"]
        out = []
        if "enum" in schema and value not in schema["enum"] and not schema.get("x-ms-enum", {}).get("modelAsString"):
            out.append(f"{at}: {value!r} is none of {schema['enum']}")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            out.append(f"{at}: {value!r} does not match {schema['pattern']}")
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9):
            out.append(f"{at}: {len(value)} characters")
        if schema.get("format") == "date-time" and not is_time(value):
            out.append(f"{at}: {value!r} is no RFC 3339 time")
        if schema.get("format") == "uuid" and not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
            out.append(f"{at}: {value!r} is no UUID")
        return out

    def integer(self, value, schema, file, at):
        if isinstance(value, bool) or not isinstance(value, int):
            return [f"{at}: {value!r} is not an integer"]
        most = INTEGERS.get(schema.get("format"), 2**63)
        return self.bounds(value, schema, at) + ([] if -most <= value < most else [f"{at}: {value} does not fit {schema['format']}"])

    def number(self, value, schema, file, at):
        return self.bounds(value, schema, at) if isinstance(value, (int, float)) and not isinstance(value, bool) else [f"{at}: {value!r} is not a number"]

    def bounds(self, value, schema, at):
        inside = schema.get("minimum", value) <= value <= schema.get("maximum", value) and value % schema.get("multipleOf", 1) == 0
        return [] if inside else [f"{at}: {value} is out of bounds"]

    def boolean(self, value, schema, file, at):
        return [] if isinstance(value, bool) else [f"{at}: {value!r} is not a boolean"]


def join(at, name):
    return f"{at}.{name}" if at else name


def is_time(text):
    m = re.fullmatch(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text)
    try:
        return bool(m) and bool(dt.datetime.fromisoformat(f"{m[1]}T{m[2]}"))
    except ValueError:
        return False
