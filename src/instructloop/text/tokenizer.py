"""The tokenizer: sole owner of special tokens.

A tokenizer here has an end token that models learn, a padding token that is never the end token (law B2), and whatever
the checkpoint's own tokenizer puts before a text. Ordinary text never becomes a special token: a prompt that contains
"<|endoftext|>" is the thirteen characters, not the end.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from instructloop.errors import CheckpointError, ConfigError

END = "<|endoftext|>"
PAD = "<|pad|>"
UNCOMMON = "\U0010fffd"
"""A character that no vocabulary holds."""
SMALLEST_VOCABULARY = 258
"""256 bytes, end and padding."""


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A Hugging Face tokenizer and the ids of its special tokens."""

    hf: PreTrainedTokenizerFast
    begin_ids: tuple[int, ...]
    """What the checkpoint's tokenizer puts before a text: nothing for GPT-2, `<s>` for Llama."""
    end_id: int
    pad_id: int
    added_pad: bool
    """The padding token is not in the checkpoint's vocabulary, so its embeddings must be resized once."""

    def encode(self, text: str) -> list[int]:
        """Ids of ordinary text: no special token, whatever the text says."""
        return self._ordinary.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each text, on all cores."""
        return [encoding.ids for encoding in self._ordinary.encode_batch_fast(texts, add_special_tokens=False)]

    def encode_template(self, text: str) -> list[int]:
        """Ids of text written by a template: special tokens by name are special tokens."""
        return self._special.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out."""
        return self._ordinary.decode(list(ids), skip_special_tokens=True)

    def spell(self, id_: int) -> str:
        """What one token reads as in the middle of a text: its name if it is special, U+FFFD for bytes that are no character alone."""
        if self.is_silent(id_):
            return self._ordinary.id_to_token(id_) or ""
        before = self.encode("a")
        return self.decode([*before, id_])[len(self.decode(before)) :]

    def is_silent(self, id_: int) -> bool:
        """True for an id that adds nothing to a text: a special token, or none of the vocabulary."""
        return id_ in self._special_ids or self._ordinary.id_to_token(id_) is None

    @cached_property
    def byte_ids(self) -> frozenset[int]:
        """Ids of the tokens `<0x00>` … `<0xFF>` with which some tokenizers write characters that are not in their vocabulary."""
        decoder = json.loads(self._ordinary.to_str())["decoder"] or {}
        kinds = {decoder.get("type"), *(part["type"] for part in decoder.get("decoders", ()))}
        vocabulary = self.hf.get_vocab() if "ByteFallback" in kinds else {}
        return frozenset(id_ for byte in range(256) if (id_ := vocabulary.get(f"<0x{byte:02X}>")) is not None)

    def __len__(self) -> int:
        """Size of the vocabulary, added tokens included: one more than the largest id."""
        return self._size

    @property
    def special_names(self) -> tuple[str, ...]:
        """Spelling of every special token."""
        return tuple(token.content for token in self.hf.added_tokens_decoder.values())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over vocabulary, merges, text processing and special tokens: equal if and only if ids mean the same."""
        layout = json.loads(self._ordinary.to_str())
        parts = [layout[part] for part in ("model", "normalizer", "pre_tokenizer", "decoder", "added_tokens")]
        parts += [self.begin_ids, self.end_id, self.pad_id]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def save(self, folder: str | Path) -> None:
        """Write the Hugging Face tokenizer files into `folder`; `load_tokenizer` gives an equal tokenizer back."""
        self.hf.save_pretrained(str(folder))

    @cached_property
    def _ordinary(self) -> Backend:
        backend = self._copy_of_backend()
        backend.encode_special_tokens = True
        return backend

    @cached_property
    def _special(self) -> Backend:
        backend = self._copy_of_backend()
        backend.encode_special_tokens = False
        return backend

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        return frozenset(id_ for id_, token in self._ordinary.get_added_tokens_decoder().items() if token.special)

    @cached_property
    def _size(self) -> int:
        return max(self.hf.get_vocab().values()) + 1

    def _copy_of_backend(self) -> Backend:
        # transformers switches the settings of its own copy from call to call.
        backend = Backend.from_str(self.hf.backend_tokenizer.to_str())
        backend.no_padding()
        backend.no_truncation()
        return backend


def load_tokenizer(path_or_hub_id: str | Path) -> Tokenizer:
    """The tokenizer of a checkpoint: a local directory or a hub id.

    Raises `CheckpointError` if there is none, or none that this package can use.
    """
    name = str(path_or_hub_id)
    try:
        hf = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(
            f"no tokenizer could be loaded from {name!r}: {reason}",
            expected="a directory with tokenizer.json and tokenizer_config.json, or a hub id",
            remedy="check the path; without a network, only local directories work",
        ) from error
    if not isinstance(hf, PreTrainedTokenizerFast):
        raise CheckpointError(
            f"the tokenizer of {name!r} is a {type(hf).__name__}",
            expected="one with a tokenizer.json (the `tokenizers` library)",
            remedy="convert it with transformers, save it, and load the saved directory",
        )
    return _complete(hf, name)


def train_tokenizer(texts: Iterable[str], *, vocab: int) -> Tokenizer:
    """A byte-level BPE tokenizer of at most `vocab` tokens, end and padding included; fewer if the text is too short."""
    if vocab < SMALLEST_VOCABULARY:
        raise ConfigError(f"vocab is {vocab}", expected=f"at least {SMALLEST_VOCABULARY}: 256 bytes, end and padding", remedy="raise it")
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[END, PAD],
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    hf = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False)
    return _complete(hf, "the trained tokenizer")


def require_same(a: Tokenizer, b: Tokenizer, roles: tuple[str, str]) -> None:
    """Raise `CheckpointError` unless the tokenizers of two models give every id the same meaning."""
    if a.fingerprint == b.fingerprint:
        return
    raise CheckpointError(
        f"{roles[0]} and {roles[1]} have different tokenizers: {_describe(a)}; {_describe(b)}",
        expected="one tokenizer for policy, reward model and value network: token ids travel between them (law A5)",
        remedy=f"train {roles[1]} from a checkpoint that has the tokenizer of {roles[0]}",
    )


def _complete(hf: PreTrainedTokenizerFast, name: str) -> Tokenizer:
    if hf.eos_token_id is None:
        raise CheckpointError(
            f"the tokenizer of {name!r} has no end token",
            expected="an eos_token: models learn to end their answers with it",
            remedy='set "eos_token" in tokenizer_config.json',
        )
    size = len(hf)
    if hf.pad_token_id is None or hf.pad_token_id == hf.eos_token_id:
        hf.add_special_tokens({"pad_token": PAD if hf.eos_token != PAD else "<|padding|>"})
    tokenizer = Tokenizer(
        hf=hf,
        begin_ids=_begin_ids(hf, name),
        end_id=cast(int, hf.eos_token_id),
        pad_id=cast(int, hf.pad_token_id),
        added_pad=len(hf) > size,
    )
    _require_unforgeable(tokenizer, name)
    return tokenizer


def _require_unforgeable(tokenizer: Tokenizer, name: str) -> None:
    """Unigram and word-level vocabularies can hold specials as ordinary pieces, or use the end token for unknown characters."""
    specials = {*tokenizer.begin_ids, tokenizer.end_id, tokenizer.pad_id}
    for text in (*tokenizer.special_names, UNCOMMON):
        if specials & set(tokenizer.encode(text)):
            raise CheckpointError(
                f"the tokenizer of {name!r} turns the text {text!r} into a special token",
                expected="text that never becomes the end of an answer, whatever it says",
                remedy="use a checkpoint with a byte-level or byte-fallback BPE tokenizer",
            )


def _begin_ids(hf: PreTrainedTokenizerFast, name: str) -> tuple[int, ...]:
    bare = hf.encode("a", add_special_tokens=False)
    full = hf.encode("a", add_special_tokens=True)
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return tuple(full[:start])
    raise CheckpointError(
        f"the tokenizer of {name!r} encodes 'a' as {bare}, and as {full} with special tokens",
        expected="special tokens before and after the same ids",
        remedy="use another tokenizer; this one rewrites the text when it adds special tokens",
    )


def _describe(tokenizer: Tokenizer) -> str:
    return f"{len(tokenizer)} tokens, end {tokenizer.end_id}, padding {tokenizer.pad_id}, fingerprint {tokenizer.fingerprint[:8]}"
