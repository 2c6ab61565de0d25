#!/usr/bin/env python3
"""Writes unicode_tables.cpp: what Python's str methods know about characters, as runs that a binary search finds.

Run it with the Python whose behaviour the chat templates should match: python3 make_unicode_tables.py > unicode_tables.cpp
"""

import sys
import unicodedata

LAST = sys.maxunicode
CHARACTERS = [c for c in range(LAST + 1) if not 0xD800 <= c <= 0xDFFF]


def runs(pairs):
    """Groups sorted (code point, payload) pairs of equal payload into (first, last, stride, payload), stride 1 or 2."""
    result = []
    for code, payload in pairs:
        if result:
            first, last, stride, previous = result[-1]
            if previous == payload and (code - last == stride or (first == last and code - last == 2)):
                result[-1] = (first, code, code - last, payload)
                continue
        result.append((code, code, 1, payload))
    return result


def emit_class(name, predicate):
    print(f"constexpr ClassRun k{name}[] = {{")
    emit_rows(f"{{0x{a:X}, 0x{b:X}, {s}}}" for a, b, s, _ in runs((c, 0) for c in CHARACTERS if predicate(chr(c))))
    print("};\n")


def emit_mapping(name, function):
    simple, special = [], []
    for code in CHARACTERS:
        mapped = function(chr(code))
        if mapped == chr(code):
            continue
        if len(mapped) == 1:
            simple.append((code, ord(mapped) - code))
        else:
            special.append((code, [ord(c) for c in mapped] + [0] * (3 - len(mapped))))
    print(f"constexpr CaseRun k{name}[] = {{")
    emit_rows(f"{{0x{a:X}, 0x{b:X}, {s}, {d}}}" for a, b, s, d in runs(simple))
    print("};\n")
    print(f"constexpr CaseExpansion k{name}Expansions[] = {{")
    emit_rows(f"{{0x{c:X}, {{0x{m[0]:X}, 0x{m[1]:X}, 0x{m[2]:X}}}}}" for c, m in special)
    print("};\n")


def emit_rows(rows):
    line = "   "
    for row in rows:
        if len(line) + len(row) + 2 > 119:
            print(line)
            line = "   "
        line += f" {row},"
    print(line)


print(f"// Written by make_unicode_tables.py from Unicode {unicodedata.unidata_version}; do not edit.")
print('// clang-format off\n#include "text/jinja/unicode_tables.h"\n\nnamespace megalith::jinja {\nnamespace {\n')
CLASSES = ["alpha", "decimal", "digit", "numeric", "printable", "lower", "upper"]
MAPPINGS = [("ToUpper", str.upper), ("ToLower", str.lower), ("ToTitle", str.title)]
for name in CLASSES:
    emit_class(name.capitalize(), lambda c, method=getattr(str, "is" + name): method(c))
for name, function in MAPPINGS:
    emit_mapping(name, function)
print("}  // namespace\n")
print("const UnicodeTables& unicode_tables() {\n  static constexpr UnicodeTables kTables = {")
print("    " + ", ".join("k" + name.capitalize() for name in CLASSES) + ",")
for name, _ in MAPPINGS:
    print(f"    {{k{name}, k{name}Expansions}},")
print("  };\n  return kTables;\n}\n\n}  // namespace megalith::jinja")
