r"""A text as token ids, by the ``tokenizers`` library: a tokenizer trained on the text itself, or the user's own.

Guarantees: the same text and arguments give the same ids in every run. ``bpe`` and ``char`` lose nothing: the ids of
the whole text decode to the text (but ``char`` has ``<unk>`` for a character that is not in the part it was trained
on). A user's tokenizer.json is taken without its truncation, padding and special tokens, so every token stands for a
piece of the text. A piece is printable and not empty: white space is shown, bytes that are a part of a character appear
as ``\xe2``, other unprintable characters by their escapes, long pieces cut with ``…``.
Cannot see: what a user's tokenizer does across the white space where a text longer than ``_PART`` characters is cut for
encoding; one that looks across it may count a few tokens differently there.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tokenizers import Encoding, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from kernelproof.symbolic.errors import InputError
from kernelproof.text import read_bytes

TRAINING_CHARACTERS = 2 * 2**20
MAX_TOKENIZER_BYTES = 256 * 2**20
MAX_WORDS = 50_000
MAX_VOCABULARY = 4_000_000  # ids beyond this would ask for an embedding table of many gigabytes

_LONGEST_PIECE = 40
_VISIBLE = {" ": "·", "\n": "⏎", "\t": "⇥", "\r": "␍"}
_UNKNOWN = "<unk>"  # no token of `word` or `char` can be spelled so: both split it
_PART = 2**16  # characters encoded at once: one Encoding costs near 200 bytes a character
_WORD_END = re.compile(r"(?<=\S)(?=\s)")
# BPE training is quadratic in the longest run without white space: minutes for a million letters, a moment in lines
_TRAINING_LINE = re.compile(r"[\s\S]{1,1000}(?<=\S)(?=\s)|[\s\S]{1,1000}")


@dataclass(frozen=True)
class Tokens:
    """The first ``used`` of a text's ``total_tokens`` tokens."""

    ids: list[int]
    pieces: list[str]  # one printable piece of text per id: spaces as ·, line ends as ⏎
    vocabulary_size: int  # every id is below it
    tokenizer: str  # in words, for the report
    total_tokens: int
    used: int


def tokenise(text: str, tokenizer: str = "bpe", max_tokens: int = 512, seed: int = 0) -> Tokens:
    """The first ``max_tokens`` tokens of ``text`` by ``bpe``, ``word``, ``char`` or the tokenizer.json of that path.

    Nothing here is random: ``seed`` is taken so that all parts of a run have the same options, and changes nothing.
    """
    if max_tokens < 1:
        raise InputError(f"tokenising the text: max_tokens is {max_tokens}, expected 1 or more; give a larger number")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"tokenising the text: half a surrogate pair at character {error.start}, expected Unicode text; remove it"
        ) from None
    made, description = _tokenizer(text, tokenizer)
    ids, pieces, total = _encode(made, text, max_tokens, description)
    if not ids:
        raise InputError(
            f"tokenising the text: no tokens in its {len(text)} characters with {description}, expected at least one; "
            "take another text, or --tokenizer char"
        )
    size = max(made.get_vocab(with_added_tokens=True).values()) + 1
    if size > MAX_VOCABULARY:
        raise InputError(
            f"tokenising the text: {description} has ids up to {size - 1}, expected at most {MAX_VOCABULARY - 1}; "
            "take a tokenizer whose ids are dense"
        )
    return Tokens(ids, pieces, size, f"{description}, {size} entries", total, len(ids))


def _tokenizer(text: str, name: str) -> tuple[Tokenizer, str]:
    sample = text[:TRAINING_CHARACTERS]
    source = "this text" if len(sample) == len(text) else f"the first {len(sample):,} characters of this text"
    if name == "bpe":
        return _byte_pairs(sample), f"byte-level BPE trained on {source}"
    if name == "word":
        return _words(sample), f"words and runs of punctuation of {source}"
    if name == "char":
        return _characters(sample), f"single characters of {source}"
    return _from_file(name), f"the tokenizer of {name!r}"


def _byte_pairs(sample: str) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + min(max(len(sample) // 20, 1), 3840),
        min_frequency=2,
        max_token_length=32,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),  # all 256 bytes: nothing is ever unknown
        show_progress=False,
    )
    made.train_from_iterator((line.group() for line in _TRAINING_LINE.finditer(sample)), trainer)
    return made


def _words(sample: str) -> Tokenizer:
    splitter = pre_tokenizers.Whitespace()
    made = _word_level(word for part in _parts(sample) for word, _ in splitter.pre_tokenize_str(part))
    made.pre_tokenizer = splitter
    return made


def _characters(sample: str) -> Tokenizer:
    made = _word_level(sample)
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    made.decoder = decoders.Fuse()
    return made


def _word_level(words: Iterable[str]) -> Tokenizer:
    counts = Counter(words)
    common = sorted(counts, key=lambda word: (-counts[word], word))[:MAX_WORDS]
    return Tokenizer(models.WordLevel({word: i for i, word in enumerate([_UNKNOWN, *common])}, unk_token=_UNKNOWN))


def _from_file(name: str) -> Tokenizer:
    where = f"reading the tokenizer file {name!r}"
    expected = "bpe, word, char or the path of a tokenizer.json"
    data = read_bytes(Path(name), where, MAX_TOKENIZER_BYTES, expected)
    try:
        made = Tokenizer.from_str(data.decode("utf-8"))
    except Exception as error:  # the library raises plain Exception
        raise InputError(
            f"{where}: not a tokenizer.json ({_one_line(error)}), expected {expected}; "
            "save one by `tokenizer.save(path)`"
        ) from None
    made.no_truncation()
    made.no_padding()
    return made


def _encode(made: Tokenizer, text: str, most: int, description: str) -> tuple[list[int], list[str], int]:
    """Ids and pieces of the first ``most`` tokens, and the number of all tokens."""
    ids: list[int] = []
    pieces: list[str] = []
    total = 0
    byte_level = _is_byte_level(made)
    parts = _parts(text)
    try:
        while len(ids) < most and (part := next(parts, None)) is not None:
            encoding = made.encode(part, add_special_tokens=False)
            total += len(encoding.ids)
            missing = most - len(ids)
            ids += encoding.ids[:missing]
            pieces += _pieces_of(encoding, part, missing, byte_level)
        while batch := list(islice(parts, 16)):
            counted: list[Encoding] = made.encode_batch_fast(batch, add_special_tokens=False)
            total += sum(len(encoding) for encoding in counted)
    except Exception as error:  # again plain Exception, for example a model without its unknown token
        raise InputError(
            f"tokenising the text with {description}: {_one_line(error)}, expected a tokenizer that takes any text; "
            "take --tokenizer bpe"
        ) from None
    return ids, pieces, total


def _parts(text: str) -> Iterator[str]:
    """``text`` in parts of at least ``_PART`` characters, cut where a white space follows something else."""
    start = 0
    while start < len(text):
        cut = _WORD_END.search(text, start + _PART)
        end = cut.start() if cut else len(text)
        yield text[start:end]
        start = end


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _pieces_of(encoding: Encoding, text: str, most: int, byte_level: bool) -> list[str]:
    """The pieces of the first ``most`` tokens of ``encoding``, which encodes ``text``."""
    pieces = []
    end_before = 0
    for token, (start, end) in zip(encoding.tokens[:most], encoding.offsets[:most], strict=True):
        if byte_level and all(character in _BYTES for character in token):
            # from the bytes, since the offsets of parts of one character all name the whole of it
            piece = bytes(_BYTES[character] for character in token).decode("utf-8", "backslashreplace")
        elif end_before <= start < end:
            piece = text[start:end]
        else:  # empty or overlapping: the library's own spelling tells more
            piece = token
        pieces.append(_printable(piece))
        end_before = max(end_before, end)
    return pieces


def _is_byte_level(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer spells its tokens in GPT-2's alphabet of bytes."""
    return isinstance(tokenizer.decoder, decoders.ByteLevel)


def _printable(piece: str) -> str:
    """``piece`` with everything invisible made visible."""
    shown = "".join(_shown(character) for character in piece[: _LONGEST_PIECE + 1])
    if len(shown) > _LONGEST_PIECE:
        shown = shown[: _LONGEST_PIECE - 1] + "…"
    if shown and unicodedata.combining(shown[0]):
        shown = "◌" + shown  # else the mark would sit on whatever is printed before it
    return shown or "∅"


def _shown(character: str) -> str:
    if character in _VISIBLE:
        return _VISIBLE[character]
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's spelling of bytes: printable Latin-1 as itself, the other 68 as the characters from 256 on, in order."""
    itself = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in itself]
    return {chr(byte): byte for byte in itself} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTES = _byte_alphabet()
