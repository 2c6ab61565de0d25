#pragma once
#include <cstdint>

namespace megalith {

using TokenId = int32_t;

/// What a token is, with the values of GGUF's `tokenizer.ggml.token_type`.
enum class TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

}  // namespace megalith
