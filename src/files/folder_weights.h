#pragma once
// From the tensors of a folder to weights: those of several planes are put together as config.json says.
#include <span>

#include "files/checkpoint.h"
#include "files/safetensors.h"

namespace megalith {

/// Adds to `parts` the weights, the tensors that are none, and the column orders; `parts.metadata` holds config.json
/// and `parts.path` is named in errors. Throws kInvalidModel for a way of quantising that megalith does not know, and
/// for a module whose planes are missing or do not fit together, with both shapes.
void add_folder_weights(std::span<const SafetensorsTensor> tensors, Checkpoint::Parts& parts);

}  // namespace megalith
