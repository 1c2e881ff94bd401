"""`instructloop doctor`: what this machine can do, and what is missing."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from instructloop.cli.parsing import parse
from instructloop.loop.machine import Machine, inspect_machine


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Cores, memory, measured speed, accelerators, versions, extras, and whether a model hub answers. Takes a few seconds."""

    json: bool = False
    """Print one JSON object instead of a table."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    doctor = parse("doctor", Doctor, argv)
    machine = inspect_machine()
    if doctor.json:
        print(json.dumps(dataclasses.asdict(machine), indent=2))
    else:
        _print_table(machine)


def _print_table(machine: Machine) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "found", show_edge=False, title="instructloop doctor", title_justify="left")
    for what, found in _rows(machine):
        table.add_row(what, found)
    Console().print(table)


def _rows(machine: Machine) -> Iterator[tuple[str, str]]:
    threads = f", {machine.threads} threads in torch" if machine.threads else ""
    yield "processor", f"{machine.cores} cores{threads}"
    yield "memory", "unknown" if machine.memory_gb is None else f"{machine.memory_gb:.1f} GB"
    yield "disk free here", f"{machine.disk_free_gb:.1f} GB"
    yield "matrix products, fp32", _speed(machine.fp32_tflops)
    yield "matrix products, bf16", _speed(machine.bf16_tflops) + _precision_advice(machine)
    for gpu in machine.gpus:
        yield "GPU", f"{gpu.name}, {gpu.memory_gb:.0f} GB, bf16 {_speed(gpu.bf16_tflops)}"
    if not machine.gpus:
        yield "GPU", "none that torch can use"
    yield from machine.versions.items()
    for extra, packages in machine.missing.items():
        yield f"extra [{extra}]", f"missing {', '.join(packages)}: pip install 'instructloop\\[{extra}]'"
    if not machine.missing:
        yield "extras", "all installed"
    yield "model hub", _hub(machine)


def _speed(tflops: float | None) -> str:
    return "not measured: torch is missing" if tflops is None else f"{tflops * 1000:,.0f} GFLOP/s"


def _precision_advice(machine: Machine) -> str:
    if machine.fp32_tflops is None or machine.bf16_tflops is None or machine.bf16_tflops >= machine.fp32_tflops:
        return ""
    return " (slower than fp32 here: use --run.precision fp32)"


def _hub(machine: Machine) -> str:
    if machine.hub is None:
        return "no hub client installed: models must be local directories"
    return f"{machine.hub} answers" if machine.hub_reachable else f"{machine.hub} is not reachable: models must be local directories"
