#pragma once
// Strings are UTF-8 in storage and sequences of code points in meaning, as Python's are.
// A byte that belongs to no valid sequence counts as one code point, 0xDC00 + byte, and is written back as that byte.
#include <cstddef>
#include <string>
#include <string_view>

namespace megalith::jinja {

/// Reads the code point at `position` (which must be inside) and moves past it.
char32_t decode_code_point(std::string_view text, std::size_t& position);
/// Reads the code point that ends at `position` (which must not be 0) and moves to its start.
char32_t decode_code_point_before(std::string_view text, std::size_t& position);
void append_code_point(std::string& text, char32_t code_point);

std::size_t count_code_points(std::string_view text);
/// The byte where code point number `index` starts; text.size() past the end.
std::size_t byte_offset(std::string_view text, std::size_t index);

bool is_space(char32_t c);  // str.isspace
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_printable(char32_t c);
bool is_lower(char32_t c);
bool is_upper(char32_t c);

void append_upper(std::string& text, char32_t c);
void append_lower(std::string& text, char32_t c);
void append_title(std::string& text, char32_t c);

/// Every code point in upper or lower case (but a capital sigma is always lowered to the medial form).
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);

}  // namespace megalith::jinja
