#include "cli/sampling_arguments.h"

#include <limits>

#include "cli/arguments.h"

namespace megalith::cli {

void SamplingArguments::add_to(CLI::App& app) {
  constexpr const char* kGroup = "Sampling";
  constexpr uint64_t kMostVocabulary = std::numeric_limits<int32_t>::max();
  constexpr uint64_t kMostSeed = std::numeric_limits<uint64_t>::max();
  app.add_option("--temp,--temperature", sampling.temperature, "Temperature; 0: always the likeliest token [0.8]")
      ->type_name("X")
      ->check(in_range(0, 100, "a temperature from 0 to 100"))
      ->group(kGroup);
  app.add_option("--top-k", sampling.top_k, "Only the K likeliest tokens; 0: all [40]")
      ->type_name("K")
      ->transform(whole_number(0, kMostVocabulary, "a number of tokens"))
      ->group(kGroup);
  app.add_option("--top-p", sampling.top_p, "Only the likeliest tokens that make up this probability; 1: all [0.95]")
      ->type_name("P")
      ->check(in_range(0, 1, "a probability from 0 to 1"))
      ->group(kGroup);
  app.add_option("--min-p", sampling.min_p, "Only tokens this likely, relative to the likeliest; 0: all [0.05]")
      ->type_name("P")
      ->check(in_range(0, 1, "a probability from 0 to 1"))
      ->group(kGroup);
  app.add_option("--repeat-penalty", sampling.repetition_penalty,
                 "Makes the last 64 tokens less likely if above 1 [1: off]")
      ->type_name("X")
      ->check(in_range(0.01, 100, "a penalty from 0.01 to 100"))
      ->group(kGroup);
  seed_option = app.add_option("-s,--seed", seed, "Seed of the random numbers: the same seed, the same answer [drawn]")
                    ->type_name("N")
                    // Also keeps "-1" from becoming the largest number of all.
                    ->transform(whole_number(0, kMostSeed, "a seed"))
                    ->group(kGroup);
}

Sampling SamplingArguments::take() const {
  Sampling taken = sampling;
  if (seed_option->count() > 0) taken.seed = seed;
  return taken;
}

}  // namespace megalith::cli
