"""The wire protocol, pure: messages, channels, filters, codes. No I/O, no asyncio, no clock."""
