#include "base/environment.h"

#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string_view>

#include "base/error.h"

namespace megalith {

namespace {

// Where Ollama's Linux installer lets its service keep models.
constexpr const char* kOllamaServiceModels = "/usr/share/ollama/.ollama/models";

using Variable = std::function<const char*(const char* name)>;

std::optional<std::string> text(const Variable& variable, const char* name) {
  const char* value = variable(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

enum class Zero { kIsError, kMeansUnset };

std::optional<int> positive_integer(const Variable& variable, const char* name, Zero zero) {
  const std::optional<std::string> value = text(variable, name);
  if (!value) return std::nullopt;
  int number = 0;
  const char* end = value->data() + value->size();
  const auto [parsed_to, error] = std::from_chars(value->data(), end, number);
  const bool is_number = error == std::errc() && parsed_to == end;
  if (is_number && number >= 1) return number;
  // llama.cpp and Ollama write 0 or -1 for "choose yourself".
  if (is_number && zero == Zero::kMeansUnset) return std::nullopt;
  throw Error(ErrorKind::kUsage,
              fmt::format("environment variable {}={} is not a whole number of at least 1", name, *value));
}

bool is_true(const Variable& variable, const char* name) {
  std::string value = text(variable, name).value_or("");
  std::transform(value.begin(), value.end(), value.begin(), [](unsigned char c) { return std::tolower(c); });
  return value == "1" || value == "true" || value == "yes" || value == "on";
}

std::string home_directory(const Variable& variable) {
  if (const auto home = text(variable, "HOME")) return *home;
  const passwd* user = getpwuid(getuid());
  return user != nullptr && user->pw_dir != nullptr ? user->pw_dir : "/";
}

}  // namespace

Environment read_environment(const Variable& variable) {
  const std::string home = home_directory(variable);
  const auto folder = [&](const char* name) -> std::optional<std::string> {
    std::optional<std::string> value = text(variable, name);
    if (value && (*value == "~" || value->starts_with("~/"))) value = home + value->substr(1);
    return value;
  };
  Environment environment;
  environment.instruction_set = text(variable, "MEGALITH_ISA");
  environment.threads = positive_integer(variable, "MEGALITH_THREADS", Zero::kIsError);
  if (!environment.threads) environment.threads = positive_integer(variable, "LLAMA_ARG_THREADS", Zero::kMeansUnset);
  environment.context_tokens = positive_integer(variable, "MEGALITH_CTX", Zero::kIsError);
  for (const char* name : {"LLAMA_ARG_CTX_SIZE", "OLLAMA_CONTEXT_LENGTH"}) {
    if (!environment.context_tokens) environment.context_tokens = positive_integer(variable, name, Zero::kMeansUnset);
  }

  const std::string caches = folder("XDG_CACHE_HOME").value_or(home + "/.cache");
  environment.home = home;
  environment.state_dir = folder("XDG_STATE_HOME").value_or(home + "/.local/state") + "/megalith";
  environment.cache_dir = folder("MEGALITH_CACHE").value_or(caches + "/megalith");
  const std::string hugging_face_home = folder("HF_HOME").value_or(caches + "/huggingface");
  environment.hugging_face_cache = folder("HF_HUB_CACHE").value_or(hugging_face_home + "/hub");
  environment.lm_studio_models = home + "/.lmstudio/models";

  environment.ollama_models = home + "/.ollama/models";
  std::error_code ignored;
  if (const auto models = folder("OLLAMA_MODELS")) {
    environment.ollama_models = *models;
  } else if (!std::filesystem::exists(environment.ollama_models, ignored) &&
             std::filesystem::exists(kOllamaServiceModels, ignored)) {
    environment.ollama_models = kOllamaServiceModels;
  }

  environment.offline = is_true(variable, "HF_HUB_OFFLINE");
  environment.dumb_terminal = text(variable, "TERM") == "dumb";
  environment.no_color = text(variable, "NO_COLOR").has_value() || environment.dumb_terminal;
  return environment;
}

Environment read_environment() {
  return read_environment([](const char* name) -> const char* { return std::getenv(name); });
}

}  // namespace megalith
