#!/usr/bin/env python3
"""Writes src/text/unicode_data.inc: what the pre-tokenizers and the NFC step must know of each code point.

    scripts/make_unicode_table.py --derived-age DerivedAge.txt > src/text/unicode_data.inc

Needs the reference itself, the package `tokenizers` 0.23, which is asked about every code point; unicodedata2==16.0.0,
a build of Python's `unicodedata` for a chosen Unicode version; and DerivedAge.txt of any Unicode version from 9.0 on
(Debian's package unicode-data has one). The reference mixes Unicode versions (docs/text.md):
  \\p{..}, \\s and \\w of its regexes  Unicode 16.0
  char::is_numeric of its Digits     Unicode 17.0
  \\w of its Whitespace              Unicode 16.0, with the two joiners
  its Punctuation                    Unicode 8.0
  its NFC                            Unicode 9.0: newer characters neither move nor compose
"""
import argparse
import re
import sys

import unicodedata2
from tokenizers import Regex, pre_tokenizers

# In the order of enum Category and enum Script in src/text/unicode.h.
CATEGORIES = ["Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf",
              "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cs"]
SCRIPTS = ["", "Han", "Hiragana", "Katakana", "Hangul", "Latin", "Greek", "Cyrillic", "Arabic", "Hebrew", "Devanagari",
           "Thai", "Lao", "Myanmar", "Khmer", "Bopomofo"]
SCRIPT_SHIFT = 5
SPACE, WORD, NUMERIC, RUST_WORD, RUST_PUNCTUATION, NFC_UNSAFE, AFTER_UNICODE_9 = (1 << bit for bit in range(9, 16))
CODE_POINTS = 0x110000
BLOCK = 128
POINTS = [code_point for code_point in range(CODE_POINTS) if not 0xD800 <= code_point < 0xE000]


def assigned_in_unicode_9(derived_age_path):
    assigned = set()
    with open(derived_age_path, encoding="utf-8") as lines:
        for line in lines:
            match = re.match(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*(\d+)\.", line)
            if match and int(match[3]) <= 9:
                assigned.update(range(int(match[1], 16), int(match[2] or match[1], 16) + 1))
    return assigned


def non_first_in_a_composition(old):
    """Code points that a preceding one may compose with."""
    found = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}  # Hangul vowels and final consonants
    for code_point in old:
        decomposed = unicodedata2.normalize("NFD", chr(code_point))
        if len(decomposed) > 1 and unicodedata2.normalize("NFC", decomposed) == chr(code_point):
            found.update(ord(character) for character in decomposed[1:])
    return found


def in_class(expression):
    """The code points that an expression of the reference matches."""
    split = pre_tokenizers.Split(Regex(expression + "+"), "removed", invert=True)
    found = set()
    for _, (begin, end) in split.pre_tokenize_str("".join(map(chr, POINTS))):
        found.update(POINTS[begin:end])
    return found


def cut_off(pre_tokenizer):
    """The code points that a pre-tokenizer cuts off the letter before them."""
    found = set()
    text = "".join(f"a{chr(code_point)} " for code_point in POINTS)
    begins = {begin for _, (begin, _) in pre_tokenizer.pre_tokenize_str(text)}
    for i, code_point in enumerate(POINTS):
        if 3 * i + 1 in begins:
            found.add(code_point)
    return found


def table(old):
    follows = non_first_in_a_composition(old)
    values = [0] * CODE_POINTS
    for category in CATEGORIES:
        if category != "Cs":  # the reference's texts have none
            members = in_class(rf"\p{{{category}}}")
            assert members == {c for c in POINTS if unicodedata2.category(chr(c)) == category}, category
            for code_point in members:
                values[code_point] = CATEGORIES.index(category)
    for code_point in range(0xD800, 0xE000):
        values[code_point] = CATEGORIES.index("Cs")
    for i, script in enumerate(SCRIPTS[1:], start=1):
        for code_point in in_class(rf"\p{{{script}}}"):
            values[code_point] |= i << SCRIPT_SHIFT
    spaces = in_class(r"\s")
    for flag, members in (
            (SPACE, spaces), (WORD, in_class(r"\w")),
            (NUMERIC, cut_off(pre_tokenizers.Digits(individual_digits=True))),
            (RUST_WORD, set(POINTS) - cut_off(pre_tokenizers.Whitespace()) - spaces),
            (RUST_PUNCTUATION, cut_off(pre_tokenizers.Punctuation()))):
        for code_point in members:
            values[code_point] |= flag
    for code_point in POINTS:
        character = chr(code_point)
        if code_point not in old:
            values[code_point] |= AFTER_UNICODE_9
        elif (unicodedata2.combining(character) or code_point in follows
              or unicodedata2.normalize("NFC", character) != character):
            values[code_point] |= NFC_UNSAFE
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--derived-age", required=True)
    arguments = parser.parse_args()
    if unicodedata2.unidata_version != "16.0.0":
        sys.exit(f"unicodedata2 is of Unicode {unicodedata2.unidata_version}; install unicodedata2==16.0.0")
    values = table(assigned_in_unicode_9(arguments.derived_age))
    kinds = sorted(set(values))
    indices = [kinds.index(value) for value in values]
    blocks, block_of = {}, []
    for start in range(0, CODE_POINTS, BLOCK):
        block_of.append(blocks.setdefault(tuple(indices[start:start + BLOCK]), len(blocks)))
    runs = [start for start in range(CODE_POINTS) if start == 0 or indices[start] != indices[start - 1]]
    print("// Written by scripts/make_unicode_table.py; not to be edited.")
    print(f"constexpr uint16_t kPropertyBits[{len(kinds)}] = {{  // the sorts of code points: CodePointProperties")
    print_numbers(kinds)
    print(f"}};\nconstexpr uint16_t kBlockOfCodePoint[{len(block_of)}] = {{  // [code point / {BLOCK}]")
    print_numbers(block_of)
    print(f"}};\nconstexpr uint8_t kSortsInBlock[{len(blocks)}][{BLOCK}] = {{")
    for block in blocks:
        if len(set(block)) == 1 and block[0] == 0:
            print("{},")
            continue
        print("{")
        print_numbers(block)
        print("},")
    print(f"}};\nconstexpr uint32_t kRuns[{len(runs)}] = {{  // first code point of a run << 8 | its sort")
    print_numbers([start << 8 | indices[start] for start in runs])
    print("};")


def print_numbers(numbers):
    line = ""
    for number in numbers:
        if len(line) + len(str(number)) + 1 > 118:
            print(line)
            line = ""
        line += f"{number},"
    print(line)


if __name__ == "__main__":
    main()
