#pragma once
// The scalar reference of every op: plain loops in the order that DESIGN.md section 5 fixes, no threads, no SIMD. It is
// the oracle of the fast backends, which must give the same bits where the contract promises them, and it runs whole
// models in tests.
#include <memory>

#include "base/ledger.h"
#include "ops/ops.h"

namespace megalith {

/// `exact`: quantised weights are decoded to float32 and activations are not quantised, sums in double: the arithmetic
/// of the model itself, to compare with other implementations. `contract`: the numerics contract that every backend's
/// fast kernels follow bit for bit.
enum class ReferenceNumerics { kContract, kExact };

std::unique_ptr<Ops> make_reference_ops(Ledger& ledger, ReferenceNumerics numerics);

}  // namespace megalith
