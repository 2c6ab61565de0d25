#include "text/gguf_vocabulary.h"

#include <fmt/core.h>

#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/folder_vocabulary.h"
#include "text/pre_tokenizer.h"

namespace megalith {

namespace {

std::optional<TokenId> find_token(const Checkpoint& checkpoint, std::string_view key) {
  const std::optional<int64_t> id = checkpoint.metadata().find_integer(key);
  if (!id) return std::nullopt;
  if (*id < 0 || *id > std::numeric_limits<TokenId>::max()) {
    // "No such token", in some converters' files.
    if (*id == -1 || *id == std::numeric_limits<uint32_t>::max()) return std::nullopt;
    throw Error(ErrorKind::kInvalidModel,
                fmt::format("{}: key '{}' is {}, which is no token id", checkpoint.path(), key, *id));
  }
  return static_cast<TokenId>(*id);
}

std::vector<std::string> copy_strings(const Metadata& metadata, std::string_view key) {
  const std::vector<std::string_view> views = metadata.strings(key);
  return {views.begin(), views.end()};
}

std::vector<TokenType> read_types(const Checkpoint& checkpoint) {
  constexpr std::string_view kKey = "tokenizer.ggml.token_type";
  std::vector<TokenType> types;
  for (const int64_t type : checkpoint.metadata().integers(kKey)) {
    if (type < 0 || type > static_cast<int64_t>(TokenType::kByte)) {
      throw Error(ErrorKind::kInvalidModel,
                  fmt::format("{}: key '{}' holds {}, expected 1 (normal) to 6 (byte)", checkpoint.path(), kKey, type));
    }
    // 0 is ggml's "undefined", which it reads as it reads a normal token.
    types.push_back(type == 0 ? TokenType::kNormal : static_cast<TokenType>(type));
  }
  return types;
}

/// SentencePiece's normaliser as the file describes it; none where the kind of tokenizer decides.
std::optional<Pipeline> read_pipeline(const Metadata& metadata, std::string_view model) {
  if (model != "llama" && model != "t5") return std::nullopt;
  // Where the file is silent, these are the tokenizers of Llama 2 and of T5.
  const bool has_prefix = metadata.find_boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  Pipeline pipeline = sentence_piece_pipeline(has_prefix ? SpacePrefix::kAdded : SpacePrefix::kOmitted);
  if (model == "llama") return pipeline;
  using Kind = NormalizerStep::Kind;
  std::vector<NormalizerStep> before;
  std::string map;
  for (const int64_t byte : metadata.integers("tokenizer.ggml.precompiled_charsmap")) map += static_cast<char>(byte);
  if (!map.empty()) before.push_back({Kind::kCharacterMap, "", std::move(map)});
  if (metadata.find_boolean("tokenizer.ggml.remove_extra_whitespaces").value_or(true)) {
    before.push_back({Kind::kStripLeft});
    before.push_back({Kind::kStripRight});
    before.push_back({Kind::kReplaceMatches, " {2,}", " "});
  }
  pipeline.normalizer.insert(pipeline.normalizer.begin(), before.begin(), before.end());
  return pipeline;
}

Vocabulary read_from_metadata(const Checkpoint& checkpoint) {
  const Metadata& metadata = checkpoint.metadata();
  constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
  if (!metadata.has(kTokens)) {
    throw Error(ErrorKind::kInvalidModel,
                fmt::format("{}: the file has no tokenizer: key '{}' is missing", checkpoint.path(), kTokens));
  }
  Vocabulary vocabulary;
  vocabulary.source = checkpoint.path();
  vocabulary.model = metadata.string("tokenizer.ggml.model");
  vocabulary.pre = metadata.find_string("tokenizer.ggml.pre").value_or("");
  vocabulary.tokens = copy_strings(metadata, kTokens);
  vocabulary.types = read_types(checkpoint);
  for (const double score : metadata.numbers("tokenizer.ggml.scores")) {
    vocabulary.scores.push_back(score);
  }
  vocabulary.merges = copy_strings(metadata, "tokenizer.ggml.merges");
  vocabulary.bos = find_token(checkpoint, "tokenizer.ggml.bos_token_id");
  vocabulary.eos = find_token(checkpoint, "tokenizer.ggml.eos_token_id");
  vocabulary.eot = find_token(checkpoint, "tokenizer.ggml.eot_token_id");
  vocabulary.unk = find_token(checkpoint, "tokenizer.ggml.unknown_token_id");
  vocabulary.pad = find_token(checkpoint, "tokenizer.ggml.padding_token_id");
  if (vocabulary.model == "bert") {
    // The key is misspelt in the format itself.
    if (const auto first = find_token(checkpoint, "tokenizer.ggml.cls_token_id")) vocabulary.bos = first;
    if (const auto last = find_token(checkpoint, "tokenizer.ggml.seperator_token_id")) vocabulary.eos = last;
  }
  if (const auto end_of_message = find_token(checkpoint, "tokenizer.ggml.eom_token_id")) {
    vocabulary.end_of_generation.push_back(*end_of_message);
  }
  vocabulary.add_bos = metadata.find_boolean("tokenizer.ggml.add_bos_token");
  vocabulary.add_eos = metadata.find_boolean("tokenizer.ggml.add_eos_token");
  vocabulary.pipeline = read_pipeline(metadata, vocabulary.model);
  return vocabulary;
}

void override_pre_tokenizer(Vocabulary& vocabulary, std::string_view name) {
  if (find_pre_tokenizer(name) == nullptr) {
    throw Error(ErrorKind::kUsage,
                fmt::format("--pre-tokenizer: '{}' is not known (known: {})", name, known_pre_tokenizers()));
  }
  if (vocabulary.model != "gpt2" && vocabulary.model != "tiktoken") {
    throw Error(ErrorKind::kUsage,
                fmt::format("--pre-tokenizer: {} has a tokenizer of the kind '{}', which does not cut "
                            "text that way; leave the option out",
                            vocabulary.source, vocabulary.model));
  }
  vocabulary.pre = name;
  vocabulary.pipeline.reset();
}

}  // namespace

Vocabulary read_vocabulary(const Checkpoint& checkpoint, std::string_view pre_tokenizer) {
  const bool is_folder = checkpoint.naming() == Naming::kHuggingFace;
  Vocabulary vocabulary = is_folder ? read_vocabulary_from_folder(checkpoint.path()) : read_from_metadata(checkpoint);
  if (!pre_tokenizer.empty()) override_pre_tokenizer(vocabulary, pre_tokenizer);
  return vocabulary;
}

std::optional<std::string> read_chat_template(const Checkpoint& checkpoint) {
  if (checkpoint.naming() == Naming::kHuggingFace) return read_chat_template_from_folder(checkpoint.path());
  const auto source = checkpoint.metadata().find_string("tokenizer.chat_template");
  if (!source) return std::nullopt;
  return std::string(*source);
}

}  // namespace megalith
