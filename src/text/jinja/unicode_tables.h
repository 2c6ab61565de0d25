#pragma once
// Character classes and case mappings of the Unicode version that make_unicode_tables.py names, as sorted runs.
#include <cstdint>
#include <span>

namespace megalith::jinja {

/// Code points first, first + stride, ..., last belong to the class.
struct ClassRun {
  char32_t first, last;
  std::uint32_t stride;
};

/// Code points first, first + stride, ..., last map to themselves plus delta.
struct CaseRun {
  char32_t first, last;
  std::uint32_t stride;
  std::int32_t delta;
};

/// A code point that maps to two or three (zero ends the list).
struct CaseExpansion {
  char32_t from;
  char32_t to[3];
};

struct CaseMapping {
  std::span<const CaseRun> runs;
  std::span<const CaseExpansion> expansions;
};

/// Named after the methods of Python's str: isalpha, isdecimal, isdigit, isnumeric, isprintable, islower, isupper.
struct UnicodeTables {
  std::span<const ClassRun> alpha, decimal, digit, numeric, printable, lower, upper;
  CaseMapping to_upper, to_lower, to_title;
};

const UnicodeTables& unicode_tables();

}  // namespace megalith::jinja
