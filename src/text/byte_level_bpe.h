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
#include "text/token_tables.h"
#include "text/tokenizer.h"

namespace megalith {

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
  void encode_text(std::string_view text, Scratch& scratch) const;
  void encode_valid(std::string_view text, Scratch& scratch) const;
  void encode_invalid(std::string_view bytes, Scratch& scratch) const;
  void encode_word(std::string_view word, Scratch& scratch) const;
  void merge_short(Scratch& scratch) const;
  void merge_long(Scratch& scratch) const;

  Vocabulary vocabulary_;
  const PreTokenizer& pre_tokenizer_;
  WordSplitter splitter_;
  std::vector<bool> ends_generation_;  // [n_vocab]
  TokenIndex index_;
  MergeTable merges_;
  SpecialTokens special_tokens_;
  std::array<TokenId, 256> byte_tokens_;  // -1: the vocabulary lacks the byte
  std::string token_bytes_;               // bytes of all tokens, one after another
  std::vector<uint32_t> bytes_begin_;     // [n_vocab + 1]
};

}  // namespace megalith
