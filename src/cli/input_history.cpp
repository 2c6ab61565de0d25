#include "cli/input_history.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/json.h"

namespace megalith::cli {

namespace {

std::string line_of(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// One write, so that lines of several programs do not mix.
bool write_file(const std::string& path, int flags, std::string_view text) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
  if (descriptor < 0) return false;
  const ssize_t written = ::write(descriptor, text.data(), text.size());
  ::close(descriptor);
  return written == static_cast<ssize_t>(text.size());
}

}  // namespace

InputHistory::InputHistory(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  std::error_code ignored;
  if (std::filesystem::create_directories(folder, ignored)) ::chmod(folder.c_str(), 0700);
  read();
}

void InputHistory::read() {
  std::ifstream file(path_, std::ios::binary);
  size_t bytes = 0;
  for (std::string line; std::getline(file, line); bytes += line.size() + 1) {
    const Json text = Json::parse(line, nullptr, false);
    if (text.is_string()) entries_.push_back(text.get<std::string>());
  }
  if (entries_.size() <= kMostEntries && bytes <= kMostBytes) return;
  size_t kept = 0;
  size_t kept_bytes = 0;
  // Half, so that the next start has nothing to do.
  while (kept < entries_.size() && kept < kMostEntries / 2) {
    kept_bytes += line_of(entries_[entries_.size() - 1 - kept]).size();
    if (kept_bytes > kMostBytes / 2) break;
    ++kept;
  }
  entries_.erase(entries_.begin(), entries_.end() - static_cast<std::ptrdiff_t>(kept));
  rewrite();
}

void InputHistory::rewrite() const {
  std::string all;
  for (const std::string& entry : entries_) all += line_of(entry);
  const std::string temporary = fmt::format("{}.{}.new", path_, ::getpid());
  std::error_code failed;
  if (write_file(temporary, O_EXCL, all)) std::filesystem::rename(temporary, path_, failed);
  if (failed) ::unlink(temporary.c_str());
}

bool InputHistory::add(const std::string& text) {
  if (text.empty() || text.size() > kMostBytes / 4 || (!entries_.empty() && entries_.back() == text)) return false;
  entries_.push_back(text);
  if (!path_.empty()) write_file(path_, O_APPEND, line_of(text));
  return true;
}

}  // namespace megalith::cli
