#pragma once
// The unigram language model of SentencePiece (Kudo 2018): of all ways to cut a text into pieces the one whose scores
// sum highest, as Unigram of Hugging Face's `tokenizers` finds it.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "text/token_model.h"
#include "text/token_tables.h"

namespace megalith {

class Unigram final : public TokenModel {
 public:
  /// Keeps a reference to `table`. A character that no piece covers becomes the tokens of its bytes where the
  /// vocabulary has them all, else the unknown token, one for neighbouring ones. Throws kInvalidModel for a score that
  /// is no number.
  explicit Unigram(const TokenTable& table);

  void encode(std::string_view text, Scratch& scratch) const override;
  bool encode_bytes(std::string_view bytes, Scratch& scratch) const override;
  void append_bytes(std::string& out, TokenId token) const override;
  void append_added(std::string& out, std::string_view text) const override;

 private:
  void find_best_way(std::string_view text, Scratch& scratch) const;
  template <typename Take>
  void for_each_piece_at(std::string_view text, Take take) const;
  void put_unknown(std::string_view text, Scratch& scratch) const;

  const TokenTable& table_;
  std::vector<TokenId> sorted_;             // pieces by their texts
  std::array<uint32_t, 257> first_byte_{};  // [b], [b + 1]: the pieces in sorted_ that begin with byte b
  std::array<TokenId, 256> byte_tokens_;    // -1: the vocabulary lacks the byte
  double unknown_score_ = 0;
};

}  // namespace megalith
