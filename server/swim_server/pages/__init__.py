"""The pages as files, as they are sent to browsers. Knows no HTTP and no service."""
