"""Tokens of a text: nothing lost, the same in every run, one clear line for what cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from kernelproof import tokenise as module
from kernelproof.symbolic.errors import InputError
from kernelproof.tokenise import tokenise

TEXT = "The cat sat on the mat.\nThe cat sat on the mat, and the cat is fat.\n" * 8


def message(text: str, tokenizer: str = "bpe", max_tokens: int = 512) -> str:
    with pytest.raises(InputError) as caught:
        tokenise(text, tokenizer, max_tokens)
    line = str(caught.value)
    assert "\n" not in line
    return line


def saved(tmp_path: Path, made: Tokenizer) -> str:
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    return str(path)


@pytest.mark.parametrize("tokenizer", ["bpe", "word", "char"])
def test_counts_agree(tokenizer: str) -> None:
    tokens = tokenise(TEXT, tokenizer)
    assert tokens.used == len(tokens.ids) == len(tokens.pieces) <= tokens.total_tokens
    assert min(tokens.ids) >= 0 and max(tokens.ids) < tokens.vocabulary_size
    assert str(tokens.vocabulary_size) in tokens.tokenizer


@pytest.mark.parametrize("tokenizer", ["bpe", "word", "char"])
def test_max_tokens_takes_the_first(tokenizer: str) -> None:
    all_of_them = tokenise(TEXT, tokenizer, max_tokens=10**6)
    first = tokenise(TEXT, tokenizer, max_tokens=5)
    assert all_of_them.used == all_of_them.total_tokens == first.total_tokens
    assert first.used == 5
    assert (first.ids, first.pieces) == (all_of_them.ids[:5], all_of_them.pieces[:5])


@pytest.mark.parametrize("tokenizer", ["bpe", "word", "char"])
@pytest.mark.parametrize("text", ["a", "é", "."])
def test_one_character_works(tokenizer: str, text: str) -> None:
    tokens = tokenise(text, tokenizer)
    assert tokens.used >= 1
    if tokenizer != "bpe":
        assert tokens.pieces == [text]


@pytest.mark.parametrize("tokenizer", ["bpe", "char"])
def test_white_space_alone_is_text(tokenizer: str) -> None:
    assert "".join(tokenise(" \n\t\r", tokenizer).pieces) == "·⏎⇥␍"


def test_white_space_alone_has_no_words() -> None:
    assert message(" \n", "word") == (
        "tokenising the text: no tokens in its 2 characters with words and runs of punctuation of this text, "
        "expected at least one; take another text, or --tokenizer char"
    )


@pytest.mark.parametrize("text", ["[PAD] <unk>", "日本語", "a\u0301\u200b\x07", "Ġ Ċ"])
def test_pieces_are_printable(text: str) -> None:
    for tokenizer in ("bpe", "word", "char"):
        for piece in tokenise(text, tokenizer).pieces:
            assert piece and piece.isprintable() and " " not in piece


def test_parts_of_a_character_are_shown_as_bytes() -> None:
    assert tokenise("é", "bpe").pieces == ["\\xc3", "\\xa9"]


def test_long_pieces_are_cut() -> None:
    (piece,) = tokenise("x" * 1000, "word").pieces
    assert len(piece) == 40 and piece.endswith("…")


def decoded(tokenizer: Tokenizer, text: str) -> str:
    ids, _, total = module._encode(tokenizer, text, 10**9, "a tokenizer")
    assert len(ids) == total
    return tokenizer.decode(ids, skip_special_tokens=False)


@settings(deadline=None)
@given(st.text(), st.text())
def test_bpe_decodes_to_the_text_it_was_not_trained_on(sample: str, text: str) -> None:
    assert decoded(module._byte_pairs(sample), text) == text


@settings(deadline=None)
@given(st.text(min_size=1))
def test_char_decodes_to_its_text(text: str) -> None:
    assert decoded(module._characters(text), text) == text
    assert tokenise(text, "char").total_tokens == len(text)


@settings(deadline=None)
@given(st.text(alphabet="ab \n.é", max_size=200))
def test_cutting_into_parts_changes_nothing(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for made in (module._byte_pairs(TEXT), module._words(TEXT)):
            patch.setattr(module, "_PART", 2**16)
            whole = module._encode(made, text, 20, "")
            patch.setattr(module, "_PART", 3)
            assert module._encode(made, text, 20, "") == whole


def test_a_long_run_without_white_space_trains_fast() -> None:
    tokens = tokenise("a" * 300_000)  # minutes, were it one word to the trainer
    assert tokens.total_tokens <= 300_000 / 16


def test_training_on_a_part_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRAINING_CHARACTERS", 1000)
    text = "abc " * 1000 + "日"
    assert "trained on the first 1,000 characters of this text" in tokenise(text).tokenizer
    assert tokenise(text, "char", 10**6).ids[-1] == 0  # the last character was not seen in training


def test_same_ids_in_another_process() -> None:
    code = f"from kernelproof.tokenise import tokenise; print([tokenise({TEXT!r}, t) for t in ('bpe', 'word', 'char')])"
    ours = str([tokenise(TEXT, tokenizer) for tokenizer in ("bpe", "word", "char")])
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert other.stdout.strip() == ours


def test_seed_changes_nothing() -> None:
    assert tokenise(TEXT, seed=1) == tokenise(TEXT, seed=2)


def test_own_tokenizer_file(tmp_path: Path) -> None:
    made = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "the": 7, "cat": 3}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 1)])
    made.enable_truncation(2)
    made.enable_padding(length=16)
    tokens = tokenise("the cat sees the dog", saved(tmp_path, made))
    assert tokens.ids == [7, 3, 0, 7, 0]
    assert tokens.pieces == ["the", "cat", "sees", "the", "dog"]
    assert (tokens.vocabulary_size, tokens.total_tokens) == (8, 5)  # ids have gaps: the table needs row 7


def test_own_byte_level_file_shows_spaces(tmp_path: Path) -> None:
    made = Tokenizer(models.BPE(vocab={"a": 0, "Ġ": 1, "Ġa": 2}, merges=[("Ġ", "a")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    assert tokenise("a a", saved(tmp_path, made)).pieces == ["a", "·a"]


def test_missing_tokenizer_file() -> None:
    assert message("text", "bpee") == (
        "reading the tokenizer file 'bpee': there is no such file, expected bpe, word, char or the path of a "
        "tokenizer.json; check the path"
    )


@pytest.mark.parametrize(
    "content", ["", "not json", "[1]", "{}", json.dumps({"version": "1.0", "model": {"type": "None"}}), "\xff"]
)
def test_not_a_tokenizer_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content.encode("latin-1"))
    line = message("text", str(path))
    assert line.startswith(f"reading the tokenizer file {str(path)!r}: not a tokenizer.json (")
    assert line.endswith(
        "expected bpe, word, char or the path of a tokenizer.json; save one by `tokenizer.save(path)`"
    )


def test_tokenizer_that_fails_on_the_text(tmp_path: Path) -> None:
    path = saved(tmp_path, Tokenizer(models.WordLevel({"a": 0}, unk_token="[UNK]")))
    line = message("b", path)
    assert "WordLevel error: Missing [UNK] token from the vocabulary, expected a tokenizer that takes any text" in line


def test_tokenizer_with_huge_ids(tmp_path: Path) -> None:
    content = json.loads(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).to_str())
    content["model"]["vocab"]["a"] = 4_000_000_000
    path = tmp_path / "huge.json"
    path.write_text(json.dumps(content))
    line = message("a", str(path))
    assert line.endswith("has ids up to 4000000000, expected at most 3999999; take a tokenizer whose ids are dense")


@pytest.mark.parametrize("count", [0, -3])
def test_max_tokens_below_one(count: int) -> None:
    assert message("text", "bpe", count) == (
        f"tokenising the text: max_tokens is {count}, expected 1 or more; give a larger number"
    )


def test_half_a_surrogate_pair() -> None:
    assert message("ab\ud800") == (
        "tokenising the text: half a surrogate pair at character 2, expected Unicode text; remove it"
    )
