#pragma once
// The one place where environment variables are read.
#include <functional>
#include <optional>
#include <string>

namespace megalith {

struct Environment {
  std::optional<std::string> instruction_set;  // MEGALITH_ISA
  std::optional<int> threads;                  // MEGALITH_THREADS, else LLAMA_ARG_THREADS
  std::optional<int> context_tokens;           // MEGALITH_CTX, else LLAMA_ARG_CTX_SIZE, OLLAMA_CONTEXT_LENGTH
  std::string home;                            // HOME, else the user's
  std::string state_dir;                       // $XDG_STATE_HOME/megalith, else ~/.local/state/megalith
  std::string cache_dir;                       // MEGALITH_CACHE, else $XDG_CACHE_HOME/megalith, else ~/.cache/megalith
  std::string hugging_face_cache;              // HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub
  std::string ollama_models;  // OLLAMA_MODELS, else ~/.ollama/models, or the Linux service's folder if only that exists
  std::string lm_studio_models;  // ~/.lmstudio/models
  bool offline = false;          // HF_HUB_OFFLINE
  bool dumb_terminal = false;    // TERM=dumb: obeys no escapes
  bool no_color = false;         // NO_COLOR set and not empty, or TERM=dumb
};

/// Empty variables count as not set. Throws kUsage naming the variable if a number does not parse.
Environment read_environment();
/// The same from any source of variables (null: not set); for tests.
Environment read_environment(const std::function<const char*(const char* name)>& variable);

}  // namespace megalith
