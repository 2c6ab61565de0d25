#pragma once
// SentencePiece's precompiled character map: which sequences of characters a normaliser replaces by which texts (its
// nmt_nfkc, nfkc_cf, ... rules, or a model's own). A double-array trie and the texts it leads to.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace megalith {

class CharacterMap {
 public:
  /// `bytes`: the trie's size in bytes (32 bits, little-endian), the trie's units (32 bits each), then texts, each
  /// ended by a zero byte (precompiled_charsmap of SentencePiece's model file). Throws kInvalidModel, beginning with
  /// `source`, if the sizes contradict each other.
  CharacterMap(std::string_view bytes, const std::string& source);
  /// Appends `text`, valid UTF-8, with the longest sequence at each place replaced.
  void append(std::string& out, std::string_view text) const;

 private:
  struct Match {
    size_t length = 0;  // 0: none
    std::string_view replacement;
  };
  Match longest(std::string_view text) const;
  std::vector<uint32_t> units_;
  std::string texts_;
};

}  // namespace megalith
