"""The drop folder: files of JSON lines that providers rename into it."""
