#pragma once
// The CPU backend: ops.h computed at once by the kernels of one instruction set, weights where they lie.
#include <memory>

#include "backends/cpu/kernel_table.h"
#include "base/ledger.h"
#include "ops/ops.h"

namespace megalith::cpu {

/// `threads` >= 1. `ledger` and `kernels` must outlive it.
std::unique_ptr<Ops> make_ops(Ledger& ledger, const KernelTable& kernels, int threads);

}  // namespace megalith::cpu
