#pragma once
// The memory of the CPU backend: aligned blocks reserved in the ledger, and the tensors of a step.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "base/ledger.h"
#include "ops/ops.h"

namespace megalith::cpu {

/// Uninitialised memory that begins on a page of the machine; the system gives its pages as they are touched.
class AlignedMemory {
 public:
  AlignedMemory() = default;
  /// Reserves first: throws kDoesNotFit with `cure`.
  AlignedMemory(Ledger& ledger, std::string_view line, uint64_t bytes, std::string_view cure = "");
  std::byte* data() const { return memory_.get(); }
  uint64_t bytes() const { return reservation_.bytes(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  Reservation reservation_;
  std::unique_ptr<std::byte, Free> memory_;
};

/// Floats that grow to the largest size asked for and are then kept; growing loses the contents.
class FloatBuffer {
 public:
  FloatBuffer(Ledger& ledger, std::string_view line) : ledger_(&ledger), line_(line) {}
  float* at_least(int64_t floats);

 private:
  Ledger* ledger_;
  std::string_view line_;
  AlignedMemory memory_;
};

/// The tensors of a step. The place of a tensor without handles is given to the next one of the same size, so that a
/// step needs as much as the tensors alive at once, and after the first steps of a shape nothing is allocated.
class TensorArena final : public TensorOwner {
 public:
  explicit TensorArena(Ledger& ledger) : ledger_(ledger) {}
  TensorArena(const TensorArena&) = delete;
  TensorArena& operator=(const TensorArena&) = delete;

  void begin_step();
  /// Uninitialised values. Throws kDoesNotFit.
  Tensor make(int64_t rows, int64_t columns);
  float* data(const Tensor& tensor) const { return tensors_[static_cast<size_t>(tensor.id())].place.data; }
  /// Whether the tensor is of the step under way.
  bool alive(const Tensor& tensor) const { return tensor.id() >= 0 && tensor.step() == step_; }

  void retain(int32_t id, uint32_t step) noexcept override;
  void release(int32_t id, uint32_t step) noexcept override;

 private:
  struct Place {
    float* data = nullptr;
    int64_t floats = 0;
  };
  struct Stored {
    Place place;
    int32_t handles = 0;
  };
  Place take(int64_t floats);
  void add_block(int64_t floats);

  Ledger& ledger_;
  std::vector<AlignedMemory> blocks_;  // the last one is being filled
  int64_t used_floats_ = 0;            // of the last block
  uint32_t step_ = 0;
  std::vector<Stored> tensors_;
  std::vector<Place> free_;  // at most one entry for each tensor: release() never allocates
};

}  // namespace megalith::cpu
