"""Runs benchmarks: ours and each peer that is installed, in turns on this machine.

    python -m benchmarks.run                      # all suites
    python -m benchmarks.run encoder finetuning   # some
    python -m benchmarks.run pretraining/base     # one match of a suite

Nothing is installed or downloaded. Tables go to stdout, and a JSON file with every single time of
each suite to `--output_dir`. docs/benchmarks.md explains the suites.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from benchmarks import interleave, machine, table
from benchmarks.families import FAMILIES
from benchmarks.side_process import SideFailed
from benchmarks.suite import Options, Suite
from benchmarks.suites import SUITES


def _python(text: str) -> tuple[str, str]:
    family, separator, path = text.partition("=")
    if not separator or family not in FAMILIES:
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected FAMILY=PYTHON with a family of {', '.join(FAMILIES)}"
        )
    return family, path


def _parser() -> argparse.ArgumentParser:
    cores = len(os.sched_getaffinity(0))
    flags = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_argument("names", nargs="*", metavar="NAME", help="suites, or SUITE/MATCH")
    flags.add_argument("--list", action="store_true", help="name the suites and their matches")
    flags.add_argument("--rounds", type=int, default=5, help="repetitions of each side (5)")
    flags.add_argument("--threads", type=int, default=cores, help="of each side (all cores)")
    flags.add_argument(
        "--output_dir",
        type=pathlib.Path,
        default=pathlib.Path(__file__).parent / "results",
        help="for JSON, plots and logs (benchmarks/results)",
    )
    flags.add_argument(
        "--python",
        type=_python,
        action="append",
        default=[],
        metavar="FAMILY=PYTHON",
        help="another interpreter for the sides of a family, such as pytorch; repeatable",
    )
    flags.add_argument(
        "--sides",
        default="",
        help=f"families that take part, separated by commas (all of {','.join(FAMILIES)})",
    )
    flags.add_argument(
        "--variants",
        action="store_true",
        help="also run sides with their other settings: slower ones, or not compared yet",
    )
    flags.add_argument("--google", help="a checkout of google-research/bert, for `prepare`")
    return flags


def _chosen(names: Sequence[str], parser: argparse.ArgumentParser) -> dict[str, set[str]]:
    """Suites by name, each with the matches asked for; none means all."""
    chosen: dict[str, set[str]] = {}
    for name in names or SUITES:
        suite, _, match = name.partition("/")
        if suite not in SUITES:
            parser.error(f"there is no suite {suite!r}, expected one of {', '.join(SUITES)}")
        chosen.setdefault(suite, set()).update({match} - {""})
    return chosen


def _list(options: Options) -> None:
    for suite in SUITES.values():
        needs = " (needs BERT_KERAS_ASSETS)" if suite.needs_assets else ""
        print(f"{suite.name}: {suite.title}{needs}")
        for match in suite.matches(options):
            print(f"  {suite.name}/{match.name}: {'; '.join(side.name for side in match.sides)}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _run(
    suite: Suite, wanted: set[str], options: Options, setting: interleave.Setting
) -> dict[str, Any]:
    """Runs a suite's matches; one that fails does not keep the others from running."""
    result: dict[str, Any] = {
        "suite": suite.name,
        "title": suite.title,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "threads": setting.threads,
        "rounds": setting.rounds,
        "matches": [],
    }
    for match in suite.matches(options):
        if not wanted or match.name in wanted:
            log = f"{suite.name}.{match.name}"
            result["matches"].append(interleave.run(match, setting, log, _say))
    return result


def _setting(arguments: argparse.Namespace, folder: str) -> interleave.Setting:
    return interleave.Setting(
        rounds=arguments.rounds,
        threads=arguments.threads,
        pythons=dict(arguments.python),
        families=frozenset(filter(None, arguments.sides.split(","))),
        variants=arguments.variants,
        folder=pathlib.Path(folder),
        assets=os.environ.get("BERT_KERAS_ASSETS", ""),
        logs=arguments.output_dir.resolve() / "logs",
    )


def _write(result: dict[str, Any], suite: Suite, output_dir: pathlib.Path) -> None:
    """The table to stdout, JSON and plots to files."""
    path = output_dir / f"{suite.name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table.render(result), flush=True)
    if suite.finish is not None:
        suite.finish(result, output_dir)
    _say(f"{path}: written")


def main() -> int:
    """Runs what is asked for; 1 where a side failed."""
    parser = _parser()
    arguments = parser.parse_args()
    options = Options(google=arguments.google)
    if arguments.list:
        _list(options)
        return 0
    if unknown := set(filter(None, arguments.sides.split(","))) - FAMILIES.keys():
        parser.error(f"--sides: no family {sorted(unknown)}, expected {', '.join(FAMILIES)}")
    failed = False
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        setting = _setting(arguments, folder)
        for name, wanted in _chosen(arguments.names, parser).items():
            suite = SUITES[name]
            if suite.needs_assets and not setting.assets:
                _say(f"{name}: skipped, BERT_KERAS_ASSETS is not set")
                continue
            try:
                result = _run(suite, wanted, options, setting)
            except SideFailed as error:
                _say(f"{name}: FAILED: {error}")
                failed = True
                continue
            _write(result, suite, arguments.output_dir)
            rows = [row for match in result["matches"] for row in match["sides"]]
            failed = failed or any("error" in row for row in rows)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
