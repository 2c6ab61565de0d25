#include "cli/chat_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cli/suggest.h"
#include "cli/terminal.h"

namespace megalith::cli {

namespace {

constexpr std::string_view kBlockMark = "\"\"\"";
constexpr std::string_view kSpace = " \t\r\n";

constexpr std::array kCommands{
    ChatCommandRow{ChatCommand::kHelp, "/help", "", "this list"},
    ChatCommandRow{ChatCommand::kSystem, "/system", "[TEXT]",
                   "show or set what the model should keep to; '-': nothing"},
    ChatCommandRow{ChatCommand::kReasoning, "/reasoning", "[show|fold|hide]",
                   "show the last answer's reasoning, or choose what is shown of the next"},
    ChatCommandRow{ChatCommand::kSet, "/set", "[NAME VALUE]", "show or set how answers are drawn: /set temp 0.2"},
    ChatCommandRow{ChatCommand::kRegenerate, "/regen", "", "another answer to the last message"},
    ChatCommandRow{ChatCommand::kStatistics, "/stats", "", "speeds, tokens and memory"},
    ChatCommandRow{ChatCommand::kSave, "/save", "FILE", "write the conversation as JSON; /save! replaces a file"},
    ChatCommandRow{ChatCommand::kLoad, "/load", "FILE", "go on with a saved one; /load! gives up an unsaved one"},
    ChatCommandRow{ChatCommand::kClear, "/clear", "", "begin anew, with the same system text"},
    ChatCommandRow{ChatCommand::kQuit, "/quit", "", "leave (Ctrl-D too)"},
};

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

}  // namespace

std::optional<std::string> TextAssembler::take_line(std::string_view line) {
  const bool is_mark = trimmed(line) == kBlockMark;
  if (in_block_ && !is_mark) {
    text_ += line;
    text_ += '\n';
    return std::nullopt;
  }
  if (in_block_) {
    in_block_ = false;
    if (!text_.empty()) text_.pop_back();
    return std::exchange(text_, {});
  }
  if (is_mark && !continues_) {
    in_block_ = true;
    return std::nullopt;
  }
  continues_ = line.ends_with('\\');
  text_ += line.substr(0, line.size() - (continues_ ? 1 : 0));
  if (continues_) {
    text_ += '\n';
    return std::nullopt;
  }
  return std::exchange(text_, {});
}

void TextAssembler::discard() { *this = {}; }

std::span<const ChatCommandRow> chat_commands() { return kCommands; }

ChatInput parse_chat_input(std::string_view text) {
  if (text.starts_with("//")) return {std::nullopt, std::string(text.substr(1))};
  if (!text.starts_with('/')) return {std::nullopt, std::string(text)};
  std::string_view name = text.substr(0, text.find_first_of(kSpace));
  const std::string_view argument = trimmed(text.substr(name.size()));
  const bool insists = name.ends_with('!');
  if (insists) name.remove_suffix(1);
  const auto* const row =
      std::find_if(kCommands.begin(), kCommands.end(), [&](const ChatCommandRow& known) { return known.name == name; });
  if (row == kCommands.end()) {
    std::vector<std::string> names;
    for (const ChatCommandRow& known : kCommands) names.emplace_back(known.name);
    throw Error(
        ErrorKind::kUsage,
        fmt::format("unknown command '{}'{}\n/help lists them; a message that begins with '/' is written with '//'",
                    printable_line(name), did_you_mean(name, names)));
  }
  if (row->argument.empty() && !argument.empty())
    throw Error(ErrorKind::kUsage, fmt::format("{} takes no argument", name));
  return {row->command, std::string(argument), insists};
}

}  // namespace megalith::cli
