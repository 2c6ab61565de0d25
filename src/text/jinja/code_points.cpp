#include "text/jinja/code_points.h"

#include <algorithm>
#include <span>

#include "text/jinja/unicode_tables.h"

namespace megalith::jinja {
namespace {

constexpr char32_t kStrayByte = 0xDC00;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// The run that may hold c: the last one that starts at or before it.
template <typename Run>
const Run* find_run(std::span<const Run> runs, char32_t c) {
  auto after = std::upper_bound(runs.begin(), runs.end(), c, [](char32_t x, const Run& run) { return x < run.first; });
  if (after == runs.begin()) return nullptr;
  const Run& run = *(after - 1);
  return c <= run.last && (c - run.first) % run.stride == 0 ? &run : nullptr;
}

void append_mapped(std::string& text, const CaseMapping& mapping, char32_t c) {
  if (const CaseRun* run = find_run(mapping.runs, c)) {
    append_code_point(text, static_cast<char32_t>(static_cast<std::int32_t>(c) + run->delta));
    return;
  }
  auto expansion = std::lower_bound(mapping.expansions.begin(), mapping.expansions.end(), c,
                                    [](const CaseExpansion& e, char32_t x) { return e.from < x; });
  if (expansion == mapping.expansions.end() || expansion->from != c) {
    append_code_point(text, c);
    return;
  }
  for (char32_t to : expansion->to) {
    if (to != 0) append_code_point(text, to);
  }
}

}  // namespace

char32_t decode_code_point(std::string_view text, std::size_t& position) {
  const auto lead = static_cast<unsigned char>(text[position++]);
  if (lead < 0x80) return lead;
  const int extra = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4 || text.size() - position < static_cast<std::size_t>(extra)) return kStrayByte + lead;
  char32_t c = lead & (0x3F >> extra);
  for (int i = 0; i < extra; ++i) {
    const char next = text[position + static_cast<std::size_t>(i)];
    if (!is_continuation(next)) return kStrayByte + lead;
    c = (c << 6) | (static_cast<unsigned char>(next) & 0x3F);
  }
  constexpr char32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
  if (c < kSmallest[extra] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return kStrayByte + lead;
  position += static_cast<std::size_t>(extra);
  return c;
}

char32_t decode_code_point_before(std::string_view text, std::size_t& position) {
  // The longest sequence that decodes to exactly these last bytes; a stray byte stands alone.
  for (std::size_t length = std::min<std::size_t>(4, position); length > 1; --length) {
    if (is_continuation(text[position - length])) continue;
    std::size_t end = position - length;
    const char32_t c = decode_code_point(text.substr(0, position), end);
    if (end != position) continue;
    position -= length;
    return c;
  }
  const auto last = static_cast<unsigned char>(text[--position]);
  return last < 0x80 ? last : kStrayByte + last;
}

void append_code_point(std::string& text, char32_t c) {
  const auto push = [&](char32_t byte) { text.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0 | (c >> 6));
    push(0x80 | (c & 0x3F));
  } else if (c >= kStrayByte + 0x80 && c <= kStrayByte + 0xFF) {
    push(c - kStrayByte);
  } else if (c < 0x10000) {
    push(0xE0 | (c >> 12));
    push(0x80 | ((c >> 6) & 0x3F));
    push(0x80 | (c & 0x3F));
  } else {
    push(0xF0 | (c >> 18));
    push(0x80 | ((c >> 12) & 0x3F));
    push(0x80 | ((c >> 6) & 0x3F));
    push(0x80 | (c & 0x3F));
  }
}

std::size_t count_code_points(std::string_view text) {
  const bool ascii = std::none_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) < 0; });
  if (ascii) return text.size();
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) decode_code_point(text, at);
  return count;
}

std::size_t byte_offset(std::string_view text, std::size_t index) {
  std::size_t at = 0;
  for (; index > 0 && at < text.size(); --index) decode_code_point(text, at);
  return at;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_alpha(char32_t c) { return find_run(unicode_tables().alpha, c) != nullptr; }
bool is_decimal(char32_t c) { return find_run(unicode_tables().decimal, c) != nullptr; }
bool is_digit(char32_t c) { return find_run(unicode_tables().digit, c) != nullptr; }
bool is_numeric(char32_t c) { return find_run(unicode_tables().numeric, c) != nullptr; }
bool is_lower(char32_t c) { return find_run(unicode_tables().lower, c) != nullptr; }
bool is_upper(char32_t c) { return find_run(unicode_tables().upper, c) != nullptr; }
bool is_printable(char32_t c) {
  if (c < 0x7F) return c >= 0x20;
  return find_run(unicode_tables().printable, c) != nullptr;
}

void append_upper(std::string& text, char32_t c) {
  if (c < 0x80) {
    text.push_back(static_cast<char>(c >= 'a' && c <= 'z' ? c - 0x20 : c));
  } else {
    append_mapped(text, unicode_tables().to_upper, c);
  }
}

void append_lower(std::string& text, char32_t c) {
  if (c < 0x80) {
    text.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 0x20 : c));
  } else {
    append_mapped(text, unicode_tables().to_lower, c);
  }
}

void append_title(std::string& text, char32_t c) { append_mapped(text, unicode_tables().to_title, c); }

std::string to_upper(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) append_upper(result, decode_code_point(text, at));
  return result;
}

std::string to_lower(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) append_lower(result, decode_code_point(text, at));
  return result;
}

}  // namespace megalith::jinja
