#include "text/jinja/strings.h"

#include <algorithm>

#include "text/jinja/code_points.h"
#include "text/jinja/value.h"

namespace megalith::jinja {
namespace {

template <typename Predicate>
std::string_view strip_where(std::string_view text, Side side, Predicate drop) {
  if (side != Side::kRight) {
    while (!text.empty()) {
      std::size_t at = 0;
      if (!drop(decode_code_point(text, at))) break;
      text.remove_prefix(at);
    }
  }
  if (side != Side::kLeft) {
    while (!text.empty()) {
      std::size_t at = text.size();
      if (!drop(decode_code_point_before(text, at))) break;
      text = text.substr(0, at);
    }
  }
  return text;
}

bool is_line_end(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

void add_part(Budget& budget, std::vector<std::string_view>& parts, std::string_view part) {
  budget.spend(1);
  budget.require(2 * (parts.size() + 1) *
                 sizeof(std::string_view));  // a vector that grows holds up to twice its elements
  parts.push_back(part);
}

}  // namespace

std::string_view strip(std::string_view text, Side side) { return strip_where(text, side, is_space); }

std::string_view strip(Budget& budget, std::string_view text, std::string_view characters, Side side) {
  std::u32string drop;
  budget.require(characters.size() * 2 * sizeof(char32_t));
  for (std::size_t at = 0; at < characters.size();) drop.push_back(decode_code_point(characters, at));
  std::sort(drop.begin(), drop.end());
  return strip_where(text, side, [&](char32_t c) { return std::binary_search(drop.begin(), drop.end(), c); });
}

std::vector<std::string_view> split_on_space(Budget& budget, std::string_view text, std::int64_t limit, Side from) {
  std::vector<std::string_view> parts;
  text = strip(text, from);
  while (!text.empty()) {
    std::size_t end = from == Side::kLeft ? 0 : text.size();
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      add_part(budget, parts, text);
      break;
    }
    if (from == Side::kLeft) {
      for (std::size_t at = 0; at < text.size() && !is_space(decode_code_point(text, at));) end = at;
      add_part(budget, parts, text.substr(0, end));
      text = strip(text.substr(end), Side::kLeft);
    } else {
      for (std::size_t at = text.size(); at > 0 && !is_space(decode_code_point_before(text, at));) end = at;
      add_part(budget, parts, text.substr(end));
      text = strip(text.substr(0, end), Side::kRight);
    }
  }
  if (from == Side::kRight) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_on(Budget& budget, std::string_view text, std::string_view separator,
                                       std::int64_t limit, Side from) {
  std::vector<std::string_view> parts;
  const auto more = [&] { return limit < 0 || static_cast<std::int64_t>(parts.size()) < limit; };
  if (from == Side::kLeft) {
    std::size_t start = 0;
    while (more()) {
      const std::size_t found = find_text(budget, text, separator, start);
      if (found == std::string_view::npos) break;
      add_part(budget, parts, text.substr(start, found - start));
      start = found + separator.size();
    }
    add_part(budget, parts, text.substr(start));
    return parts;
  }
  while (more()) {
    const std::size_t found = text.rfind(separator);
    const std::size_t walked = found == std::string_view::npos ? text.size() : text.size() - found;
    budget.spend_bytes(walked * separator.size());
    if (found == std::string_view::npos) break;
    add_part(budget, parts, text.substr(found + separator.size()));
    text = text.substr(0, found);
  }
  add_part(budget, parts, text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(Budget& budget, std::string_view text, LineEnds ends) {
  std::vector<std::string_view> lines;
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = at;
    const char32_t c = decode_code_point(text, at);
    if (!is_line_end(c)) continue;
    if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
    add_part(budget, lines, text.substr(start, (ends == LineEnds::kKeep ? at : end) - start));
    start = at;
  }
  if (start < text.size()) add_part(budget, lines, text.substr(start));
  return lines;
}

std::string replace(Budget& budget, std::string_view text, std::string_view from, std::string_view to,
                    std::int64_t limit) {
  TextBuffer out(budget);
  std::size_t start = 0;
  std::int64_t done = 0;
  if (from.empty()) {  // between all code points and at both ends
    for (std::size_t at = 0; limit < 0 || done < limit; ++done) {
      out.append(to);
      if (at == text.size()) {
        start = at;
        break;
      }
      decode_code_point(text, at);
      out.append(text.substr(start, at - start));
      start = at;
    }
  } else {
    for (; limit < 0 || done < limit; ++done) {
      const std::size_t found = find_text(budget, text, from, start);
      if (found == std::string_view::npos) break;
      out.append(text.substr(start, found - start));
      out.append(to);
      start = found + from.size();
    }
  }
  out.append(text.substr(start));
  return out.take();
}

std::string capitalize(std::string_view text) {
  std::string result;
  std::size_t at = 0;
  if (!text.empty()) append_title(result, decode_code_point(text, at));
  while (at < text.size()) append_lower(result, decode_code_point(text, at));
  return result;
}

std::string title(std::string_view text) {
  std::string result;
  bool inside_word = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = decode_code_point(text, at);
    if (inside_word) {
      append_lower(result, c);
    } else {
      append_title(result, c);
    }
    std::string upper, lower;
    append_upper(upper, c);
    append_lower(lower, c);
    inside_word = is_lower(c) || is_upper(c) || upper != lower;
  }
  return result;
}

std::string swap_case(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = decode_code_point(text, at);
    if (is_upper(c)) {
      append_lower(result, c);
    } else {
      append_upper(result, c);
    }
  }
  return result;
}

std::string html_escape(Budget& budget, std::string_view text) {
  TextBuffer out(budget);
  for (char c : text) {
    switch (c) {
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '"':
        out.append("&#34;");
        break;
      case '\'':
        out.append("&#39;");
        break;
      default:
        out.append(1, c);
    }
  }
  return out.take();
}

std::string pad(Budget& budget, std::string_view text, std::int64_t width, std::string_view fill, Side side) {
  const auto length = static_cast<std::int64_t>(count_code_points(text));
  if (width <= length) return std::string(text);
  const std::int64_t missing = width - length;
  // Where the padding cannot be halved, str.center puts the odd one left if the width is odd.
  const std::int64_t before = side == Side::kLeft    ? 0
                              : side == Side::kRight ? missing
                                                     : missing / 2 + (missing & width & 1);
  TextBuffer out(budget);
  out.append(repeat(budget, fill, before));
  out.append(text);
  out.append(repeat(budget, fill, missing - before));
  return out.take();
}

std::string repeat(Budget& budget, std::string_view text, std::int64_t count) {
  if (count <= 0 || text.empty()) return {};
  const auto times = static_cast<std::size_t>(count);
  if (times > SIZE_MAX / text.size()) throw Fault("the template needs too much memory to render");
  const std::size_t size = times * text.size();
  budget.spend_bytes(size);
  budget.require(size);
  std::string result;
  result.reserve(size);
  for (std::size_t i = 0; i < times; ++i) result.append(text);
  return result;
}

}  // namespace megalith::jinja
