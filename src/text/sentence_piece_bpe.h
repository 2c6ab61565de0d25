#pragma once
// SentencePiece's byte-pair encoding (Kudo and Richardson 2018) with byte fallback, as Llama 2, Mistral and Gemma use
// it: merging starts from characters, a space is the character U+2581, and a character that no piece covers becomes the
// tokens of its bytes. Two orders of merging, as the model file has it:
//   scores (GGUF): as in SentencePiece, two neighbours merge if their text together is a piece; the piece of the
//                  highest score first, the leftmost of equals;
//   merges (tokenizer.json): as in Hugging Face's `tokenizers`, the pair of the lowest rank first, the leftmost of
//                  equals.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/token_model.h"
#include "text/token_tables.h"

namespace megalith {

class SentencePieceBpe final : public TokenModel {
 public:
  /// Keeps a reference to `table`. Throws kInvalidModel for byte tokens that name no byte, scores that are no numbers,
  /// and merges that are malformed or name missing tokens.
  explicit SentencePieceBpe(const TokenTable& table);

  void encode(std::string_view text, Scratch& scratch) const override;
  bool encode_bytes(std::string_view bytes, Scratch& scratch) const override;
  void append_bytes(std::string& out, TokenId token) const override;
  void append_added(std::string& out, std::string_view text) const override;

 private:
  class Word;
  bool is_piece(TokenId token) const;
  bool merges_by_score() const { return !ranks_.empty(); }
  void index_pieces();
  void index_scores();
  void find_words_that_go_on();
  bool starts_word(std::string_view text, size_t space) const;
  TokenId find_piece(std::string_view text) const;

  const TokenTable& table_;

  MergeTable merges_;                         // empty where scores decide
  std::vector<int32_t> ranks_;                // [n_vocab]: a higher score is a lower rank; empty where merges decide
  std::array<TokenId, 256> byte_tokens_;      // -1: the vocabulary lacks the byte
  std::array<TokenId, 128> ascii_tokens_;     // pieces of one ASCII character; -1: none
  std::vector<char32_t> before_inner_space_;  // sorted: characters that stand before a U+2581 inside a piece
  size_t longest_piece_bytes_ = 0;
};

}  // namespace megalith
