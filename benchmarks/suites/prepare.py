"""A corpus made ready for pretraining on one core, beside google-research/bert's script."""

from __future__ import annotations

from benchmarks.suite import Match, Options, Preparation, Side, Suite

_WORK = {
    "text": "{folder}/text.txt",
    "lines": "{folder}/lines.txt",
    "vocab": "{assets}/data/vocab/uncased_30522/vocab.txt",
}


def _matches(options: Options) -> tuple[Match, ...]:
    google = Side(
        "google-research/bert, create_pretraining_data.py",
        "google",
        "google_prepare:Prepare",
        {"checkout": options.google},
        missing="" if options.google else "--google=DIR, a checkout of google-research/bert",
    )
    return (
        Match(
            "books",
            "MB/s",
            (Side("ours", "ours", "ours_prepare:Prepare"), google),
            _WORK,
            warm_ups=1,
            threads=1,
            preparations=(Preparation("corpus_text:write", options={"megabytes": 20.0}),),
        ),
    )


SUITE = Suite(
    name="prepare",
    title="20 MB of English books made ready for pretraining, on one core",
    matches=_matches,
    needs_assets=True,
)
