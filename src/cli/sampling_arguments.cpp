#include "cli/sampling_arguments.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/terminal.h"

namespace megalith::cli {

namespace {

constexpr const char* kSampling = "Sampling (applied in the order of docs/sampling.md)";
constexpr const char* kPenalties = "Penalties and bias (before the sampling)";
constexpr uint64_t kMostTokens = std::numeric_limits<int32_t>::max();

struct NumberOption {
  const char* names;
  const char* help;
  const char* type_name;
  double low, high;
  const char* what;  // "a probability"; the limits are added
};

CLI::Option* add_number(CLI::App& app, float& value, const NumberOption& option) {
  return app.add_option(option.names, value, option.help)
      ->type_name(option.type_name)
      ->check(in_range(option.low, option.high, fmt::format("{} from {} to {}", option.what, option.low, option.high)));
}

}  // namespace

void SamplingArguments::add_to(CLI::App& app) {
  constexpr uint64_t kMostSeed = std::numeric_limits<uint64_t>::max();
  add_number(app, sampling.temperature,
             {"--temp,--temperature", "Temperature; 0: always the likeliest token [0.8]", "X", 0, 100, "a temperature"})
      ->group(kSampling);
  add_cuts_to(app);
  seed_option = app.add_option("-s,--seed", seed, "Seed of the random numbers: the same seed, the same answer [drawn]")
                    ->type_name("N")
                    // Also keeps "-1" from becoming the largest number of all.
                    ->transform(whole_number(0, kMostSeed, "a seed"))
                    ->group(kSampling);
  add_penalties_to(app);
}

void SamplingArguments::add_cuts_to(CLI::App& app) {
  const auto add = [&](float& value, const NumberOption& option) { add_number(app, value, option)->group(kSampling); };
  add(sampling.top_n_sigma,
      {"--top-n-sigma,--top-nsigma", "Only logits within X standard deviations of the largest; 0: all [0]", "X", 0, 1e6,
       "a number of deviations"});
  app.add_option("--top-k", sampling.top_k, "Only the K likeliest tokens; 0: all [40]")
      ->type_name("K")
      ->transform(whole_number(0, kMostTokens, "a number of tokens"))
      ->group(kSampling);
  add(sampling.typical_p, {"--typical,--typical-p",
                           "Only tokens about as surprising as the model expects, up to this probability; 1: all [1]",
                           "P", 0, 1, "a probability"});
  add(sampling.top_p, {"--top-p", "Only the likeliest tokens that make up this probability; 1: all [0.95]", "P", 0, 1,
                       "a probability"});
  add(sampling.min_p,
      {"--min-p", "Only tokens this likely, relative to the likeliest; 0: all [0.05]", "P", 0, 1, "a probability"});
  add(sampling.xtc_probability,
      {"--xtc-probability", "How often the likeliest tokens are left out; 0: never [0]", "P", 0, 1, "a probability"});
  add(sampling.xtc_threshold,
      {"--xtc-threshold", "Of the tokens above this probability, XTC keeps the least likely [0.1]", "P", 0, 1,
       "a probability"});
  add(sampling.mirostat_tau,
      {"--mirostat-tau,--mirostat-ent",
       "Mirostat 2 instead of all the above but --temp: the surprise to aim at, in bits; 0: off [0]", "X", 0, 100,
       "a number of bits"});
  add(sampling.mirostat_eta,
      {"--mirostat-eta,--mirostat-lr", "How fast Mirostat learns [0.1]", "X", 0, 10, "a learning rate"});
}

void SamplingArguments::add_penalties_to(CLI::App& app) {
  const auto add = [&](float& value, const NumberOption& option) { add_number(app, value, option)->group(kPenalties); };
  const auto add_tokens = [&](const char* names, int32_t& value, int64_t low, const char* help) {
    app.add_option(names, value, help)
        ->type_name("N")
        ->transform(whole_number(low, kMostTokens, "a number of tokens"))
        ->group(kPenalties);
  };
  app.add_option("--logit-bias", logit_biases, "Adds to a token's logit: 42=1.5, or 42=-inf to forbid; may be repeated")
      ->type_name("ID=X")
      ->allow_extra_args(false)
      ->group(kPenalties);
  add(sampling.repetition_penalty,
      {"--repeat-penalty", "Makes recent tokens less likely if above 1 [1: off]", "X", 0.01, 100, "a penalty"});
  add_tokens("--repeat-last-n", sampling.penalty_window, -1,
             "How many tokens --repeat-penalty looks back; -1: all [64]");
  add(sampling.presence_penalty,
      {"--presence-penalty", "Taken from the logits of tokens in the answer [0]", "X", -100, 100, "a penalty"});
  add(sampling.frequency_penalty,
      {"--frequency-penalty", "The same, for each time that the token is there [0]", "X", -100, 100, "a penalty"});
  add(sampling.dry_multiplier,
      {"--dry-multiplier", "Penalty for going on with a repeated sequence; 0: off [0]", "X", 0, 100, "a penalty"});
  add(sampling.dry_base, {"--dry-base", "How it grows with each repeated token [1.75]", "X", 1, 100, "a base"});
  add_tokens("--dry-allowed-length", sampling.dry_allowed_length, 1,
             "Sequences up to this length may be repeated once more [2]");
  add_tokens("--dry-penalty-last-n", sampling.dry_window, -1, "How many tokens DRY looks back; -1: all [-1]");
  dry_breakers_option =
      app.add_option("--dry-sequence-breaker", dry_breakers,
                     "No repetition reaches across this text; may be repeated; 'none': nothing breaks one [\\n : \" *]")
          ->type_name("TEXT")
          ->allow_extra_args(false)
          ->group(kPenalties);
}

std::pair<TokenId, float> parse_logit_bias(const std::string& text) {
  const char* const end = text.data() + text.size();
  TokenId token = -1;
  const auto [after_id, id_error] = std::from_chars(text.data(), end, token);
  const bool has_sign = after_id != end && (*after_id == '+' || *after_id == '-');
  const bool has_equals = after_id != end && *after_id == '=';
  // from_chars reads "-inf" and "-1", but not "+1".
  const char* begin = has_equals || (has_sign && *after_id == '+') ? after_id + 1 : after_id;
  if (has_equals && begin != end && *begin == '+') ++begin;
  float bias = 0;
  const auto [after_bias, bias_error] = std::from_chars(begin, end, bias);
  const bool read = id_error == std::errc() && token >= 0 && (has_sign || has_equals) && bias_error == std::errc() &&
                    after_bias == end && !std::isnan(bias);
  if (!read) {
    throw Error(
        ErrorKind::kUsage,
        fmt::format("--logit-bias: '{}' is not a token id and what to add to its logit, as in 42=1.5 or 42=-inf",
                    printable_line(text)));
  }
  return {token, bias};
}

Sampling SamplingArguments::take() const {
  Sampling taken = sampling;
  if (seed_option->count() > 0) taken.seed = seed;
  for (const std::string& bias : logit_biases) taken.logit_bias.push_back(parse_logit_bias(bias));
  if (dry_breakers_option->count() > 0) {
    taken.dry_breakers.clear();
    for (const std::string& breaker : dry_breakers) {
      if (breaker.empty()) {
        throw Error(ErrorKind::kUsage, "--dry-sequence-breaker is empty; give a text, or 'none' for no breaker at all");
      }
      if (breaker != "none") taken.dry_breakers.push_back(breaker);
    }
  }
  return taken;
}

}  // namespace megalith::cli
