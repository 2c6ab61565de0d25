#include "text/pre_tokenizer.h"

#include <algorithm>

namespace megalith {
namespace {

using Normalisation = PreTokenizer::Normalisation;
using WholeWords = PreTokenizer::WholeWords;
using Bos = PreTokenizer::Bos;

/// A stage whose matches, and what lies between them, become words.
SplitStage isolate(std::string_view expression) { return {.expression = std::string(expression)}; }

// After tiktoken's cl100k_base; Llama 3 and Qwen 2 differ in how many numbers make a word.
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// One row a pre-tokenizer (docs/text.md says how to add one).
const std::vector<PreTokenizer>& rows() {
  static const std::vector<PreTokenizer> kRows = {
      {{"gpt-2", "default", "phi-2"},
       Normalisation::kNone,
       {isolate(kGpt2Expression)},
       WholeWords::kMerge,
       Bos::kOmitted},
      {{"smollm", "starcoder", "refact"},
       Normalisation::kNone,
       {isolate(kDigitsExpression), isolate(kGpt2Expression)},
       WholeWords::kMerge,
       Bos::kOmitted},
      {{"qwen2", "deepseek-r1-qwen"}, Normalisation::kNfc, {isolate(kQwen2)}, WholeWords::kMerge, Bos::kOmitted},
      {{"llama-bpe", "llama3", "llama-v3"},
       Normalisation::kNone,
       {isolate(kLlama3)},
       WholeWords::kTakeIfKnown,
       Bos::kAdded},
      {{"smaug-bpe"}, Normalisation::kNone, {isolate(kLlama3)}, WholeWords::kMerge, Bos::kOmitted},
  };
  return kRows;
}

}  // namespace

std::span<const PreTokenizer> pre_tokenizers() { return rows(); }

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
  for (const PreTokenizer& row : rows()) {
    if (std::find(row.names.begin(), row.names.end(), name) != row.names.end()) return &row;
  }
  return nullptr;
}

std::string known_pre_tokenizers() {
  std::string list;
  for (const PreTokenizer& row : rows()) {
    for (std::string_view name : row.names) {
      if (!list.empty()) list += ", ";
      list += name;
    }
  }
  return list;
}

}  // namespace megalith
