#include "backends/cpu/linear.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <vector>

#include "backends/cpu/kernel_table.h"

namespace megalith::cpu {
namespace {

// A group array whose growth neither copies nor initialises: every call writes what it reads.
class GroupBuffer {
 public:
  ActivationGroup* reserve(int64_t n) {
    if (n > capacity_) {
      groups_.reset();
      capacity_ = 0;
      // Zeroed once, so that padding tokens hold numbers.
      groups_ = std::make_unique<ActivationGroup[]>(n);
      capacity_ = n;
    }
    return groups_.get();
  }
  uint64_t bytes() const { return static_cast<uint64_t>(capacity_) * sizeof(ActivationGroup); }

 private:
  std::unique_ptr<ActivationGroup[]> groups_;
  int64_t capacity_ = 0;
};

/// The input as int8 groups in one order of columns; weights of the same order share it.
struct OrderedGroups {
  std::span<const int32_t> order;  // empty: natural
  ActivationGroup* groups = nullptr;
};

struct Item {
  LinearKernel kernel;
  LinearTask task;
};

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

LinearKernel kernel_for(const LinearKernels& kernels, Format format) {
  const FormatKernel* end = kernels.formats + kernels.n_formats;
  const FormatKernel* found = std::find_if(kernels.formats, end, [&](const auto& k) { return k.format == format; });
  return found == end ? linear_by_codec : found->run;
}

// Rows of one task: a few tasks for each thread even out their speeds, yet each stream of a decode task should be long
// enough to be worth starting.
int64_t rows_per_task(const LinearKernels& kernels, int64_t rows, int64_t row_bytes, int64_t tokens, int threads) {
  if (threads == 1 && tokens <= kernels.direct_tokens) return rows;
  constexpr int64_t kTasksPerThread = 4;
  constexpr int64_t kStreamBytes = 8192;
  const int64_t granule = 2 * kernels.row_granule;
  int64_t chunk = round_up((rows + threads * kTasksPerThread - 1) / (threads * kTasksPerThread), granule);
  if (tokens <= kernels.direct_tokens) {
    const int64_t wanted = round_up(kernels.row_granule * ((kStreamBytes + row_bytes - 1) / row_bytes), granule);
    const int64_t even = round_up((rows + threads - 1) / threads, kernels.row_granule);
    chunk = std::max(chunk, std::min(wanted, even));
  }
  return chunk;
}

}  // namespace

struct LinearScratch::State {
  GroupBuffer groups;
  std::vector<OrderedGroups> orders;
  std::vector<Item> items;
};

LinearScratch::LinearScratch() : state_(std::make_unique<State>()) {}
LinearScratch::~LinearScratch() = default;

uint64_t LinearScratch::bytes() const {
  return state_->groups.bytes() + state_->orders.capacity() * sizeof(OrderedGroups) +
         state_->items.capacity() * sizeof(Item);
}

namespace {

bool quantise_input(ThreadPool& pool, const LinearKernels& kernels, const LinearInput& input, int64_t padded,
                    const OrderedGroups& to) {
  const int64_t row_groups = input.columns / GroupTerms::kSize;
  const int64_t superblocks = (row_groups + kSuperblockGroups - 1) / kSuperblockGroups;
  const auto quantise = [&](int64_t token, int64_t superblock) {
    const int64_t begin = superblock * kSuperblockGroups;
    const int64_t count = std::min(kSuperblockGroups, row_groups - begin);
    ActivationGroup* groups = to.groups + group_index(superblock, token, padded);
    const float* row = input.rows + token * input.columns;
    if (to.order.empty()) {
      return kernels.quantise(row + begin * GroupTerms::kSize, count, groups, block_tokens(padded));
    }
    alignas(64) std::array<float, kSuperblockGroups * GroupTerms::kSize> ordered;
    const auto columns = to.order.subspan(begin * GroupTerms::kSize, count * GroupTerms::kSize);
    std::ranges::transform(columns, ordered.begin(), [row](int32_t column) { return row[column]; });
    return kernels.quantise(ordered.data(), count, groups, block_tokens(padded));
  };
  // Below this a parallel loop costs more than it saves (a group takes some ten nanoseconds).
  constexpr int64_t kSerialGroups = 512;
  if (pool.size() == 1 || input.n_rows * row_groups <= kSerialGroups) {
    bool finite = true;
    for (int64_t token = 0; token < input.n_rows; ++token) {
      for (int64_t superblock = 0; superblock < superblocks; ++superblock) {
        finite = quantise(token, superblock) && finite;
      }
    }
    return finite;
  }
  std::atomic<bool> finite = true;
  const int64_t total = input.n_rows * superblocks;
  const int64_t per_item = std::max<int64_t>(16, (total + pool.size() * 4 - 1) / (pool.size() * 4));
  pool.parallel_for((total + per_item - 1) / per_item, [&](int64_t item, int) {
    for (int64_t i = item * per_item; i < std::min(total, (item + 1) * per_item); ++i) {
      if (!quantise(i / superblocks, i % superblocks)) finite.store(false, std::memory_order_relaxed);
    }
  });
  return finite.load();
}

/// Quantises the input once for each order of columns that the weights have; false if a value is not finite.
bool quantise_orders(ThreadPool& pool, const LinearKernels& kernels, LinearScratch::State& state,
                     const LinearInput& input, std::span<const LinearOutput> outputs) {
  state.orders.clear();
  for (const LinearOutput& output : outputs) {
    if (!format_info(output.weight->format).quantised()) continue;
    const auto order = output.weight->column_order;
    if (std::ranges::none_of(state.orders, [&](const auto& known) { return std::ranges::equal(known.order, order); })) {
      state.orders.push_back({.order = order});
    }
  }
  const int64_t padded = padded_tokens(input.n_rows);
  const int64_t superblocks = (input.columns / GroupTerms::kSize + kSuperblockGroups - 1) / kSuperblockGroups;
  const int64_t groups_each = superblocks * padded * kSuperblockGroups;
  ActivationGroup* groups = state.groups.reserve(static_cast<int64_t>(state.orders.size()) * groups_each);
  for (OrderedGroups& ordered : state.orders) {
    ordered.groups = groups;
    groups += groups_each;
    if (!quantise_input(pool, kernels, input, padded, ordered)) return false;
  }
  return true;
}

const ActivationGroup* groups_of(const LinearScratch::State& state, const WeightView& weight) {
  if (!format_info(weight.format).quantised()) return nullptr;
  return std::ranges::find_if(state.orders,
                              [&](const auto& known) { return std::ranges::equal(known.order, weight.column_order); })
      ->groups;
}

void add_items(std::vector<Item>& items, const LinearKernels& kernels, LinearTask task, int threads) {
  const LinearKernel kernel = kernel_for(kernels, task.weight->format);
  const int64_t tokens = task.token_end;
  const int64_t rows = task.weight->rows;
  const int64_t chunk = rows_per_task(kernels, rows, task.row_bytes, tokens, threads);
  for (int64_t row = 0; row < rows; row += chunk) {
    for (int64_t token = 0; token < tokens; token += kTaskTokens) {
      task.row_begin = row;
      task.row_end = std::min(rows, row + chunk);
      task.token_begin = token;
      task.token_end = std::min(tokens, token + kTaskTokens);
      items.push_back({kernel, task});
    }
  }
}

}  // namespace

bool run_linear(ThreadPool& pool, const KernelTable& kernels, LinearScratch& scratch, const LinearInput& input,
                std::span<const LinearOutput> outputs) {
  if (input.n_rows == 0 || outputs.empty()) return true;
  LinearScratch::State& state = scratch.state();
  if (!quantise_orders(pool, kernels.linear, state, input, outputs)) return false;
  state.items.clear();
  for (const LinearOutput& output : outputs) {
    const WeightView& weight = *output.weight;
    const FormatInfo& info = format_info(weight.format);
    add_items(state.items, kernels.linear,
              {.weight = &weight,
               .bytes = reinterpret_cast<const uint8_t*>(weight.planes[0].data()),
               .row_bytes = weight.columns / info.block_weights * info.block_bytes,
               .columns = weight.columns,
               .row_begin = 0,
               .row_end = weight.rows,
               .token_begin = 0,
               .token_end = input.n_rows,
               .input = input.rows,
               .groups = groups_of(state, weight),
               .padded_tokens = padded_tokens(input.n_rows),
               .bias = output.bias,
               .out = output.out,
               .out_stride = output.out_stride},
              pool.size());
  }
  const std::vector<Item>& items = state.items;
  pool.parallel_for(static_cast<int64_t>(items.size()), [&items](int64_t item, int) {
    const Item& work = items[item];
    work.kernel(work.task);
  });
  return true;
}

}  // namespace megalith::cpu
