#pragma once
// A conversation: what was said, as chat templates and OpenAI's API write it.
#include <string>
#include <string_view>
#include <vector>

#include "cli/json.h"

namespace megalith::cli {

struct Message {
  enum class Role { kSystem, kUser, kAssistant };
  Role role;
  std::string content;
  std::string reasoning = {};  // assistant: what was thought aloud, not part of the content
  bool cut_off = false;        // assistant: the answer was stopped
};

class Conversation {
 public:
  const std::vector<Message>& messages() const { return messages_; }
  bool has_turns() const;  // anything but a system message
  void add(Message message) { messages_.push_back(std::move(message)); }
  void remove_last() { messages_.pop_back(); }
  /// Everything but the system message.
  void clear_turns();

  std::string_view system() const;
  /// Empty: none.
  void set_system(std::string text);

  /// A list of messages; reasoning stands in "reasoning_content", where there is some.
  Json to_json() const;
  /// From a list of messages or an object with "messages". Contents are texts or lists of text parts. Throws kUsage
  /// with `source` and the message's number.
  static Conversation from_json(std::string_view text, const std::string& source);

 private:
  std::vector<Message> messages_;  // a system message is the first
};

/// Writes {"model": ..., "messages": [...]} to a new file that only its owner can read. Throws kUsage if there is one
/// already and it may not be replaced, or it cannot be written.
enum class Existing { kKeep, kReplace };
void save_conversation(const Conversation& conversation, const std::string& model, const std::string& path,
                       Existing existing);

}  // namespace megalith::cli
