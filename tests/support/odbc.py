"""The real ODBC drivers: Microsoft's, from its wheel, and FreeTDS, from Debian. Installed here if possible.

What can't be installed is a skipped test with a reason on a developer's machine, and a failure in CI.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from support.packages import apt_install, missing

DRIVERS = ("microsoft", "freetds")
_PACKAGES = ("libodbc2", "tdsodbc")


@cache
def load_pyodbc() -> ModuleType:
    """Import pyodbc, first installing the system's ODBC library if missing and permitted."""
    if not (_is_library_there("libodbc.so.2") and _freetds_path()):
        apt_install(*_PACKAGES)
        _freetds_path.cache_clear()
    try:
        return import_module("pyodbc")
    except ImportError as error:
        missing(f"pyodbc can't be imported: {error}")


def connection_string(driver: str, port: int, *, user: str = "sa", password: str = "s3cret", **more: str) -> str:
    """Return a connection string for a server on this machine."""
    load_pyodbc()
    fields = {"Database": "swim", "UID": user, "PWD": "{" + password.replace("}", "}}") + "}"} | more
    if driver == "microsoft":
        fields = {"Driver": _microsoft_path(), "Server": f"127.0.0.1,{port}", "Encrypt": "no"} | fields
    else:
        fields = {
            "Driver": _freetds(),
            "Server": "127.0.0.1",
            "Port": str(port),
            "TDS_Version": "7.4",
        } | fields
    return ";".join(f"{name}={value}" for name, value in fields.items() if value)


def driver_path(driver: str) -> str:
    """Return the shared library of a driver."""
    load_pyodbc()
    return _microsoft_path() if driver == "microsoft" else _freetds()


@cache
def _microsoft_path() -> str:
    if find_spec("mssql_python_odbc") is None:
        missing("Microsoft's driver is missing: pip install mssql-python-odbc")
    folder = Path(import_module("mssql_python_odbc").get_libs_dir())
    found = sorted(folder.glob("linux/debian_ubuntu/*/lib/libmsodbcsql-*"))
    if not found:
        missing(f"Microsoft's driver is not in {folder}")
    return str(found[-1])


def _freetds() -> str:
    return _freetds_path() or missing("FreeTDS is not installed: apt-get install tdsodbc")


@cache
def _freetds_path() -> str | None:
    found = sorted(Path("/usr/lib").glob("*/odbc/libtdsodbc.so"))
    return str(found[0]) if found else None


def _is_library_there(name: str) -> bool:
    return any(Path("/usr/lib").glob(f"*/{name}"))
