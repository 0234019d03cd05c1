"""What schemathesis cannot make up: hrefs of resources that exist. It puts no slash into a path, and hrefs have them."""

import schemathesis

# What it makes of `resourceLinkHref`, and the href that this stands for.
HREFS = {"thermostat": "thermostat/temperature", "light": "light/1", "description": "oic/d"}


@schemathesis.hook
def before_call(context, case, kwargs):
    parameters = case.path_parameters or {}
    href = HREFS.get(parameters.get("resourceLinkHref"))
    if href:
        parameters["resourceLinkHref"] = href
