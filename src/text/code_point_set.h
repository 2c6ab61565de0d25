#pragma once
// Sets of code points, as the classes of regular expressions make them.
#include <optional>
#include <string_view>
#include <vector>

#include "text/unicode.h"

namespace megalith {

class CodePointSet {
 public:
  struct Range {
    char32_t first, last;  // both are members
    bool operator==(const Range&) const = default;
  };
  static constexpr char32_t kLast = 0x10FFFF;

  CodePointSet() = default;
  CodePointSet(char32_t first, char32_t last) : ranges_{{first, last}} {}
  static CodePointSet all() { return {0, kLast}; }

  /// All code points whose properties satisfy `condition`.
  template <typename Condition>
  static CodePointSet with_property(Condition condition) {
    CodePointSet set;
    for (size_t i = 0; i < property_run_count(); ++i) {
      const char32_t end = i + 1 < property_run_count() ? property_run(i + 1).begin : kLast + 1;
      const PropertyRun run = property_run(i);
      if (condition(run.properties)) set.append(run.begin, end - 1);
    }
    return set;
  }
  /// What \p{name} matches: general categories by their short names and scripts by their names, with the versions of
  /// the reference (docs/text.md); Any, and White_Space. Names of our own stand for what the reference does in Rust:
  /// Rust_Numeric, Rust_Word, Rust_Punctuation. nullopt: not known.
  static std::optional<CodePointSet> named(std::string_view name);

  const std::vector<Range>& ranges() const { return ranges_; }  // ascending, with gaps between them
  bool empty() const { return ranges_.empty(); }
  bool contains(char32_t code_point) const;
  bool intersects(const CodePointSet& other) const;
  /// The one member of a set of one.
  std::optional<char32_t> single() const;

  CodePointSet complement() const;
  CodePointSet united(const CodePointSet& other) const;
  CodePointSet intersected(const CodePointSet& other) const;
  bool operator==(const CodePointSet&) const = default;

 private:
  /// Adds a range that begins after the last one.
  void append(char32_t first, char32_t last);
  std::vector<Range> ranges_;
};

}  // namespace megalith
