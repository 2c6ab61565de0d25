#pragma once
// The look-up tables that tokenizers share: texts, merges, and the texts of special tokens.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace megalith {

/// Token text -> id. Refers to the texts by id; the caller keeps them. Where many look-ups follow each other, asking
/// for their slots ahead of use hides most of the memory's latency: a large vocabulary outgrows the caches.
class TokenIndex {
 public:
  explicit TokenIndex(size_t token_count);
  static uint32_t hash_of(std::string_view text);
  void prefetch(uint32_t hash) const { __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]); }
  /// The id that already has this text, or -1 after adding it as `token`.
  TokenId insert(const std::vector<std::string>& texts, TokenId token, uint32_t hash);
  /// The id, or -1.
  TokenId find(const std::vector<std::string>& texts, std::string_view text, uint32_t hash) const;
  TokenId find(const std::vector<std::string>& texts, std::string_view text) const {
    return find(texts, text, hash_of(text));
  }

 private:
  struct Slot {
    uint32_t hash = 0;
    TokenId token = -1;
  };
  std::vector<Slot> slots_;  // open addressing; the size is a power of two
};

/// (left id, right id) -> rank and resulting id.
class MergeTable {
 public:
  static constexpr int32_t kNoMerge = INT32_MAX;
  struct Merge {
    int32_t rank = kNoMerge;
    TokenId result = -1;
  };
  explicit MergeTable(size_t merge_count);
  void prefetch(TokenId left, TokenId right) const { __builtin_prefetch(&slots_[first_slot(left, right)]); }
  /// A pair that is there already gets the new rank, as in the reference.
  void insert(TokenId left, TokenId right, Merge merge);
  Merge find(TokenId left, TokenId right) const;

 private:
  struct Slot {
    TokenId left = -1, right = -1;
    Merge merge;
  };
  size_t first_slot(TokenId left, TokenId right) const;
  size_t slot_of(TokenId left, TokenId right) const;
  std::vector<Slot> slots_;  // open addressing; the size is a power of two
};

/// The texts of special tokens as a trie of bytes.
class SpecialTokens {
 public:
  enum class Match { kAlways, kWhenParsing };
  struct Found {
    TokenId token = -1;  // -1: none
    size_t length_bytes = 0;
  };
  SpecialTokens();
  void insert(std::string_view text, TokenId token, Match match);
  /// The longest token at `position`.
  Found find(std::string_view text, size_t position, bool parse_special) const;

 private:
  struct Node {
    uint8_t byte = 0;
    Match match = Match::kAlways;
    TokenId token = -1;
    int32_t first_child = -1, next_sibling = -1;
  };
  int32_t child(int32_t node, uint8_t byte) const;
  std::vector<Node> nodes_;                 // [0] is the root
  std::array<int32_t, 256> root_children_;  // -1: no token starts with this byte
};

/// Puts all texts of the vocabulary into `index`; gives their bytes together. Throws kInvalidModel for two tokens of
/// the same text, and for more than 4 GiB of text.
size_t index_texts(const Vocabulary& vocabulary, TokenIndex& index);

/// Puts all merges of the vocabulary into `merges`. Throws kInvalidModel for one that is malformed or names a missing
/// token.
void index_merges(const Vocabulary& vocabulary, const TokenIndex& index, MergeTable& merges);

/// Throws kUsage for a text of more than 1 GiB: positions inside a word are 32 bits.
void check_text_size(std::string_view text);

/// Throws kUsage for an id outside the vocabulary.
void check_token_id(const Vocabulary& vocabulary, TokenId token);

/// Cuts special tokens out of `text`, the leftmost first and the longest at a place: calls `take_text(part)` for each
/// part between them, which may be empty, and `take_token(id)` for each of them, in their order.
template <typename TakeText, typename TakeToken>
void for_each_part(const SpecialTokens& special_tokens, std::string_view text, bool parse_special, TakeText take_text,
                   TakeToken take_token) {
  size_t text_begin = 0;
  for (size_t position = 0; position < text.size();) {
    const SpecialTokens::Found found = special_tokens.find(text, position, parse_special);
    if (found.token < 0) {
      ++position;
      continue;
    }
    take_text(text.substr(text_begin, position - text_begin));
    take_token(found.token);
    position += found.length_bytes;
    text_begin = position;
  }
  take_text(text.substr(text_begin));
}

}  // namespace megalith
