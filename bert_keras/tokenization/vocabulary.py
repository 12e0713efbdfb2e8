"""The vocabulary: one piece a line, the line number is the id."""

from __future__ import annotations

import os
import pathlib
import warnings
from collections.abc import Collection, Sequence

from bert_keras.errors import UserError
from bert_keras.tokenization import code_points

PAD, UNKNOWN, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
REQUIRED = (PAD, UNKNOWN, CLS, SEP)
FILE_NAME = "vocab.txt"
_SUFFIX = "##"


def read(source: str | os.PathLike[str] | Sequence[str], added: Collection[str] = ()) -> list[str]:
    """Reads a vocabulary.

    Lines end at "\\n" alone, whatever else Unicode calls a line end, and white space round
    a piece (a Windows "\\r" too) is cut off as Google's loader does: a line that is nothing
    else keeps its id and matches no text.

    Args:
        source: path of a vocab.txt, or the pieces.
        added: tokens that follow it, among which a special token may be.

    Returns:
        The pieces; a piece's index is its id.

    Raises:
        UserError: no such file, not UTF-8, or a special token missing.
    """
    if isinstance(source, (str, os.PathLike)):
        path = pathlib.Path(source)
        pieces, where = _read_lines(path), str(path)
    else:
        pieces, where = list(source), "vocabulary"
    pieces = [piece.strip() for piece in pieces]
    check_special(pieces, where, added)
    return pieces


def check_special(pieces: Sequence[str], where: str, added: Collection[str] = ()) -> None:
    """Raises a UserError where the special tokens are not all there."""
    missing = [token for token in REQUIRED if token not in pieces and token not in added]
    if missing:
        raise UserError(
            f"{where}: {len(pieces)} pieces without {', '.join(missing)}; "
            f"a BERT vocabulary has {', '.join(REQUIRED)}"
        )


def _read_lines(path: pathlib.Path) -> list[str]:
    if path.is_dir():
        path = path / FILE_NAME
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot read the vocabulary ({error.strerror}); "
            "expected a text file with one piece a line"
        ) from error
    try:
        lines = raw.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8; expected a UTF-8 vocabulary") from error
    return lines[:-1] if lines[-1] == "" else lines


def write(pieces: Sequence[str], path: pathlib.Path) -> None:
    """Writes one piece a line, UTF-8, each line ended by "\\n" on every system."""
    path.write_bytes("".join(piece + "\n" for piece in pieces).encode())


def ids(pieces: Sequence[str]) -> dict[str, int]:
    """Piece to id; of equal pieces the last counts, as in Google's loader."""
    return {piece: index for index, piece in enumerate(pieces)}


def matchable(pieces: Sequence[str]) -> list[str]:
    """The pieces for the WordPiece op, at their ids, without those that match no text.

    Blank lines, earlier ones of equal pieces, and pieces with control characters or
    spaces are replaced by a name that no text contains (it begins with punctuation, which
    is a word of its own, and goes on).
    """
    last = ids(pieces)
    return [
        piece
        if piece and last[piece] == index and code_points.can_occur(piece)
        else f"[{code_points.UNKNOWN_LETTER}{index}]"
        for index, piece in enumerate(pieces)
    ]


def alphabet(pieces: Sequence[str]) -> set[str]:
    """The characters of all pieces."""
    return set().union(*pieces) - {code_points.UNKNOWN_LETTER}


def is_cased(pieces: Sequence[str]) -> bool:
    """Whether the vocabulary was made from cased text.

    Uncased vocabularies hold hardly a capital outside of the bracketed tokens (Google's
    Chinese one holds two), cased ones thousands; one in a hundred decides.
    """
    plain = [piece for piece in pieces if not piece.startswith("[")]
    return 100 * sum(piece != piece.lower() for piece in plain) > len(plain)


def check_case(pieces: list[str], lowercase: bool) -> None:
    """Warns when the casing cannot be the one that the vocabulary was made for."""
    cased = is_cased(pieces)
    if lowercase and cased:
        warnings.warn(
            "lowercase=True, but the vocabulary has pieces with capitals, which lower-cased "
            "text never reaches; casing must follow the checkpoint",
            stacklevel=4,
        )
    # A short list of pieces may well hold no capital by chance.
    if not lowercase and not cased and len(pieces) > 1000:
        warnings.warn(
            "lowercase=False, but the vocabulary has no pieces with capitals: words with "
            "capitals will be [UNK]; casing must follow the checkpoint",
            stacklevel=4,
        )


def word_text(piece: str) -> str:
    """A piece without its "##"."""
    return piece.removeprefix(_SUFFIX)
