#pragma once
// Incremental detokenisation: bytes of tokens in, whole UTF-8 characters out; stop strings are caught across token
// borders and never emitted. Holds back no more than an unfinished character or a possible beginning of a stop string.
#include <string>
#include <string_view>
#include <vector>

namespace megalith {

class Detokenizer {
 public:
  explicit Detokenizer(std::vector<std::string> stop_strings = {});
  /// Adds the bytes of one token; returns the text that may be shown now (valid UTF-8; a byte sequence that can no
  /// longer become valid is given as U+FFFD, one for each maximal subpart, as Unicode recommends).
  std::string push(std::string_view token_bytes);
  /// What is still held back, at the end of an answer. Empty after a stop string matched.
  std::string finish();
  /// Set once a stop string has been met; push() then returns nothing more.
  bool stopped() const { return stopped_; }
  /// Index into the constructor's list of the stop string that matched; -1 before.
  int matched_stop() const { return matched_stop_; }

 private:
  std::vector<std::string> stop_strings_;
  std::string pending_;
  bool stopped_ = false;
  int matched_stop_ = -1;
};

}  // namespace megalith
