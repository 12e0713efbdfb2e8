"""`prepare` beside google-research/bert's create_pretraining_data.py, and its memory.

    python benchmarks/prepare.py --text='books/*/*.md' --vocab=vocab.txt --google=CHECKOUT
    python benchmarks/prepare.py --text='books/*/*.md' --vocab=vocab.txt --memory=300,3000

Speed: both get the same text and one core. The text is plain for ours, which finds the sentences
itself, and a sentence a line for Google's, which cannot. Google's makes examples (dupe_factor 1),
ours the tokens that all epochs' examples are drawn from. The two take turns, so that other load
on the machine meets both alike; compare the ratios of one run. Time begins after the imports.

Memory: the text, repeated to so many megabytes, is prepared by two threads, and the PSS of the
process is read all the while; idle is after the imports, with the tokenizer built.
"""

from __future__ import annotations

import argparse
import glob
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

_OURS = """
import sys, time
from bert_keras.data.prepare import PrepareSettings, prepare
from bert_keras.tokenization import BertTokenizer
corpus, vocab, output, threads = sys.argv[1:]
tokenizer = BertTokenizer(vocab)
print("idle", flush=True)
began = time.monotonic(), time.process_time()
prepare(corpus, tokenizer, output, PrepareSettings(), int(threads))
print(time.monotonic() - began[0], time.process_time() - began[1], flush=True)
"""

# Google's script is of TensorFlow 1; these names are still in TensorFlow 2.
_GOOGLES = """
import sys, time
import tensorflow.compat.v1 as tf
sys.modules["tensorflow"] = tf
sys.path.insert(0, sys.argv.pop(1))
import create_pretraining_data
tf.logging.set_verbosity(tf.logging.ERROR)
def main(arguments):
    began = time.monotonic(), time.process_time()
    create_pretraining_data.main(arguments)
    print(time.monotonic() - began[0], time.process_time() - began[1], flush=True)
tf.app.run(main)
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


def run(program: str, arguments: list[str], core: int) -> tuple[float, float]:
    """Seconds that a program's work took by the clock and of the processor's time."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    wall, processor = map(float, done.stdout.split()[-2:])
    return wall, processor


def compare(options: argparse.Namespace, folder: pathlib.Path) -> None:
    """Prints MB/s of both for each round, and the ratio."""
    from bert_keras.data.sentences import splitter

    text = take_text(options.text, options.megabytes)
    (folder / "text.txt").write_text(text, "utf-8")
    lines = "\n".join(" ".join(s.split()) for s in splitter("english")(text))
    (folder / "lines.txt").write_text(lines, "utf-8")
    size = len(text.encode()) / 1e6
    googles = [
        *(options.google, f"--input_file={folder}/lines.txt", f"--vocab_file={options.vocab}"),
        *(f"--output_file={folder}/out.tfrecord", "--dupe_factor=1", "--do_lower_case=true"),
    ]
    ratios = []
    for number in range(options.rounds):
        ours = run(
            _OURS,
            [f"{folder}/text.txt", options.vocab, f"{folder}/store{number}", "1"],
            options.core,
        )
        theirs = run(_GOOGLES, googles, options.core)
        ratios.append([b / a for a, b in zip(ours, theirs, strict=True)])
        print(
            f"round {number + 1}: ours {_speeds(size, ours)}; google-research/bert "
            f"{_speeds(size, theirs)}; {ratios[-1][0]:.1f} times as fast by the clock, "
            f"{ratios[-1][1]:.1f} times in CPU time",
            flush=True,
        )
    clock, processor = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"median: {clock:.1f} times as fast by the clock, {processor:.1f} times in CPU time")


def _speeds(size: float, seconds: tuple[float, float]) -> str:
    return f"{size / seconds[0]:.2f} MB/s by the clock, {size / seconds[1]:.2f} MB a CPU second"


def measure_memory(options: argparse.Namespace, folder: pathlib.Path, megabytes: float) -> None:
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
        [sys.executable, "-c", _OURS, *arguments], stdout=subprocess.PIPE, text=True
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
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", required=True, help="pattern of text files")
    parser.add_argument("--vocab", required=True, help="an uncased vocabulary")
    parser.add_argument("--google", help="a checkout of google-research/bert")
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=0, help="the core that both run on")
    parser.add_argument("--memory", help="sizes in MB, separated by commas")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.google:
            compare(options, pathlib.Path(name))
        for size in map(float, filter(None, (options.memory or "").split(","))):
            measure_memory(options, pathlib.Path(name), size)


if __name__ == "__main__":
    main()
