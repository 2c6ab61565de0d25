#pragma once
// What this machine is: instruction sets, cores this process may use, memory this process may use.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace megalith {

/// In rising order of preference for the x86 sets; the names are those of MEGALITH_ISA.
enum class InstructionSet { kScalar, kAvx2, kAvxVnni, kAvx512, kAvx512Vnni, kNeon, kNeonI8mm };

std::string_view name(InstructionSet set);
/// Throws kUsage listing the names if there is none such.
InstructionSet instruction_set_from_name(std::string_view name);

struct Machine {
  std::string cpu_name;
  std::vector<InstructionSet> instruction_sets;  // that the CPU and the operating system support, kScalar first
  int physical_cores = 1;  // that the affinity mask and the cgroup CPU quota let us use; at least 1
  int logical_cores = 1;
  int numa_nodes = 1;
  uint64_t memory_bytes = 0;            // of the machine
  uint64_t memory_limit_bytes = 0;      // the smaller of memory and cgroup limits
  uint64_t memory_available_bytes = 0;  // now, page cache counted as free; never above what the cgroup leaves
};

/// Reads /proc, /sys and CPUID (or sysctl); never throws: what cannot be read keeps its default.
Machine probe_machine();

}  // namespace megalith
