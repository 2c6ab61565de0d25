#include <fmt/core.h>
#include <fmt/format.h>

#include <array>
#include <string>

#include "base/error.h"
#include "base/utf8.h"
#include "models/families.h"
#include "models/model.h"

namespace megalith {

namespace {

constexpr std::array kArchitectures{
    Architecture{"llama", load_llama},
    Architecture{"qwen2", load_qwen2},
};

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

std::unique_ptr<Model> load_model(const Checkpoint& checkpoint, Ops& ops) {
  constexpr std::string_view kKey = "general.architecture";
  const std::string_view name = checkpoint.metadata().string(kKey);
  std::string known;
  for (const Architecture& architecture : architectures()) {
    if (architecture.gguf_name == name) return architecture.build(checkpoint, ops);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", architecture.gguf_name);
  }
  throw Error(ErrorKind::kInvalidModel,
              fmt::format("{}: key '{}' is {}, an architecture that megalith does not know; it knows {}",
                          checkpoint.path(), kKey, in_quotes(name), known));
}

}  // namespace megalith
