#pragma once
// The driver on the CPU backend.
#include <optional>

#include "backends/registry.h"
#include "models/driver.h"

namespace megalith::testing {

/// Without a set: the best of this machine.
inline MakeOps cpu_ops(int threads, std::optional<InstructionSet> set = std::nullopt) {
  return [=](Ledger& ledger) {
    return make_cpu_ops(ledger, probe_machine(), {.threads = threads, .instruction_set = set});
  };
}

}  // namespace megalith::testing
