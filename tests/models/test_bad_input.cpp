// Files that are not what they say: each gets a sentence that names the key or the tensor and what is wrong with it.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "files/checkpoint.h"
#include "models/golden.h"
#include "models/model.h"
#include "ops/reference.h"

namespace megalith::testing {
namespace {

/// What a test does to a healthy checkpoint before it is loaded.
struct Edit {
  std::vector<Metadata::Entry> entries;
  std::vector<NamedWeight> weights;

  void set(const std::string& key, MetadataValue value) {
    erase(key);
    entries.push_back({key, std::move(value)});
  }
  void erase(const std::string& key) {
    std::erase_if(entries, [&](const Metadata::Entry& entry) { return entry.key == key; });
  }
  void erase_weight(const std::string& name) {
    std::erase_if(weights, [&](const NamedWeight& weight) { return weight.name == name; });
  }
  NamedWeight& weight(const std::string& name) {
    return *std::ranges::find_if(weights, [&](const NamedWeight& weight) { return weight.name == name; });
  }
  /// Keeps fewer rows of a matrix, or a shorter vector.
  void shorten(const std::string& name, int64_t size) {
    NamedWeight& shortened = weight(name);
    shortened.shape[0] = size;
    (shortened.shape.size() == 1 ? shortened.view.columns : shortened.view.rows) = size;
  }
  void add_copy(const std::string& of, const std::string& name) {
    NamedWeight copy = weight(of);
    copy.name = name;
    weights.push_back(copy);
  }
};

std::unique_ptr<Model> load(const std::string& name, const std::function<void(Edit&)>& edit) {
  const std::string path = checkpoint_path(name);
  const std::shared_ptr<const Checkpoint> healthy = open_checkpoint(path);
  Edit edited{healthy->metadata().entries(), healthy->weights()};
  edit(edited);
  Metadata metadata(path);
  for (Metadata::Entry& entry : edited.entries) metadata.add(std::move(entry.key), std::move(entry.value));
  Checkpoint::Parts parts;
  parts.path = path;
  parts.naming = healthy->naming();
  parts.metadata = std::move(metadata);
  parts.weights = std::move(edited.weights);
  const Checkpoint checkpoint(std::move(parts));
  Ledger ledger(uint64_t{1} << 30);
  const std::unique_ptr<Ops> ops = make_reference_ops(ledger, ReferenceNumerics::kExact);
  return load_model(checkpoint, *ops);
}

/// The message of the refusal, without the path before it; empty if there was none.
std::string refusal(const std::string& name, const std::function<void(Edit&)>& edit) {
  try {
    load(name, edit);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidModel);
    const std::string message = error.what();
    const std::string prefix = checkpoint_path(name) + ": ";
    EXPECT_TRUE(message.starts_with(prefix)) << message;
    return message.substr(std::min(prefix.size(), message.size()));
  }
  return "";
}

std::string refusal_of(const std::string& key, MetadataValue value, const std::string& name = "llama") {
  return refusal(name, [&](Edit& edit) { edit.set(key, std::move(value)); });
}

TEST(BadInput, HealthyCheckpointsLoadAfterACopy) {
  for (const std::string& name : all_checkpoints()) EXPECT_EQ(refusal(name, [](Edit&) {}), "") << name;
}

TEST(BadInput, UnknownArchitectureIsNamedWithTheKnownOnes) {
  EXPECT_EQ(refusal_of("general.architecture", std::string_view("mamba")),
            "key 'general.architecture' is 'mamba', an architecture that megalith does not know; it knows llama, "
            "qwen2, qwen3, gemma3, qwen3moe, qwen35moe, gpt-oss, deepseek2");
}

TEST(BadInput, MissingArchitecture) {
  EXPECT_EQ(refusal("llama", [](Edit& edit) { edit.erase("general.architecture"); }),
            "key 'general.architecture' is missing");
}

TEST(BadInput, EveryTensorIsNeeded) {
  for (const std::string name : {"llama", "qwen2", "qwen3", "gemma3"}) {
    const std::shared_ptr<const Checkpoint> healthy = open_checkpoint(data_path(name + ".gguf"));
    for (const NamedWeight& weight : healthy->weights()) {
      if (weight.name == "output.weight") continue;  // without it the embedding serves
      EXPECT_EQ(refusal(name, [&](Edit& edit) { edit.erase_weight(weight.name); }),
                "tensor '" + weight.name + "' is missing");
    }
  }
}

TEST(BadInput, EveryShapeIsChecked) {
  for (const std::string name : {"llama", "qwen2", "qwen3", "gemma3"}) {
    const std::shared_ptr<const Checkpoint> healthy = open_checkpoint(data_path(name + ".gguf"));
    for (const NamedWeight& weight : healthy->weights()) {
      const std::string message = refusal(name, [&](Edit& edit) { edit.shorten(weight.name, weight.shape[0] - 1); });
      if (weight.name == "token_embd.weight") {
        const std::string expected = name == "llama"
                                         ? "key 'llama.vocab_size' is 300, but token_embd.weight has 299 rows"
                                         : "key 'tokenizer.ggml.tokens' lists 300 tokens, but "
                                           "token_embd.weight has 299 rows";
        EXPECT_EQ(message, expected);
        continue;
      }
      const auto text = [&](int64_t first) {
        return "[" + std::to_string(first) + (weight.shape.size() == 2 ? ", " + std::to_string(weight.shape[1]) : "") +
               "]";
      };
      EXPECT_EQ(message, "tensor '" + weight.name + "' has the shape " + text(weight.shape[0] - 1) + ", expected " +
                             text(weight.shape[0]));
    }
  }
}

TEST(BadInput, TensorsWithoutAPlaceAreNamed) {
  const std::string message =
      refusal("llama", [](Edit& edit) { edit.add_copy("blk.0.attn_norm.weight", "blk.0.attn_q_norm.weight"); });
  EXPECT_EQ(message,
            "tensor 'blk.0.attn_q_norm.weight' has no place in the architecture 'llama' as megalith knows it, so its "
            "answers would be wrong");
}

TEST(BadInput, AbsurdIntegers) {
  struct Case {
    std::string key;
    std::string range;
  };
  const std::vector<Case> cases{{"llama.block_count", "1 to 4096"},
                                {"llama.embedding_length", "1 to 4194304"},
                                {"llama.feed_forward_length", "1 to 4194304"},
                                {"llama.attention.head_count", "1 to 65536"},
                                {"llama.attention.head_count_kv", "1 to 65536"},
                                {"llama.attention.key_length", "1 to 4194304"},
                                {"llama.attention.value_length", "1 to 4194304"},
                                {"llama.context_length", "1 to 1073741824"},
                                {"llama.vocab_size", "1 to 268435456"},
                                {"llama.rope.dimension_count", "1 to 4194304"}};
  for (const Case& one : cases) {
    for (const int64_t value : {int64_t{0}, int64_t{-1}, int64_t{2'000'000'000}, std::numeric_limits<int64_t>::max()}) {
      EXPECT_EQ(refusal_of(one.key, value),
                "key '" + one.key + "' is " + std::to_string(value) + ", expected " + one.range);
    }
    EXPECT_EQ(refusal_of(one.key, std::string_view("many")), "key '" + one.key + "' is a string, expected an integer");
    EXPECT_NE(refusal_of(one.key, std::numeric_limits<uint64_t>::max()), "");
  }
}

TEST(BadInput, MissingKeys) {
  for (const std::string key : {"block_count", "embedding_length", "feed_forward_length", "attention.head_count",
                                "attention.layer_norm_rms_epsilon", "context_length"}) {
    EXPECT_EQ(refusal("llama", [&](Edit& edit) { edit.erase("llama." + key); }),
              "key 'llama." + key + "' is missing, but this architecture needs it");
  }
}

TEST(BadInput, AbsurdNumbers) {
  EXPECT_EQ(refusal_of("llama.attention.layer_norm_rms_epsilon", -1e-5),
            "key 'llama.attention.layer_norm_rms_epsilon' is -1e-05, expected 0 to 1");
  EXPECT_EQ(refusal_of("llama.attention.layer_norm_rms_epsilon", std::numeric_limits<double>::quiet_NaN()),
            "key 'llama.attention.layer_norm_rms_epsilon' is nan, expected 0 to 1");
  EXPECT_EQ(refusal_of("llama.rope.freq_base", 0.0), "key 'llama.rope.freq_base' is 0, expected 1.001 to 1e+12");
  EXPECT_EQ(refusal_of("llama.rope.freq_base", std::numeric_limits<double>::infinity()),
            "key 'llama.rope.freq_base' is inf, expected 1.001 to 1e+12");
  EXPECT_EQ(refusal_of("llama.rope.scaling.factor", -2.0),
            "key 'llama.rope.scaling.factor' is -2, expected 0 to 1e+06");
}

TEST(BadInput, Contradictions) {
  EXPECT_EQ(refusal_of("llama.attention.head_count_kv", int64_t{3}),
            "key 'llama.attention.head_count_kv' is 3, which does not divide the 4 heads of "
            "'llama.attention.head_count'");
  EXPECT_EQ(refusal("llama",
                    [](Edit& edit) {
                      edit.set("llama.attention.head_count", int64_t{5});
                      edit.set("llama.attention.head_count_kv", int64_t{1});
                    }),
            "key 'llama.attention.head_count' is 5, which does not divide 'llama.embedding_length', 64");
  EXPECT_EQ(refusal_of("llama.vocab_size", int64_t{301}),
            "key 'llama.vocab_size' is 301, but token_embd.weight has 300 rows");
  EXPECT_EQ(refusal_of("llama.rope.dimension_count", int64_t{18}),
            "key 'llama.rope.dimension_count' is 18, expected an even number up to the width of a head, 16");
  EXPECT_EQ(refusal_of("llama.rope.dimension_count", int64_t{15}),
            "key 'llama.rope.dimension_count' is 15, expected an even number up to the width of a head, 16");
  EXPECT_EQ(refusal_of("llama.block_count", int64_t{3}), "tensor 'blk.2.attn_norm.weight' is missing");
  EXPECT_EQ(refusal_of("llama.block_count", int64_t{1}),
            "tensor 'blk.1.attn_norm.weight' has no place in the architecture 'llama' as megalith knows it, so its "
            "answers would be wrong");
}

TEST(BadInput, ExpertsAreRefusedUntilTheyAreThere) {
  EXPECT_EQ(refusal_of("llama.expert_count", int64_t{8}),
            "key 'llama.expert_count' is 8, a mixture of experts, which megalith does not run yet");
  EXPECT_EQ(refusal_of("llama.expert_count", int64_t{0}), "");
}

TEST(BadInput, RopeScalings) {
  EXPECT_EQ(refusal_of("llama.rope.scaling.type", std::string_view("spiral")),
            "key 'llama.rope.scaling.type' is 'spiral', expected none, linear, llama3, yarn or longrope");
  EXPECT_EQ(refusal_of("llama.rope.scaling.yarn_beta_fast", 0.5, "llama-yarn"),
            "key 'llama.rope.scaling.yarn_beta_fast' is 0.5, below 'llama.rope.scaling.yarn_beta_slow', 1");
  EXPECT_EQ(refusal("llama-longrope", [](Edit& edit) { edit.erase("llama.rope.scaling.original_context_length"); }),
            "key 'llama.rope.scaling.original_context_length' is missing, but this architecture needs it");
  EXPECT_EQ(refusal("llama-longrope", [](Edit& edit) { edit.erase_weight("rope_factors_short.weight"); }),
            "tensor 'rope_factors_short.weight' is missing");
  EXPECT_EQ(refusal("llama-llama3", [](Edit& edit) { edit.shorten("rope_freqs.weight", 7); }),
            "tensor 'rope_freqs.weight' has the shape [7], expected [8]");
  static constexpr std::array<float, 8> kNegative{1, 1, 1, 1, 1, -1, 1, 1};
  EXPECT_EQ(refusal("llama-llama3",
                    [](Edit& edit) {
                      edit.weight("rope_freqs.weight").view.planes[0] = std::as_bytes(std::span(kNegative));
                    }),
            "tensor 'rope_freqs.weight' holds -1, expected positive factors");
}

// ---- Sliding windows ------------------------------------------------------------------------------------------------

/// The window of each layer, 0 where it sees all.
std::vector<int32_t> windows(const std::string& name, const std::function<void(Edit&)>& edit) {
  const std::unique_ptr<Model> model = load(name, edit);
  std::vector<int32_t> windows;
  for (const PagedKv& layer : model->properties().state.layers) windows.push_back(layer.window);
  return windows;
}

TEST(SlidingWindow, HoldsForEveryLayerOfAFileThatSaysNoMore) {
  const auto with = [](int64_t window) {
    return windows("llama", [=](Edit& edit) { edit.set("llama.attention.sliding_window", window); });
  };
  EXPECT_EQ(with(128), (std::vector{128, 128}));
  EXPECT_EQ(with(0), (std::vector{0, 0}));
  EXPECT_EQ(windows("mistral-folder", [](Edit&) {}), (std::vector{40, 40}));
}

TEST(SlidingWindow, DoesNotShortenTheContext) {
  const auto set = [](Edit& edit) { edit.set("llama.attention.sliding_window", int64_t{128}); };
  EXPECT_EQ(load("llama", set)->properties().context_tokens, 512);
}

TEST(SlidingWindow, FollowsTheListOfLayers) {
  EXPECT_EQ(windows("gemma3", [](Edit&) {}), (std::vector{24, 0, 24, 0}));
  EXPECT_EQ(windows("gemma3-folder", [](Edit&) {}), (std::vector{65, 65, 0}));
  EXPECT_EQ(windows("qwen2-folder", [](Edit&) {}), (std::vector{0, 70}));
}

TEST(SlidingWindow, FollowsTheNumberOfAPattern) {
  constexpr const char* kPattern = "gemma3.attention.sliding_window_pattern";
  EXPECT_EQ(windows("gemma3", [](Edit& edit) { edit.set(kPattern, int64_t{3}); }), (std::vector{24, 24, 0, 24}));
  EXPECT_EQ(windows("gemma3", [](Edit& edit) { edit.set(kPattern, int64_t{0}); }), (std::vector{24, 24, 24, 24}));
  EXPECT_EQ(windows("gemma3", [](Edit& edit) { edit.erase(kPattern); }), (std::vector{24, 24, 24, 24}));  // every sixth
}

TEST(SlidingWindow, OfAFolderMayBeSaidInOlderWays) {
  const auto qwen2 = [](bool use) {
    return windows("qwen2-folder", [=](Edit& edit) {
      edit.erase("config.layer_types");
      edit.set("config.max_window_layers", int64_t{1});
      edit.set("config.use_sliding_window", use);
    });
  };
  EXPECT_EQ(qwen2(true), (std::vector{0, 70}));
  EXPECT_EQ(qwen2(false), (std::vector{0, 0}));
  const auto gemma3 = [](Edit& edit) {
    edit.erase("config.text_config.layer_types");
    edit.set("config.text_config.sliding_window_pattern", int64_t{2});
  };
  EXPECT_EQ(windows("gemma3-folder", gemma3), (std::vector{65, 0, 65}));
}

TEST(SlidingWindow, ListsOfAnotherLengthAreRefused) {
  EXPECT_EQ(refusal_of("gemma3.attention.sliding_window_pattern", std::vector<bool>{true, false}, "gemma3"),
            "key 'gemma3.attention.sliding_window_pattern' is a list, of 2 layers, expected 4");
}

// ---- Folders --------------------------------------------------------------------------------------------------------

constexpr std::string_view kNames = " (tensors and keys go by the names that they have in GGUF files)";

TEST(BadFolder, UnknownArchitectureIsNamedWithTheKnownOnes) {
  const std::string message =
      refusal_of("config.architectures", std::vector<std::string_view>{"MambaForCausalLM"}, "llama-folder");
  EXPECT_TRUE(
      message.starts_with("key 'config.architectures' is 'MambaForCausalLM', an architecture that megalith does "
                          "not know; it knows LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, "
                          "Qwen3ForCausalLM, Gemma3ForCausalLM, Gemma3ForConditionalGeneration"))
      << message;
  EXPECT_EQ(refusal("llama-folder", [](Edit& edit) { edit.erase("config.architectures"); }),
            "key 'config.architectures' is missing, so megalith cannot know the architecture");
}

TEST(BadFolder, OtherActivationsAreRefused) {
  EXPECT_EQ(refusal_of("config.hidden_act", std::string_view("relu"), "qwen3-folder"),
            "key 'config.hidden_act' is 'relu', expected 'silu'");
  EXPECT_EQ(refusal_of("config.text_config.hidden_activation", std::string_view("silu"), "gemma3-folder"),
            "key 'config.text_config.hidden_activation' is 'silu', expected 'gelu_pytorch_tanh'");
}

TEST(BadFolder, EveryTensorIsNeeded) {
  for (const std::string name : {"llama-folder", "mistral-folder", "qwen2-folder", "qwen3-folder", "gemma3-folder"}) {
    const std::shared_ptr<const Checkpoint> healthy = open_checkpoint(checkpoint_path(name));
    for (const NamedWeight& weight : healthy->weights()) {
      if (weight.name.starts_with("model.vision_tower.")) continue;
      const std::string message = refusal(name, [&](Edit& edit) { edit.erase_weight(weight.name); });
      EXPECT_NE(message.find("' is missing"), std::string::npos) << name << " " << weight.name << ": " << message;
    }
  }
}

TEST(BadFolder, TensorsWithoutAPlaceAreNamedAsTheyAre) {
  EXPECT_EQ(refusal("qwen3-folder",
                    [](Edit& edit) { edit.add_copy("model.norm.weight", "model.layers.0.self_attn.extra.weight"); }),
            "tensor 'model.layers.0.self_attn.extra.weight' has no place in the architecture 'qwen3' as megalith knows "
            "it, so its answers would be wrong" +
                std::string(kNames));
}

TEST(BadFolder, WhatGemmaDoesNotHaveIsRefused) {
  EXPECT_EQ(refusal_of("config.text_config.final_logit_softcapping", 30.0, "gemma3-folder"),
            "key 'gemma3.final_logit_softcapping' is 30, which no Gemma 3 has, and megalith does not run" +
                std::string(kNames));
  EXPECT_EQ(refusal_of("config.text_config.use_bidirectional_attention", true, "gemma3-folder"),
            "key 'config.text_config.use_bidirectional_attention' is true, which megalith does not run");
}

TEST(Folder, TiedHeadsMayLieThereTwice) {
  const std::unique_ptr<Model> model =
      load("qwen3-folder", [](Edit& edit) { edit.add_copy("model.embed_tokens.weight", "lm_head.weight"); });
  EXPECT_EQ(model->properties().parameters, load("qwen3-folder", [](Edit&) {})->properties().parameters);
}

TEST(Folder, IsNamedAfterItself) {
  EXPECT_EQ(load("qwen3-folder", [](Edit&) {})->properties().name, "qwen3-folder");
}

}  // namespace
}  // namespace megalith::testing
