#!/usr/bin/env python3
"""Writes src/text/unicode_data.inc: what the pre-tokenizers and the NFC step must know of each code point.

    scripts/make_unicode_table.py --derived-age DerivedAge.txt > src/text/unicode_data.inc

Needs the package unicodedata2==16.0.0, a build of Python's `unicodedata` for a chosen Unicode version (3.11's own is
14.0), and DerivedAge.txt of any Unicode version from 9.0 on (Debian's package unicode-data has one). The versions are
those of the reference, `tokenizers` 0.23, found by asking it about every code point (docs/text.md):
  \\p{..} and \\s of its regexes   Unicode 16.0
  char::is_numeric of its Digits  Unicode 17.0: that of 16.0 and the 13 numbers listed below
  its NFC                         Unicode 9.0: newer characters neither move nor compose
"""
import argparse
import re
import sys

import unicodedata2

CATEGORIES = {"L": 1, "M": 2, "N": 3, "P": 4, "S": 5}  # Z and C: 0
SPACE, NUMERIC, NFC_UNSAFE, AFTER_UNICODE_9 = 1 << 3, 1 << 4, 1 << 5, 1 << 6
# The property White_Space; the same set since Unicode 6.3 (which took U+180E out of it).
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
NUMERIC_SINCE_17 = {*range(0x11DE0, 0x11DEA), *range(0x16FF4, 0x16FF7)}
CODE_POINTS = 0x110000
BLOCK = 128


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


def table(old):
    follows = non_first_in_a_composition(old)
    values = []
    for code_point in range(CODE_POINTS):
        character = chr(code_point)
        category = unicodedata2.category(character)[0]
        value = CATEGORIES.get(category, 0)
        if code_point in WHITE_SPACE:
            value |= SPACE
        if category == "N" or code_point in NUMERIC_SINCE_17:
            value |= NUMERIC
        if 0xD800 <= code_point < 0xE000:
            pass
        elif code_point not in old:
            value |= AFTER_UNICODE_9
        elif (unicodedata2.combining(character) or code_point in follows
              or unicodedata2.normalize("NFC", character) != character):
            value |= NFC_UNSAFE
        values.append(value)
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--derived-age", required=True)
    arguments = parser.parse_args()
    if unicodedata2.unidata_version != "16.0.0":
        sys.exit(f"unicodedata2 is of Unicode {unicodedata2.unidata_version}; install unicodedata2==16.0.0")
    values = table(assigned_in_unicode_9(arguments.derived_age))
    blocks, index = [], []
    for start in range(0, CODE_POINTS, BLOCK):
        block = tuple(values[start:start + BLOCK])
        if block not in blocks:
            blocks.append(block)
        index.append(blocks.index(block))
    print(f"// Unicode {unicodedata2.unidata_version} categories. Written by scripts/make_unicode_table.py; not to be edited.")
    print(f"constexpr uint16_t kBlockOfCodePoint[{len(index)}] = {{  // [code point / {BLOCK}]")
    print_numbers(index)
    print(f"}};\nconstexpr uint8_t kPropertiesInBlock[{len(blocks)}][{BLOCK}] = {{")
    for block in blocks:
        if len(set(block)) == 1 and block[0] == 0:
            print("{},")
            continue
        print("{")
        print_numbers(block)
        print("},")
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
