#pragma once
// Pre-tokenizers by their names in GGUF files: how a text is normalised and cut into words before byte-pair merging, as
// the makers published it.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/word_splitter.h"

namespace megalith {

struct PreTokenizer {
  enum class Normalisation { kNone, kNfc };
  /// Whether a whole word that is a token is that token, without merging (tokenizer.json's ignore_merges).
  enum class WholeWords { kMerge, kTakeIfKnown };
  /// Whether BOS is added where the file does not say.
  enum class Bos { kOmitted, kAdded };

  std::vector<std::string_view> names;  // values of GGUF's `tokenizer.ggml.pre` that mean this row
  Normalisation normalisation;
  std::vector<SplitStage> stages;
  WholeWords whole_words;
  Bos bos;
};

/// All rows; the first name of each is the row's own.
std::span<const PreTokenizer> pre_tokenizers();

/// The row of a name, or nullptr.
const PreTokenizer* find_pre_tokenizer(std::string_view name);

/// Every name that find_pre_tokenizer knows, separated by ", ".
std::string known_pre_tokenizers();

}  // namespace megalith
