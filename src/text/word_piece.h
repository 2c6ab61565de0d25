#pragma once
// WordPiece (Schuster and Nakajima 2012) as BERT uses it: from the left the longest piece that fits; a word that cannot
// be covered is unknown as a whole.
#include <string>
#include <string_view>

#include "text/token_model.h"
#include "text/token_tables.h"

namespace megalith {

class WordPiece final : public TokenModel {
 public:
  /// What a stored text begins with: "" and "##" (tokenizer.json), or U+2581 and "" (GGUF).
  struct Prefixes {
    std::string_view first, continuing;
  };
  static constexpr Prefixes kOfTokenizerJson{"", "##"}, kOfGguf{"\xE2\x96\x81", ""};
  static constexpr size_t kMostCharacters = 100;  // a longer word is unknown

  /// Keeps a reference to `table`. Throws kInvalidModel if the vocabulary has no unknown token.
  WordPiece(const TokenTable& table, const Prefixes& prefixes);

  void encode(std::string_view word, Scratch& scratch) const override;
  bool encode_bytes(std::string_view bytes, Scratch& scratch) const override;
  /// A space before whatever does not continue a word.
  void append_bytes(std::string& out, TokenId token) const override;
  void append_added(std::string& out, std::string_view text) const override;

 private:
  TokenId longest_piece(std::string_view word, size_t begin, size_t& length, Scratch& scratch) const;

  const TokenTable& table_;
  Prefixes prefixes_;
  size_t longest_piece_bytes_ = 0;
};

}  // namespace megalith
