// Files that are not what they say: each gets a sentence that names the key or the tensor and what is wrong with it.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
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

void load(const std::string& name, const std::function<void(Edit&)>& edit) {
  const std::string path = data_path(name + ".gguf");
  const std::shared_ptr<const Checkpoint> healthy = open_checkpoint(path);
  Edit edited{healthy->metadata().entries(), healthy->weights()};
  edit(edited);
  Metadata metadata(path);
  for (Metadata::Entry& entry : edited.entries) metadata.add(std::move(entry.key), std::move(entry.value));
  const Checkpoint checkpoint({std::make_shared<MappedFile>(path)}, std::move(metadata), std::move(edited.weights));
  Ledger ledger(uint64_t{1} << 30);
  const std::unique_ptr<Ops> ops = make_reference_ops(ledger, ReferenceNumerics::kExact);
  load_model(checkpoint, *ops);
}

/// The message of the refusal, without the path before it; empty if there was none.
std::string refusal(const std::string& name, const std::function<void(Edit&)>& edit) {
  try {
    load(name, edit);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidModel);
    const std::string message = error.what();
    const std::string prefix = data_path(name + ".gguf") + ": ";
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
  EXPECT_EQ(
      refusal_of("general.architecture", std::string_view("mamba")),
      "key 'general.architecture' is 'mamba', an architecture that megalith does not know; it knows llama, qwen2");
}

TEST(BadInput, MissingArchitecture) {
  EXPECT_EQ(refusal("llama", [](Edit& edit) { edit.erase("general.architecture"); }),
            "key 'general.architecture' is missing");
}

TEST(BadInput, EveryTensorIsNeeded) {
  for (const std::string name : {"llama", "qwen2"}) {
    const std::shared_ptr<const Checkpoint> healthy = open_checkpoint(data_path(name + ".gguf"));
    for (const NamedWeight& weight : healthy->weights()) {
      if (weight.name == "output.weight") continue;  // without it the embedding serves
      EXPECT_EQ(refusal(name, [&](Edit& edit) { edit.erase_weight(weight.name); }),
                "tensor '" + weight.name + "' is missing");
    }
  }
}

TEST(BadInput, EveryShapeIsChecked) {
  for (const std::string name : {"llama", "qwen2"}) {
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
            "key 'llama.rope.scaling.type' is 'spiral', expected none, linear, yarn or longrope");
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

/// The properties of the llama checkpoint, whose context is 512, with a sliding window of so many tokens.
ModelProperties properties_with_window(int64_t window) {
  const std::string path = data_path("llama.gguf");
  const std::shared_ptr<const Checkpoint> healthy = open_checkpoint(path);
  Metadata metadata(path);
  for (const Metadata::Entry& entry : healthy->metadata().entries()) metadata.add(entry.key, entry.value);
  metadata.add("llama.attention.sliding_window", window);
  const Checkpoint checkpoint({std::make_shared<MappedFile>(path)}, std::move(metadata), healthy->weights());
  Ledger ledger(uint64_t{1} << 30);
  const std::unique_ptr<Ops> ops = make_reference_ops(ledger, ReferenceNumerics::kExact);
  return load_model(checkpoint, *ops)->properties();
}

TEST(Files, ASlidingWindowBoundsTheContext) {
  EXPECT_EQ(properties_with_window(128).context_tokens, 128);
  EXPECT_EQ(properties_with_window(128).context_limit_tokens, 128);
}

TEST(Files, AWindowLongerThanTheContextBoundsOnlyWhatIsChosen) {
  EXPECT_EQ(properties_with_window(1024).context_tokens, 512);
  EXPECT_EQ(properties_with_window(1024).context_limit_tokens, 1024);
}

TEST(Files, ASlidingWindowOfZeroIsNone) {
  EXPECT_EQ(properties_with_window(0).context_tokens, 512);
  EXPECT_EQ(properties_with_window(0).context_limit_tokens, 0);
}

}  // namespace
}  // namespace megalith::testing
