// The CPU backend under whole models: the bits of the contract, the oracle's values, and P3.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "models/cpu_driver.h"
#include "models/oracle_test.h"
#include "models/probes.h"

namespace megalith::testing {
namespace {

class Cpu : public ::testing::TestWithParam<InstructionSet> {
 protected:
  void SetUp() override {
    try {
      Ledger ledger(uint64_t{1} << 30);
      cpu_ops(1, GetParam())(ledger);
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kUsage) << error.what();
      GTEST_SKIP() << error.what();
    }
  }
};

/// Prompt in two uneven steps, then single tokens: all logits.
std::vector<float> prompt_and_decode(const std::string& name, const MakeOps& make_ops) {
  const Golden golden = read_golden(name);
  Driver driver(checkpoint_path(name), make_ops, kPages);
  Sequence sequence;
  std::vector<float> logits = driver.feed(sequence, golden.prompt, 71, golden.prompt.size());
  for (const int32_t& token : std::span(golden.greedy).first(4)) {
    const std::vector<float> next = driver.feed(sequence, std::span(&token, 1), 1, 1);
    logits.insert(logits.end(), next.begin(), next.end());
  }
  return logits;
}

TEST_P(Cpu, GivesTheBitsOfTheContract) {
  for (const std::string& name : all_checkpoints()) {
    const std::vector<float> expected = prompt_and_decode(name, reference_ops(ReferenceNumerics::kContract));
    EXPECT_EQ(first_difference(prompt_and_decode(name, cpu_ops(2, GetParam())), expected), -1) << name;
  }
}

TEST_P(Cpu, AgreesWithTransformersOnFloatWeights) {
  for (const std::string name : kFloatCheckpoints) {
    SCOPED_TRACE(name);
    expect_like_the_oracle(name, cpu_ops(2, GetParam()), half_kv_tolerance(read_golden(name)));
  }
}

// ---- P3 -------------------------------------------------------------------------------------------------------------

constexpr std::array kProbed{"llama-yarn", "llama-q4_0",   "llama-k",   "qwen2-q5_0", "qwen3",
                             "gemma3",     "qwen2-folder", "qwen3moe",  "qwen35moe",  "gpt-oss",
                             "deepseek2",  "qwen3moe-mlx", "qwen2-gptq"};
constexpr size_t kProbeTokens = 300;
constexpr size_t kProbeOutputs = 40;

std::vector<float> alone(const std::string& name, const MakeOps& make_ops, size_t chunk) {
  Driver driver(checkpoint_path(name), make_ops, kPages);
  Sequence sequence;
  return driver.feed(sequence, synthetic_tokens(kProbeTokens, 1), chunk, kProbeOutputs);
}

TEST_P(Cpu, ChunksAndThreadsChangeNoBit) {
  for (const std::string name : kProbed) {
    const std::vector<float> expected = alone(name, cpu_ops(1, GetParam()), 512);
    ASSERT_EQ(expected.size(), kProbeOutputs * 300);
    for (const size_t chunk : {1, 7, 64, 512}) {
      EXPECT_EQ(first_difference(alone(name, cpu_ops(1, GetParam()), chunk), expected), -1)
          << name << " chunk " << chunk;
    }
    for (const int threads : {2, 3, 4}) {
      EXPECT_EQ(first_difference(alone(name, cpu_ops(threads, GetParam()), 64), expected), -1)
          << name << " threads " << threads;
    }
  }
}

TEST_P(Cpu, NeighboursChangeNoBit) {
  constexpr std::array<size_t, 7> kLengths{1, 3, 17, 64, 65, 130, 301};
  for (const std::string name : kProbed) {
    const std::vector<float> expected = alone(name, cpu_ops(1, GetParam()), 512);
    const std::vector<int32_t> tokens = synthetic_tokens(kProbeTokens, 1);
    Driver driver(checkpoint_path(name), cpu_ops(2, GetParam()), 40);
    Sequence sequence;
    std::array<Sequence, kLengths.size()> neighbours;
    std::vector<float> logits;
    for (size_t begin = 0, step = 0; begin < tokens.size(); ++step) {
      const size_t n_tokens = std::min(tokens.size() - begin, size_t{13} + step % 5);
      const size_t first_output = tokens.size() - kProbeOutputs;
      const size_t end = begin + n_tokens;
      const size_t wanted = end > first_output ? end - std::max(begin, first_output) : 0;
      // The neighbours come and go, and our place among them moves.
      std::vector<Work> work;
      std::vector<std::vector<int32_t>> texts(kLengths.size());
      size_t outputs_before = 0;
      for (size_t slot = 0; slot <= kLengths.size(); ++slot) {
        if (slot == step % (kLengths.size() + 1)) {
          work.push_back({&sequence, std::span(tokens).subspan(begin, n_tokens), static_cast<int32_t>(wanted)});
          outputs_before = 0;
          for (const Work& earlier : std::span(work).first(work.size() - 1)) {
            outputs_before += static_cast<size_t>(earlier.outputs);
          }
        }
        if (slot == kLengths.size() || (step + slot) % 3 == 0) continue;
        const auto length = static_cast<size_t>(neighbours[slot].length);
        const size_t more = std::min(kLengths[slot] - std::min(kLengths[slot], length), size_t{40});
        texts[slot] = synthetic_tokens(std::max<size_t>(more, 1), static_cast<uint32_t>(100 * slot + step));
        if (length + texts[slot].size() > 320) continue;
        work.push_back({&neighbours[slot], texts[slot], static_cast<int32_t>(slot % 2)});
      }
      const std::vector<float> all = driver.step(work);
      const auto ours = all.begin() + static_cast<ptrdiff_t>(outputs_before * 300);
      logits.insert(logits.end(), ours, ours + static_cast<ptrdiff_t>(wanted * 300));
      begin = end;
    }
    EXPECT_EQ(first_difference(logits, expected), -1) << name;
  }
}

TEST_P(Cpu, PromptsLongerThanASpanKeepTheirBits) {
  const std::vector<int32_t> tokens = synthetic_tokens(kSpanTokens + 90, 7);
  std::map<size_t, std::vector<float>> logits;
  for (const size_t chunk : {61, 512, 2000}) {
    Driver driver(data_path("llama-q4_1.gguf"), cpu_ops(2, GetParam()), 20);
    Sequence sequence;
    logits[chunk] = driver.feed(sequence, tokens, chunk, 3);
  }
  EXPECT_EQ(first_difference(logits[61], logits[2000]), -1);
  EXPECT_EQ(first_difference(logits[512], logits[2000]), -1);
}

INSTANTIATE_TEST_SUITE_P(Isa, Cpu,
                         ::testing::Values(InstructionSet::kScalar, InstructionSet::kAvx2, InstructionSet::kAvxVnni,
                                           InstructionSet::kAvx512, InstructionSet::kAvx512Vnni, InstructionSet::kNeon,
                                           InstructionSet::kNeonI8mm),
                         [](const ::testing::TestParamInfo<InstructionSet>& set) {
                           return std::string(name(set.param));
                         });

}  // namespace
}  // namespace megalith::testing
