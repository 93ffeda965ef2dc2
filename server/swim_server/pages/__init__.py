"""The pages that people leave open, as files: what a browser is sent. Knows no HTTP and no service."""
