"""The managed-integrations connector of `account-linking`, by the models that others keep of what it speaks.

Its example prints the calls it would make. botocore has AWS's own model of them, and writes the same calls; the cluster
library of Home Assistant has Matter's numbers. The cloud has no part in this.
"""

import copy
import json
import re
import subprocess
import unicodedata

import botocore.loaders
import botocore.model
import botocore.serialize
import botocore.validate
from chip.clusters import Objects

from checks import check, expect
from cloud import PATIENCE

SERVICE = "iot-managed-integrations"


def printed(world, what):
    """The JSON values that the example prints, one a line."""
    program = world.cloud.program.parent / "examples" / "managed_integrations"
    done = subprocess.run([program, what], capture_output=True, timeout=PATIENCE, check=True)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def operation():
    service = botocore.loaders.Loader().load_service_model(SERVICE, "service-2")
    return botocore.model.ServiceModel(service, SERVICE).operation_model("SendConnectorEvent")


def faults(value, shape, path="event"):
    """What the model forbids in a value. botocore itself leaves greatest lengths, patterns and enumerations to the server."""
    limits = shape.metadata
    if getattr(shape, "is_document_type", False):
        return
    size = value if shape.type_name in ("integer", "long") else len(value)
    if size < limits.get("min", size) or size > limits.get("max", size):
        yield f"{path}: {size} is outside of {limits.get('min')} to {limits.get('max')}"
    if shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            yield f"{path}: {value!r} is not one of {shape.enum}"
        # Python has no \p; its \w is letters, digits and the underscore, which is in the one class that has \p.
        pattern = limits.get("pattern", ".*").replace(r"\p{L}\p{N}", r"\w")
        expect("\\p" not in pattern, f"another class: {pattern}")
        if not re.fullmatch(pattern, value):
            yield f"{path}: {value!r} does not match {limits['pattern']}"
    elif shape.type_name == "list":
        for place, item in enumerate(value):
            yield from faults(item, shape.member, f"{path}[{place}]")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from faults(key, shape.key, f"{path}{{{key}}}")
            yield from faults(item, shape.value, f"{path}.{key}")
    elif shape.type_name == "structure":
        for name in set(value) - set(shape.members):
            yield f"{path}: there is no {name}"
        for name in set(shape.required_members) - set(value):
            yield f"{path}: no {name}"
        for name in set(value) & set(shape.members):
            yield from faults(value[name], shape.members[name], f"{path}.{name}")


def parameters(call):
    """What one would give to botocore to have it make the call."""
    return {"ConnectorId": call["path"].rsplit("/", 1)[1], **call["body"]}


@check
def every_connector_event_is_one_that_the_model_allows_and_botocore_writes_alike(world):
    model, calls = operation(), printed(world, "events")
    validator = botocore.validate.ParamValidator()
    serializer = botocore.serialize.create_serializer(model.service_model.protocol, include_validation=False)
    for call in calls:
        given = parameters(call)
        found = list(faults(given, model.input_shape))
        report = validator.validate(given, model.input_shape)
        expect(not found and not report.has_errors(), f"{found} {report.generate_report()}\n{call}"[:2000])
        written = serializer.serialize_to_request(given, model)
        same = (call["method"], call["path"]) == (written["method"], written["url_path"])
        expect(same and call["body"] == json.loads(written["body"]), f"{call}\n{written}"[:2000])
    operations = {call["body"]["Operation"] for call in calls}
    expect(operations == {"DEVICE_DISCOVERY", "DEVICE_COMMAND_RESPONSE", "DEVICE_EVENT"}, f"{operations}")
    expect(len(calls) > 500, f"only {len(calls)} events")


@check
def events_a_little_longer_than_the_longest_are_not_allowed(world):
    """So that the check above would notice."""
    model, calls = operation(), printed(world, "events")[:5]

    def lengthen(value, part):
        """The value with one character, member or item more at the path."""
        changed = copy.deepcopy(value)
        inner = changed
        for name in part[:-1]:
            inner = inner[name]
        last = inner[part[-1]]
        if isinstance(last, str):
            inner[part[-1]] = last + last[-1]
        elif isinstance(last, int):
            inner[part[-1]] = last + 1
        elif isinstance(last, dict):
            last["0x7777"] = {}
        else:
            last.append(last[-1])
        return changed

    report = ("Devices", 0, "CapabilityReport")
    cluster = (*report, "endpoints", 0, "clusters", 0)
    for number, part in [
        (0, ("ConnectorId",)),
        (0, ("UserId",)),
        (0, ("Message",)),
        (0, ("DeviceDiscoveryId",)),
        (0, ("Devices", 0, "ConnectorDeviceId")),
        (0, ("Devices", 0, "ConnectorDeviceName")),
        (0, (*report, "version")),
        (0, (*report, "nodeId")),
        (0, (*report, "endpoints")),
        (0, (*report, "endpoints", 0, "id")),
        (0, (*report, "endpoints", 0, "deviceTypes")),
        (0, (*report, "endpoints", 0, "deviceTypes", 0)),
        (0, (*report, "endpoints", 0, "clusters")),
        (0, (*report, "endpoints", 0, "parts")),
        (0, (*report, "endpoints", 0, "semanticTags")),
        (0, (*report, "endpoints", 0, "clientClusters")),
        (0, (*cluster, "id")),
        (0, (*cluster, "revision")),
        (0, (*cluster, "publicId")),
        (0, (*cluster, "featureMap")),
        (0, (*cluster, "attributes")),
        (0, (*cluster, "commands")),
        (0, (*cluster, "events")),
        (1, ("StatusCode",)),
        (3, ("TraceId",)),
        (3, ("ConnectorDeviceId",)),
        (3, ("MatterEndpoint", "id")),
        (3, ("MatterEndpoint", "clusters")),
        (3, ("MatterEndpoint", "clusters", 0, "commands")),
        (3, ("MatterEndpoint", "clusters", 0, "events")),
    ]:
        longer = lengthen(parameters(calls[number]), part)
        expect(list(faults(longer, model.input_shape)), f"allowed: {part}")


@check
def every_character_of_a_device_name_is_a_letter_a_digit_or_one_of_four(world):
    (letters,) = printed(world, "letters")
    others = {c for c in letters if unicodedata.category(c)[0] not in "LN"}
    expect(others == set(" ._-"), f"{others}")
    expect(len(letters) > 30_000, f"only {len(letters)} characters")


@check
def the_clusters_of_the_mapping_are_those_of_matter(world):
    lines = printed(world, "table")
    for line in lines:
        cluster = getattr(Objects, line["name"])
        expect(cluster.id == line["cluster"], f"{line}")
        attribute = getattr(cluster.Attributes, line["attribute_name"])
        expect(attribute.attribute_id == line["attribute"], f"{line}")
        for command in line["commands"]:
            known = getattr(cluster.Commands, command["name"])
            expect(known.command_id == command["id"], f"{command}")
            fields = {field.Tag: field.Label.lower() for field in known.descriptor.Fields}
            for number, name in command["fields"]:
                expect(fields.get(number) == name.lower(), f"{command}: {fields}")
    expect(len(lines) > 20, f"only {len(lines)} lines")
