"""What is recorded about the machine."""

from __future__ import annotations

import os
import pathlib
import platform
from typing import Any


def _field(file: str, name: str) -> str:
    """The first value of a field of a file below /proc, "" where there is none."""
    try:
        lines = pathlib.Path("/proc", file).read_text().splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, "")


def describe() -> dict[str, Any]:
    """Processor, its matrix instructions, cores, memory, system, and the present load."""
    flags = _field("cpuinfo", "flags").split()
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    kilobytes = _field("meminfo", "MemTotal").split()
    return {
        "processor": _field("cpuinfo", "model name") or platform.processor(),
        "instructions": [name for name in wanted if name in flags],
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(kilobytes[0]) / 2**20, 1) if kilobytes else None,
        "system": platform.platform(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }
