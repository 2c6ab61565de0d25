#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace megalith {
namespace {

bool is_word_character(char32_t code_point) { return properties_of(code_point).is_rust_word(); }

bool ends_with_word(std::string_view text) {
  return !text.empty() && is_word_character(decode_utf8(text, character_before(text, text.size())).code_point);
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word_character(decode_utf8(text, 0).code_point);
}

bool is_space_at(std::string_view text, size_t position) {
  return properties_of(decode_utf8(text, position).code_point).is_space();
}

}  // namespace

AddedTokens::AddedTokens() : nodes_(1) { root_children_.fill(-1); }

int32_t AddedTokens::child(int32_t node, uint8_t byte) const {
  if (node == 0) return root_children_[byte];
  int32_t next = nodes_[node].first_child;
  while (next >= 0 && nodes_[next].byte != byte) next = nodes_[next].next_sibling;
  return next;
}

void AddedTokens::insert(std::string_view text, const AddedToken& token) {
  if (text.empty()) return;
  int32_t node = 0;
  for (char character : text) {
    const uint8_t byte = static_cast<uint8_t>(character);
    int32_t next = child(node, byte);
    if (next < 0) {
      next = static_cast<int32_t>(nodes_.size());
      nodes_.push_back({byte, -1, -1, nodes_[node].first_child});
      nodes_[node].first_child = next;
      if (node == 0) root_children_[byte] = next;
    }
    node = next;
  }
  nodes_[node].token = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
}

AddedTokens::Found AddedTokens::find(std::string_view text, size_t position) const {
  Found found;
  int32_t node = 0;
  for (size_t end = position; end < text.size();) {
    node = child(node, static_cast<uint8_t>(text[end]));
    if (node < 0) break;
    ++end;
    if (nodes_[node].token >= 0) found = {&tokens_[nodes_[node].token], end};
  }
  return found;
}

bool AddedTokens::fits(const AddedToken& token, std::string_view text, Range& range, size_t taken) {
  if (token.words == AddedToken::Words::kWholeOnly &&
      (ends_with_word(text.substr(0, range.begin)) || starts_with_word(text.substr(range.end)))) {
    return false;
  }
  if (token.takes_space_before) {
    while (range.begin > 0 && is_space_at(text, character_before(text, range.begin))) {
      range.begin = character_before(text, range.begin);
    }
    range.begin = std::max(range.begin, taken);
  }
  if (token.takes_space_after) {
    while (range.end < text.size() && is_space_at(text, range.end)) {
      range.end += decode_utf8(text, range.end).length_bytes;
    }
  }
  return true;
}

}  // namespace megalith
