#pragma once
// Formats whose 4-bit codes index a table of 16 integers.
#include "formats/block_codec.h"

namespace megalith::codebook {

using Codebook = std::array<int8_t, 16>;

/// IQ4_NL and IQ4_XS (ggml-common.h, kvalues_iq4nl): denser around 0; it has no 0 itself.
inline constexpr Codebook kIq4 = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// MXFP4 and NVFP4: the FP4 number E2M1 (sign, two exponent bits, one mantissa bit; OCP Microscaling Formats v1.0),
/// doubled so that it is an integer; the scales are halved in return. Code 8 is -0, which an integer 0 stands for.
inline constexpr Codebook kDoubledE2m1 = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
inline constexpr int kLargestDoubledE2m1 = 12;

inline int16_t entry(const Codebook& book, int code) { return book[static_cast<size_t>(code)]; }

/// The code whose entry is nearest to value / step, or to 0 if the step is 0; the lower code of two as near.
inline int nearest_code(const Codebook& book, float value, float step) {
  const float wanted = step == 0.0f ? 0.0f : value / step;
  const auto nearest = std::min_element(book.begin(), book.end(), [wanted](int8_t a, int8_t b) {
    return std::fabs(static_cast<float>(a) - wanted) < std::fabs(static_cast<float>(b) - wanted);
  });
  return static_cast<int>(nearest - book.begin());
}

}  // namespace megalith::codebook
