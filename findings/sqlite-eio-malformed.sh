#!/usr/bin/env bash
# SQLite on Linux: when the disk fails a read with EIO, a statement does not say "disk I/O error" (SQLITE_IOERR) but
# "database disk image is malformed" (SQLITE_CORRUPT, without an extended code), which elsewhere means that the file's
# content is wrong. The database is sound: the next read finds everything. Whoever takes SQLITE_CORRUPT as a reason to
# put a database aside does so with a sound one. sqlite3_backup_step() on the same file tells SQLITE_IOERR_CORRUPTFS
# (8458): it is the virtual machine of statements that turns the one into the other.
#
# Seen with SQLite 3.46.1 (apsw 3.46.1.0) and glibc, the failing read by a library preloaded:
#   SELECT while reads fail: CorruptError 11, CorruptError: database disk image is malformed
#   quick_check while reads fail: *** in database main *** Tree 2 page 2: unable to get the page. error code=8458
#   backup while reads fail: IOError 8458, IOError: error
#   SELECT afterwards: 2000
#   quick_check afterwards: ok
#
# Exits 0 while that is so, 1 when it has changed, 2 when it can't be tried. Needs Linux, cc, python3-venv, a network.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cannot() { echo "can't be tried: $*" >&2; exit 2; }

cd "$folder"
cat > fail.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
/* While FAILING is set, reads behind the first page fail as on a disk with bad sectors. */
#define READ(name, offset) \
    ssize_t name(int fd, void *data, size_t length, offset at) { \
        static ssize_t (*real)(int, void *, size_t, offset); \
        if (!real) real = (ssize_t (*)(int, void *, size_t, offset))dlsym(RTLD_NEXT, #name); \
        if (getenv("FAILING") && at >= 4096) { errno = EIO; return -1; } \
        return real(fd, data, length, at); \
    }
READ(pread, off_t)
READ(pread64, off64_t)
C
cc -shared -fPIC -o fail.so fail.c -ldl || cannot "cc"
python3 -m venv venv && venv/bin/pip install -q apsw==3.46.1.0 || cannot "pip install apsw==3.46.1.0"
cat > probe.py <<'PYTHON'
import os, sys
import apsw

made = apsw.Connection("sound.db")
made.execute("PRAGMA page_size = 4096; CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
made.execute("BEGIN")
for number in range(2000):
    made.execute("INSERT INTO rows (text) VALUES (?)", ("x" * 100,))
made.execute("COMMIT")
made.close()


def attempt(work):
    connection = apsw.Connection("sound.db", flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return str(work(connection))
    except apsw.Error as error:
        return f"{type(error).__name__} {error.extendedresult}, {error}"
    finally:
        connection.close(True)


def count(connection):
    return connection.execute("SELECT count(text) FROM rows").fetchall()[0][0]


def check(connection):
    return connection.execute("PRAGMA quick_check(1)").fetchall()[0][0]


def copy(connection):
    with apsw.Connection(":memory:").backup("main", connection, "main") as backup:
        backup.step()


# C's own environment: os.environ["FAILING"] = ... calls putenv().
os.environ["FAILING"] = "1"
failing = {"SELECT": attempt(count), "quick_check": attempt(check), "backup": attempt(copy)}
del os.environ["FAILING"]
well = {"SELECT": attempt(count), "quick_check": attempt(check)}
print(f"SQLite {apsw.sqlite_lib_version()}, apsw {apsw.apsw_version()}")
for name, said in failing.items():
    print(f"  {name} while reads fail: {' '.join(said.split())}")
for name, said in well.items():
    print(f"  {name} afterwards: {said}")
as_seen = (failing["SELECT"].startswith("CorruptError 11,") and failing["backup"].startswith("IOError 8458")
           and well == {"SELECT": "2000", "quick_check": "ok"})
print("as described" if as_seen else "it has changed")
sys.exit(0 if as_seen else 1)
PYTHON
LD_PRELOAD=$folder/fail.so venv/bin/python probe.py
