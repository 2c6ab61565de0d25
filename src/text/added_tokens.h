#pragma once
// Tokens that are cut out of a text before anything else is done with it: special tokens, and those that makers added
// to a trained vocabulary. As AddedVocabulary of Hugging Face's `tokenizers` does it.
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/token_id.h"

namespace megalith {

/// How an added token is found.
struct AddedToken {
  TokenId id = -1;
  enum class Read { kAlways, kWhenParsingSpecial } read = Read::kAlways;
  enum class Search {
    kRawText,
    kNormalisedText,        // for what the token's text becomes when it is normalised as a text of its own
    kWithinNormalisedText,  // the same, as a part of a text: without what stands only at the beginning
  } search = Search::kRawText;
  enum class Words { kAnywhere, kWholeOnly } words = Words::kAnywhere;
  bool takes_space_before = false, takes_space_after = false;  // white space beside it is part of it
};

/// The texts of added tokens as a trie of bytes.
class AddedTokens {
 public:
  AddedTokens();
  /// An empty text is never found.
  void insert(std::string_view text, const AddedToken& token);
  bool empty() const { return nodes_.size() == 1; }

  /// Cuts the tokens out of `text`, the leftmost first and the longest at a place: calls `take_text(part)` for each
  /// part between them that is not empty, and `take_token(id)` for each of them, in their order. A token that is not
  /// to be read is text as a whole: no other is found inside it.
  template <typename TakeText, typename TakeToken>
  void cut(std::string_view text, bool parse_special, TakeText take_text, TakeToken take_token) const;

 private:
  struct Node {
    uint8_t byte = 0;
    int32_t token = -1;  // position in tokens_
    int32_t first_child = -1, next_sibling = -1;
  };
  struct Found {
    const AddedToken* token = nullptr;
    size_t end = 0;
  };
  struct Range {
    size_t begin, end;
  };
  int32_t child(int32_t node, uint8_t byte) const;
  Found find(std::string_view text, size_t position) const;
  /// Whether the token may stand there, and with the white space that it takes; `taken` is where the one before ended.
  static bool fits(const AddedToken& token, std::string_view text, Range& range, size_t taken);

  std::vector<Node> nodes_;                 // [0] is the root
  std::array<int32_t, 256> root_children_;  // -1: no token starts with this byte
  std::vector<AddedToken> tokens_;
};

template <typename TakeText, typename TakeToken>
void AddedTokens::cut(std::string_view text, bool parse_special, TakeText take_text, TakeToken take_token) const {
  size_t taken = 0;
  for (size_t position = 0; position < text.size();) {
    const Found found = find(text, position);
    if (found.token == nullptr) {
      ++position;
      continue;
    }
    Range range{position, found.end};
    position = found.end;
    if (found.token->read == AddedToken::Read::kWhenParsingSpecial && !parse_special) continue;
    if (!fits(*found.token, text, range, taken)) continue;
    // As in the reference, a token found in white space that the one before has taken is read again.
    if (range.begin > taken) take_text(text.substr(taken, range.begin - taken));
    take_token(found.token->id);
    taken = range.end;
  }
  if (taken < text.size()) take_text(text.substr(taken));
}

}  // namespace megalith
