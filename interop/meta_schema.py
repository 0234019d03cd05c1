"""openapi-spec-validator reads the description that the cloud serves."""

import json

from openapi_spec_validator import OpenAPIV31SpecValidator

from api import curl
from checks import check, expect


@check
def the_description_is_valid_openapi_3_1(world):
    status, headers, body = curl(world, "/api/v1/openapi.json", token=False)
    expect(status == 200, f"status {status}: {body[:200]}")
    expect(headers["content-type"] == "application/json", f"headers {headers}")
    description = json.loads(body)
    expect(description["openapi"].startswith("3.1."), description["openapi"])
    faults = [f"{list(fault.path)}: {fault.message}" for fault in OpenAPIV31SpecValidator(description).iter_errors()]
    expect(not faults, faults)
