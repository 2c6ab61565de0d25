#include "backends/registry.h"

#include "backends/cpu/cpu_ops.h"

namespace megalith {

std::unique_ptr<Ops> make_cpu_ops(Ledger& ledger, const Machine& machine, const BackendOptions& options) {
  const InstructionSet* forced = options.instruction_set ? &*options.instruction_set : nullptr;
  const int threads = options.threads > 0 ? options.threads : machine.physical_cores;
  return cpu::make_ops(ledger, cpu::choose_kernels(machine, forced), threads);
}

}  // namespace megalith
