#pragma once
// Byte-level byte-pair encoding (GPT-2, Radford et al. 2019), with the merge order of Hugging Face's `tokenizers`:
// of all adjacent pairs of a word the one of the lowest rank merges first, the leftmost of equals.
#include <array>
#include <string>
#include <string_view>

#include "text/pipeline.h"
#include "text/token_model.h"
#include "text/token_tables.h"

namespace megalith {

class ByteLevelBpe final : public TokenModel {
 public:
  /// kFromIds: no merges are listed; any two neighbours that together are a token may merge, and its id is the rank
  /// (tiktoken).
  enum class Ranks { kFromMerges, kFromIds };
  /// Keeps a reference to `table`. Throws kInvalidModel for merges that are malformed or name missing tokens.
  ByteLevelBpe(const TokenTable& table, Ranks ranks, Pipeline::WholeWords whole_words);

  void encode(std::string_view word, Scratch& scratch) const override;
  bool encode_bytes(std::string_view bytes, Scratch& scratch) const override;
  void append_bytes(std::string& out, TokenId token) const override;

 private:
  void merge_short(Scratch& scratch) const;
  void merge_long(Scratch& scratch) const;

  const TokenTable& table_;
  Pipeline::WholeWords whole_words_;
  MergeTable merges_;
  std::array<TokenId, 256> byte_tokens_;  // -1: the vocabulary lacks the byte
};

}  // namespace megalith
