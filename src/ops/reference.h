#pragma once
// The scalar reference of every op: plain loops in the order that docs/numerics.md fixes, no threads, no SIMD. It is
// the oracle of the fast backends, which must give the same bits where the contract promises them, and it runs whole
// models in tests.
#include <memory>

#include "base/ledger.h"
#include "ops/ops.h"

namespace megalith {

enum class ReferenceNumerics {
  kContract,  // the numerics contract, that every backend's fast kernels follow bit for bit
  kExact,     // the model's own arithmetic, to compare with other implementations: weights decoded to float32,
              // activations not quantised, K and V kept in float32, sums in double
};

/// The ledger must outlive it. Pages are saved as [layer][kv head][position][key, value]: halves under kContract
/// (StateLayout::page_bytes() each), floats under kExact (twice that).
std::unique_ptr<Ops> make_reference_ops(Ledger& ledger, ReferenceNumerics numerics);

}  // namespace megalith
