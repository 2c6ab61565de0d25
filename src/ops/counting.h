#pragma once
// An Ops that computes nothing: it follows shapes and adds up costs. `inspect`, the scheduler and the planner run a
// model's forward pass on it to know what a step will read and do, with the very formulas (cost.h) that backends use.
#include <memory>

#include "ops/ops.h"

namespace megalith {

std::unique_ptr<Ops> make_counting_ops();

}  // namespace megalith
