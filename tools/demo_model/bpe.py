"""Byte-level byte-pair encoding with the qwen2 pre-tokenizer: trains a vocabulary and encodes text with it."""

import re
import unicodedata
from collections import Counter, defaultdict

# The pre-tokenizer pattern of Qwen2, for text in which `_shadow` has replaced every character beyond ASCII by one of
# its class.
_PIECE = re.compile(
    r"'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"
    r"|[^\r\nA-Za-z0-9]?[A-Za-z]+"
    r"|[0-9]"
    r"| ?[^ \t\n\r\f\vA-Za-z0-9]+[\r\n]*"
    r"|[ \t\n\r\f\v]*[\r\n]+"
    r"|[ \t\n\r\f\v]+(?![^ \t\n\r\f\v])"
    r"|[ \t\n\r\f\v]+"
)
_SPACES_BEYOND_ASCII = set("\u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000") | {
    chr(c) for c in range(0x2000, 0x200B)
}


def _shadow(text):
    if text.isascii():
        return text
    out = []
    for char in text:
        if ord(char) < 128:
            out.append(char)
        elif char in _SPACES_BEYOND_ASCII:
            out.append(" ")
        else:
            # "Z" and "0" stand for all letters and numbers: neither begins a contraction.
            out.append({"L": "Z", "N": "0"}.get(unicodedata.category(char)[0], "!"))
    return "".join(out)


def split_pieces(text):
    """Returns the pieces that are encoded one by one; joined, they are the text."""
    return [text[m.start() : m.end()] for m in _PIECE.finditer(_shadow(text))]


def byte_letters():
    """Returns the printable character that stands for each byte in a token's name, as GPT-2 defined it."""
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + len(letters) - len(printable))
    return letters


_LETTER_OF_BYTE = byte_letters()
_BYTE_OF_LETTER = {letter: byte for byte, letter in _LETTER_OF_BYTE.items()}


def train_merges(texts, count):
    """Returns `count` merges, most frequent pair first; ties go to the pair that sorts first."""
    pieces = Counter()
    for text in texts:
        pieces.update(split_pieces(unicodedata.normalize("NFC", text)))
    words = [[_LETTER_OF_BYTE[b] for b in piece.encode()] for piece in sorted(pieces)]
    weights = [pieces[piece] for piece in sorted(pieces)]
    pair_counts, places = Counter(), defaultdict(set)
    for index, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pair_counts[pair] += weights[index]
            places[pair].add(index)
    merges = []
    while len(merges) < count:
        best = max(pair_counts.items(), key=lambda item: (item[1], item[0][::-1]))[0]
        merges.append(best)
        for index in sorted(places[best]):
            word = words[index]
            for pair in zip(word, word[1:]):
                pair_counts[pair] -= weights[index]
            words[index] = word = _merge_pair(word, best)
            for pair in zip(word, word[1:]):
                pair_counts[pair] += weights[index]
                places[pair].add(index)
        del pair_counts[best], places[best]
    return merges


def _merge_pair(word, pair):
    out, at = [], 0
    while at < len(word):
        if at + 1 < len(word) and word[at] == pair[0] and word[at + 1] == pair[1]:
            out.append(pair[0] + pair[1])
            at += 2
        else:
            out.append(word[at])
            at += 1
    return out


class Tokenizer:
    """Encodes and decodes with a given vocabulary; special tokens in the text become their ids."""

    def __init__(self, tokens, merges, special):
        self.tokens, self.merges, self.special = list(tokens), list(merges), list(special)
        self._id_of = {token: index for index, token in enumerate(self.tokens)}
        self._rank_of = {tuple(pair): rank for rank, pair in enumerate(self.merges)}
        self._special_pattern = re.compile("(" + "|".join(re.escape(s) for s in self.special) + ")")
        self._known_pieces = {}

    @staticmethod
    def from_merges(merges, special):
        tokens = [_LETTER_OF_BYTE[b] for b in sorted(_LETTER_OF_BYTE, key=lambda b: ord(_LETTER_OF_BYTE[b]))]
        return Tokenizer(tokens + [a + b for a, b in merges] + list(special), merges, special)

    @staticmethod
    def from_metadata(metadata):
        """Takes the vocabulary of a GGUF file; control tokens (type 3) are the special ones."""
        tokens = metadata["tokenizer.ggml.tokens"]
        special = [token for token, kind in zip(tokens, metadata["tokenizer.ggml.token_type"]) if kind == 3]
        return Tokenizer(tokens, [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]], special)

    def id_of(self, token):
        return self._id_of[token]

    def encode(self, text):
        ids = []
        for part in self._special_pattern.split(text):
            if part in self.special:
                ids.append(self._id_of[part])
            else:
                for piece in split_pieces(unicodedata.normalize("NFC", part)):
                    ids.extend(self._encode_piece(piece))
        return ids

    def _encode_piece(self, piece):
        if piece not in self._known_pieces:
            word = [_LETTER_OF_BYTE[b] for b in piece.encode()]
            while len(word) > 1:
                best = min(zip(word, word[1:]), key=lambda pair: self._rank_of.get(pair, len(self.merges)))
                if best not in self._rank_of:
                    break
                word = _merge_pair(word, best)
            self._known_pieces[piece] = [self._id_of[token] for token in word]
        return self._known_pieces[piece]

    def decode(self, ids):
        """Returns the text without special tokens."""
        data = b"".join(
            bytes(_BYTE_OF_LETTER[c] for c in self.tokens[i]) for i in ids if self.tokens[i] not in self.special
        )
        return data.decode("utf-8", errors="replace")
