#pragma once
// The two things that everyone who handles foreign bytes needs: is it UTF-8, and how to show it in a message.
#include <string>
#include <string_view>

namespace megalith {

/// Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_valid_utf8(std::string_view text);

/// 'text' in quotes, fit for a terminal: control characters and invalid bytes as \xNN, cut after 80 bytes.
std::string in_quotes(std::string_view text);

}  // namespace megalith
