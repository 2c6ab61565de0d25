#pragma once
// Reads every weight of a checkpoint and looks for values that no computation survives.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "files/checkpoint.h"

namespace megalith::cli {

struct Fault {
  std::string tensor;
  int64_t row = 0;
  int64_t column = 0;
  float value = 0;       // NaN or infinite
  int64_t bad_rows = 0;  // of the tensor
};

struct VerifyHooks {
  std::function<void(double done_fraction)> progress;  // may be empty
  std::function<void()> check_interrupt;               // throws to end it; may be empty
};

/// The first non-finite value of each tensor that has one. Throws kRuntime if the file was truncated meanwhile.
std::vector<Fault> find_faults(const Checkpoint& checkpoint, int threads, const VerifyHooks& hooks);

}  // namespace megalith::cli
