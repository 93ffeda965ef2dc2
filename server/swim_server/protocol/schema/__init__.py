"""The protocol as documents for programs: AsyncAPI of the messages, OpenAPI of plain HTTP; made from the types."""
