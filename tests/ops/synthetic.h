#pragma once
// Weights and batches made from a seed, for tests of ops.
#include <cmath>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "formats/encode.h"
#include "ops/ops.h"

namespace megalith::testing {

/// Deterministic everywhere (standard distributions are not): splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  /// In [-1, 1), on a grid of 2^-23.
  float uniform() { return static_cast<float>(static_cast<int64_t>(next() >> 40) - (1 << 23)) * 0x1p-23F; }
  int32_t below(int32_t limit) { return static_cast<int32_t>(next() % static_cast<uint64_t>(limit)); }
  std::vector<float> vector(size_t n, float scale) {
    std::vector<float> values(n);
    for (float& value : values) value = uniform() * scale;
    return values;
  }

 private:
  uint64_t state_;
};

/// Owns the bytes of the weights it makes.
class SyntheticWeights {
 public:
  explicit SyntheticWeights(uint64_t seed) : random_(seed) {}
  /// [rows, columns] of uniform values in +-scale.
  NamedWeight matrix(const std::string& name, int64_t rows, int64_t columns, Format format, float scale) {
    return encode(name, {rows, columns}, random_.vector(static_cast<size_t>(rows * columns), scale), format);
  }
  /// [columns] around `centre`, F32.
  NamedWeight vector(const std::string& name, int64_t columns, float centre, float scale) {
    std::vector<float> values = random_.vector(static_cast<size_t>(columns), scale);
    for (float& value : values) value += centre;
    return encode(name, {columns}, values, Format::kF32);
  }
  NamedWeight encode(const std::string& name, std::vector<int64_t> shape, const std::vector<float>& values,
                     Format format) {
    NamedWeight weight;
    weight.name = name;
    weight.shape = std::move(shape);
    weight.view.format = format;
    weight.view.columns = weight.shape.back();
    weight.view.rows = static_cast<int64_t>(values.size()) / weight.view.columns;
    weight.view.scale_format = Format::kF32;
    std::vector<int32_t> groups(static_cast<size_t>(weight.view.columns));
    if (format == Format::kGptq4 || format == Format::kGptq8) {
      // Act-order: neighbours are in different groups, of 32 columns each.
      const size_t n_groups = groups.size() / GroupTerms::kSize;
      for (size_t k = 0; k < groups.size(); ++k) groups[k] = static_cast<int32_t>(k % n_groups);
      weight.view.planes[3] = std::as_bytes(std::span(groups));
    }
    weight.view = storage_.emplace_back(encode_weight(weight.view, values)).view;
    return weight;
  }

 private:
  Random random_;
  std::deque<EncodedWeight> storage_;
};

/// One sequence under way: its tokens, how many are done, its pages.
struct TestSequence {
  std::vector<int32_t> tokens;
  int32_t done = 0;
  std::vector<PageId> pages;
};

/// Adds the next `count` tokens of a sequence to a batch.
inline void add_slice(Batch& batch, const TestSequence& sequence, int32_t count) {
  SequenceSlice slice;
  slice.first_row = static_cast<int32_t>(batch.tokens.size());
  slice.n_tokens = count;
  slice.first_position = sequence.done;
  slice.pages = sequence.pages;
  for (int32_t i = 0; i < count; ++i) {
    batch.tokens.push_back(sequence.tokens[static_cast<size_t>(sequence.done + i)]);
    batch.positions.push_back(sequence.done + i);
  }
  batch.sequences.push_back(std::move(slice));
}

/// |error| in units in the last place of the float nearest to `exact`.
inline double ulps(float value, double exact) {
  const auto nearest = static_cast<float>(exact);
  const float magnitude = std::fabs(nearest);
  const double ulp = static_cast<double>(std::nextafter(magnitude, INFINITY)) - magnitude;
  return std::fabs(static_cast<double>(value) - exact) / ulp;
}

}  // namespace megalith::testing
