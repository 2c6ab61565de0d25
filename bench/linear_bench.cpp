// How near the matmul kernels come to this machine's limits, format by format. Every figure stands beside the limit
// measured in the same run; shared machines are noisy, so rounds are interleaved and the best of each counts (and
// one thread is timed by its CPU time).
//   linear_bench [-t THREADS] [--isa SET] [--format NAME] [--rounds N] [--mib SIZE]
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/kernel_table.h"
#include "backends/cpu/linear.h"
#include "backends/cpu/probe.h"
#include "base/error.h"

namespace megalith::cpu {
namespace {

struct Options {
  int threads = 0;
  std::string isa;
  std::string format;
  int rounds = 5;
  int64_t mib = 192;
};

struct Weight {
  std::vector<std::byte> bytes;
  WeightView view;
};

// A small block of encoded random weights, repeated: encoding hundreds of megabytes would take minutes.
Weight make_weight(const FormatInfo& info, int64_t rows, int64_t columns) {
  Weight weight;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(65536);
  for (float& value : values) value = normal(random) * 0.02F;
  std::vector<std::byte> pattern(values.size() / info.block_weights * info.block_bytes);
  info.encode(values, pattern);
  weight.bytes.resize(rows * (columns / info.block_weights) * info.block_bytes);
  for (size_t at = 0; at < weight.bytes.size(); at += pattern.size()) {
    std::memcpy(&weight.bytes[at], pattern.data(), std::min(pattern.size(), weight.bytes.size() - at));
  }
  weight.view = {.format = info.format, .rows = rows, .columns = columns};
  weight.view.planes[0] = weight.bytes;
  return weight;
}

class Bench {
 public:
  Bench(ThreadPool& pool, const KernelTable& table) : pool_(pool), table_(table) {
    std::mt19937 random(2);
    std::normal_distribution<float> normal;
    input_.resize(512 * 4096);
    for (float& value : input_) value = normal(random);
  }

  // Seconds of `repeats` products.
  double time(ThreadPool& pool, const Weight& weight, int64_t tokens, int repeats) {
    out_.resize(std::max<size_t>(out_.size(), tokens * weight.view.rows));
    const LinearOutput output{.weight = &weight.view, .out = out_.data(), .out_stride = weight.view.rows};
    const Stopwatch watch(pool);
    for (int i = 0; i < repeats; ++i) {
      run_linear(pool, table_, scratch_, {input_.data(), tokens, weight.view.columns}, {&output, 1});
    }
    return watch.seconds();
  }
  double time(const Weight& weight, int64_t tokens) { return time(pool_, weight, tokens, 1); }

 private:
  ThreadPool& pool_;
  const KernelTable& table_;
  LinearScratch scratch_;
  std::vector<float> input_;
  std::vector<float> out_;
};

void keep_best(double& best, double value) { best = std::max(best, value); }

const char* peak_name(Format format) {
  switch (format) {
    case Format::kQ4_0:
    case Format::kQ4_1:
    case Format::kQ4_K:
      return "4-bit codes";
    case Format::kQ5_0:
    case Format::kQ5_1:
    case Format::kQ5_K:
      return "5-bit codes";
    case Format::kQ6_K:
      return "6-bit codes";
    case Format::kQ8_0:
      return "8-bit codes";
    default:
      return "float";
  }
}

constexpr int64_t kBatches[] = {1, 2, 3, 4, 8};
constexpr int64_t kPrompts[] = {16, 64, 512};

void bench_format(Bench& bench, ThreadPool& pool, const KernelTable& table, const FormatInfo& info,
                  const Options& options) {
  constexpr int64_t kColumns = 4096;
  const int64_t row_bytes = kColumns / info.block_weights * info.block_bytes;
  const Weight large = make_weight(info, (options.mib << 20) / row_bytes / 16 * 16, kColumns);
  const Weight middle = make_weight(info, 1024, kColumns);
  const int64_t small_row_bytes = 1024 / info.block_weights * info.block_bytes;
  const Weight small = make_weight(info, (384 << 10) / small_row_bytes / 16 * 16, 1024);
  const double large_bytes = static_cast<double>(large.bytes.size());
  ThreadPool one(1);
  double one_stream = 0, many_streams = 0, cached = 0, peak = 0;
  std::map<int64_t, double> batches, prompts;
  const PeakProbe* probe = nullptr;
  for (int i = 0; i < table.linear.n_peaks; ++i) {
    if (std::strcmp(table.linear.peaks[i].name, peak_name(info.format)) == 0) probe = &table.linear.peaks[i];
  }
  for (int round = 0; round < options.rounds; ++round) {
    keep_best(one_stream, read_bandwidth(pool, large.bytes, 1));
    keep_best(many_streams, read_bandwidth(pool, large.bytes, 16));
    for (const int64_t tokens : kBatches) keep_best(batches[tokens], large_bytes / bench.time(large, tokens));
    keep_best(cached, static_cast<double>(small.bytes.size()) * 100 / bench.time(one, small, 1, 100));
    if (probe != nullptr) keep_best(peak, peak_multiply_adds(pool, *probe, 0.01));
    for (const int64_t tokens : kPrompts) {
      const double work = static_cast<double>(middle.view.rows * kColumns * tokens);
      keep_best(prompts[tokens], work / bench.time(middle, tokens));
    }
  }
  std::printf("%-5s %6.1f %6.1f |", std::string(info.name).c_str(), one_stream / 1e9, many_streams / 1e9);
  for (const int64_t tokens : kBatches) {
    if (tokens == 1) {
      std::printf(" %6.1f %4.0f%%", batches[1] / 1e9, 100 * batches[1] / many_streams);
    } else {
      std::printf(" %5.2f", batches[1] / batches[tokens]);
    }
  }
  std::printf(" | %6.1f | %6.0f |", cached / 1e9, peak / 1e9);
  for (const int64_t tokens : kPrompts)
    std::printf(" %5.0f %3.0f%%", prompts[tokens] / 1e9, 100 * prompts[tokens] / peak);
  std::printf("\n");
  std::fflush(stdout);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    const std::string value = argv[i + 1];
    if (key == "-t") {
      options.threads = std::stoi(value);
    } else if (key == "--isa") {
      options.isa = value;
    } else if (key == "--format") {
      options.format = value;
    } else if (key == "--rounds") {
      options.rounds = std::stoi(value);
    } else if (key == "--mib") {
      options.mib = std::stoll(value);
    } else {
      throw Error(ErrorKind::kUsage, "unknown option " + key + "; known: -t --isa --format --rounds --mib");
    }
  }
  return options;
}

int run(const Options& options) {
  const Machine machine = probe_machine();
  InstructionSet forced{};
  if (!options.isa.empty()) forced = instruction_set_from_name(options.isa);
  const KernelTable& table = choose_kernels(machine, options.isa.empty() ? nullptr : &forced);
  ThreadPool pool(options.threads > 0 ? options.threads : machine.physical_cores);
  std::printf("%s, %d threads, %s; %ld MiB weights, best of %d rounds\n", machine.cpu_name.c_str(), pool.size(),
              std::string(name(table.instruction_set)).c_str(), static_cast<long>(options.mib), options.rounds);
  std::printf(
      "       GB/s read by  | decode from memory: GB/s, of 16 streams;  | GB/s L2 | peak   | prefill GMAC/s, of "
      "peak\n");
  std::printf(
      "        1     16     |   M=1          time of M=2, 3, 4, 8 to it | 1 core | GMAC/s |  M=16      M=64      "
      "M=512\n");
  Bench bench(pool, table);
  for (const FormatInfo& info : format_table()) {
    if (info.encode == nullptr) continue;
    if (options.format.empty() || info.name == options.format) bench_format(bench, pool, table, info, options);
  }
  return 0;
}

}  // namespace
}  // namespace megalith::cpu

int main(int argc, char** argv) {
  try {
    return megalith::cpu::run(megalith::cpu::parse(argc, argv));
  } catch (const megalith::Error& error) {
    std::fprintf(stderr, "linear_bench: %s\n", error.what());
    return megalith::exit_code(error.kind());
  }
}
