#pragma once
// What was typed into chats, kept for the next one in a file that only its owner can read.
#include <string>
#include <vector>

namespace megalith::cli {

/// One JSON text a line; entries may hold line ends. The file is made with mode 0600 in a folder of mode 0700, and cut
/// to the newest entries when it has grown past its cap. Several programs may add to it. A history that cannot be read
/// or written is none: nothing is said.
class InputHistory {
 public:
  static constexpr size_t kMostEntries = 1000;
  static constexpr size_t kMostBytes = 1 << 20;

  /// Empty path: kept in memory only.
  explicit InputHistory(std::string path);
  const std::vector<std::string>& entries() const { return entries_; }  // oldest first
  /// Adds an entry unless it is the last one again; true if it was added.
  bool add(const std::string& text);

 private:
  void read();
  void rewrite() const;
  std::string path_;
  std::vector<std::string> entries_;
};

}  // namespace megalith::cli
