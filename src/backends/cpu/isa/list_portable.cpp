// The sets of a binary for an architecture that has no kernels of its own yet.
#include "backends/cpu/isa/tables.h"

namespace megalith::cpu {

std::span<const KernelTable* const> kernel_tables() {
  static constexpr const KernelTable* kTables[] = {&kScalarTable};
  return kTables;
}

}  // namespace megalith::cpu
