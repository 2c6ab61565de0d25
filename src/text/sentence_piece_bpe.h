#pragma once
// SentencePiece's byte-pair encoding (Kudo and Richardson 2018) with byte fallback, as Llama 2, Mistral and Gemma use
// it: merging starts from characters, a space is the character U+2581, and a character that no piece covers becomes the
// tokens of its bytes. Two orders of merging, as the model file has it:
//   scores (GGUF): as in SentencePiece, two neighbours merge if their text together is a piece; the piece of the
//   highest
//                  score first, the leftmost of equals;
//   merges (tokenizer.json): as in Hugging Face's `tokenizers`, the pair of the lowest rank first, the leftmost of
//                  equals.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/token_tables.h"
#include "text/tokenizer.h"

namespace megalith {

class SentencePieceBpe final : public Tokenizer {
 public:
  /// `vocabulary` has passed make_tokenizer's checks that hold for every algorithm. Throws kInvalidModel for duplicated
  /// tokens, byte tokens that name no byte, scores that are no numbers, and merges that are malformed or name missing
  /// tokens.
  SentencePieceBpe(Vocabulary vocabulary, std::vector<bool> ends_generation);

  std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override;
  std::string_view bytes(TokenId token, Special special) const override;
  /// Without the space that encode() puts before a text.
  std::string decode(std::span<const TokenId> tokens, Special special) const override;
  int32_t size() const override { return static_cast<int32_t>(vocabulary_.tokens.size()); }
  TokenType type(TokenId token) const override;
  std::optional<TokenId> find(std::string_view text) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  bool ends_generation(TokenId token) const override;

 private:
  struct Scratch;
  enum class Place { kStart, kLater };
  void check_id(TokenId token) const;
  TokenType type_of(size_t token) const;
  bool is_piece(TokenId token) const;
  bool merges_by_score() const { return !ranks_.empty(); }
  void index_tokens();
  void index_special(TokenId token);
  void index_bytes();
  void index_scores();
  void find_words_that_go_on();
  std::string normalise(std::string_view text, Place place) const;
  void encode_stretch(std::string_view text, Scratch& scratch) const;
  void encode_run(std::string_view text, Scratch& scratch) const;
  void encode_words(std::string_view text, Scratch& scratch) const;
  void encode_word(std::string_view word, Scratch& scratch) const;
  bool starts_word(std::string_view text, size_t space) const;
  void start_symbols(Scratch& scratch) const;
  TokenId find_piece(std::string_view text) const;
  bool find_merge(int32_t position, Scratch& scratch) const;
  void merge_symbols(Scratch& scratch) const;
  void put_piece(std::string_view piece, TokenId token, Scratch& scratch) const;
  void put_unknown(std::string_view character, Scratch& scratch) const;
  bool has_all_bytes(std::string_view text) const;

  Vocabulary vocabulary_;
  std::vector<bool> ends_generation_;  // [n_vocab]
  TokenIndex index_;
  MergeTable merges_;           // empty where scores decide
  std::vector<int32_t> ranks_;  // [n_vocab]: a higher score is a lower rank; empty where merges decide
  SpecialTokens special_tokens_;
  SpecialTokens normalised_tokens_;           // those to be found in normalised text
  std::array<TokenId, 256> byte_tokens_;      // -1: the vocabulary lacks the byte
  std::array<TokenId, 128> ascii_tokens_;     // pieces of one ASCII character; -1: none
  std::vector<char32_t> before_inner_space_;  // sorted: characters that stand before a U+2581 inside a piece
  size_t longest_piece_bytes_ = 0;
  std::string token_bytes_;            // bytes of all tokens, one after another
  std::vector<uint32_t> bytes_begin_;  // [n_vocab + 1]
};

}  // namespace megalith
