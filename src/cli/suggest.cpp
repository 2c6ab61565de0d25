#include "cli/suggest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace megalith::cli {

namespace {

// Levenshtein distance: insertions, deletions and substitutions.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string did_you_mean(std::string_view typed, const std::vector<std::string>& names) {
  if (typed.size() > 60) return {};
  const std::string* best = nullptr;
  size_t best_distance = typed.size() / 3 + 2;  // about every third letter wrong
  for (const std::string& name : names) {
    const size_t distance = edit_distance(typed.substr(0, typed.find('=')), name);
    if (distance < best_distance) {
      best = &name;
      best_distance = distance;
    }
  }
  if (best != nullptr) return fmt::format("; did you mean '{}'?", *best);
  const bool are_options = !names.empty() && names.front().front() == '-';
  return names.empty() || are_options ? std::string() : fmt::format("; there are: {}", fmt::join(names, ", "));
}

}  // namespace megalith::cli
