#pragma once
// The devices that this build knows.
#include <memory>
#include <optional>

#include "base/ledger.h"
#include "base/machine.h"
#include "ops/ops.h"

namespace megalith {

struct BackendOptions {
  int threads = 0;                                // 0: all physical cores that this process may use
  std::optional<InstructionSet> instruction_set;  // none: the best that the machine has and we have kernels for
};

/// The CPU backend. Throws kUsage if the forced instruction set is not available here, naming those that are.
/// `ledger` must outlive it.
std::unique_ptr<Ops> make_cpu_ops(Ledger& ledger, const Machine& machine, const BackendOptions& options);

}  // namespace megalith
