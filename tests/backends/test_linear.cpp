// Every format on every instruction set that the machine has, bit for bit, over shapes with all kinds of tails.
#include <gtest/gtest.h>

#include <algorithm>

#include "backends/linear_cases.h"

namespace megalith::cpu {
namespace {

struct Case {
  Format format;
  const KernelTable* table;
};

class LinearShapes : public testing::TestWithParam<Case> {};

bool has_kernel(const KernelTable& table, Format format) {
  const std::span kernels(table.linear.formats, static_cast<size_t>(table.linear.n_formats));
  return std::ranges::any_of(kernels, [format](const FormatKernel& kernel) { return kernel.format == format; });
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const FormatInfo& info : format_table()) {
    for (const KernelTable* table : usable_tables()) {
      // The codec is the same code on every set: the first and the last are enough.
      const bool is_end = table == usable_tables().front() || table == usable_tables().back();
      if (is_end || has_kernel(*table, info.format)) cases.push_back({info.format, table});
    }
  }
  return cases;
}

std::string case_name(const testing::TestParamInfo<Case>& param) {
  return std::string(format_info(param.param.format).name) + "_" +
         std::string(name(param.param.table->instruction_set));
}

INSTANTIATE_TEST_SUITE_P(Formats, LinearShapes, testing::ValuesIn(all_cases()), case_name);

constexpr int64_t kTokens = 64;
constexpr int64_t kRows = 192;

// Outputs of smaller shapes are parts of the largest one's: P3. So one expectation serves all.
TEST_P(LinearShapes, EqualTheContractBitForBit) {
  const auto [format, table] = GetParam();
  const FormatInfo& info = format_info(format);
  ThreadPool one(1);
  ThreadPool three(3);
  LinearScratch scratch;
  for (const int64_t columns : {32, 256, 288, 576, 896, 1536}) {
    if (columns % info.block_weights != 0) continue;
    TestWeight all(format, kRows, columns);
    fill(all, WeightKind::kUsual, static_cast<uint32_t>(columns));
    const std::vector<float> x = random_rows(kTokens, columns, 1);
    const std::vector<float> expected = expected_products(all.view, x, kTokens);
    for (const int64_t rows : {1, 15, 16, 17, 100, 192}) {
      if (rows % info.row_multiple != 0) continue;
      const TestWeight weight(all, rows);
      for (const int64_t tokens : {1, 2, 3, 4, 5, 8, 13, 31, 64}) {
        ThreadPool& pool = tokens % 2 == 0 ? one : three;
        std::vector<float> out(tokens * rows, -1.0F);
        const LinearOutput output{.weight = &weight.view, .out = out.data(), .out_stride = rows};
        ASSERT_TRUE(run_linear(pool, *table, scratch, {x.data(), tokens, columns}, {&output, 1}));
        ASSERT_EQ(differing(out, rows, expected, kRows, tokens, rows), 0)
            << info.name << " K " << columns << " N " << rows << " M " << tokens;
      }
    }
  }
}

TEST_P(LinearShapes, ExtremeWeightsAndActivations) {
  const auto [format, table] = GetParam();
  ThreadPool pool(2);
  LinearScratch scratch;
  constexpr int64_t kColumns = 512;
  constexpr int64_t kFewRows = 40;
  constexpr int64_t kFewTokens = 11;
  std::vector<float> x = random_rows(kFewTokens, kColumns, 2);
  // Token 0: all +-127 with equal signs; 1: alternating; 2: zeros; 3: groups of zeros, denormals and huge values;
  // 4: quotients halfway between integers.
  for (int64_t k = 0; k < kColumns; ++k) {
    x[k] = 3.0F;
    x[kColumns + k] = k % 2 == 0 ? 5.0F : -5.0F;
    x[2 * kColumns + k] = k % 3 == 0 ? -0.0F : 0.0F;
    x[3 * kColumns + k] *= std::array{0.0F, 1e-42F, 1e-38F, 1e30F}[k / 32 % 4];
    x[4 * kColumns + k] = k % 32 == 0 ? 127.0F : static_cast<float>(k % 32) - 16.5F;
    x[5 * kColumns + k] = -7.0F;
  }
  for (const WeightKind kind : {WeightKind::kSaturated, WeightKind::kDenormalScales}) {
    TestWeight weight(format, kFewRows, kColumns);
    fill(weight, kind, 3);
    const std::vector<float> expected = expected_products(weight.view, x, kFewTokens);
    for (const int64_t tokens : {1, 3, 6, 11}) {
      for (int64_t begin = 0; begin + tokens <= kFewTokens; ++begin) {
        std::vector<float> out(tokens * kFewRows);
        const LinearOutput output{.weight = &weight.view, .out = out.data(), .out_stride = kFewRows};
        ASSERT_TRUE(run_linear(pool, *table, scratch, {x.data() + begin * kColumns, tokens, kColumns}, {&output, 1}));
        ASSERT_EQ(std::memcmp(out.data(), expected.data() + begin * kFewRows, out.size() * sizeof(float)), 0)
            << format_info(format).name << " M " << tokens << " from " << begin;
      }
    }
  }
}

}  // namespace
}  // namespace megalith::cpu
