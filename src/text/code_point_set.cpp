#include "text/code_point_set.h"

#include <algorithm>
#include <iterator>

namespace megalith {
namespace {

constexpr std::string_view kCategoryNames[] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
                                               "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
                                               "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cs"};
constexpr std::string_view kScriptNames[] = {"",      "Han",      "Hiragana", "Katakana", "Hangul",     "Latin",
                                             "Greek", "Cyrillic", "Arabic",   "Hebrew",   "Devanagari", "Thai",
                                             "Lao",   "Myanmar",  "Khmer",    "Bopomofo"};

struct Flag {
  std::string_view name;
  bool (CodePointProperties::*holds)() const;
};
constexpr Flag kFlags[] = {
    {"White_Space", &CodePointProperties::is_space},
    {"Rust_Numeric", &CodePointProperties::is_numeric},
    {"Rust_Word", &CodePointProperties::is_rust_word},
    {"Rust_Punctuation", &CodePointProperties::is_rust_punctuation},
};

}  // namespace

std::optional<CodePointSet> CodePointSet::named(std::string_view name) {
  if (name == "Any") return all();
  for (const Flag& flag : kFlags) {
    if (name == flag.name) return with_property([&](CodePointProperties p) { return (p.*flag.holds)(); });
  }
  const auto script = std::find(std::begin(kScriptNames), std::end(kScriptNames), name);
  if (script != std::end(kScriptNames) && !name.empty()) {
    const Script wanted = static_cast<Script>(script - std::begin(kScriptNames));
    return with_property([&](CodePointProperties p) { return p.script() == wanted; });
  }
  const auto has_name = [&](CodePointProperties p) {
    return kCategoryNames[static_cast<size_t>(p.category())].starts_with(name);
  };
  const bool known = std::any_of(std::begin(kCategoryNames), std::end(kCategoryNames),
                                 [&](std::string_view category) { return category.starts_with(name); });
  if (name.empty() || !known) return std::nullopt;
  return with_property(has_name);
}

bool CodePointSet::contains(char32_t code_point) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), code_point,
                                      [](char32_t value, const Range& range) { return value < range.first; });
  return after != ranges_.begin() && std::prev(after)->last >= code_point;
}

bool CodePointSet::intersects(const CodePointSet& other) const {
  for (auto mine = ranges_.begin(), theirs = other.ranges_.begin();
       mine != ranges_.end() && theirs != other.ranges_.end();) {
    if (mine->last < theirs->first) {
      ++mine;
    } else if (theirs->last < mine->first) {
      ++theirs;
    } else {
      return true;
    }
  }
  return false;
}

std::optional<char32_t> CodePointSet::single() const {
  if (ranges_.size() != 1 || ranges_[0].first != ranges_[0].last) return std::nullopt;
  return ranges_[0].first;
}

void CodePointSet::append(char32_t first, char32_t last) {
  if (!ranges_.empty() && first <= ranges_.back().last + 1) {
    ranges_.back().last = std::max(ranges_.back().last, last);
  } else {
    ranges_.push_back({first, last});
  }
}

CodePointSet CodePointSet::complement() const {
  CodePointSet out;
  char32_t next = 0;
  for (const Range& range : ranges_) {
    if (range.first > next) out.append(next, range.first - 1);
    next = range.last + 1;
  }
  if (next <= kLast) out.append(next, kLast);
  return out;
}

CodePointSet CodePointSet::united(const CodePointSet& other) const {
  std::vector<Range> both;
  both.reserve(ranges_.size() + other.ranges_.size());
  std::merge(ranges_.begin(), ranges_.end(), other.ranges_.begin(), other.ranges_.end(), std::back_inserter(both),
             [](const Range& a, const Range& b) { return a.first < b.first; });
  CodePointSet out;
  for (const Range& range : both) out.append(range.first, range.last);
  return out;
}

CodePointSet CodePointSet::intersected(const CodePointSet& other) const {
  CodePointSet out;
  for (auto mine = ranges_.begin(), theirs = other.ranges_.begin();
       mine != ranges_.end() && theirs != other.ranges_.end();) {
    const char32_t first = std::max(mine->first, theirs->first);
    const char32_t last = std::min(mine->last, theirs->last);
    if (first <= last) out.append(first, last);
    if (mine->last < theirs->last) {
      ++mine;
    } else {
      ++theirs;
    }
  }
  return out;
}

}  // namespace megalith
