#pragma once
// Byte-level byte-pair encoding (GPT-2, Radford et al. 2019), with the merge order of Hugging Face's `tokenizers`:
// of all adjacent pairs of a word the one of the lowest rank merges first, the leftmost of equals.
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/pre_tokenizer.h"
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

class ByteLevelBpe final : public Tokenizer {
 public:
  /// `vocabulary` has passed make_tokenizer's checks that hold for every algorithm. Throws kInvalidModel for duplicated
  /// tokens and for merges that are malformed or name missing tokens.
  ByteLevelBpe(Vocabulary vocabulary, const PreTokenizer& pre_tokenizer, std::vector<bool> ends_generation);

  std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override;
  std::string_view bytes(TokenId token, Special special) const override;
  int32_t size() const override { return static_cast<int32_t>(vocabulary_.tokens.size()); }
  TokenType type(TokenId token) const override;
  std::optional<TokenId> find(std::string_view text) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  bool ends_generation(TokenId token) const override;

 private:
  struct Scratch;
  void check_id(TokenId token) const;
  TokenType type_of(size_t token) const;
  void index_tokens();
  void index_merges();
  struct MergeTexts;
  MergeTexts merge_texts(size_t rank) const;
  TokenId merge_result(const MergeTexts& texts, TokenId guess) const;
  [[noreturn]] void fail_merge(size_t rank, std::string_view missing) const;
  void encode_text(std::string_view text, Scratch& scratch) const;
  void encode_valid(std::string_view text, Scratch& scratch) const;
  void encode_invalid(std::string_view bytes, Scratch& scratch) const;
  void encode_word(std::string_view word, Scratch& scratch) const;
  void merge_short(Scratch& scratch) const;
  void merge_long(Scratch& scratch) const;

  Vocabulary vocabulary_;
  const PreTokenizer& pre_tokenizer_;
  std::vector<bool> ends_generation_;  // [n_vocab]
  TokenIndex index_;
  MergeTable merges_;
  SpecialTokens special_tokens_;
  std::array<TokenId, 256> byte_tokens_;  // -1: the vocabulary lacks the byte
  std::string token_bytes_;               // bytes of all tokens, one after another
  std::vector<uint32_t> bytes_begin_;     // [n_vocab + 1]
};

}  // namespace megalith
