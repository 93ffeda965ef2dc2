"""Opens files that others may have planted safely; replaces files so that no power cut undoes or tears them."""
