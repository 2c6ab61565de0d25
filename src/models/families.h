#pragma once
// One loader for each family's file; registry.cpp is the table of them.
#include <memory>

#include "models/model.h"

namespace megalith {

std::unique_ptr<Model> load_llama(const Checkpoint& checkpoint, Ops& ops);
std::unique_ptr<Model> load_qwen2(const Checkpoint& checkpoint, Ops& ops);

}  // namespace megalith
