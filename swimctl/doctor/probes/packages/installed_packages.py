"""Required packages compared with their RECORD, and bytecode with its source: traces of edits and bad copies. Facts."""

from __future__ import annotations

import importlib.util
import marshal
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from swim_server.daemon.requirements import dist_info_folders

from swimctl.doctor.probes.checkout import is_compiled, sources
from swimctl.doctor.probes.installation import differing, recorded

HEADER_BYTES = 16


def look_at_packages(names: Iterable[str]) -> dict[str, list[str]]:
    """Return, by package, the Python files that differ from its RECORD. Blocks while reading some thousand files."""
    found = {}
    for name, folder in dist_info_folders(names).items():  # another check reports a package that is missing
        files = [each for each in recorded(folder) if each.name.endswith(".py")]
        wrong = list(differing(files))
        if wrong:
            found[name] = wrong
    return found


def look_at_bytecode(roots: Mapping[str, str]) -> list[str]:
    """Return the source files whose bytecode claims to be theirs but is not. Blocks: each file is compiled."""
    return [name for name, path in sources(roots) if is_compiled(path) and not _is_its_own(path)]


def _is_its_own(path: Path) -> bool:
    try:
        data = Path(importlib.util.cache_from_source(str(path))).read_bytes()[HEADER_BYTES:]
        code = marshal.loads(data)  # what Python would run; here it is only inspected
        source = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except (OSError, ValueError, EOFError, TypeError, SyntaxError):
        return False
    return all(one == other for one, other in zip(_parts(code), _parts(source), strict=False))


def _parts(code: object) -> Iterator[object]:
    """Reduce code to what it does, with which names and values, ignoring where it was compiled."""
    for name in ("co_code", "co_names", "co_varnames"):
        yield getattr(code, name, None)
    for value in getattr(code, "co_consts", ()):
        if hasattr(value, "co_code"):
            yield from _parts(value)
        else:
            yield repr(value)
