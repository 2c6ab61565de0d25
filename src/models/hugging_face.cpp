#include "models/hugging_face.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/utf8.h"
#include "models/rope.h"

namespace megalith {

namespace {

constexpr std::array kModules{
    ModuleName{"model.embed_tokens", "token_embd"},
    ModuleName{"model.norm", "output_norm"},
    ModuleName{"lm_head", "output"},
    ModuleName{"model.layers.#.input_layernorm", "blk.#.attn_norm"},
    ModuleName{"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm"},
    ModuleName{"model.layers.#.self_attn.q_proj", "blk.#.attn_q"},
    ModuleName{"model.layers.#.self_attn.k_proj", "blk.#.attn_k"},
    ModuleName{"model.layers.#.self_attn.v_proj", "blk.#.attn_v"},
    ModuleName{"model.layers.#.self_attn.o_proj", "blk.#.attn_output"},
    ModuleName{"model.layers.#.self_attn.q_norm", "blk.#.attn_q_norm"},
    ModuleName{"model.layers.#.self_attn.k_norm", "blk.#.attn_k_norm"},
    ModuleName{"model.layers.#.mlp.gate_proj", "blk.#.ffn_gate"},
    ModuleName{"model.layers.#.mlp.up_proj", "blk.#.ffn_up"},
    ModuleName{"model.layers.#.mlp.down_proj", "blk.#.ffn_down"},
};

constexpr std::array kKeys{
    ConfigKey{"num_hidden_layers", "block_count"},
    ConfigKey{"max_position_embeddings", "context_length"},
    ConfigKey{"hidden_size", "embedding_length"},
    ConfigKey{"intermediate_size", "feed_forward_length"},
    ConfigKey{"num_attention_heads", "attention.head_count"},
    ConfigKey{"num_key_value_heads", "attention.head_count_kv"},
    ConfigKey{"head_dim", "attention.key_length"},
    ConfigKey{"head_dim", "attention.value_length"},
    ConfigKey{"rms_norm_eps", "attention.layer_norm_rms_epsilon"},
    ConfigKey{"vocab_size", "vocab_size"},
    ConfigKey{"sliding_window_pattern", "attention.sliding_window_pattern"},
    ConfigKey{"final_logit_softcapping", "final_logit_softcapping"},
    ConfigKey{"attn_logit_softcapping", "attn_logit_softcapping"},
};

/// Of a rope's parameters. In a transformers 5 folder they are all in rope_parameters; before, rope_theta stood for
/// itself and the others in rope_scaling.
constexpr std::array kRopeKeys{
    ConfigKey{"rope_theta", "rope.freq_base"},
    ConfigKey{"factor", "rope.scaling.factor"},
    ConfigKey{"original_max_position_embeddings", "rope.scaling.original_context_length"},
    ConfigKey{"low_freq_factor", "rope.scaling.low_freq_factor"},
    ConfigKey{"high_freq_factor", "rope.scaling.high_freq_factor"},
    ConfigKey{"beta_fast", "rope.scaling.yarn_beta_fast"},
    ConfigKey{"beta_slow", "rope.scaling.yarn_beta_slow"},
    ConfigKey{"long_factor", "rope.scaling.long_factors"},
    ConfigKey{"short_factor", "rope.scaling.short_factors"},
};

/// What other parts of a model are called; we run its text.
constexpr std::array<std::string_view, 6> kOtherParts{
    "vision_tower.",       "multi_modal_projector.",       "visual.",
    "model.vision_tower.", "model.multi_modal_projector.", "model.visual."};
/// Where models of several parts keep the text's: the longer first.
constexpr std::array kTextPrefixes{
    std::pair<std::string_view, std::string_view>{"model.language_model.", "model."},
    std::pair<std::string_view, std::string_view>{"language_model.", ""},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The name of `pair.ours` if `name` is `pair.theirs`.
std::optional<std::string> match(const ModuleName& pair, std::string_view name) {
  std::vector<std::string_view> numbers;
  size_t at = 0;
  for (const char c : pair.theirs) {
    if (c != '#') {
      if (at == name.size() || name[at] != c) return std::nullopt;
      ++at;
      continue;
    }
    const size_t begin = at;
    while (at < name.size() && is_digit(name[at])) ++at;
    if (at == begin) return std::nullopt;
    numbers.push_back(name.substr(begin, at - begin));
  }
  if (at != name.size()) return std::nullopt;
  std::string ours;
  size_t used = 0;
  for (const char c : pair.ours) {
    if (c == '#' && used < numbers.size()) {
      ours += numbers[used++];
    } else {
      ours += c;
    }
  }
  return ours;
}

/// Our name of a tensor; theirs where nothing maps it; nullopt for one that the text does not need.
std::optional<std::string> our_name(const HuggingFaceFamily& family, const std::string& theirs) {
  for (const std::string_view part : kOtherParts) {
    if (theirs.starts_with(part)) return std::nullopt;
  }
  // Old folders keep the frequencies that their rope was made with.
  if (theirs.ends_with(".rotary_emb.inv_freq")) return std::nullopt;
  std::string name = theirs;
  for (const auto& [prefix, without] : kTextPrefixes) {
    if (!name.starts_with(prefix)) continue;
    name = std::string(without) + name.substr(prefix.size());
    break;
  }
  for (const std::span<const ModuleName> modules : {family.modules, std::span<const ModuleName>(kModules)}) {
    for (const ModuleName& pair : modules) {
      // A parameter that is no module's weight or bias (attn.sinks, A_log) goes by its own name.
      if (auto ours = match(pair, name)) return ours;
      for (const std::string_view suffix : {".weight", ".bias"}) {
        if (!name.ends_with(suffix)) continue;
        const auto stem = std::string_view(name).substr(0, name.size() - suffix.size());
        if (auto ours = match(pair, stem)) return *ours + std::string(suffix);
      }
    }
  }
  return theirs;
}

std::string in_words(const MetadataValue* value) {
  if (value == nullptr) return "missing";
  if (const auto* boolean = std::get_if<bool>(value)) return *boolean ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(value)) return fmt::format("{}", *integer);
  if (const auto* number = std::get_if<double>(value)) return fmt::format("{:g}", *number);
  if (const auto* text = std::get_if<std::string_view>(value)) return in_quotes(*text);
  return "of another kind";
}

void check_activation(const HuggingFaceConfig& config, std::string_view expected) {
  for (const std::string_view name : {"hidden_activation", "hidden_act"}) {
    const std::optional<std::string_view> given = config.metadata().find_string(config.key(name));
    if (!given) continue;
    const std::string_view plain = *given == "swish" ? "silu" : *given;
    if (plain != expected) config.refuse(name, fmt::format("expected {}", in_quotes(expected)));
    return;
  }
}

/// The parameters of the rope in `place`, an object of the config, with its dot.
void add_rope(HuggingFaceConfig& config, const std::string& place) {
  config.copy({"rope_theta", "rope.freq_base"});
  for (const ConfigKey& key : kRopeKeys) config.copy({place + std::string(key.theirs), key.ours});
  std::optional<std::string_view> type = config.metadata().find_string(config.key(place + "rope_type"));
  if (!type) type = config.metadata().find_string(config.key(place + "type"));
  if (!type) return;
  config.add("rope.scaling.type", *type == "default" ? "none" : *type);
  // What transformers makes of YaRN's choices of magnitude, and of longrope's.
  const auto number = [&](std::string_view name) {
    return config.metadata().find_number(config.key(place + std::string(name)));
  };
  if (const auto magnitude = number("attention_factor")) {
    config.add(*type == "yarn" ? "rope.scaling.yarn_attn_factor" : "rope.scaling.attn_factor", *magnitude);
  } else if (const auto scale = number("mscale"); scale && *type == "yarn") {
    const double factor = number("factor").value_or(1.0);
    const double all = number("mscale_all_dim").value_or(0.0);
    if (*scale != 0.0 && all != 0.0) {
      config.add("rope.scaling.yarn_attn_factor", yarn_magnitude(factor, *scale) / yarn_magnitude(factor, all));
    }
  }
  if (const auto share = config.metadata().find_number(config.key(place + "partial_rotary_factor"))) {
    const auto width = config.metadata().find_integer(config.key("head_dim"));
    const int64_t heads = config.metadata().find_integer(config.key("num_attention_heads")).value_or(0);
    const int64_t hidden = config.metadata().find_integer(config.key("hidden_size")).value_or(0);
    const int64_t head_width = width ? *width : heads > 0 ? hidden / heads : 0;
    config.add("rope.dimension_count", static_cast<int64_t>(static_cast<double>(head_width) * *share));
  }
}

void add_ropes(HuggingFaceConfig& config) {
  config.add("rope.pairs", "halves");  // Q and K rows are not permuted as GGUF's Llama family has them
  const bool has_two = config.find("rope_parameters.full_attention.rope_type") != nullptr ||
                       config.find("rope_parameters.full_attention.rope_theta") != nullptr;
  if (has_two) {
    const std::string local = "rope_parameters.sliding_attention.";
    const auto type = config.metadata().find_string(config.key(local + "rope_type"));
    if (type && *type != "default") config.refuse(local + "rope_type", "expected 'default'");
    config.copy({local + "rope_theta", "rope.freq_base_swa"});
    add_rope(config, "rope_parameters.full_attention.");
    return;
  }
  config.copy({"rope_local_base_freq", "rope.freq_base_swa"});
  const bool is_new =
      config.find("rope_parameters.rope_type") != nullptr || config.find("rope_parameters.rope_theta") != nullptr;
  add_rope(config, is_new ? "rope_parameters." : "rope_scaling.");
  if (config.find("rope_scaling.factor") != nullptr || config.find("rope_parameters.long_factor") != nullptr ||
      config.find("rope_scaling.long_factor") != nullptr) {
    config.copy({"original_max_position_embeddings", "rope.scaling.original_context_length"});
  }
}

/// The window, and which layers it holds for.
void add_window(HuggingFaceConfig& config) {
  const Metadata& metadata = config.metadata();
  if (config.find("sliding_window") == nullptr) return;
  if (!metadata.find_boolean(config.key("use_sliding_window")).value_or(true)) return;
  std::vector<bool> is_local;
  const MetadataValue* types = config.find("layer_types");
  const auto layers = metadata.find_integer(config.key("num_hidden_layers"));
  const auto first = metadata.find_integer(config.key("max_window_layers"));
  if (types != nullptr) {
    for (const std::string_view type : metadata.strings(config.key("layer_types"))) {
      is_local.push_back(type == "sliding_attention");
    }
  } else if (first && layers) {
    constexpr int64_t kMostLayers = 4096;
    for (int64_t i = 0; i < std::min(*layers, kMostLayers); ++i) is_local.push_back(i >= *first);
  }
  if (!is_local.empty()) {
    if (std::ranges::find(is_local, true) == is_local.end()) return;
    config.add("attention.sliding_window_pattern", std::move(is_local));
  }
  config.copy({"sliding_window", "attention.sliding_window"});
}

}  // namespace

HuggingFaceConfig::HuggingFaceConfig(const Checkpoint& folder, std::string_view architecture)
    : folder_(folder),
      architecture_(architecture),
      part_(folder.metadata().has("config.text_config.hidden_size") ? "config.text_config." : "config."),
      ours_(folder.path()) {
  ours_.add("general.architecture", architecture);
  std::filesystem::path path = folder.path();
  if (!path.has_filename()) path = path.parent_path();
  ours_.add("general.name", ours_.keep(path.filename().string()));
}

std::string HuggingFaceConfig::key(std::string_view name) const { return part_ + std::string(name); }

void HuggingFaceConfig::refuse(std::string_view name, std::string_view why) const {
  throw Error(ErrorKind::kInvalidModel,
              fmt::format("{}: key '{}' is {}, {}", folder_.path(), key(name), in_words(find(name)), why));
}

void HuggingFaceConfig::add(std::string_view name, MetadataValue value) {
  std::string ours = fmt::format("{}.{}", architecture_, name);
  if (!ours_.has(ours)) ours_.add(std::move(ours), std::move(value));
}

void HuggingFaceConfig::copy(const ConfigKey& key) {
  if (const MetadataValue* value = find(key.theirs)) add(key.ours, *value);
}

std::string_view hugging_face_architecture(const Checkpoint& folder) {
  constexpr std::string_view kKey = "config.architectures";
  const std::vector<std::string_view> names = folder.metadata().strings(kKey);
  if (names.empty()) {
    throw Error(ErrorKind::kInvalidModel,
                fmt::format("{}: key '{}' is missing, so megalith cannot know the architecture", folder.path(), kKey));
  }
  return names.front();
}

std::unique_ptr<const Checkpoint> read_as_gguf(const Checkpoint& folder, std::string_view architecture,
                                               const HuggingFaceFamily& family) {
  HuggingFaceConfig config(folder, architecture);
  check_activation(config, family.activation);
  for (const ConfigKey& key : family.keys) config.copy(key);
  add_window(config);
  for (const ConfigKey& key : kKeys) config.copy(key);
  add_ropes(config);
  if (family.add_keys != nullptr) family.add_keys(config);

  const std::optional<bool> tied = folder.metadata().find_boolean(config.key("tie_word_embeddings"));
  bool has_head = false;
  Checkpoint::Parts parts;
  for (const NamedWeight& weight : folder.weights()) {
    std::optional<std::string> name = our_name(family, weight.name);
    if (!name) continue;
    if (*name == "output.weight") {
      if (tied.value_or(false)) continue;  // the embedding again
      has_head = true;
    }
    NamedWeight& ours = parts.weights.emplace_back(weight);
    if (name->ends_with("norm.weight")) ours.vector_offset = family.norm_offset;
    ours.name = std::move(*name);
  }
  if (tied && !*tied && !has_head) {
    throw Error(ErrorKind::kInvalidModel, fmt::format("{}: tensor 'lm_head.weight' is missing, and key '{}' is false",
                                                      folder.path(), config.key("tie_word_embeddings")));
  }
  parts.path = folder.path();
  parts.metadata = config.take();
  return std::make_unique<const Checkpoint>(std::move(parts));
}

}  // namespace megalith
