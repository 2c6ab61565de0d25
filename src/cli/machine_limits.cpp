#include "cli/machine_limits.h"

#include <algorithm>

#include "backends/cpu/kernel_table.h"
#include "backends/cpu/probe.h"
#include "base/thread_pool.h"

namespace megalith::cli {

namespace {

// Beyond most last-level caches, and never more than an eighth of what is free.
constexpr uint64_t kBufferBytes = 256ULL << 20;
// Other work on the machine can only slow a probe down, so the best of several counts.
constexpr int kAttempts = 5;
constexpr double kPeakSeconds = 0.02;

}  // namespace

double MachineLimits::read_bytes_per_second() const {
  return std::max(read_bytes_per_second_1, read_bytes_per_second_16);
}

double MachineLimits::multiply_adds_per_second(Format format) const {
  const FormatInfo& info = format_info(format);
  const std::string kind = info.quantised() ? std::string(1, info.name[1]) + "-bit codes" : "float";
  const auto peak = std::find_if(peaks.begin(), peaks.end(), [&](const Peak& known) { return known.kind == kind; });
  // The scalar set has one kind for all.
  return (peak != peaks.end() ? *peak : peaks.front()).multiply_adds_per_second;
}

MachineLimits measure_limits(const Machine& machine, const LimitsRequest& request) {
  const cpu::LinearKernels& kernels = cpu::choose_kernels(machine, request.instruction_set).linear;
  MachineLimits limits;
  for (int i = 0; i < kernels.n_peaks; ++i) limits.peaks.push_back({kernels.peaks[i].name, 0});
  ThreadPool pool(request.threads);
  const std::vector<std::byte> buffer(std::min(kBufferBytes, machine.memory_available_bytes / 8 + (1 << 20)),
                                      std::byte{1});
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (request.check_interrupt) request.check_interrupt();
    if (request.progress) request.progress(static_cast<double>(attempt) / kAttempts);
    limits.read_bytes_per_second_1 = std::max(limits.read_bytes_per_second_1, cpu::read_bandwidth(pool, buffer, 1));
    limits.read_bytes_per_second_16 = std::max(limits.read_bytes_per_second_16, cpu::read_bandwidth(pool, buffer, 16));
    for (int i = 0; i < kernels.n_peaks; ++i) {
      double& best = limits.peaks[static_cast<size_t>(i)].multiply_adds_per_second;
      best = std::max(best, cpu::peak_multiply_adds(pool, kernels.peaks[i], kPeakSeconds));
    }
  }
  return limits;
}

}  // namespace megalith::cli
