#include "base/machine.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <thread>

#include "base/error.h"
#include "base/machine_probe.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sched.h>
#include <sys/sysinfo.h>
#endif
#if defined(__linux__) && defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace megalith {

namespace {

struct NamedSet {
  InstructionSet set;
  std::string_view name;
};
constexpr std::array<NamedSet, 7> kNames = {{{InstructionSet::kScalar, "scalar"},
                                             {InstructionSet::kAvx2, "avx2"},
                                             {InstructionSet::kAvxVnni, "avxvnni"},
                                             {InstructionSet::kAvx512, "avx512"},
                                             {InstructionSet::kAvx512Vnni, "avx512vnni"},
                                             {InstructionSet::kNeon, "neon"},
                                             {InstructionSet::kNeonI8mm, "neon_i8mm"}}};

#if defined(__x86_64__)
struct CpuidRegisters {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidRegisters cpuid(unsigned leaf, unsigned subleaf) {
  CpuidRegisters r;
  if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

/// Which register files the operating system saves. Only valid if CPUID reports OSXSAVE.
uint32_t saved_state_mask() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}
#endif

#if defined(__APPLE__)
template <typename T>
T sysctl_value(const char* key, T missing) {
  T value{};
  size_t size_bytes = sizeof(value);
  return sysctlbyname(key, &value, &size_bytes, nullptr, 0) == 0 && size_bytes == sizeof(value) ? value : missing;
}
#endif

}  // namespace

std::string_view name(InstructionSet set) {
  return std::find_if(kNames.begin(), kNames.end(), [&](const NamedSet& row) { return row.set == set; })->name;
}

InstructionSet instruction_set_from_name(std::string_view name) {
  std::string known;
  for (const NamedSet& row : kNames) {
    if (row.name == name) return row.set;
    known += known.empty() ? "" : ", ";
    known += row.name;
  }
  throw Error(ErrorKind::kUsage, fmt::format("unknown instruction set '{}'; the names are {}", name, known));
}

std::vector<InstructionSet> probe_instruction_sets() {
  std::vector<InstructionSet> sets = {InstructionSet::kScalar};
#if defined(__x86_64__)
  const auto bit = [](unsigned value, int index) { return ((value >> index) & 1u) != 0; };
  const CpuidRegisters leaf1 = cpuid(1, 0);
  const CpuidRegisters leaf7 = cpuid(7, 0);
  const bool os_saves = bit(leaf1.ecx, 27);
  const uint32_t saved = os_saves ? saved_state_mask() : 0;
  const bool ymm_saved = (saved & 0x6u) == 0x6u;
  const bool zmm_saved = (saved & 0xe6u) == 0xe6u;
  const bool fma = bit(leaf1.ecx, 12);
  const bool f16c = bit(leaf1.ecx, 29);
  const bool avx2 = ymm_saved && bit(leaf1.ecx, 28) && bit(leaf7.ebx, 5) && fma && f16c;
  const bool avx512 = avx2 && zmm_saved && bit(leaf7.ebx, 16) && bit(leaf7.ebx, 17) && bit(leaf7.ebx, 30) &&
                      bit(leaf7.ebx, 31);  // F, DQ, BW, VL
  if (avx2) sets.push_back(InstructionSet::kAvx2);
  if (avx2 && leaf7.eax >= 1 && bit(cpuid(7, 1).eax, 4)) sets.push_back(InstructionSet::kAvxVnni);
  if (avx512) sets.push_back(InstructionSet::kAvx512);
  if (avx512 && bit(leaf7.ecx, 11)) sets.push_back(InstructionSet::kAvx512Vnni);
#elif defined(__aarch64__) && defined(__linux__)
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) {
    sets.push_back(InstructionSet::kNeon);
    if ((getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0) sets.push_back(InstructionSet::kNeonI8mm);
  }
#elif defined(__APPLE__)
  if (sysctl_value<int>("hw.optional.arm.FEAT_DotProd", 0) == 1) {
    sets.push_back(InstructionSet::kNeon);
    if (sysctl_value<int>("hw.optional.arm.FEAT_I8MM", 0) == 1) sets.push_back(InstructionSet::kNeonI8mm);
  }
#endif
  return sets;
}

void ask_kernel_for_memory(Machine& machine) {
#if defined(__linux__)
  struct sysinfo answer = {};
  if (sysinfo(&answer) != 0) return;
  const uint64_t unit_bytes = answer.mem_unit;
  machine.memory_bytes = answer.totalram * unit_bytes;
  machine.memory_limit_bytes = machine.memory_bytes;
  machine.memory_available_bytes = (answer.freeram + answer.bufferram) * unit_bytes;
#else
  static_cast<void>(machine);
#endif
}

Machine probe_machine() {
  Machine machine;
  try {
#if defined(__linux__)
    std::vector<int> usable_cpus;
    // Machines with more than 1024 CPUs need a larger mask than cpu_set_t.
    constexpr int kMaxCpus = 16384;
    std::vector<cpu_set_t> mask(static_cast<size_t>(kMaxCpus) / CPU_SETSIZE);
    const size_t mask_bytes = mask.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(0, mask_bytes, mask.data()) == 0) {
      for (int cpu = 0; cpu < kMaxCpus; ++cpu) {
        if (CPU_ISSET_S(static_cast<size_t>(cpu), mask_bytes, mask.data())) usable_cpus.push_back(cpu);
      }
    }
    machine = probe_linux("", usable_cpus);
    // A bare chroot may have no /proc; 0 bytes of memory would refuse every model.
    if (machine.memory_bytes == 0) ask_kernel_for_memory(machine);
#elif defined(__APPLE__)
    std::array<char, 256> brand{};
    size_t brand_bytes = brand.size() - 1;
    if (sysctlbyname("machdep.cpu.brand_string", brand.data(), &brand_bytes, nullptr, 0) == 0) {
      machine.cpu_name = brand.data();
    }
    machine.logical_cores = std::max(1, sysctl_value<int>("hw.logicalcpu", 1));
    machine.physical_cores = std::max(1, sysctl_value<int>("hw.physicalcpu", machine.logical_cores));
    machine.memory_bytes = sysctl_value<uint64_t>("hw.memsize", 0);
    machine.memory_limit_bytes = machine.memory_bytes;
    machine.memory_available_bytes = machine.memory_bytes;
#endif
    machine.instruction_sets = probe_instruction_sets();
  } catch (const std::exception&) {
    // Only out of memory could bring us here; what was not read keeps its default.
  }
  return machine;
}

}  // namespace megalith
