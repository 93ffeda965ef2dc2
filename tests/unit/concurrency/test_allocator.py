"""The C library's allocator gives back what is no longer used."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
from swim_server.concurrency.allocator import ARENAS

PROGRAM = """
import ctypes, os, threading
from swim_server.concurrency.allocator import limit_idle_memory
assert limit_idle_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
everyone_is_there = threading.Barrier(8)
def take():
    block = libc.malloc(1000)
    everyone_is_there.wait()
    libc.free(ctypes.c_void_p(block))
threads = [threading.Thread(target=take) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize(("environ", "arenas"), [({}, ARENAS), ({"MALLOC_ARENA_MAX": "5"}, 5)])
def test_threads_share_few_arenas_unless_the_environment_says_otherwise(environ: dict[str, str], arenas: int) -> None:
    words = [sys.executable, "-c", PROGRAM]
    path = {"PYTHONPATH": ":".join(sys.path)}
    found = subprocess.run(words, env=path | environ, capture_output=True, text=True, check=True)
    assert found.stdout.count("<heap nr=") == arenas
