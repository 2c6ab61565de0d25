#include "text/jinja/chat_template.h"

#include "base/error.h"
#include "text/jinja/json.h"
#include "text/jinja/lexer.h"
#include "text/jinja/parser.h"
#include "text/jinja/renderer.h"

namespace megalith {

using jinja::Budget;
using jinja::Fault;

namespace {

// A template may do this much, and in proportion to the conversation: enough for thousands of messages with tools, yet
// a hostile one ends within some tenths of a second and 64 MiB. The depth keeps the C++ stack below 512 KiB.
constexpr std::uint64_t kBaseSteps = 4'000'000, kStepsPerInputByte = 4;
constexpr std::size_t kBaseBytes = 12 << 20, kBytesPerInputByte = 4;
constexpr std::uint32_t kMaxDepth = 800;

[[noreturn]] void fail(const Fault& fault, int line) {
  const std::string where = " (line " + std::to_string(line) + " of the chat template)";
  if (fault.origin() == Fault::Origin::kConversation) throw Error(ErrorKind::kUsage, fault.what() + where);
  throw Error(ErrorKind::kInvalidModel, std::string("chat template: ") + fault.what() + where);
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm result{};
  localtime_r(&now, &result);
  return result;
}

}  // namespace

struct ChatTemplate::Implementation {
  std::unique_ptr<const jinja::ast::Template> tree;
};

ChatTemplate::ChatTemplate(std::string_view source) : implementation_(std::make_unique<Implementation>()) {
  try {
    implementation_->tree = jinja::parse(source);
  } catch (const jinja::SyntaxFault& fault) {
    fail(fault, fault.line());
  }
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::render(const nlohmann::ordered_json& variables, const RenderOptions& options) const {
  if (!variables.is_object()) {
    throw Error(ErrorKind::kUsage,
                "the variables of a chat template must be a JSON object, not " + std::string(variables.type_name()));
  }
  const jinja::ast::Template& tree = *implementation_->tree;
  Budget input_budget;
  std::vector<std::optional<jinja::Value>> values(tree.names.size());
  try {
    for (std::size_t id = 0; id < values.size(); ++id) {
      const auto found = variables.find(tree.names[id]);
      if (found != variables.end()) values[id] = jinja::from_json(input_budget, *found);
    }
  } catch (const Fault& fault) {
    throw Error(ErrorKind::kUsage, std::string("the variables of the chat template: ") + fault.what());
  }
  const std::size_t input_bytes = input_budget.live_bytes();
  Budget budget({.steps = kBaseSteps + kStepsPerInputByte * input_bytes,
                 .bytes = kBaseBytes + kBytesPerInputByte * input_bytes,
                 .depth = kMaxDepth});
  jinja::Environment environment{budget, options.now ? *options.now : local_time()};
  jinja::Renderer renderer(tree, std::move(values), environment);
  try {
    return renderer.render();
  } catch (const Fault& fault) {
    fail(fault, renderer.line());
  }
}

}  // namespace megalith
