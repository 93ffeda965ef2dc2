"""``swimctl schema``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from swimctl.app import single_command
from swimctl.invocation import invocation_of

app = single_command()


class Format(StrEnum):
    """The document to print."""

    ASYNCAPI = "asyncapi"
    OPENAPI = "openapi"
    JSONSCHEMA = "jsonschema"


@app.command()
def schema(
    context: typer.Context,
    *,
    format: Annotated[
        Format,
        typer.Option("--format", metavar="asyncapi|openapi|jsonschema", help="Which document."),
    ] = Format.ASYNCAPI,
) -> None:
    """Print the protocol as a document, generated from this version's types.

    The wire protocol as AsyncAPI 3.1, or its messages as JSON Schemas; plain HTTP as OpenAPI 3.1. Includes families
    declared in the configuration.

    \b
    Examples:
      swimctl schema > asyncapi.json
      swimctl schema --format openapi | jq '.paths | keys'
    """
    from swim_server.protocol.channels import Catalogue
    from swim_server.protocol.schema.asyncapi import asyncapi_document
    from swim_server.protocol.schema.components import schemas
    from swim_server.protocol.schema.openapi import openapi_document

    invocation = invocation_of(context)
    config = invocation.load_config().config
    catalogue, url = Catalogue(config.channels.families), config.server.public_url
    output = invocation.output(as_json=True)
    match format:
        case Format.ASYNCAPI:
            output.document(asyncapi_document(catalogue, url))
        case Format.OPENAPI:
            output.document(openapi_document(catalogue, url))
        case Format.JSONSCHEMA:
            output.document({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": schemas()})
