#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace megalith {

/// Base64 (RFC 4648, section 4), padded or not, without line breaks; none if it is malformed.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace megalith
