"""Whether the kernel's clock is synchronised, according to the kernel: adjtimex(2), which sets nothing here."""

from __future__ import annotations

import ctypes

import msgspec

TIME_ERROR = 5
"""What adjtimex returns when nothing keeps the clock synchronised."""
STA_UNSYNC = 0x0040


class ClockState(msgspec.Struct, frozen=True):
    """What the kernel reports about its clock."""

    is_synchronised: bool
    max_error_ms: float


class _Timex(ctypes.Structure):
    """The fields of ``struct timex`` that are read; the rest is padding (asm-generic: 208 bytes on 64 bits)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def ask_kernel() -> ClockState | None:
    """Read the clock's state; None if the C library lacks the call or a sandbox forbids it."""
    try:
        call = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    state = _Timex()
    answer = call(ctypes.byref(state))
    if answer < 0:
        return None
    is_synchronised = answer != TIME_ERROR and not state.status & STA_UNSYNC
    return ClockState(is_synchronised, state.maxerror / 1000)
