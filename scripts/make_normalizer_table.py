#!/usr/bin/env python3
"""Writes src/text/normalizer_data.inc: what the normalizers of the package `tokenizers` do to single code points.

    scripts/make_normalizer_table.py

Asked of the package itself for every code point, because its tables are of several versions of Unicode.
"""
import pathlib

from tokenizers import normalizers

OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "src" / "text" / "normalizer_data.inc"
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ranges(points):
    """[(first, last)] of sorted code points."""
    result = []
    for point in points:
        if result and result[-1][1] + 1 == point:
            result[-1][1] = point
        else:
            result.append([point, point])
    return result


def write_ranges(out, name, comment, points):
    out.append(f"// {comment}")
    out.append(f"constexpr Range {name}[] = {{")
    out.extend(f"    {{0x{first:X}, 0x{last:X}}}," for first, last in ranges(points))
    out.append("};")


def lower_runs():
    """[first, last, step, delta] of code points whose lower case is one other code point; and the rest."""
    lowercase = normalizers.Lowercase()
    runs, several = [], []
    for point in POINTS:
        low = lowercase.normalize_str(chr(point))
        if low == chr(point):
            continue
        if len(low) != 1:
            several.append((point, low))
            continue
        delta = ord(low) - point
        if runs and runs[-1][3] == delta:
            first, last, step, _ = runs[-1]
            if point - last in ((step,) if step else (1, 2)):
                runs[-1][1:3] = [point, point - last]
                continue
        runs.append([point, point, 0, delta])
    return runs, several


def main():
    out = ["// Written by scripts/make_normalizer_table.py; not by hand.", "struct Range {", "  char32_t first, last;", "};"]
    strip = normalizers.StripAccents()
    write_ranges(out, "kMarks", "Dropped by StripAccents.", [c for c in POINTS if strip.normalize_str(chr(c)) == ""])
    # It decomposes first, so those that it drops are asked for by themselves.
    bert_strip = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    write_ranges(out, "kMarksOfBert", "Dropped by BertNormalizer's strip_accents, an older table of nonspacing marks.",
                 [c for c in POINTS if bert_strip.normalize_str(chr(c)) == ""])
    clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    cleaned = [(c, clean.normalize_str(chr(c))) for c in POINTS]
    write_ranges(out, "kDroppedByClean", "Dropped by BertNormalizer's clean_text.", [c for c, text in cleaned if text == ""])
    write_ranges(out, "kSpaceByClean", "Made a space by it.", [c for c, text in cleaned if text == " "])
    assert all(text in ("", " ", chr(c)) for c, text in cleaned)
    han = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
    write_ranges(out, "kHanOfBert", "Gets a space on either side by its handle_chinese_chars.",
                 [c for c in POINTS if han.normalize_str(chr(c)) == f" {chr(c)} "])
    runs, several = lower_runs()
    out += ["// Every step-th code point from first to last is lowered by adding delta.", "struct LowerRun {",
            "  char32_t first, last;", "  uint8_t step;", "  int32_t delta;", "};", "constexpr LowerRun kLowerRuns[] = {"]
    out.extend(f"    {{0x{first:X}, 0x{last:X}, {step or 1}, {delta}}}," for first, last, step, delta in runs)
    out.append("};")
    assert several == [(0x130, "i\u0307")], several
    OUTPUT.write_text("\n".join(out) + "\n")
    # What the code relies on: lower case is the same for both.
    lowercase = normalizers.Lowercase()
    bert_lower = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=True)
    assert all(bert_lower.normalize_str(chr(c)) == lowercase.normalize_str(chr(c)) for c in POINTS)


if __name__ == "__main__":
    main()
