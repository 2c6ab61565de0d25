#pragma once
// The first non-finite value of a step, for the error that ends it.
#include <optional>
#include <string>
#include <string_view>

namespace megalith {

class FiniteCheck {
 public:
  void clear() { message_.reset(); }
  /// The activations that enter `weight` held a NaN or an infinity. Only the first note of a step is kept.
  void note_activations(std::string_view op, std::string_view weight);
  /// The logits that `weight` gave did.
  void note_logits(std::string_view weight);
  /// Throws kRuntime if anything was noted since the last clear().
  void throw_if_any() const;

 private:
  std::optional<std::string> message_;
};

}  // namespace megalith
