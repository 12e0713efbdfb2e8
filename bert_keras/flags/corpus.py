"""Flags that say what a corpus is, for the verbs that read text."""

from __future__ import annotations

from absl import flags


def define_corpus(values: flags.FlagValues) -> None:
    """The files and the documents in them."""
    flags.DEFINE_string(
        "corpus",
        None,
        "text files: patterns such as books/**/*.txt, separated by commas; .gz is decompressed",
        flag_values=values,
    )
    define_documents(values)


def define_documents(values: flags.FlagValues) -> None:
    """What a document is."""
    flags.DEFINE_enum(
        "documents",
        "file",
        ["file", "blank_line", "line", "jsonl"],
        "what a document is: a file, what blank lines separate, a line, or a JSON object a line",
        flag_values=values,
    )
    flags.DEFINE_string(
        "text_field", "text", "with --documents=jsonl: the key of the text", flag_values=values
    )


def define_sentences(values: flags.FlagValues) -> None:
    """How text is cut into sentences."""
    flags.DEFINE_enum(
        "sentences",
        "english",
        ["english", "chinese", "multilingual", "line"],
        "how to find the ends of sentences; line: every line is one",
        flag_values=values,
    )


def define_threads(values: flags.FlagValues, what: str) -> None:
    """How many threads work."""
    flags.DEFINE_integer(
        "threads", 0, what + "; 0 is one a core", lower_bound=0, flag_values=values
    )
