#pragma once
// A tokenizer as Hugging Face's `tokenizers` builds them: added tokens are cut out, what is between them is normalised
// and cut into words, the model turns each word into tokens.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/normalizer.h"
#include "text/pipeline.h"
#include "text/token_model.h"
#include "text/token_tables.h"
#include "text/tokenizer.h"
#include "text/word_splitter.h"

namespace megalith {

class PipelineTokenizer final : public Tokenizer {
 public:
  /// `table` holds a vocabulary whose pipeline, added tokens, leading and trailing tokens are set; `model` refers to
  /// it. Throws kInvalidModel for a malformed expression.
  PipelineTokenizer(std::unique_ptr<const TokenTable> table, std::unique_ptr<const TokenModel> model,
                    std::vector<bool> ends_generation);

  std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override;
  std::string_view bytes(TokenId token, Special special) const override;
  std::string decode(std::span<const TokenId> tokens, Special special) const override;
  int32_t size() const override { return static_cast<int32_t>(table_->size()); }
  TokenType type(TokenId token) const override;
  std::optional<TokenId> find(std::string_view text) const override;
  const Vocabulary& vocabulary() const override { return table_->vocabulary(); }
  bool ends_generation(TokenId token) const override;

 private:
  class Encoding;
  const Pipeline& pipeline() const { return settled(table_->vocabulary().pipeline); }
  void index_added_tokens();
  void index_bytes();

  std::unique_ptr<const TokenTable> table_;
  std::unique_ptr<const TokenModel> model_;
  std::vector<bool> ends_generation_;  // [n_vocab]
  Normalizer normalizer_;
  WordSplitter splitter_;
  AddedTokens added_tokens_;             // found in the raw text
  AddedTokens normalised_added_tokens_;  // found after normalising
  std::string token_bytes_;              // bytes of all tokens, one after another
  std::vector<uint32_t> bytes_begin_;    // [n_vocab + 1]
};

}  // namespace megalith
