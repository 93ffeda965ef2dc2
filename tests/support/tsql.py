"""Checks statements with a grammar of T-SQL, as no SQL Server can be installed where the tests run."""

from __future__ import annotations

import sqlglot
from sqlalchemy import Engine, event
from sqlalchemy.dialects.mssql.pyodbc import MSDialect_pyodbc
from sqlglot import exp
from sqlglot.errors import SqlglotError


class NotTsql(AssertionError):
    """A statement that SQL Server would refuse."""


def check_tsql(sql: str) -> None:
    """Raise NotTsql for anything T-SQL lacks. The parser accepts some of it, so the tree is checked too."""
    try:
        trees = sqlglot.parse(sql, read="tsql", error_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as error:
        raise NotTsql(f"{error}: {sql}") from None
    for tree in trees:
        fault = None if tree is None else _fault(tree)
        if fault is not None:
            raise NotTsql(f"{fault}: {sql}")


def _fault(tree: exp.Expr) -> str | None:
    if isinstance(tree, exp.Command) and tree.name.upper() not in {"EXEC", "BEGIN", "GO", "SET"}:
        return "not understood"
    for node in tree.walk():
        if isinstance(node, exp.Is) and not isinstance(node.expression, exp.Null):
            return "IS takes only NULL and NOT NULL"
        if isinstance(node, exp.Boolean):
            return "there are no TRUE and FALSE"
        if isinstance(node, exp.Limit) and "LIMIT" in node.sql(dialect="sqlite").upper() and tree.find(exp.Fetch):
            return "LIMIT beside FETCH"
        if isinstance(node, exp.Offset) and tree.find(exp.Order) is None:
            return "OFFSET needs an ORDER BY"
        if isinstance(node, exp.DPipe):
            return "|| joins nothing: it is +"
    return None


class Statements:
    """All statements run through an engine, as they would be sent to SQL Server; each is checked at once."""

    def __init__(self, engine: Engine) -> None:
        self.sent: list[str] = []
        self._dialect = MSDialect_pyodbc()
        event.listen(engine, "before_execute", self._judge)

    def _judge(self, connection: object, statement: object, *_: object) -> None:
        compiled = getattr(statement, "compile", None)
        if compiled is None or str(statement).startswith("PRAGMA"):
            return
        sql = str(compiled(dialect=self._dialect, compile_kwargs={"render_postcompile": True}))
        check_tsql(sql)
        self.sent.append(" ".join(sql.split()))
