#include "text/word_piece.h"

#include <algorithm>

#include "text/unicode.h"

namespace megalith {

WordPiece::WordPiece(const TokenTable& table, const Prefixes& prefixes) : table_(table), prefixes_(prefixes) {
  if (!table.vocabulary().unk) table.fail("names no unknown token, which WordPiece needs");
  for (const std::string& text : table.vocabulary().tokens) {
    longest_piece_bytes_ = std::max(longest_piece_bytes_, text.size());
  }
}

/// The longest piece that stands at `begin`, with its bytes of the word in `length`; -1 if there is none.
TokenId WordPiece::longest_piece(std::string_view word, size_t begin, size_t& length, Scratch& scratch) const {
  const std::string_view prefix = begin == 0 ? prefixes_.first : prefixes_.continuing;
  std::string& text = scratch.text;
  text = prefix;
  text += word.substr(begin, longest_piece_bytes_);
  while (text.size() > prefix.size()) {
    const TokenId token = table_.find(text);
    if (token >= 0 && table_.type(token) == TokenType::kNormal) {
      length = text.size() - prefix.size();
      return token;
    }
    // The last may be cut inside a character: then no piece can match, and the rest of it goes too.
    text.resize(character_before(text, text.size()));
  }
  return -1;
}

void WordPiece::encode(std::string_view word, Scratch& scratch) const {
  const auto is_lead = [](char byte) { return (static_cast<uint8_t>(byte) & 0xC0) != 0x80; };
  const size_t before = scratch.output.size();
  bool known = static_cast<size_t>(std::count_if(word.begin(), word.end(), is_lead)) <= kMostCharacters;
  for (size_t begin = 0; known && begin < word.size();) {
    size_t length = 0;
    const TokenId token = longest_piece(word, begin, length, scratch);
    known = token >= 0;
    scratch.output.push_back(token);
    begin += length;
  }
  if (known) return;
  scratch.output.resize(before);
  scratch.output.push_back(settled(table_.vocabulary().unk));
}

bool WordPiece::encode_bytes(std::string_view, Scratch&) const { return false; }

void WordPiece::append_bytes(std::string& out, TokenId token) const {
  const std::string_view text = table_.text(token);
  const bool continues =
      prefixes_.continuing.empty() ? !text.starts_with(prefixes_.first) : text.starts_with(prefixes_.continuing);
  if (!continues) out += ' ';
  out += text.substr(continues ? prefixes_.continuing.size() : prefixes_.first.size());
}

void WordPiece::append_added(std::string& out, std::string_view text) const { (out += ' ') += text; }

}  // namespace megalith
