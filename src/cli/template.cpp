// megalith template: the exact prompt that a chat template makes of a conversation.
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/json.h"
#include "files/checkpoint.h"
#include "text/chat_prompt.h"
#include "text/gguf_vocabulary.h"
#include "text/tokenizer.h"

namespace megalith::cli {

namespace {

struct TemplateArguments {
  ModelArgument model;
  std::string template_file;
  std::string messages_file;
  std::string tools_file;
  std::vector<std::string> set;
  bool no_generation_prompt = false;
};

Json parse_json_file(const std::string& path, std::string_view option) {
  const std::string text = path == "-" ? read_standard_input() : read_file(path, option);
  return parse_json(text, fmt::format("{} {}", option, path));
}

// key=json; a value that is not JSON is taken as a string, so that "--set date=today" needs no second quotes.
void set_variable(Json& variables, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    throw Error(ErrorKind::kUsage, fmt::format("--set {}: write key=value", assignment));
  const std::string value = assignment.substr(equals + 1);
  require_utf8(value, "the value of --set " + assignment.substr(0, equals));
  Json parsed = Json::parse(value, nullptr, /*allow_exceptions=*/false);
  variables[assignment.substr(0, equals)] = parsed.is_discarded() ? Json(value) : std::move(parsed);
}

Json make_variables(const TemplateArguments& arguments) {
  Json document = parse_json_file(arguments.messages_file, "--messages");
  Json variables = document.is_array() ? Json{{"messages", std::move(document)}} : std::move(document);
  if (!variables.is_object() || !variables.contains("messages") || !variables["messages"].is_array()) {
    throw Error(ErrorKind::kUsage,
                fmt::format("--messages {}: must hold a list of messages, such as [{{\"role\":\"user\",\"content\":"
                            "\"Hi\"}}], or an object with \"messages\"",
                            arguments.messages_file));
  }
  for (size_t i = 0; i < variables["messages"].size(); ++i) {
    if (variables["messages"][i].is_object()) continue;
    throw Error(ErrorKind::kUsage,
                fmt::format("--messages {}: message {} must be an object, such as {{\"role\":\"user\",\"content\":"
                            "\"Hi\"}}, not {}",
                            arguments.messages_file, i + 1, variables["messages"][i].type_name()));
  }
  if (!arguments.tools_file.empty()) {
    Json tools = parse_json_file(arguments.tools_file, "--tools");
    if (!tools.is_array() && !tools.is_null())
      throw Error(ErrorKind::kUsage, fmt::format("--tools {}: must hold a list of tools, not {}", arguments.tools_file,
                                                 tools.type_name()));
    variables["tools"] = std::move(tools);
  }
  if (arguments.no_generation_prompt) variables["add_generation_prompt"] = false;
  for (const std::string& assignment : arguments.set) set_variable(variables, assignment);
  return variables;
}

void render(Console& console, const TemplateArguments& arguments) {
  const bool has_file = !arguments.template_file.empty();
  const bool has_model = !arguments.model.positional.empty() || !arguments.model.flag.empty();
  if (!has_file && !has_model)
    throw Error(ErrorKind::kUsage, "give a MODEL whose template to use, or --template FILE.jinja");
  if (arguments.messages_file == "-" && arguments.tools_file == "-")
    throw Error(ErrorKind::kUsage, "--messages and --tools cannot both be standard input");
  Json variables = make_variables(arguments);
  std::string source;
  std::unique_ptr<Tokenizer> tokenizer;
  if (has_model) {
    const std::string path = arguments.model.take_path(console.environment);
    const auto checkpoint = open_checkpoint(path);
    tokenizer = make_tokenizer(read_vocabulary(*checkpoint));
    const std::optional<std::string> own = read_chat_template(*checkpoint);
    if (!own && !has_file)
      throw Error(ErrorKind::kUsage, fmt::format("{} has no chat template; give one with --template", path));
    source = own.value_or("");
  }
  if (has_file) source = read_file(arguments.template_file, "--template");
  const std::string prompt = render_chat(ChatTemplate(source), tokenizer.get(), std::move(variables));
  console.out.write(console.out.is_terminal() ? printable(prompt) + "\n" : prompt);
}

}  // namespace

Action define_template(CLI::App& app) {
  auto arguments = std::make_shared<TemplateArguments>();
  arguments->model.add_to(app);
  app.add_option("--template", arguments->template_file, "A template to use instead of the model's")
      ->type_name("FILE.jinja");
  app.add_option("--messages", arguments->messages_file, "The conversation; '-': standard input")
      ->type_name("FILE.json")
      ->required();
  app.add_option("--tools", arguments->tools_file, "Descriptions of tools, a list; '-': standard input")
      ->type_name("FILE.json");
  app.add_flag("--no-generation-prompt", arguments->no_generation_prompt,
               "Leave out what makes the model answer next (add_generation_prompt=false)");
  app.add_option("--set", arguments->set, "A variable of the template; may be repeated")
      ->type_name("KEY=JSON")
      ->allow_extra_args(false);
  return [arguments](Console& console) { render(console, *arguments); };
}

}  // namespace megalith::cli
