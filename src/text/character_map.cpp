#include "text/character_map.h"

#include <cstring>

#include "base/error.h"
#include "text/unicode.h"

namespace megalith {
namespace {

// A unit of Darts' double array (Yata, darts-clone): a leaf's value, or label, offset to the children and whether a
// leaf is among them.
bool has_leaf(uint32_t unit) { return (unit >> 8 & 1) == 1; }
uint32_t value_of(uint32_t unit) { return unit & ((uint32_t{1} << 31) - 1); }
uint32_t label_of(uint32_t unit) { return unit & (uint32_t{1} << 31 | 0xFF); }
uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & (uint32_t{1} << 9)) >> 6); }

}  // namespace

CharacterMap::CharacterMap(std::string_view bytes, const std::string& source) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::kInvalidModel, source + ": the precompiled character map " + what + "; the file is damaged");
  };
  uint32_t trie_bytes = 0;
  if (bytes.size() < sizeof(trie_bytes)) fail("has " + std::to_string(bytes.size()) + " bytes, too few for its size");
  std::memcpy(&trie_bytes, bytes.data(), sizeof(trie_bytes));
  bytes.remove_prefix(sizeof(trie_bytes));
  if (trie_bytes > bytes.size() || trie_bytes % sizeof(uint32_t) != 0 || trie_bytes == 0) {
    fail("says that its trie has " + std::to_string(trie_bytes) + " of " + std::to_string(bytes.size()) + " bytes");
  }
  units_.resize(trie_bytes / sizeof(uint32_t));
  std::memcpy(units_.data(), bytes.data(), trie_bytes);
  texts_ = bytes.substr(trie_bytes);
  if (texts_.empty() || texts_.back() != '\0') fail("has a last text without an end");
}

CharacterMap::Match CharacterMap::longest(std::string_view text) const {
  Match match;
  uint32_t position = offset_of(units_[0]);
  for (size_t length = 1; length <= text.size(); ++length) {
    const uint8_t byte = static_cast<uint8_t>(text[length - 1]);
    position ^= byte;
    if (position >= units_.size() || byte == 0 || label_of(units_[position]) != byte) break;
    const uint32_t unit = units_[position];
    position ^= offset_of(unit);
    if (position >= units_.size()) break;
    if (!has_leaf(unit)) continue;
    const uint32_t begin = value_of(units_[position]);
    if (begin >= texts_.size()) continue;
    match = {length, std::string_view(texts_.data() + begin)};
  }
  return match;
}

void CharacterMap::append(std::string& out, std::string_view text) const {
  for (size_t position = 0; position < text.size();) {
    const Match match = longest(text.substr(position));
    if (match.length > 0) {
      out += match.replacement;
      position += match.length;
    } else {
      const size_t length = decode_utf8(text, position).length_bytes;
      out += text.substr(position, length);
      position += length;
    }
  }
}

}  // namespace megalith
