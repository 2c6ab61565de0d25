// What does not depend on the format: several weights at once, bias, strides, partitions, refusals, quantisation.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "backends/linear_cases.h"
#include "base/error.h"

namespace megalith::cpu {
namespace {

class LinearSets : public testing::TestWithParam<const KernelTable*> {};

INSTANTIATE_TEST_SUITE_P(Sets, LinearSets, testing::ValuesIn(usable_tables()),
                         [](const auto& param) { return std::string(name(param.param->instruction_set)); });

TEST_P(LinearSets, SeveralWeightsWithBiasAndStrides) {
  constexpr int64_t kColumns = 512;
  const Format formats[] = {Format::kQ4_K, Format::kQ6_K, Format::kF16, Format::kQ8_0};
  const int64_t rows[] = {100, 33, 7, 64};
  ThreadPool pool(4);
  LinearScratch scratch;
  for (const int64_t tokens : {1, 7, 20}) {
    const std::vector<float> x = random_rows(tokens, kColumns, 4);
    const std::vector<float> bias = random_rows(1, 100, 5);
    std::vector<std::unique_ptr<TestWeight>> weights;
    std::vector<std::vector<float>> outs;
    std::vector<LinearOutput> outputs;
    for (int i = 0; i < 4; ++i) {
      weights.push_back(std::make_unique<TestWeight>(formats[i], rows[i], kColumns));
      fill(*weights[i], WeightKind::kUsual, 6 + i);
      outs.emplace_back(tokens * (rows[i] + i), -7.0F);
    }
    for (int i = 0; i < 4; ++i) {
      outputs.push_back({.weight = &weights[i]->view,
                         .bias = i % 2 == 0 ? bias.data() : nullptr,
                         .out = outs[i].data(),
                         .out_stride = rows[i] + i});
    }
    ASSERT_TRUE(run_linear(pool, *GetParam(), scratch, {x.data(), tokens, kColumns}, outputs));
    for (int i = 0; i < 4; ++i) {
      std::vector<float> expected = expected_products(weights[i]->view, x, tokens);
      for (int64_t n = 0; n < tokens * rows[i] && i % 2 == 0; ++n) expected[n] += bias[n % rows[i]];
      EXPECT_EQ(differing(outs[i], rows[i] + i, expected, rows[i], tokens, rows[i]), 0) << i;
      for (int64_t token = 0; token < tokens; ++token) {
        for (int64_t gap = rows[i]; gap < rows[i] + i; ++gap) {
          EXPECT_EQ(outs[i][token * (rows[i] + i) + gap], -7.0F) << "wrote between rows";
        }
      }
    }
  }
}

// Each weight has an order of its own, or the natural one, or shares one, or takes floats as they are.
TEST_P(LinearSets, SeveralColumnOrdersOnOneInput) {
  constexpr int64_t kColumns = 512;
  constexpr int64_t kRows = 40;
  const Format formats[] = {Format::kGptq4, Format::kQ8_0,  Format::kGptq8,    Format::kGptq4,
                            Format::kMlx4,  Format::kGptq4, Format::kFp8Block, Format::kAwq4};
  ThreadPool pool(3);
  LinearScratch scratch;
  for (const int64_t tokens : {1, 6, 65}) {
    const std::vector<float> x = random_rows(tokens, kColumns, 4);
    std::vector<std::unique_ptr<TestWeight>> weights;
    std::vector<std::vector<float>> outs;
    std::vector<LinearOutput> outputs;
    for (uint32_t i = 0; i < std::size(formats); ++i) {
      weights.push_back(std::make_unique<TestWeight>(formats[i], kRows, kColumns));
      fill(*weights[i], WeightKind::kUsual, 30 + i);
      if (!weights[i]->view.column_order.empty()) weights[i]->set_group_index(i % 5);
      ASSERT_EQ(fault_of(weights[i]->view), "");
      outs.emplace_back(tokens * kRows, -7.0F);
    }
    ASSERT_NE(weights[0]->column_order, weights[2]->column_order);
    ASSERT_EQ(weights[0]->column_order, weights[5]->column_order);
    for (size_t i = 0; i < weights.size(); ++i) {
      outputs.push_back({.weight = &weights[i]->view, .out = outs[i].data(), .out_stride = kRows});
    }
    ASSERT_TRUE(run_linear(pool, *GetParam(), scratch, {x.data(), tokens, kColumns}, outputs));
    for (size_t i = 0; i < weights.size(); ++i) {
      const std::vector<float> expected = expected_products(weights[i]->view, x, tokens);
      EXPECT_EQ(differing(outs[i], kRows, expected, kRows, tokens, kRows), 0) << i << " of " << tokens << " tokens";
    }
  }
}

TEST_P(LinearSets, ARowDoesNotDependOnItsBatchNorOnThreads) {
  constexpr int64_t kColumns = 1024;
  constexpr int64_t kRows = 333;
  constexpr int64_t kTokens = 300;  // more than one task takes
  TestWeight weight(Format::kQ5_K, kRows, kColumns);
  fill(weight, WeightKind::kUsual, 8);
  const std::vector<float> x = random_rows(kTokens, kColumns, 9);
  LinearScratch scratch;
  const auto run = [&](int threads, int64_t first, int64_t tokens) {
    ThreadPool pool(threads);
    std::vector<float> out(tokens * kRows);
    const LinearOutput output{.weight = &weight.view, .out = out.data(), .out_stride = kRows};
    EXPECT_TRUE(run_linear(pool, *GetParam(), scratch, {x.data() + first * kColumns, tokens, kColumns}, {&output, 1}));
    return out;
  };
  const std::vector<float> all = run(1, 0, kTokens);
  for (const int threads : {2, 3, 4}) EXPECT_EQ(run(threads, 0, kTokens), all);
  for (const int64_t token : {0, 1, 255, 256, 299}) {
    const std::vector<float> alone = run(3, token, 1);
    EXPECT_EQ(std::memcmp(alone.data(), &all[token * kRows], kRows * sizeof(float)), 0) << token;
  }
}

TEST_P(LinearSets, FloatWeightsOfAnyWidth) {
  ThreadPool pool(2);
  LinearScratch scratch;
  for (const Format format : {Format::kF32, Format::kF16, Format::kBF16}) {
    for (const int64_t columns : {1, 7, 31, 33, 47, 63, 65, 200}) {
      TestWeight weight(format, 21, columns);
      fill(weight, WeightKind::kUsual, 10);
      std::vector<float> x = random_rows(5, columns, 11);
      std::fill_n(x.begin(), columns, -1e-38F);  // accumulators that become -0 keep their sign
      const std::vector<float> expected = expected_products(weight.view, x, 5);
      std::vector<float> out(5 * 21);
      const LinearOutput output{.weight = &weight.view, .out = out.data(), .out_stride = 21};
      ASSERT_TRUE(run_linear(pool, *GetParam(), scratch, {x.data(), 5, columns}, {&output, 1}));
      EXPECT_EQ(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)), 0)
          << format_info(format).name << " K " << columns;
    }
  }
}

TEST_P(LinearSets, RefusesNonFiniteActivationsOfQuantisedWeights) {
  TestWeight weight(Format::kQ8_0, 32, 1024);
  fill(weight, WeightKind::kUsual, 12);
  std::vector<float> out(20 * 32);
  const LinearOutput output{.weight = &weight.view, .out = out.data(), .out_stride = 32};
  ThreadPool pool(2);
  LinearScratch scratch;
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN()}) {
    for (const int64_t tokens : {1, 20}) {
      for (const int64_t at : {0, 13, 31, 500, 1023}) {
        std::vector<float> x = random_rows(tokens, 1024, 13);
        EXPECT_TRUE(run_linear(pool, *GetParam(), scratch, {x.data(), tokens, 1024}, {&output, 1}));
        x[(tokens - 1) * 1024 + at] = bad;
        EXPECT_FALSE(run_linear(pool, *GetParam(), scratch, {x.data(), tokens, 1024}, {&output, 1})) << bad << at;
      }
    }
  }
  TestWeight plain(Format::kF32, 32, 1024);
  fill(plain, WeightKind::kUsual, 14);
  std::vector<float> x = random_rows(1, 1024, 15);
  x[5] = std::numeric_limits<float>::infinity();
  const LinearOutput plain_output{.weight = &plain.view, .out = out.data(), .out_stride = 32};
  EXPECT_TRUE(run_linear(pool, *GetParam(), scratch, {x.data(), 1, 1024}, {&plain_output, 1}));
}

TEST_P(LinearSets, QuantisationEqualsTheContract) {
  std::vector<float> x = random_rows(64, 32, 16);
  for (int i = 0; i < 32; ++i) {
    x[i] = 0.0F;
    x[32 + i] = 1e-40F * static_cast<float>(i);
    x[64 + i] = 3.0e38F * (i % 2 == 0 ? 1.0F : -1.0F);
    x[96 + i] = i == 7 ? 3.8e-37F : 1e-38F;  // just inside what 127 / amax can hold
    x[128 + i] = i == 7 ? 3.7e-37F : 1e-38F;
    x[160 + i] = i == 9 ? -127.0F : static_cast<float>(i) + 0.5F;
  }
  std::vector<ActivationGroup> groups(64);
  ASSERT_TRUE(GetParam()->linear.quantise(x.data(), 64, groups.data(), 1));
  for (int g = 0; g < 64; ++g) {
    const QuantisedGroup expected = quantise_group(&x[g * 32]);
    int sums[2] = {};
    for (int i = 0; i < 32; ++i) {
      EXPECT_EQ(groups[g].codes[i], expected.codes[i]) << g << " " << i;
      sums[i / 16] += expected.codes[i];
    }
    EXPECT_EQ(groups[g].scale, expected.scale) << g;
    EXPECT_EQ(groups[g].half_sums[0], sums[0]);
    EXPECT_EQ(groups[g].half_sums[1], sums[1]);
    EXPECT_EQ(groups[g].sum, sums[0] + sums[1]);
    EXPECT_EQ(groups[g].scaled_sum, expected.scale * static_cast<float>(sums[0] + sums[1]));
  }
}

TEST_P(LinearSets, CoversTheFormatTable) {
  if (GetParam()->instruction_set == InstructionSet::kScalar) {
    EXPECT_EQ(GetParam()->linear.n_formats, 0) << "the scalar set is the codecs";
    return;
  }
  std::set<Format> covered;
  for (int i = 0; i < GetParam()->linear.n_formats; ++i) covered.insert(GetParam()->linear.formats[i].format);
  EXPECT_EQ(covered.size(), GetParam()->linear.n_formats) << "a format twice";
  for (const FormatInfo& info : format_table()) {
    if (!covered.contains(info.format)) std::cout << info.name << ": by its codec\n";
  }
}

TEST_P(LinearSets, PeaksCountTheirWork) {
  for (int i = 0; i < GetParam()->linear.n_peaks; ++i) {
    int32_t sink = 0;
    const PeakProbe& probe = GetParam()->linear.peaks[i];
    EXPECT_EQ(probe.run(20, &sink), 2 * probe.run(10, &sink)) << probe.name;
  }
}

TEST(KernelChoice, PrefersTheLastAndRefusesWhatIsMissing) {
  Machine machine;
  EXPECT_EQ(choose_kernels(machine, nullptr).instruction_set, InstructionSet::kScalar);
  for (const KernelTable* table : kernel_tables()) {
    machine.instruction_sets.push_back(table->instruction_set);
    EXPECT_EQ(choose_kernels(machine, nullptr).instruction_set, table->instruction_set);
  }
  const InstructionSet scalar = InstructionSet::kScalar;
  EXPECT_EQ(choose_kernels(machine, &scalar).instruction_set, scalar);
  machine.instruction_sets = {scalar};
  const InstructionSet missing = InstructionSet::kNeonI8mm;
  try {
    choose_kernels(machine, &missing);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(std::string(error.what()).find("neon_i8mm"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("scalar"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace megalith::cpu
