#include "eval/logits.h"

#include <algorithm>
#include <utility>

#include "eval/drive.h"

namespace megalith {

namespace {

constexpr uint64_t kProbedId = 0;
constexpr int32_t kLongestNeighbour = 160;
constexpr int32_t kNeighbourAnswer = 24;

// Prompts of many lengths, longer and shorter than the probed one, made of scattered ids. Each then answers for a
// while, so that rows of prompts and rows of answers meet in one batch. ids: an arbitrary fixed sequence (Knuth's
// multiplicative hash), so that a probe can be repeated.
Request neighbour(int32_t index, const EngineProperties& properties) {
  const int32_t longest = std::clamp(properties.context_tokens - kNeighbourAnswer, 1, kLongestNeighbour);
  const int32_t length = 1 + (index * 61 + 2) % longest;
  Request request;
  request.id = kProbedId + 1 + static_cast<uint64_t>(index);
  for (int32_t i = 0; i < length; ++i) {
    const uint32_t hash = (static_cast<uint32_t>(index) * 65536U + static_cast<uint32_t>(i) + 1U) * 2654435761U;
    request.prompt.push_back(static_cast<TokenId>(hash % static_cast<uint32_t>(properties.vocabulary_size)));
  }
  request.max_tokens = kNeighbourAnswer;
  request.sampling.seed = static_cast<uint64_t>(index);
  request.probes.ignore_end = true;
  return request;
}

}  // namespace

LogitsResult probe_logits(Engine& engine, const LogitsProbe& probe) {
  Request probed;
  probed.id = kProbedId;
  probed.prompt = probe.tokens;
  probed.max_tokens = 0;
  probed.probes.prompt_logprobs = true;
  probed.probes.last_logits = true;

  // The probed request goes into the middle: it gets neither the first slot nor the first rows.
  std::vector<Request> requests;
  const auto before = static_cast<size_t>((probe.neighbours + 1) / 2);
  for (int32_t i = 0; i < probe.neighbours; ++i) requests.push_back(neighbour(i, engine.properties()));
  requests.insert(requests.begin() + static_cast<std::ptrdiff_t>(before), std::move(probed));

  DriveHooks hooks;
  hooks.stop_requested = probe.stop_requested;
  std::vector<Event> finished = drive(engine, std::move(requests), hooks);
  for (const Event& event : finished) throw_if_failed(event);
  Event& result = finished[before];
  if (result.reason == FinishReason::kCancelled) throw Error(ErrorKind::kInterrupted, "interrupted");
  return {std::move(result.last_logits), std::move(result.prompt_logprobs)};
}

}  // namespace megalith
