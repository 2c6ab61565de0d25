// The command table, and the one place where errors become exit codes (DESIGN.md section 7).
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <array>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/suggest.h"

namespace megalith::cli {

namespace {

constexpr std::array kCommands{
    Command{"run", "Answer one prompt, streamed", R"(Examples:
  megalith run smollm2 "Why is the sky blue?"
  megalith run model.gguf "Write a haiku" --temp 0 -n 60
  cat question.txt | megalith run smollm2 --system "Answer in one sentence."
  megalith run model.gguf --raw "Once upon a time" --stop $'\n'
  megalith run model.gguf "Say yes or no" --json --logprobs 3
The model's chat template is applied when its file has one; --raw completes plain text.
Ctrl-C ends the answer (exit code 130).)",
            define_run},
    Command{"chat", "A conversation, with history", R"(Examples:
  megalith chat smollm2
  megalith chat model.gguf --system "Answer briefly." --temp 0.2
  megalith chat model.gguf --reasoning fold
  printf 'Hi\nAnd in French?\n' | megalith chat smollm2      one message a line, answers on standard output
/help in the chat lists its commands. Ctrl-C stops an answer, Ctrl-D or /quit leaves. What is typed is kept in
~/.local/state/megalith/chat_history, for the arrow keys of the next chat; --no-history keeps nothing.)",
            define_chat},
    Command{"inspect", "What a model file holds and what it costs to run", R"(Examples:
  megalith inspect smollm2
  megalith inspect model.gguf --tensors
  megalith inspect folder-of-safetensors --json
  megalith inspect model.gguf --verify      reads every weight; exit code 4 if one is damaged)",
            define_inspect},
    Command{"tokenize", "Text to token ids, and back", R"(Examples:
  megalith tokenize smollm2 "Hello, world"
  megalith tokenize smollm2 --json < README.md
  megalith tokenize smollm2 --decode "1 2 3"
  megalith tokenize smollm2 --parse-special "<|im_start|>user"
Text is taken as it is, byte for byte, without a line end added or removed.)",
            define_tokenize},
    Command{"template", "The exact prompt that a chat template makes", R"(Examples:
  megalith template smollm2 --messages chat.json
  megalith template --template chat.jinja --messages chat.json --tools tools.json
  echo '[{"role":"user","content":"Hi"}]' | megalith template smollm2 --messages - --set enable_thinking=false
chat.json is a list of messages, or an object with "messages" and whatever else the template reads.)",
            define_template},
    Command{"eval logits", "Scores after a sequence of tokens, exactly", R"(Examples:
  megalith eval logits model.gguf --tokens "1 2 3" --json
  megalith eval logits model.gguf --tokens "1 2 3" --chunk 1 --neighbours 7 -t 3 --isa scalar
Whatever --chunk, --neighbours and -t say, the numbers must be the same, bit for bit; see docs/numerics.md.)",
            define_eval_logits},
    Command{"eval perplexity", "How well a model predicts a text", R"(Examples:
  megalith eval perplexity model.gguf text.txt
  megalith eval perplexity model.gguf --ctx 2048 --json < text.txt
The text is cut into windows of --ctx tokens; each token is scored given those before it in its window.)",
            define_eval_perplexity},
    Command{"list", "The models found on this machine", R"(Examples:
  megalith list
  megalith list --json
Looks into megalith's own cache and the folders of Hugging Face, Ollama and LM Studio; nothing is copied.)",
            define_list},
    Command{"bench", "Speed of prompt reading and answering, beside the machine's limits", R"(Examples:
  megalith bench smollm2
  megalith bench model.gguf -p 128,512 -n 32 -d 0,2048 -r 3
  megalith bench model.gguf -t 1,2,4 -o json
  megalith bench model.gguf -p 0 -n 32 -b 1,2,4,8
  megalith bench model.gguf --profile
pp512: reading a prompt of 512 tokens; tg128: answering with 128; tg128 @ d2048: the same after 2048 others;
tg128 b4: four answers at once, their tokens counted together.
Lists multiply. Tokenising is not measured, and tokens are chosen greedily.)",
            define_bench},
    Command{"doctor", "What this machine can do, and what each model would need", R"(Examples:
  megalith doctor
  megalith doctor --no-measure      at once, without measuring memory and arithmetic
  megalith doctor --json)",
            define_doctor},
};

constexpr std::string_view kGroupEval = "eval";

/// CLI11's help without its "Excludes: ..." beside each option: it hides what matters, and errors say it anyway.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    column_width(34);
    label("SUBCOMMAND", "COMMAND");
    label("Subcommands", "Commands");
    label("Positionals", "Arguments");
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_name().empty() ? "" : " " + option->get_type_name();
  }
};

struct CommandLine {
  CLI::App app{"megalith runs large language models on this machine, privately.", "megalith"};
  std::map<const CLI::App*, Action> actions;
};

void define_commands(CommandLine& line) {
  CLI::App& app = line.app;
  app.set_version_flag("-V,--version", "megalith " MEGALITH_VERSION);
  app.require_subcommand(1);
  app.formatter(std::make_shared<HelpFormatter>());
  app.footer(
      "Examples:\n"
      "  megalith run smollm2 \"Why is the sky blue?\"\n"
      "  megalith chat smollm2\n"
      "  megalith list\n"
      "  megalith COMMAND --help\n"
      "Exit codes: 0 done, 1 failed while running, 2 wrong usage, 3 model not found, 4 model file invalid or\n"
      "unsupported, 5 does not fit in memory, 130 interrupted.");
  CLI::App* eval = nullptr;
  for (const Command& command : kCommands) {
    CLI::App* parent = &app;
    std::string_view name = command.name;
    if (name.substr(0, kGroupEval.size() + 1) == "eval ") {
      if (eval == nullptr) {
        eval = app.add_subcommand(std::string(kGroupEval), "Measure a model: logits, perplexity");
        eval->require_subcommand(1);
        eval->footer("Examples:\n  megalith eval perplexity smollm2 text.txt\n  megalith eval logits --help");
      }
      parent = eval;
      name.remove_prefix(kGroupEval.size() + 1);
    }
    CLI::App* subcommand = parent->add_subcommand(std::string(name), std::string(command.summary));
    subcommand->footer(std::string(command.details));
    line.actions[subcommand] = command.define(*subcommand);
  }
}

// The innermost command that the arguments name.
const CLI::App* chosen_command(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().back();
  return command;
}

std::string full_name(const CLI::App* command) {
  std::string name = command->get_name();
  for (const CLI::App* parent = command->get_parent(); parent != nullptr; parent = parent->get_parent())
    name = parent->get_name() + " " + name;
  return name;
}

std::vector<std::string> names_of_subcommands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* subcommand : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(subcommand->get_name());
  return names;
}

std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* command = chosen_command(app);
  std::string message = error.what();
  const std::vector<std::string> extras = command->remaining();
  const bool is_extra = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !extras.empty();
  const bool wants_subcommand = !command->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (wants_subcommand && !extras.empty() && extras.front().front() != '-') {
    message = fmt::format("unknown command '{}'{}", printable_line(extras.front()),
                          did_you_mean(extras.front(), names_of_subcommands(*command)));
  } else if (is_extra && extras.front().size() > 1 && extras.front().front() == '-') {
    std::vector<std::string> options;
    for (const CLI::Option* option : command->get_options())
      for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
    message =
        fmt::format("unknown option '{}'{}", printable_line(extras.front()), did_you_mean(extras.front(), options));
  } else if (is_extra) {
    message =
        fmt::format("unexpected argument '{}'; put text of several words in quotes", printable_line(extras.front()));
  } else if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && wants_subcommand) {
    message = "no command given";
  }
  return fmt::format("{}\n'{} --help' explains.", message, full_name(command));
}

void run_command(int argc, const char* const* argv) {
  const auto line = std::make_unique<CommandLine>();
  define_commands(*line);
  Output out(STDOUT_FILENO, Output::Colour::kNever);
  try {
    line->app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return out.write(line->app.help());
  } catch (const CLI::CallForVersion& version) {
    return out.write(std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::kUsage, usage_message(line->app, error));
  }
  Environment environment = read_environment();
  const auto colour = environment.no_color ? Output::Colour::kNever : Output::Colour::kIfTerminal;
  Console console{std::move(environment), Output(STDOUT_FILENO, colour), Output(STDERR_FILENO, colour)};
  line->actions.at(chosen_command(line->app))(console);
}

}  // namespace

}  // namespace megalith::cli

int main(int argc, char** argv) {
  using namespace megalith;
  cli::handle_signals();
  const auto complain = [](std::string_view message) {
    cli::Output(STDERR_FILENO, cli::Output::Colour::kNever)
        .try_write(fmt::format("megalith: {}\n", cli::printable(message)));
  };
  try {
    cli::run_command(argc, argv);
    return 0;
  } catch (const cli::ClosedPipe&) {
    return 0;  // whoever read us has seen enough
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInterrupted) complain(error.what());
    return exit_code(error.kind());
  } catch (const std::bad_alloc&) {
    // As it is: to put a sentence together would need memory again.
    cli::Output(STDERR_FILENO, cli::Output::Colour::kNever)
        .try_write(
            "megalith: out of memory; free some, raise the limit, or give a smaller --ctx or fewer threads (-t)\n");
    return exit_code(ErrorKind::kDoesNotFit);
  } catch (const std::exception& error) {
    complain(error.what());
    return exit_code(ErrorKind::kRuntime);
  }
}
