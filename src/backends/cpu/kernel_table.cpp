#include "backends/cpu/kernel_table.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace megalith::cpu {
namespace {

bool supports(const Machine& machine, InstructionSet set) {
  return std::ranges::find(machine.instruction_sets, set) != machine.instruction_sets.end();
}

[[noreturn]] void refuse(const Machine& machine, InstructionSet wanted) {
  std::string available;
  for (const KernelTable* table : kernel_tables()) {
    if (!supports(machine, table->instruction_set)) continue;
    available += (available.empty() ? "" : ", ") + std::string(name(table->instruction_set));
  }
  throw Error(ErrorKind::kUsage, "instruction set " + std::string(name(wanted)) +
                                     " is not available on this machine; choose one of: " + available);
}

}  // namespace

const KernelTable& choose_kernels(const Machine& machine, const InstructionSet* forced) {
  const KernelTable* best = nullptr;
  for (const KernelTable* table : kernel_tables()) {
    if (!supports(machine, table->instruction_set)) continue;
    if (forced == nullptr || table->instruction_set == *forced) best = table;
  }
  if (best == nullptr) {
    // Without a forced set the scalar one always serves, even if the probe of the machine found nothing.
    if (forced == nullptr) return *kernel_tables().front();
    refuse(machine, *forced);
  }
  return *best;
}

}  // namespace megalith::cpu
