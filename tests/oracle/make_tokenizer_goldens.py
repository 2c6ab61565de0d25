#!/usr/bin/env python3
"""Writes tests/text/data/{tokenizer,sentence_piece}_{vocabulary,goldens}.json and tokenizer_pipelines.json from the
references, the packages `tokenizers` and `sentencepiece`.

    tests/oracle/make_tokenizer_goldens.py

A small byte-level BPE vocabulary is trained on the text below with no pre-tokenizer at all, so that it merges across
spaces, digits and line ends: a word border in the wrong place then changes the tokens. The goldens are the tokens of
generated strings under each pipeline of PIPELINES, which are those of the makers' tokenizer.json files.
For SentencePiece's BPE a model with byte fallback is trained by that package itself.
The module also serves checks against real vocabularies: reference() takes any vocabulary, sample_strings() any count.
"""
import io
import json
import pathlib
import random
import struct

import sentencepiece

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

DATA = pathlib.Path(__file__).resolve().parent.parent / "text" / "data"

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*" + SPACES
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}%s", r"\p{Ll}\p{Lm}\p{Lo}\p{M}%s"


def o200k(contractions, numbers, symbols, without=""):
    """Words of upper case and then lower case letters; `without` is intersected with their classes."""
    upper, lower = f"[{UPPER % without}]", f"[{LOWER % without}]"
    prefix = r"[^\r\n\p{L}\p{N}]?"
    return (f"{prefix}{upper}*{lower}+{contractions}|{prefix}{upper}+{lower}*{contractions}|{numbers}|{symbols}" + SPACES)


GPT4O = o200k(CONTRACTIONS + "?", r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*")
DEEPSEEK_LETTERS = (
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅ"
    r"Ὀ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇ"
    r"Ꞌ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+")
DEEPSEEK_V3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^""" + "\r\n" + r"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+"
               + "[\r\n]*" + r"|\s*" + "[\r\n]+" + r"|\s+(?!\S)|\s+")


def splits(*expressions):
    """Splits that isolate their matches, one after another, or other steps; then bytes."""
    steps = [pre_tokenizers.Split(Regex(step), "isolated") if isinstance(step, str) else step for step in expressions]
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
DIGITS = pre_tokenizers.Digits(individual_digits=True)
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"

# name of tokenizer.ggml.pre: (normaliser, pre-tokenizer, ignore_merges)
PIPELINES = {
    "gpt-2": (None, GPT2, False),
    "gpt-neox": (normalizers.NFC(), GPT2, False),
    "smollm": (None, pre_tokenizers.Sequence([DIGITS, GPT2]), False),
    "command-r": (normalizers.NFC(), pre_tokenizers.Sequence([DIGITS, GPT2]), False),
    "qwen2": (normalizers.NFC(), splits(CL100K % ""), False),
    "qwen35": (normalizers.NFC(), splits(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
                                         + SPACES), False),
    "stablelm2": (None, splits(CL100K % ""), False),
    "llama-bpe": (None, splits(CL100K % "{1,3}"), True),
    "smaug-bpe": (None, splits(CL100K % "{1,3}"), False),
    "gpt-4o": (None, splits(GPT4O), True),
    "tekken": (None, splits(o200k("", r"\p{N}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*")), True),
    "kimi-k2": (None, splits(r"[\p{Han}]+|" + o200k(CONTRACTIONS + "?", r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*",
                                                    r"&&[^\p{Han}]")), True),
    "deepseek-v3": (None, splits(r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", DEEPSEEK_V3), False),
    "deepseek-llm": (None, splits("[\r\n]", DEEPSEEK_LETTERS, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$",
                                  "[一-龥ࠀ-一가-\ud7ff]+", DIGITS), False),
    "deepseek-coder": (None, splits("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+", DIGITS), False),
    "falcon": (None, pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), GPT2, pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")]), False),
    "superbpe": (None, splits(r"\p{N}+", r"(?=(\d{3})+(?!\d))"), False),
    "bailingmoe": (None, splits(r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]"
                                r"|\s+(?!\S)|\s+"), False),
    "seed-coder": (None, splits(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+" + SPACES), False),
    "minicpm5": (None, splits(r"\p{N}{1,3}", CL100K % "+"), True),
    "exaone-moe": (None, splits(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}"
                                r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"), False),
    "tiny_aya": (None, splits(r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O), False),
    "jais-2": (None, splits(CL100K.replace(r"\s+(?!\S)|\s+", "") % "{1,3}"
                            + "".join(rf"\s{{{n}}}(?!\S)|" for n in (512, 256, 128, 64, 32, 16, 8, 4, "1,2")) + r"\s{1}"), False),
    "laguna": (None, splits(r"[^\n]+|[\n]+", CL100K % ""), False),
    "youtu": (None, splits("[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥\u3040-ゟ゠-ヿ]+",
                           o200k(CONTRACTIONS + "?", r"\p{N}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*")), True),
    "bloom": (None, splits(BLOOM), False),
    "viking": (None, splits(BLOOM, r"\p{N}"), False),
}

# The rows whose goldens are tokens too; those of all are the words.
TOKENS_OF = ["gpt-2", "smollm", "qwen2", "llama-bpe", "smaug-bpe"]

CONTROL, USER_DEFINED = 3, 4
SPECIAL = [("<|endoftext|>", CONTROL), ("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL), ("<|im|>", CONTROL),
           ("<tool_call>", USER_DEFINED), ("</tool_call>", USER_DEFINED), ("<tool", USER_DEFINED),
           ("\t\t\t", USER_DEFINED), ("é́", USER_DEFINED)]


def reference(pre, vocabulary, merges, special):
    """The reference tokenizer: token text -> id, pairs of texts, [(text, id, type)]."""
    normaliser, pre_tokenizer, ignore_merges = PIPELINES[pre]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=ignore_merges))
    if normaliser is not None:
        tokenizer.normalizer = normaliser
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    # An added token takes the next free id, so they are added in the order of their ids.
    for text, token, kind in sorted(special, key=lambda entry: entry[1]):
        added = AddedToken(text, normalized=False, special=kind == CONTROL)
        (tokenizer.add_special_tokens if kind == CONTROL else tokenizer.add_tokens)([added])
        if tokenizer.token_to_id(text) != token:
            raise SystemExit(f"{text!r} became {tokenizer.token_to_id(text)}, not {token}")
    return tokenizer


def encode(tokenizer, text, parse_special):
    tokenizer.encode_special_tokens = not parse_special
    return tokenizer.encode(text, add_special_tokens=False).ids


# Text by us, for training and for the samples.
CORPUS = [
    "The keeper of the lighthouse counted 1234 steps, then 56 more; she'd never missed one in 30 years.",
    "I'm sure they'll say it's fine, but we've seen that you're wrong, and he'd rather not. DON'T SHOUT, I'LL GO.",
    "In 1969 the river rose 3.14 metres; by 2024-11-22 it had fallen 0,5 %. That's 100,000 litres an hour!",
    "for (int i = 0; i < 10; ++i) {\n    sum += values[i] * 2;\n}\nreturn sum;",
    "def mean(values):\n\t\"\"\"Average.\"\"\"\n\treturn sum(values) / len(values)  # may be 0/0\n\n\n",
    "if __name__ == '__main__':\n        print(f\"{name!r:>10}\", end='\\n')\r\n",
    "Der Fluß überquert die Straße; größere Schiffe müssen wenden. Où est la bibliothèque ? À côté de l'église.",
    "¿Dónde está el niño? El pingüino comió piñas. Što je to? Žluťoučký kůň pěl ďábelské ódy.",
    "Быстрая лисица прыгает через ленивую собаку. Ο γάτος κοιμάται στον ήλιο.",
    "今日は天気がいいので、川まで歩きました。你好，世界！这是一条很长的河。 안녕하세요, 오늘은 맑아요.",
    "مرحبا بالعالم، كيف حالك؟ שלום עולם, מה שלומך? नमस्ते दुनिया, आप कैसे हैं? สวัสดีชาวโลก",
    "Smile 🙂, family 👨‍👩‍👧‍👦, flag 🇫🇷, thumbs 👍🏽, heart ❤️; x² + y³ ≤ ½ · π, №5, Ⅷ, ①②③.",
    "{\"key\": [1, 22, 333, 4444], \"nested\": {\"a\": null, \"b\": true}}\n",
    "   three spaces,    four,\ttab,\t\ttwo tabs, \n\n\n and \n \n mixed \r\n\r\n ends.   ",
    "#include <vector>\nstd::vector<std::string> names_;  // held back\n\n/* ==== */ a->b(c[0], &d);\n",
    "one\ntwo\nthree\nand\nthe\nend\nand\ntheir\nthey\nare\nin\nto\nof\nis\n\nthe\r\nand\tthe\tend\tto\n",
    "Congre\u017fs, o'\u017fa, e'\u017fe, it'\u017fo; it'so, I'man, we'reno, they'veto, I'lland, he'don, SHE'LLBE, I'MIN, 'tisn't",
    "-----\n***** ~~~~ ==== //// ....... ,,,, !!!! ???? ((())) [[[]]] {{{}}} <<<>>> |||| &&&& $$ 5€ @home #tag\n",
]

FRAGMENTS = [
    "'s", "'S", "'ſ", "'t", "'T", "'re", "'Re", "'VE", "'ve", "'m", "'M", "'ll", "'lL", "'d", "'D", "'l", "'r", "'", "''",
    "’s", "it's", "I'LL", "we'Ve", "'tis", "o'clock", "'ſt", "'ſS", "ﬆ", "'\u017fx",
    " ", "  ", "   ", " " * 7, " " * 30, "\t", "\t\t", "\t\t\t", "\n", "\n\n", "\r", "\r\n", "\r\n\r\n", " \n", "\n ", " \n \n ",
    "\u00a0", "\u00a0\u00a0", "\u0085", "\u180e", "\u200b", "\u200d", "\u2028", "\u2029", "\u3000", "\u202f", "\ufeff",
    "\x0b", "\x0c", "\x1c", "\x1d", "\x1f", "\x00", "\x7f", "\u1680",
    "1", "12", "123", "1234", "1234567", "3.14", "1,000,000", "٣٤٥", "१२३", "½", "²³", "Ⅷ", "①②", "𝟘𝟙𝟚", "\U00011de0",
    "\U00016ff4", "\U000105c9", "\U00010d40", "零一二",
    "é", "e\u0301", "e\u0301\u0323", "e\u0323\u0301", "\u0301", "\u0301\u0316", "a\u0315\u0300\u05ae\u0300b", "\u0344", "\u212b",
    "\u1e9b\u0323", "q\u0307\u0323", "각", "가\u11a8", "\u1100\u1161\u11a8", "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "\u0958", "\u0928\u093c", "\u0cc6\u0cc2\u0cd5", "\u0897\u0301\u0316", "\u07fd\u0316", "\U000105d2\u0307",
    "\U00011935\U00011930", "\ufb1d", "\uf900", "\u2f800", "\u0f71\u0f72\u0f74", "\U0001d15e", "\u0f77",
    "🙂", "👨‍👩‍👧‍👦", "🇫🇷🇩🇪", "👍🏽", "❤️", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\ufffd", "\ue000", "\uffff",
    "\U0010ffff", "\U0001fffe", "\u0378", "\U000e0080",
    "...", "!?", "--", "->", "==", "!=\n", "};\n\n", "://", "\"\"\"", "({[", "<|", "|>", "<", "_", "__init__", "#", "$1", "%d",
    "a", "Z", "the", "Hello", "WORLD", "straße", "日本", "語です", "안녕", "привет", "שלום", "مرحبا", "नमस्ते", "ไทย", "ª", "ʼn", "ʰ",
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im|>", "<|im", "<|im_end|", "<tool_call>", "</tool_call>", "<tool",
    "<<tool_call>>", "<|im_start|>user\n", "<|im_<|im_end|>",
]


# What the rows differ in.
WORD_STRINGS = [
    "HTTPServer XMLHttpRequest aB Ab AB'S Ab'S ab'LL IDs're ǅungla ʰx ªb", "漢字かなカナ한글 ab漢字cd 漢字ABC。漢 字、字", "中文abc中文ABC中文123 12中文",
    "1234567890123 12,345,678.90 1234567a 123456٣٤٥ 1 12 123 1234", "½²³¼ x²y³ Ⅷ① ò²ó³ 10½", "/usr/lib//x\n/*c*/ //\n a/b !/ ?\n/\n",
    "#include a.b(c) 'quoted' \"x\" !bang ¡x «y» $a +b `c` ~d =e", "\n\n\n  a\r\n\r\n b \n \n", "a\u0301b\u0301 नमस्ते x\u0301\u0301 \u0301a", " " * 700 + "x",
    "a b c d  e f 가 나 다", "…“”‘’—：；，。、，،؟ a。b ！x ？", "ㄅㄆㄇ ㄱㄴ 한글ㄱ", "it's IT'S don'T we'LLx '\u017f 'RE", "one\ntwo\n\nthree\r\rfour",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 123\u0e51\u0e52\u0e53", "end   ", "end \n ", "\t\tx\t y\u00a0z\u3000w \u2003v",
]


def random_character(generator):
    # All planes, but mostly where something is assigned.
    top = generator.choice([0x80, 0x250, 0x600, 0x2000, 0x3100, 0x10000, 0x20000, 0x110000])
    code_point = generator.randrange(top)
    return chr(code_point) if not 0xD800 <= code_point < 0xE000 else "\ufffd"


def sample_strings(count, seed):
    generator = random.Random(seed)
    strings = []
    while len(strings) < count:
        pieces = []
        for _ in range(generator.randrange(1, 10)):
            kind = generator.random()
            if kind < 0.6:
                pieces.append(generator.choice(FRAGMENTS))
            elif kind < 0.75:
                line = generator.choice(CORPUS)
                begin = generator.randrange(len(line))
                pieces.append(line[begin:begin + generator.randrange(1, 20)])
            elif kind < 0.9:
                pieces.append("".join(random_character(generator) for _ in range(generator.randrange(1, 4))))
            else:
                pieces.append(generator.choice(["a", " ", "1", "\n", "ab", "<|", "é", "!"]) * generator.randrange(1, 40))
        strings.append("".join(pieces))
    return strings


def systematic_strings():
    """Every code point beside a letter, a number, a space, an apostrophe, a line end and a mark; 32 to a string."""
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    strings = []
    for start in range(0, len(points), 32):
        strings.append("".join(f"a{c}'{c} {c}1{c}\n{c}\u0316{c}\u0301" for c in map(chr, points[start:start + 32])))
    return strings


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    # U+00F1 and U+00F2 stand for the bytes 241 and 242, which no assigned plane needs: left out, as SmolLM2's are.
    alphabet = [character for character in pre_tokenizers.ByteLevel.alphabet() if character not in "ñò"]
    trainer = trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    # Pieces of a line, cut at every third or so character, so that merges do not grow to whole lines.
    generator = random.Random(7)
    pieces = []
    for _ in range(40):
        for line in CORPUS:
            begin = 0
            while begin < len(line):
                end = begin + generator.randrange(2, 12)
                pieces.append(line[begin:end])
                begin = end
    tokenizer.train_from_iterator(pieces, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


# SentencePiece: runs of spaces and tabs as Gemma has them, and what might overlap with them.
USER_SYMBOLS = ["\t", "\n", "\n\n", "▁▁", "▁▁▁", "▁▁▁▁", "<b>", "</b>", "<tool", "<tool_call>", "é́"]
SENTENCE_PIECE_FRAGMENTS = ["▁", "▁▁", " ▁ ", "a▁ b", "  ▁▁", "<b> </b>", "a  b   c    d     e", " " * 33, "\n\n\n", "<0x0A>",
                            "<s>", "<unk>", "\u20ac", "q\u0153q", "\U0001f9ff\U0001f9ff"]


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def sentence_piece_model(tokens, scores, types, add_space_prefix):
    """A model of SentencePiece's BPE with byte fallback and without a normaliser, as its protocol buffer."""
    def number(field, value):
        return varint(field << 3) + varint(value)

    def nested(field, value):
        return varint(field << 3 | 2) + varint(len(value)) + value
    out = b""
    for text, score, kind in zip(tokens, scores, types):
        out += nested(1, nested(1, text.encode()) + varint(2 << 3 | 5) + struct.pack("<f", score) + number(3, kind))
    out += nested(2, number(3, 2) + number(35, 1))  # trainer: model_type BPE, byte_fallback
    # normaliser: name, add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces
    return out + nested(3, nested(1, b"identity") + number(3, int(add_space_prefix)) + number(4, 0) + number(5, 1))


def sentence_piece(tokens, scores, types, add_space_prefix):
    return sentencepiece.SentencePieceProcessor(
        model_proto=sentence_piece_model(tokens, scores, types, add_space_prefix))


def train_sentence_piece():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 3), model_writer=model, model_type="bpe", vocab_size=1000, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.98,
        user_defined_symbols=USER_SYMBOLS, num_threads=1, minloglevel=2)
    trained = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    count = trained.get_piece_size()
    kinds = [2 if trained.is_unknown(i) else 3 if trained.is_control(i) else 6 if trained.is_byte(i) else
             4 if trained.id_to_piece(i) in USER_SYMBOLS else 1 for i in range(count)]
    return [trained.id_to_piece(i) for i in range(count)], [trained.get_score(i) for i in range(count)], kinds


def merges_of(tokens, scores, types):
    """What transformers' converter makes of scores: for each piece, the best first, all its halves that are pieces."""
    ids = {text: i for i, text in enumerate(tokens)}
    merges = []
    for i in sorted((i for i, kind in enumerate(types) if kind in (1, 4)), key=lambda i: (-scores[i], i)):
        halves = [(tokens[i][:cut], tokens[i][cut:]) for cut in range(1, len(tokens[i]))]
        merges += sorted((pair for pair in halves if pair[0] in ids and pair[1] in ids),
                         key=lambda pair: (ids[pair[0]], ids[pair[1]]))
    return merges


REPLACE_SPACES = normalizers.Replace(" ", "▁")
# SentencePiece-like pipelines of tokenizer.json files: (normaliser, pre-tokenizer).
SENTENCE_PIECE_PIPELINES = {
    "gemma": (REPLACE_SPACES, pre_tokenizers.Split(" ", "merged_with_previous")),
    "llama": (normalizers.Sequence([normalizers.Prepend("▁"), REPLACE_SPACES]), None),
    "metaspace-first": (None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False)),
    "metaspace-always": (None, pre_tokenizers.Metaspace(prepend_scheme="always", split=True)),
}


def fast_sentence_piece(pipeline, tokens, merges, types):
    tokenizer = Tokenizer(models.BPE(vocab={text: i for i, text in enumerate(tokens)}, merges=merges, unk_token="<unk>",
                                     fuse_unk=True, byte_fallback=True))
    normaliser, pre_tokenizer = SENTENCE_PIECE_PIPELINES[pipeline]
    if normaliser is not None:
        tokenizer.normalizer = normaliser
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in ("<unk>", "<s>", "</s>")])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text, kind in zip(tokens, types) if kind == 4])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokens.index("<s>"))])
    return tokenizer


def without_tables(tokenizer):
    """A tokenizer.json but for its vocabulary and merges, which the tests put in."""
    document = json.loads(tokenizer.to_str())
    del document["model"]["vocab"], document["model"]["merges"]
    return document


def write_sentence_piece():
    tokens, scores, types = train_sentence_piece()
    # Two pieces of equal score: the leftmost merges first. One that is unused: it is taken apart again.
    normal = [i for i, kind in enumerate(types) if kind == 1]
    scores[normal[41]] = scores[normal[40]]
    types[normal[60]] = 5
    strings = CORPUS + FRAGMENTS + SENTENCE_PIECE_FRAGMENTS + sample_strings(260, seed=4)
    goldens = {"strings": strings}
    for name, add_space_prefix in (("tokens", False), ("tokens_with_space_prefix", True)):
        reference_tokenizer = sentence_piece(tokens, scores, types, add_space_prefix)
        goldens[name] = [reference_tokenizer.encode(text) for text in strings]
    merges = merges_of(tokens, scores, types)
    pipelines = {}
    goldens["fast"] = {}
    for name in SENTENCE_PIECE_PIPELINES:
        tokenizer = fast_sentence_piece(name, tokens, merges, types)
        pipelines[name] = without_tables(tokenizer)
        goldens["fast"][name] = [encode(tokenizer, text, parse_special=True) for text in strings]
    write(DATA / "sentence_piece_vocabulary.json",
          {"tokens": tokens, "scores": scores, "types": types, "merges": [" ".join(pair) for pair in merges]})
    write(DATA / "sentence_piece_goldens.json", goldens)
    return pipelines


def main():
    write_words()
    pipelines = write_sentence_piece()
    vocabulary, merges = train()
    # A whole word that its own merges do not lead to: ignore_merges shows.
    for word in ("Ġlighthouse", "Hello", "123"):
        vocabulary.setdefault(word, len(vocabulary))
    tokens = [text for text, _ in sorted(vocabulary.items(), key=lambda item: item[1])]
    special = [(text, len(tokens) + i, kind) for i, (text, kind) in enumerate(SPECIAL)]
    strings = CORPUS + FRAGMENTS + sample_strings(260, seed=1)
    strings += ["Hello lighthouse 123", " lighthouse123 Hello"]
    goldens = {"strings": strings, "tokens": {}, "tokens_parsing_special": {}}
    for pre in PIPELINES:
        tokenizer = reference(pre, vocabulary, merges, special)
        pipelines[pre] = without_tables(tokenizer)
        if pre not in TOKENS_OF:
            continue
        plain = [encode(tokenizer, text, parse_special=False) for text in strings]
        goldens["tokens"][pre] = plain
        # Only those that differ from the ones above; [index of the string, tokens].
        parsed = [encode(tokenizer, text, parse_special=True) for text in strings]
        goldens["tokens_parsing_special"][pre] = [[i, ids] for i, ids in enumerate(parsed) if ids != plain[i]]
    DATA.mkdir(parents=True, exist_ok=True)
    write(DATA / "tokenizer_vocabulary.json", {
        "tokens": tokens + [text for text, _ in SPECIAL],
        "types": [1] * len(tokens) + [kind for _, kind in SPECIAL],
        "merges": [" ".join(pair) for pair in merges],
    })
    write(DATA / "tokenizer_goldens.json", goldens)
    write(DATA / "tokenizer_pipelines.json", pipelines)


def write_words():
    """For every row the lengths of the words in bytes, one digit of base 36 each or, of longer ones, "(number)"."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    strings = CORPUS + FRAGMENTS + WORD_STRINGS + sample_strings(200, seed=5)
    goldens = {"strings": strings, "lengths": {}}
    for pre, (normaliser, pre_tokenizer, _) in PIPELINES.items():
        rows = []
        for text in strings:
            text = normaliser.normalize_str(text) if normaliser is not None else text
            lengths = [len(piece) for piece, _ in pre_tokenizer.pre_tokenize_str(text)]  # a character is a byte here
            rows.append("".join(digits[length] if length < 36 else f"({length})" for length in lengths))
        goldens["lengths"][pre] = rows
    write(DATA / "word_goldens.json", goldens)


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
