#include "models/hyperparameters.h"

#include <fmt/core.h>

#include <algorithm>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace megalith {

namespace {

// Far above any model there is, far below what would overflow a product of them.
constexpr IntegerRange kLayerRange{1, 4096};
constexpr IntegerRange kHeadRange{1, 1 << 16};
constexpr IntegerRange kContextRange{1, 1 << 30};
constexpr IntegerRange kVocabularyRange{1, 1 << 28};

std::string describe(const MetadataValue& value) {
  if (const auto* boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&value)) return fmt::format("{}", *integer);
  if (const auto* integer = std::get_if<uint64_t>(&value)) return fmt::format("{}", *integer);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{:g}", *number);
  if (const auto* text = std::get_if<std::string_view>(&value)) return in_quotes(*text);
  return "a list";
}

int32_t read_vocabulary_size(const Checkpoint& checkpoint, const Hyperparameters& hyperparameters) {
  const NamedWeight* embedding = checkpoint.find("token_embd.weight");
  const std::optional<int32_t> named = hyperparameters.find_integer("vocab_size", kVocabularyRange);
  // A missing or misshapen embedding is named by whoever loads it.
  if (embedding == nullptr || embedding->shape.size() != 2) return named.value_or(1);
  const int64_t rows = embedding->shape[0];
  if (named && *named != rows) {
    hyperparameters.refuse("vocab_size", fmt::format("but token_embd.weight has {} rows", rows));
  }
  if (rows > kVocabularyRange.most) {
    throw Error(ErrorKind::kInvalidModel,
                fmt::format("{}: token_embd.weight has {} rows, more than any vocabulary", checkpoint.path(), rows));
  }
  constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
  if (const MetadataValue* value = checkpoint.metadata().find(kTokens)) {
    const auto* tokens = std::get_if<std::vector<std::string_view>>(value);
    if (tokens != nullptr && static_cast<int64_t>(tokens->size()) != rows) {
      throw Error(ErrorKind::kInvalidModel,
                  fmt::format("{}: key '{}' lists {} tokens, but token_embd.weight has {} rows", checkpoint.path(),
                              kTokens, tokens->size(), rows));
    }
  }
  return static_cast<int32_t>(rows);
}

/// A pattern is a list of which layers see only their window, or a number: the last of so many layers sees all.
std::vector<int32_t> read_windows(const Hyperparameters& hyperparameters, int32_t layers, WindowPattern pattern) {
  constexpr std::string_view kPattern = "attention.sliding_window_pattern";
  // Files write 0 for no window.
  const int32_t window = hyperparameters.find_integer("attention.sliding_window", {0, kContextRange.most}).value_or(0);
  std::vector<int32_t> windows(static_cast<size_t>(layers), window);
  if (const MetadataValue* value = hyperparameters.find(kPattern)) {
    if (const auto* is_local = std::get_if<std::vector<bool>>(value)) {
      if (is_local->size() != windows.size()) {
        hyperparameters.refuse(kPattern, fmt::format("of {} layers, expected {}", is_local->size(), layers));
      }
      for (size_t i = 0; i < windows.size(); ++i) {
        if (!(*is_local)[i]) windows[i] = 0;
      }
      return windows;
    }
    pattern.global_every = hyperparameters.integer(kPattern, {0, kLayerRange.most});
  }
  if (pattern.global_every > 0) {
    for (size_t i = 0; i < windows.size(); ++i) {
      if ((i + 1) % static_cast<size_t>(pattern.global_every) == 0) windows[i] = 0;
    }
  }
  return windows;
}

}  // namespace

Hyperparameters::Hyperparameters(const Checkpoint& checkpoint, std::string_view architecture)
    : checkpoint_(checkpoint), prefix_(std::string(architecture) + ".") {}

std::string Hyperparameters::key(std::string_view name) const { return prefix_ + std::string(name); }

void Hyperparameters::refuse(std::string_view name, std::string_view why) const {
  const MetadataValue* value = checkpoint_.metadata().find(key(name));
  throw Error(ErrorKind::kInvalidModel, fmt::format("{}: key '{}' is {}, {}", checkpoint_.path(), key(name),
                                                    value != nullptr ? describe(*value) : "missing", why));
}

std::optional<int32_t> Hyperparameters::find_integer(std::string_view name, IntegerRange range) const {
  const std::optional<int64_t> value = checkpoint_.metadata().find_integer(key(name));
  if (!value) return std::nullopt;
  if (*value < range.least || *value > range.most) {
    refuse(name, fmt::format("expected {} to {}", range.least, range.most));
  }
  return static_cast<int32_t>(*value);
}

int32_t Hyperparameters::integer(std::string_view name, IntegerRange range) const {
  const std::optional<int32_t> value = find_integer(name, range);
  if (!value) refuse(name, "but this architecture needs it");
  return *value;
}

std::optional<double> Hyperparameters::find_number(std::string_view name, NumberRange range) const {
  const std::optional<double> value = checkpoint_.metadata().find_number(key(name));
  if (!value) return std::nullopt;
  // Written so that a NaN is refused too.
  if (!(*value >= range.least && *value <= range.most)) {
    refuse(name, fmt::format("expected {:g} to {:g}", range.least, range.most));
  }
  return value;
}

double Hyperparameters::number(std::string_view name, NumberRange range) const {
  const std::optional<double> value = find_number(name, range);
  if (!value) refuse(name, "but this architecture needs it");
  return *value;
}

std::optional<std::string_view> Hyperparameters::find_string(std::string_view name) const {
  return checkpoint_.metadata().find_string(key(name));
}

const MetadataValue* Hyperparameters::find(std::string_view name) const {
  return checkpoint_.metadata().find(key(name));
}

DecoderShape read_decoder_shape(const Checkpoint& checkpoint, const Hyperparameters& hyperparameters,
                                WindowPattern pattern) {
  DecoderShape shape;
  shape.layers = hyperparameters.integer("block_count", kLayerRange);
  shape.hidden_width = hyperparameters.integer("embedding_length", kWidthRange);
  // Where every layer is a mixture of experts, files may not say how wide a dense one would be.
  const bool has_experts = checkpoint.metadata().has(hyperparameters.key("expert_feed_forward_length"));
  shape.intermediate_width = has_experts ? hyperparameters.find_integer("feed_forward_length", kWidthRange).value_or(0)
                                         : hyperparameters.integer("feed_forward_length", kWidthRange);
  shape.heads = hyperparameters.integer("attention.head_count", kHeadRange);
  shape.kv_heads = hyperparameters.find_integer("attention.head_count_kv", kHeadRange).value_or(shape.heads);
  if (shape.heads % shape.kv_heads != 0) {
    hyperparameters.refuse("attention.head_count_kv",
                           fmt::format("which does not divide the {} heads of '{}'", shape.heads,
                                       hyperparameters.key("attention.head_count")));
  }
  const std::optional<int32_t> key_width = hyperparameters.find_integer("attention.key_length", kWidthRange);
  if (!key_width && shape.hidden_width % shape.heads != 0) {
    hyperparameters.refuse(
        "attention.head_count",
        fmt::format("which does not divide '{}', {}", hyperparameters.key("embedding_length"), shape.hidden_width));
  }
  shape.key_width = key_width.value_or(shape.hidden_width / shape.heads);
  shape.value_width = hyperparameters.find_integer("attention.value_length", kWidthRange)
                          .value_or(key_width ? *key_width : shape.hidden_width / shape.heads);
  shape.epsilon = static_cast<float>(hyperparameters.number("attention.layer_norm_rms_epsilon", NumberRange{0.0, 1.0}));
  shape.context_tokens = hyperparameters.integer("context_length", kContextRange);
  shape.windows = read_windows(hyperparameters, shape.layers, pattern);
  shape.vocabulary_size = read_vocabulary_size(checkpoint, hyperparameters);
  return shape;
}

}  // namespace megalith
