"""SQLite behind the scripted SQL Server: statements are answered with SQL Server's types and error numbers.

It tests how the real drivers bind, convert and fail. It does not validate T-SQL: it rewrites what it must with a few
patterns, and accepts whatever else SQLite accepts.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy.dialects.mssql.pyodbc import MSDialect_pyodbc
from sqlalchemy.schema import CreateTable
from support import tds_wire as wire
from support.tds_server import BEGIN, COMMIT, ROLLBACK, Answer, Connection, Error
from support.tds_wire import Call
from support.tsql import check_tsql
from swim_server.keys.tables import metadata

_PROCEDURES = {10: "sp_executesql", 11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec"}

_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"\bdbo\.", ""),
        (r"\bN'", "'"),
        (r"\[(\w+)\]", r'"\1"'),
        (r"\b(?:INTEGER|BIGINT|INT) NOT NULL IDENTITY(?:\(1,1\))?", "INTEGER PRIMARY KEY AUTOINCREMENT"),
        (r",\s*PRIMARY KEY \(id\)", ""),
        (r"\bNVARCHAR\(max\)", "NVARCHAR(4000)"),
    )
)
_OUTPUT = re.compile(r"\bOUTPUT\s+((?:inserted\.\w+\s*,?\s*)+)", re.IGNORECASE)
_TOP = re.compile(r"\bSELECT\s+TOP\s*\(?\s*(@?\w+)\s*\)?", re.IGNORECASE)
_TABLE = re.compile(r'\b(?:FROM|INTO)\s+"?(\w+)', re.IGNORECASE)
_DECLARED = re.compile(r"@(\w+)")
_TYPE_INFO = re.compile(r"sp_datatype_info\w*\s+(-?\d+)", re.IGNORECASE)
_IGNORED = re.compile(r"\s*(SET\b|IF @@TRANCOUNT)", re.IGNORECASE)

_DATATYPES = {12: ("varchar", 8000), -9: ("nvarchar", 4000), -3: ("varbinary", 8000), 93: ("datetime2", 27)}
_DATATYPE_COLUMNS = (
    "TYPE_NAME:text DATA_TYPE:int PRECISION:int LITERAL_PREFIX:text LITERAL_SUFFIX:text CREATE_PARAMS:text NULLABLE:int"
    " CASE_SENSITIVE:int SEARCHABLE:int UNSIGNED_ATTRIBUTE:int MONEY:int AUTO_INCREMENT:int LOCAL_TYPE_NAME:text"
    " MINIMUM_SCALE:int MAXIMUM_SCALE:int SQL_DATA_TYPE:int SQL_DATETIME_SUB:int NUM_PREC_RADIX:int"
    " INTERVAL_PRECISION:int USERTYPE:int"
)


class SqliteStatements:
    """Answers from a SQLite file. Text is compared case-insensitively, as SQL Server does by default."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create_tables(self) -> None:
        """Create the key tables with the statements that SQLAlchemy generates for SQL Server."""
        dialect = MSDialect_pyodbc()
        self.execute_script(
            ";".join(str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables)
        )

    def execute_script(self, script: str) -> None:
        """Run T-SQL statements, separated by semicolons, before any client connects."""
        database = sqlite3.connect(self.path)
        database.executescript(rewrite(script))
        database.close()

    def batch(self, connection: Connection, sql: str) -> Answer:
        if match := _TYPE_INFO.match(sql):
            return _datatype_info(int(match[1]))
        return self._run(connection, sql, {})

    def call(self, connection: Connection, call: Call) -> Answer:
        procedure = _PROCEDURES.get(call.procedure, "") if isinstance(call.procedure, int) else call.procedure
        if "sp_datatype_info" in procedure:
            return _datatype_info(call.values[0])
        prepared: dict[int, tuple[str, list[str]]] = connection.state.setdefault("prepared", {})  # type: ignore[assignment]  # the state of a connection is of any type
        handle = None
        match procedure:
            case "sp_executesql":
                names = [name or f"P{place + 1}" for place, name in enumerate(call.names[2:])]
                answer = self._run(connection, call.values[0], dict(zip(names, call.values[2:], strict=True)))
            case "sp_prepare" | "sp_prepexec":
                handle = len(prepared) + 1
                prepared[handle] = (call.values[2], _declared(call.values[1]))
                executes = procedure == "sp_prepexec"
                answer = self._execute(connection, prepared[handle], call.values[3:]) if executes else wire.done()
            case "sp_execute":
                answer = self._execute(connection, prepared[call.values[0]], call.values[1:])
            case _:
                answer = wire.done()
        return wire.procedure_answer(answer, handle) if isinstance(answer, bytes) else answer

    def transaction(self, connection: Connection, request: int) -> None:
        database = self._database(connection)
        if request in {COMMIT, ROLLBACK} and database.in_transaction:
            database.execute("COMMIT" if request == COMMIT else "ROLLBACK")
        if request == BEGIN:
            connection.state["in_transaction"] = True

    def gone(self, connection: Connection) -> None:
        if "database" in connection.state:
            self._database(connection).close()

    def _execute(self, connection: Connection, prepared: tuple[str, list[str]], values: list[Any]) -> Answer:
        sql, names = prepared
        return self._run(connection, sql, dict(zip(names, values, strict=True)))

    def _database(self, connection: Connection) -> sqlite3.Connection:
        database = connection.state.get("database")
        if not isinstance(database, sqlite3.Connection):
            database = sqlite3.connect(self.path, isolation_level=None, timeout=5, check_same_thread=False)
            database.create_function("schema_name", 0, lambda: "dbo")
            database.create_function("SERVERPROPERTY", 1, lambda name: "16.0.1000.6")
            database.execute("ATTACH ':memory:' AS sys")
            database.execute("CREATE TABLE sys.schemas (schema_id INT, name NVARCHAR(128))")
            database.execute("CREATE TABLE sys.objects (schema_id INT, name NVARCHAR(128), type NVARCHAR(2))")
            database.execute("INSERT INTO sys.schemas VALUES (1, 'dbo')")
            connection.state["database"] = database
        return database

    def _run(self, connection: Connection, sql: str, parameters: dict[str, Any]) -> Answer:
        if _IGNORED.match(sql):
            return wire.done()
        check_tsql(sql)
        database, statement = self._database(connection), rewrite(sql)
        if "sys.objects" in sql:
            _list_objects(database)
        is_reading = statement.lstrip().upper().startswith("SELECT")
        try:
            if connection.state.get("in_transaction") and not is_reading and not database.in_transaction:
                database.execute("BEGIN IMMEDIATE")
            cursor = database.execute(statement, parameters)
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            return _error(error, statement)
        if cursor.description is None:
            return wire.affected(max(cursor.rowcount, 0))
        names = [column[0] for column in cursor.description]
        declared = _declared_types(database, statement)
        kinds = [
            _kind(declared.get(name.lower(), ""), [row[place] for row in rows]) for place, name in enumerate(names)
        ]
        return wire.table(list(zip(names, kinds, strict=True)), rows)


def rewrite(sql: str) -> str:
    """Convert T-SQL to SQLite's dialect."""
    for pattern, replacement in _REWRITES:
        sql = pattern.sub(replacement, sql)
    if sql.lstrip().upper().startswith("CREATE TABLE"):
        sql = re.sub(r"(NVARCHAR\(\w+\))", r"\1 COLLATE NOCASE", sql)
    if match := _OUTPUT.search(sql):
        columns = re.sub(r"inserted\.", "", match[1], flags=re.IGNORECASE)
        sql = f"{sql[: match.start()]}{sql[match.end() :]} RETURNING {columns}"
    if match := _TOP.search(sql):
        sql = f"{sql[: match.start()]}SELECT {sql[match.end() :]} LIMIT {match[1]}"
    return sql


def _declared(declaration: str | None) -> list[str]:
    return _DECLARED.findall(re.sub(r"\([^)]*\)", "", declaration or ""))


def _declared_types(database: sqlite3.Connection, statement: str) -> dict[str, str]:
    match = _TABLE.search(statement)
    rows = database.execute(f"PRAGMA table_info({match[1]})").fetchall() if match else []
    return {row[1].lower(): row[2].upper() for row in rows}


def _kind(declared: str, values: list[Any]) -> wire.Kind:
    for beginning, kind in (("BIT", "bit"), ("DATETIME", "moment"), ("INT", "int"), ("NVARCHAR", "text")):
        if declared.startswith(beginning):
            return kind
    value = next((value for value in values if value is not None), None)
    if isinstance(value, int):
        return "int" if abs(value) < 2**31 else "big"
    return "float" if isinstance(value, float) else "binary" if isinstance(value, bytes) else "text"


def _list_objects(database: sqlite3.Connection) -> None:
    """Fill the catalogue in which SQLAlchemy looks up tables."""
    database.execute("DELETE FROM sys.objects")
    database.execute("INSERT INTO sys.objects SELECT 1, name, 'U' FROM main.sqlite_master WHERE type = 'table'")


def _error(error: sqlite3.Error, statement: str) -> Error:
    text = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return Error(2627, f"Violation of UNIQUE KEY constraint: {text}", 14) if "UNIQUE" in text else Error(515, text)
    if "no such table" in text:
        return Error(208, f"Invalid object name '{text.rpartition(' ')[2]}'.")
    if "no such column" in text:
        return Error(207, f"Invalid column name '{text.rpartition(' ')[2]}'.")
    if "locked" in text:
        return Error(1222, "Lock request time out period exceeded.")
    return Error(102, f"{text}: {statement[:300]}", 15)


def _datatype_info(number: int) -> bytes:
    """Return what pyodbc asks for on connecting; without it, pyodbc truncates fractional seconds and long texts."""
    columns = [(name, kind) for name, _, kind in (pair.partition(":") for pair in _DATATYPE_COLUMNS.split())]
    rows = []
    if number in _DATATYPES:
        name, precision = _DATATYPES[number]
        scales = (0, 7) if number == 93 else (None, None)
        rows.append(
            [name, number, precision, "'", "'", None, 1, 0, 3, None, 0, None, name, *scales, number, *[None] * 4]
        )
        rows[0][-1] = 0
    return wire.table(columns, rows)
