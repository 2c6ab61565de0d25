#!/usr/bin/env python3
"""Compares our tokens with those of the package `tokenizers`, over many strings, for real or made tokenizer.json files.

    tests/oracle/compare_tokenizers.py FOLDER... [--tool build/release/tests/text/encode_texts] [--count 100000]
                                       [--gguf MODEL.gguf] [--seed 1]

FOLDER holds a tokenizer.json. Each is compared with special tokens read and not, ids and decoded bytes; --gguf takes our
tokens from that file instead. Ends with exit code 1 if any string differs. Runs long by design; no test calls it.
"""
import argparse
import json
import pathlib
import random
import struct
import subprocess
import sys

from tokenizers import Tokenizer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import make_tokenizer_goldens as goldens  # noqa: E402


def texts_of_files(count, generator):
    """Pieces of source files and documents of this tree."""
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    files = [p for pattern in ("src/**/*.cpp", "docs/*.md", "scripts/*", "tests/**/*.py") for p in root.glob(pattern)]
    contents = [text for text in (p.read_text(errors="ignore") for p in files if p.is_file()) if text]
    texts = []
    while len(texts) < count:
        text = generator.choice(contents)
        begin = generator.randrange(len(text))
        texts.append(text[begin:begin + generator.randrange(1, 2000)])
    return texts


def texts_with_specials(count, generator, specials):
    """Special tokens, whole and cut, with spaces and words beside them."""
    around = ["", " ", "  ", "\n", "a", "_", "é", "1", "\t \u3000", "<", ">", "word ", " word"]
    texts = []
    for _ in range(count):
        pieces = []
        for _ in range(generator.randrange(1, 5)):
            special = generator.choice(specials)
            if generator.random() < 0.3:
                special = special[generator.randrange(len(special)):]
            if generator.random() < 0.3:
                special = special[:generator.randrange(len(special) + 1)]
            pieces += [generator.choice(around), special, generator.choice(around)]
        texts.append("".join(pieces))
    return texts


def make_texts(count, seed, specials):
    generator = random.Random(seed)
    texts = list(goldens.systematic_strings())
    texts += ["".join(f"{c}{c} {c}" for c in map(chr, range(start, start + 16)))
              for start in range(0, 0x110000, 16) if not 0xD800 <= start < 0xE000]
    if specials:
        texts += texts_with_specials(count // 8, generator, specials)
    texts += texts_of_files(count // 20, generator)
    texts += goldens.sample_strings(max(1000, count - len(texts)), seed)
    return texts


def ours(tool, model, texts, parse_special):
    payload = b"".join(struct.pack("<I", len(data)) + data for data in (text.encode() for text in texts))
    command = [tool, model] + (["--parse-special"] if parse_special else [])
    result = subprocess.run(command, input=payload, capture_output=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{model}: {result.stderr.decode()}")
    answers, at = [], 0
    for _ in texts:
        (count,) = struct.unpack_from("<I", result.stdout, at)
        ids = list(struct.unpack_from(f"<{count}i", result.stdout, at + 4))
        at += 4 + 4 * count
        (length,) = struct.unpack_from("<I", result.stdout, at)
        answers.append((ids, result.stdout[at + 4:at + 4 + length]))
        at += 4 + length
    return answers


def compare(folder, arguments):
    path = pathlib.Path(folder) / "tokenizer.json"
    reference = Tokenizer.from_file(str(path))
    reference.no_truncation()
    reference.no_padding()
    document = json.loads(path.read_text())
    specials = [token["content"] for token in document["added_tokens"]]
    texts = make_texts(arguments.count, arguments.seed, specials)
    if document["model"].get("type") == "Unigram":
        # The package's unigram finds the texts of control and byte tokens as pieces of any text, which nobody's model has
        # seen and we do not do.
        texts = [text for text in texts if "<0x" not in text and not any(special in text for special in specials)]
    failures = 0
    for parse_special in (False, True):
        reference.encode_special_tokens = not parse_special
        expected = []
        for begin in range(0, len(texts), 1000):  # encodings are large
            batch = reference.encode_batch(texts[begin:begin + 1000], add_special_tokens=False)
            expected += [encoding.ids for encoding in batch]
        wrong = undecoded = 0
        for text, ids, (our_ids, decoded) in zip(
                texts, expected, ours(arguments.tool, arguments.gguf or folder, texts, parse_special)):
            if ids != our_ids:
                wrong += 1
                if wrong <= arguments.show:
                    print(f"  {text!r}\n    reference {ids}\n    ours      {our_ids}")
                continue
            # The reference shows what is not UTF-8 as U+FFFD; it may also strip spaces, which is compared by the tests.
            undecoded += decoded.decode(errors="replace") != reference.decode(ids, skip_special_tokens=False)
        print(f"{folder}: special tokens {'read' if parse_special else 'not read'}: {len(texts)} strings, "
              f"{wrong} with other tokens, {undecoded} decoded otherwise")
        failures += wrong
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--tool", default="build/release/tests/text/encode_texts")
    parser.add_argument("--gguf")
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=5)
    arguments = parser.parse_args()
    sys.exit(1 if sum([compare(folder, arguments) for folder in arguments.folders]) else 0)


if __name__ == "__main__":
    main()
