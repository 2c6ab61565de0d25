#pragma once
// The algorithms behind Python's str methods, on UTF-8 text.
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/budget.h"

namespace megalith::jinja {

enum class Side { kLeft, kRight, kBoth };

/// Without white space at the ends, or without the code points in `characters`.
std::string_view strip(std::string_view text, Side side);
std::string_view strip(Budget& budget, std::string_view text, std::string_view characters, Side side);

/// str.split and str.rsplit (from kLeft or kRight); limit < 0 means no limit.
std::vector<std::string_view> split_on_space(Budget& budget, std::string_view text, std::int64_t limit, Side from);
std::vector<std::string_view> split_on(Budget& budget, std::string_view text, std::string_view separator,
                                       std::int64_t limit, Side from);
enum class LineEnds { kDrop, kKeep };
std::vector<std::string_view> split_lines(Budget& budget, std::string_view text, LineEnds ends);

/// str.replace; limit < 0 replaces all.
std::string replace(Budget& budget, std::string_view text, std::string_view from, std::string_view to,
                    std::int64_t limit);

std::string capitalize(std::string_view text);
std::string title(std::string_view text);  // str.title: every letter after a non-letter
std::string swap_case(std::string_view text);
std::string html_escape(Budget& budget, std::string_view text);

/// Pads with `fill` to `width` code points. `side` is where the text goes, kBoth for the middle.
std::string pad(Budget& budget, std::string_view text, std::int64_t width, std::string_view fill, Side side);
std::string repeat(Budget& budget, std::string_view text, std::int64_t count);

}  // namespace megalith::jinja
