#pragma once
// The exact scores after a sequence of tokens, alone or among neighbours: the probe of promise P3.
#include <functional>
#include <vector>

#include "engine/engine.h"

namespace megalith {

struct LogitsProbe {
  std::vector<TokenId> tokens;  // at least one
  /// Other requests, of other lengths, that share the batch: some submitted before, some after. The engine must have
  /// been opened for neighbours + 1 sequences.
  int32_t neighbours = 0;
  std::function<bool()> stop_requested;  // may be empty; true ends the probe with kInterrupted
};

struct LogitsResult {
  std::vector<float> last;            // [vocabulary], after the last token
  std::vector<float> token_logprobs;  // [tokens - 1]: of token i given those before it, from the second on
};

LogitsResult probe_logits(Engine& engine, const LogitsProbe& probe);

}  // namespace megalith
