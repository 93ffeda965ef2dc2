"""The protocol as machine-readable documents, generated from the types: AsyncAPI of messages, OpenAPI of plain HTTP."""
