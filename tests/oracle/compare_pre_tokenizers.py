#!/usr/bin/env python3
"""Compares our words with those of the package `tokenizers`, over many strings. Runs long by design; no test calls it.

    tests/oracle/compare_pre_tokenizers.py rows [NAME...] [--tool build/release/tests/text/split_texts] [--count 60000]
    tests/oracle/compare_pre_tokenizers.py expressions [--count 100000] [--seed 1]

rows: each pre-tokenizer of make_tokenizer_goldens.py (or those named), over every code point in several contexts and
--count random strings and pieces of source files.
expressions: random expressions of the grammar that is supported here, random behaviours, each over some short strings;
what we refuse is counted, and what the reference refuses and we take is shown.
Ends with exit code 1 if any string differs.
"""
import argparse
import pathlib
import random
import struct
import subprocess
import sys
import threading

from tokenizers import Regex, pre_tokenizers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import make_tokenizer_goldens as goldens  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BEHAVIORS = ["isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"]


class Tool:
    """Our side: requests are written by a thread of their own, so that neither side waits for the other."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, requests):
        """All requests that the process will ever get."""
        def write():
            self.process.stdin.write(b"".join(requests))
            self.process.stdin.close()
        threading.Thread(target=write, daemon=True).start()

    def number(self):
        return struct.unpack("<I", self.process.stdout.read(4))[0]

    def text(self):
        return self.process.stdout.read(self.number())

    def words(self):
        return [self.text() for _ in range(self.number())]


def field(text):
    data = text.encode()
    return struct.pack("<I", len(data)) + data


BYTES_OF_ALPHABET = {}


def bytes_of(piece, is_byte_level):
    if not is_byte_level:
        return piece.encode()
    if not BYTES_OF_ALPHABET:
        own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        rest = [byte for byte in range(256) if byte not in own]
        BYTES_OF_ALPHABET.update({chr(byte): byte for byte in own})
        BYTES_OF_ALPHABET.update({chr(0x100 + i): byte for i, byte in enumerate(rest)})
    return bytes(BYTES_OF_ALPHABET[character] for character in piece)


def reference_words(pre_tokenizer, text, is_byte_level):
    return [bytes_of(piece, is_byte_level) for piece, _ in pre_tokenizer.pre_tokenize_str(text) if piece]


# Strings for rows.
WHITE = [" ", "  ", "    ", "\t", "\n", "\r", "\r\n", "\v", "\f", "\x85", "\xa0", "\u2003", "\u2028", "\u3000", "\u180e", "\u200b"]
WORDS = ["a", "B", "abc", "ABC", "Abc", "aBC", "don't", "DON'T", "I'LL", "we'Ve", "'s", "'\u017f", "'S", "'re", "'RE", "'d",
         "1", "12", "123", "1234", "1234567890", "٣٤", "½", "²", "Ⅷ", "你好", "世界123", "ひらがな", "カタカナ", "한국어", "日本x",
         "é", "e\u0301", "ß", "ǅ", "ʰ", "ª", "नमस्ते", "ไทย", "שלום", "مرحبا", "ΑΒΓ", "Привет", "🙂", "👨\u200d👩\u200d👧", "👍🏽", "❤️", "\u212a", "…",
         "!", "...", "?!", "//", "/", "\"", "(", ")", "[", "]", "_", "__", "$", "+", "=", "<", "|", "^", "~", "`", "#", "@", "-", "—", "。", "，", "、", "·",
         "\u0301", "\u200d", "\ufffd", "\x00", "\u0378", "\U0010ffff", "、。", "！", "％"]


def strings_of_mixtures(count, generator):
    strings = []
    for _ in range(count):
        pieces = []
        for _ in range(generator.randrange(1, 14)):
            kind = generator.random()
            if kind < 0.3:
                pieces.append(generator.choice(WHITE) * generator.choice([1, 1, 1, 2, 3]))
            elif kind < 0.75:
                pieces.append(generator.choice(WORDS))
            elif kind < 0.8:
                pieces.append(generator.choice(WHITE + WORDS) * generator.randrange(1, 700))
            else:
                pieces.append(goldens.random_character(generator))
        strings.append("".join(pieces))
    return strings


def strings_of_files(count, generator):
    files = [path for pattern in ("src/**/*.*", "docs/*.md", "scripts/*", "tests/**/*.py") for path in ROOT.glob(pattern)]
    contents = [path.read_text(errors="ignore") for path in files if path.is_file()]
    contents = [text for text in contents if text]
    strings = []
    while len(strings) < count:
        text = generator.choice(contents)
        begin = generator.randrange(len(text))
        strings.append(text[begin:begin + generator.randrange(1, 1500)])
    return strings


def strings_for_rows(count, seed, part):
    """`part`: of the long strings, those of every code point and of files; most of the time goes there."""
    generator = random.Random(seed)
    strings = goldens.systematic_strings()
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    strings += ["".join(f"{c}A{c}b{c}!{c}你{c}\n{c}{c} \u0301{c}  {c}é'{c}s" for c in map(chr, points[begin:begin + 32]))
                for begin in range(0, len(points), 32)]
    strings += strings_of_files(count // 20, generator)
    strings = random.Random(seed).sample(strings, int(len(strings) * part))
    strings += strings_of_mixtures(count // 2, generator)
    return strings + goldens.sample_strings(count // 2, seed)


def compare_rows(arguments):
    names = arguments.names or list(goldens.PIPELINES)
    strings = strings_for_rows(arguments.count or 60000, arguments.seed, arguments.part)
    differing = 0
    for name in names:
        normaliser, pre_tokenizer, _ = goldens.PIPELINES[name]
        texts = [normaliser.normalize_str(text) for text in strings] if normaliser is not None else strings
        tool = Tool(arguments.tool)
        tool.ask([b"R" + field(name)] + [b"T" + field(text) for text in texts])
        problem = tool.text().decode()
        if problem:
            sys.exit(f"{name}: {problem}")
        shown = 0
        for text in texts:
            ours, theirs = tool.words(), reference_words(pre_tokenizer, text, True)
            if ours != theirs:
                shown += 1
                if shown <= 3:
                    at = next(i for i, (a, b) in enumerate(zip(ours + [b""], theirs + [b""])) if a != b)
                    print(f"{name}: word {at} of {text[:200]!r}: ours {ours[at:at + 3]}, theirs {theirs[at:at + 3]}")
        differing += shown
        print(f"{name}: {len(texts)} strings, {shown} differ", flush=True)
    return differing


# Random expressions.
ATOMS = ["a", "b", "é", "1", " ", r"\n", r"\r", r"\s", r"\S", r"\d", r"\w", r"\W", r"\p{L}", r"\p{Lu}", r"\P{L}", r"\p{^N}", r"\p{N}", r"\p{Han}", ".",
         r"\p{M}", r"\u4e00", r"\x61", r"\.", "'", "你", r"\h", r"\t", "-", "&", "]", "}", "[ab]", "[^ab]", "[a-c1-3]", r"[^\s\p{L}]",
         r"[\p{L}&&[^a]]", r"[a-z&&[^b-d]&&\w]", r"[[ab]c]", r"[^\r\n]", "[a-]", "[]a]", r"[\]\-\\]", r"[\p{L}\p{M}]", r"[^\p{Han}\s]", "[é你]", "[^a&&b]"]
QUANTIFIERS = ["*", "+", "?", "*?", "+?", "??", "*+", "++", "?+", "{2}", "{1,3}", "{2,}", "{,2}", "{0,2}?", "{1,}?", "{0}", "{1,2}+"]
ANCHORS = ["^", "$", r"\A", r"\z", r"\Z", r"\b", r"\B"]
ALPHABET = "aaabbbcAB1123  \n\r\té你好'.-_&]}\u0301\u3000\u017f\u212aßsSkKlLtT²"


def random_expression(generator, depth=0):
    def atom():
        kind = generator.random()
        if kind < 0.7 or depth > 2:
            return generator.choice(ATOMS)
        body = random_expression(generator, depth + 1)
        if kind < 0.78:
            return f"(?:{body})"
        if kind < 0.84:
            return f"({body})"
        if kind < 0.88:
            return "(?i:" + generator.choice(["'s|'t|'re|'ll", "[sk]", "k", "a|B", r"s\d", "'[sdmt]", "ab", r"\s", "kK+"]) + ")"
        if kind < 0.94:
            return f"({generator.choice(['?=', '?!'])}{body})"
        return f"({generator.choice(['?<=', '?<!'])}{generator.choice(ATOMS)})"

    branches = []
    for _ in range(generator.choice([1, 1, 1, 2, 2, 3] if depth else [1, 1, 2, 3, 5])):
        pieces = []
        for _ in range(generator.choice([1, 1, 2, 2, 3, 4])):
            if generator.random() < 0.08:
                pieces.append(generator.choice(ANCHORS))
                continue
            piece = atom()
            if generator.random() < 0.5 and not piece.startswith(("(?=", "(?!", "(?<")):
                piece += generator.choice(QUANTIFIERS)
            pieces.append(piece)
        branches.append("".join(pieces))
    return "|".join(branches)


def random_short_string(generator):
    kind = generator.random()
    if kind < 0.15:
        return generator.choice(["a", "b", " ", "\n", "1", "ab", "a ", "你"]) * generator.randrange(1, 60)
    return "".join(generator.choice(ALPHABET) for _ in range(generator.randrange(0, 24)))


def compare_expressions(arguments):
    generator = random.Random(arguments.seed)
    differing = refused = compared = only_ours = 0
    for batch in range(0, arguments.count or 100000, 1000):
        cases = []
        for _ in range(1000):
            expression = random_expression(generator)
            cases.append((expression, generator.randrange(5), generator.random() < 0.3,
                          [random_short_string(generator) for _ in range(8)]))
        tool = Tool(arguments.tool)
        requests = []
        for expression, behavior, inverted, texts in cases:
            requests.append(b"S" + struct.pack("<I", 1) + field(expression) + bytes([behavior, inverted, 0, 0]))
            requests += [b"T" + field(text) for text in texts]
        tool.ask(requests)
        for expression, behavior, inverted, texts in cases:
            problem = tool.text().decode()
            ours = [tool.words() for _ in texts]
            if problem:
                refused += 1
                if arguments.show_refused:
                    print(problem)
                continue
            try:
                pre_tokenizer = pre_tokenizers.Split(Regex(expression), BEHAVIORS[behavior], inverted)
            except Exception as error:  # noqa: BLE001: the package raises plain exceptions
                only_ours += 1
                print(f"{expression!r}: only we take it: {error}")
                continue
            compared += 1
            for text, words in zip(texts, ours):
                try:
                    theirs = reference_words(pre_tokenizer, text, False)
                except BaseException as error:  # noqa: BLE001: how the package says that it gave up
                    if "PanicException" not in type(error).__name__:
                        raise
                    continue
                if words != theirs:
                    differing += 1
                    if differing <= 20:
                        print(f"{expression!r} {BEHAVIORS[behavior]} {inverted} on {text!r}:\n  ours   {words}\n  theirs {theirs}")
    print(f"{compared} expressions compared over 8 strings each, {differing} strings differ; {refused} refused by us, "
          f"{only_ours} by the reference alone")
    return differing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["rows", "expressions"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--tool", default=str(ROOT / "build/release/tests/text/split_texts"))
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", type=float, default=1.0, help="of the long strings for rows, a random part")
    parser.add_argument("--show-refused", action="store_true")
    arguments = parser.parse_args()
    compare = compare_rows if arguments.what == "rows" else compare_expressions
    sys.exit(1 if compare(arguments) else 0)


if __name__ == "__main__":
    main()
