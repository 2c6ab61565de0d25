#pragma once
// What is typed into a chat: lines that make up a text, and texts that are commands.
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace megalith::cli {

/// Joins lines to texts: a backslash at the end of a line continues it on the next; lines between two lines of `"""`
/// are one text, as they are.
class TextAssembler {
 public:
  /// The text that this line completes, if it does.
  std::optional<std::string> take_line(std::string_view line);
  /// A text has been begun, and more lines belong to it.
  bool is_open() const { return in_block_ || continues_; }
  bool in_block() const { return in_block_; }
  void discard();

 private:
  std::string text_;
  bool in_block_ = false;
  bool continues_ = false;
};

enum class ChatCommand { kHelp, kSystem, kReasoning, kSet, kRegenerate, kStatistics, kSave, kLoad, kClear, kQuit };

/// A row of the table of commands.
struct ChatCommandRow {
  ChatCommand command;
  std::string_view name;  // with its slash
  std::string_view argument;
  std::string_view help;
};
std::span<const ChatCommandRow> chat_commands();

struct ChatInput {
  std::optional<ChatCommand> command;  // none: a message
  std::string text;                    // the message, or the command's argument
  bool insists = false;                // the command's name ended in '!'
};

/// "/name argument", or a message; "//" at its beginning stands for one slash. Throws kUsage for an unknown command,
/// naming the nearest, and for an argument where there is none.
ChatInput parse_chat_input(std::string_view text);

}  // namespace megalith::cli
