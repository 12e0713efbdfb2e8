"""Memory of `prepare`: how much the process holds beyond what it held idle.

    python benchmarks/prepare_memory.py --text='books/*/*.md' --vocab=vocab.txt --megabytes=300,3000

The text, repeated to so many megabytes, is prepared by two threads, and the PSS of the process is
read all the while; idle is after the imports, with the tokenizer built.
"""

from __future__ import annotations

import argparse
import glob
import pathlib
import subprocess
import sys
import tempfile
import time

_PROGRAM = """
import sys
from bert_keras.data.prepare import PrepareSettings, prepare
from bert_keras.tokenization import BertTokenizer
corpus, vocab, output, threads = sys.argv[1:]
tokenizer = BertTokenizer(vocab)
print("idle", flush=True)
prepare(corpus, tokenizer, output, PrepareSettings(), int(threads))
"""


def take_text(pattern: str, megabytes: float) -> str:
    """The first so many megabytes of some files."""
    size, parts = megabytes * 1e6, []
    for path in sorted(glob.glob(pattern)):
        parts.append(pathlib.Path(path).read_text("utf-8"))
        size -= len(parts[-1].encode())
        if size <= 0:
            break
    return "\n\n".join(parts).encode()[: int(megabytes * 1e6)].decode("utf-8", "ignore")


def measure(options: argparse.Namespace, folder: pathlib.Path, megabytes: float) -> None:
    """Prints PSS idle and at its highest while a corpus of that size is prepared."""
    texts = folder / f"texts{megabytes:.0f}"
    texts.mkdir()
    part = take_text(options.text, 20).encode()
    for number in range(round(megabytes * 1e6 / len(part))):
        (texts / f"{number:05d}.txt").write_bytes(part)
    size = sum(path.stat().st_size for path in texts.iterdir()) / 1e6
    arguments = [f"{texts}/*.txt", options.vocab, f"{folder}/memory{megabytes:.0f}", "2"]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    idle = peak = pss(process.pid)
    while process.poll() is None:
        peak = max(peak, pss(process.pid))
        time.sleep(0.25)
    seconds = time.monotonic() - began
    if process.returncode:
        raise SystemExit(process.returncode)
    print(
        f"{size:,.0f} MB: idle {idle:.0f} MB, highest {peak:.0f} MB, {peak - idle:.0f} MB more, "
        f"{seconds:.0f} s with the start",
        flush=True,
    )


def pss(process: int) -> float:
    """Proportional set size in MB (10^6 bytes); 0 where the process has gone."""
    try:
        rows = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:")) / 1e6


def main() -> None:
    """Measures each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", required=True, help="pattern of text files")
    parser.add_argument("--vocab", required=True, help="an uncased vocabulary")
    parser.add_argument("--megabytes", default="300,3000", help="sizes, separated by commas")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for size in map(float, options.megabytes.split(",")):
            measure(options, pathlib.Path(name), size)


if __name__ == "__main__":
    main()
