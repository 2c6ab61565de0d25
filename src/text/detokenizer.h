#pragma once
// Incremental detokenisation: bytes of tokens in, whole UTF-8 characters out; stop strings are caught across token
// borders and never emitted. Holds back no more than an unfinished character or a possible beginning of a stop string.
#include <string>
#include <string_view>
#include <vector>

namespace megalith {

class Detokenizer {
 public:
  /// Where several stop strings are met, the one that is complete first counts, the longest of those that end at the
  /// same character: what is emitted does not depend on how the bytes are cut into tokens. Stop strings are compared
  /// with the text as emitted (U+FFFD for invalid bytes). Throws kUsage for an empty one.
  explicit Detokenizer(std::vector<std::string> stop_strings = {});
  /// Adds the bytes of one token; returns the text that may be shown now (valid UTF-8; a byte sequence that can no
  /// longer become valid is given as U+FFFD, one for each maximal subpart, as Unicode recommends).
  std::string push(std::string_view token_bytes);
  /// What is still held back, at the end of an answer. Empty after a stop string matched.
  std::string finish();
  /// Set once a stop string has been met; push() then returns nothing more.
  bool stopped() const { return matched_stop_ >= 0; }
  /// Index into the constructor's list of the stop string that matched; -1 before.
  int matched_stop() const { return matched_stop_; }

 private:
  /// A stop string as a Knuth-Morris-Pratt automaton.
  struct Stop {
    std::string text;
    std::vector<size_t> border;  // [i]: length of the longest proper border of text[0, i]
    size_t matched = 0;          // longest beginning of `text` that the characters so far end with
    /// Takes one byte; true if the whole of `text` has been met.
    bool advance(char byte);
  };

  void take(std::string_view characters);

  std::vector<Stop> stops_;
  std::string unfinished_;  // bytes of a character that more bytes may finish
  std::string pending_;     // whole characters not returned yet
  int matched_stop_ = -1;
};

}  // namespace megalith
