#include "ops/ops.h"

#include <fmt/core.h>

#include "base/error.h"
#include "ops/finite_check.h"

namespace megalith {

uint64_t StateLayout::page_bytes() const {
  constexpr uint64_t kHalfBytes = 2;
  uint64_t values = 0;
  for (const PagedKv& layer : layers) {
    values +=
        static_cast<uint64_t>(layer.kv_heads) * static_cast<uint64_t>(layer.key_width + layer.stored_value_width());
  }
  return values * kPageTokens * kHalfBytes;
}

uint64_t StateLayout::slot_bytes() const {
  uint64_t floats = 0;
  for (const Recurrent& layer : recurrent) {
    floats += static_cast<uint64_t>(layer.convolution_floats() + layer.delta_floats());
  }
  return floats * sizeof(float);
}

namespace {
constexpr std::string_view kCure = "run `megalith inspect --verify` on the file";
}  // namespace

void FiniteCheck::note_activations(std::string_view op, std::string_view weight) {
  if (message_) return;
  message_ = fmt::format("{}: the activations entering {} are not finite (NaN or infinity); {}", op, weight, kCure);
}

void FiniteCheck::note_logits(std::string_view weight) {
  if (message_) return;
  message_ = fmt::format("logits: the scores computed from {} are not finite (NaN or infinity); {}", weight, kCure);
}

void FiniteCheck::throw_if_any() const {
  if (message_) throw Error(ErrorKind::kRuntime, *message_);
}

}  // namespace megalith
