#pragma once
// The look-up tables that tokenizers share: token texts and merges.
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

/// A vocabulary and the index of its texts.
class TokenTable {
 public:
  /// Throws kInvalidModel for two tokens of the same text, and for more than 4 GiB of text.
  explicit TokenTable(Vocabulary vocabulary);
  const Vocabulary& vocabulary() const { return vocabulary_; }
  size_t size() const { return vocabulary_.tokens.size(); }
  const std::string& text(TokenId token) const { return vocabulary_.tokens[token]; }
  TokenType type(TokenId token) const {
    return vocabulary_.types.empty() ? TokenType::kNormal : vocabulary_.types[token];
  }
  /// The id, or -1.
  TokenId find(std::string_view text) const { return index_.find(vocabulary_.tokens, text); }
  const TokenIndex& index() const { return index_; }
  /// Throws kUsage for an id outside the vocabulary.
  void check_id(TokenId token) const;
  [[noreturn]] void fail(const std::string& what) const;  // kInvalidModel, naming the source

 private:
  Vocabulary vocabulary_;
  TokenIndex index_;
};

/// Puts all merges of the vocabulary into `merges`. Throws kInvalidModel for one that is malformed or names a missing
/// token.
void index_merges(const TokenTable& table, MergeTable& merges);

/// The byte that "<0x0A>" names, or -1.
int byte_named_by(std::string_view text);

/// [256]: the tokens of type kByte by the byte that each names; -1: none. Throws kInvalidModel for one that names none.
std::array<TokenId, 256> index_bytes(const TokenTable& table);

/// Whether each byte has a token in such a table.
bool has_all_bytes(const std::array<TokenId, 256>& byte_tokens, std::string_view bytes);
/// Appends the tokens of the bytes; false, and nothing is appended, if one has none.
bool append_byte_tokens(std::vector<TokenId>& out, const std::array<TokenId, 256>& byte_tokens, std::string_view bytes);

}  // namespace megalith
