#pragma once
// U+2581, which stands for a space in the pieces of SentencePiece.
#include <string>
#include <string_view>

#include "text/token_tables.h"

namespace megalith {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

/// Appends `text` with every `from` as `to`.
inline void append_replaced(std::string& out, std::string_view text, std::string_view from, std::string_view to) {
  for (size_t position = 0; position < text.size();) {
    const size_t found = std::min(text.find(from, position), text.size());
    out += text.substr(position, found - position);
    if (found == text.size()) return;
    out += to;
    position = found + from.size();
  }
}

/// Appends what a piece means: the byte that a byte token names, else the text with spaces for marks.
inline void append_piece_bytes(std::string& out, const TokenTable& table, TokenId token) {
  if (table.type(token) == TokenType::kByte) {
    out += static_cast<char>(byte_named_by(table.text(token)));
  } else {
    append_replaced(out, table.text(token), kSpaceMark, " ");
  }
}

}  // namespace megalith
