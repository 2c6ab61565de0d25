#pragma once
// The algorithm of a tokenizer: a word to tokens. What comes before (added tokens, normalising, cutting into words) is
// the pipeline's.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/merging.h"
#include "text/token_id.h"

namespace megalith {

class TokenModel {
 public:
  /// What encoding works with; one for each thread, kept from word to word.
  struct Scratch {
    std::vector<TokenId> output;
    MergeScratch merging;
    std::vector<TokenId> word;
    std::string text;
    struct LatticeNode {
      double score = 0;    // of the best way to here
      uint32_t begin = 0;  // of its last piece
      TokenId token = -1;  // of that piece; -1: unknown
      bool reached = false;
    };
    std::vector<LatticeNode> lattice;
  };

  virtual ~TokenModel() = default;
  /// Appends the tokens of a word, which is valid UTF-8 and not empty, to scratch.output.
  virtual void encode(std::string_view word, Scratch& scratch) const = 0;
  /// Appends the tokens of single bytes; false, and nothing is appended, if the vocabulary lacks one of them.
  virtual bool encode_bytes(std::string_view bytes, Scratch& scratch) const = 0;
  /// Appends the bytes that a normal, unused or byte token stands for.
  virtual void append_bytes(std::string& out, TokenId token) const = 0;
  /// Appends what an added token of this text stands for.
  virtual void append_added(std::string& out, std::string_view text) const { out += text; }
};

}  // namespace megalith
