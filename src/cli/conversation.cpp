#include "cli/conversation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "text/chat_prompt.h"

namespace megalith::cli {

namespace {

constexpr std::array<std::pair<Message::Role, std::string_view>, 3> kRoles{
    {{Message::Role::kSystem, "system"}, {Message::Role::kUser, "user"}, {Message::Role::kAssistant, "assistant"}}};

constexpr const char* kReasoningField = "reasoning_content";

std::string_view name_of(Message::Role role) { return kRoles.at(static_cast<size_t>(role)).second; }

[[noreturn]] void refuse(const std::string& source, size_t index, const std::string& why) {
  throw Error(ErrorKind::kUsage, fmt::format("{}: message {}: {}", source, index + 1, why));
}

std::string text_of(const Json& content, const std::string& source, size_t index) {
  if (content.is_string()) return content.get<std::string>();
  if (content.is_null()) return {};
  if (!content.is_array()) refuse(source, index, "\"content\" is neither a text nor a list of parts");
  std::string text;
  for (const Json& part : content) {
    if (!part.is_object() || part.value("type", Json()) != "text" || !part.contains("text") ||
        !part["text"].is_string())
      refuse(source, index, "\"content\" has a part that is no text; chat knows only text");
    text += part["text"].get<std::string>();
  }
  return text;
}

Message message_of(const Json& json, const std::string& source, size_t index) {
  if (!json.is_object() || !json.contains("role") || !json["role"].is_string())
    refuse(source, index, "is no object with a \"role\"");
  std::string role = json["role"].get<std::string>();
  if (role == "developer") role = "system";
  for (const auto& [known, name] : kRoles) {
    if (name != role) continue;
    Message message{known, text_of(json.value("content", Json()), source, index)};
    if (known != Message::Role::kAssistant) return message;
    const Json reasoning = json.value(kReasoningField, Json());
    if (reasoning.is_string()) message.reasoning = reasoning.get<std::string>();
    message.cut_off = json.value("finish_reason", Json()) == "cancelled";
    if (json.contains("tool_calls") && !json["tool_calls"].empty())
      refuse(source, index, "has tool calls; chat has no tools");
    return message;
  }
  refuse(source, index, fmt::format("has the role '{}'; chat knows system, user and assistant", role));
}

class NewFile {
 public:
  explicit NewFile(std::string path)
      : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0) fail();
  }
  ~NewFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(descriptor_, text.data(), text.size());
      if (written < 0 && errno != EINTR) fail();
      if (written > 0) text.remove_prefix(static_cast<size_t>(written));
    }
    if (::close(std::exchange(descriptor_, -1)) != 0) fail();
  }

 private:
  [[noreturn]] void fail() const {
    const int reason = errno;
    if (reason == EEXIST) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("{} exists already; '/save! {}' replaces it, or give another name", path_, path_));
    }
    throw Error(ErrorKind::kUsage, fmt::format("cannot write {}: {}", path_, std::strerror(reason)));
  }
  std::string path_;
  int descriptor_;
};

}  // namespace

bool Conversation::has_turns() const { return !messages_.empty() && messages_.back().role != Message::Role::kSystem; }

void Conversation::clear_turns() {
  std::erase_if(messages_, [](const Message& message) { return message.role != Message::Role::kSystem; });
}

std::string_view Conversation::system() const {
  const bool has = !messages_.empty() && messages_.front().role == Message::Role::kSystem;
  return has ? std::string_view(messages_.front().content) : std::string_view();
}

void Conversation::set_system(std::string text) {
  if (!messages_.empty() && messages_.front().role == Message::Role::kSystem) messages_.erase(messages_.begin());
  if (!text.empty()) messages_.insert(messages_.begin(), {Message::Role::kSystem, std::move(text)});
}

Json Conversation::to_json() const {
  Json list = Json::array();
  for (const Message& message : messages_) {
    Json json{{"role", name_of(message.role)}, {"content", message.content}};
    if (!message.reasoning.empty()) json[kReasoningField] = message.reasoning;
    list.push_back(std::move(json));
  }
  return list;
}

Conversation Conversation::from_json(std::string_view text, const std::string& source) {
  const Json document = parse_json(text, source);
  const Json* list = &document;
  if (document.is_object() && document.contains("messages")) list = &document["messages"];
  if (!list->is_array())
    throw Error(ErrorKind::kUsage,
                fmt::format("{}: neither a list of messages nor an object with \"messages\"", source));
  Conversation conversation;
  for (size_t index = 0; index < list->size(); ++index) {
    Message message = message_of((*list)[index], source, index);
    if (message.role == Message::Role::kSystem && index > 0)
      refuse(source, index, "is a system message, which can only be the first");
    conversation.add(std::move(message));
  }
  return conversation;
}

void save_conversation(const Conversation& conversation, const std::string& model, const std::string& path,
                       Existing existing) {
  Json messages = conversation.to_json();
  for (size_t i = 0; i < messages.size(); ++i) {
    if (conversation.messages()[i].cut_off) messages[i]["finish_reason"] = "cancelled";
  }
  const Json document{{"model", model}, {"messages", std::move(messages)}};
  const std::string text = document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  if (existing == Existing::kKeep) return NewFile(path).write(text);
  // Whole or not at all: the old file stays until the new one is written.
  const std::string temporary = fmt::format("{}.{}.new", path, ::getpid());
  try {
    NewFile(temporary).write(text);
    std::filesystem::rename(temporary, path);
  } catch (const std::filesystem::filesystem_error& error) {
    ::unlink(temporary.c_str());
    throw Error(ErrorKind::kUsage, fmt::format("cannot replace {}: {}", path, error.code().message()));
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

}  // namespace megalith::cli
