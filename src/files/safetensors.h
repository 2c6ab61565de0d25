#pragma once
// One file in the safetensors format (specified in its library's README): 8 bytes of header size, a JSON header that
// names tensors, then their bytes without holes.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace megalith {

struct SafetensorsTensor {
  std::string name;
  std::string dtype;           // "BF16", as the file writes it; perhaps one that nobody knows
  std::vector<int64_t> shape;  // outermost first; empty for a single number, and dimensions may be 0
  std::span<const std::byte> bytes;
};

/// The tensors in the order of the header; all views lie inside `bytes`, and those of known dtypes have the size that
/// their shape asks for. Throws kInvalidModel with `source` (the file's name), the field and the cause for anything
/// malformed, truncated, overlapping, with holes or duplicated. Never allocates more than the header's own size
/// justifies.
std::vector<SafetensorsTensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& source);

/// Whether the file begins as safetensors do.
bool looks_like_safetensors(std::span<const std::byte> bytes);

}  // namespace megalith
