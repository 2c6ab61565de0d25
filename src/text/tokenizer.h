#pragma once
// Text <-> token ids, exactly as a model's makers meant it. A tokenizer is immutable after construction and may be used
// from many threads.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/added_tokens.h"
#include "text/pipeline.h"
#include "text/token_id.h"

namespace megalith {

/// What a file calls the tables, for error messages.
struct VocabularyFields {
  std::string_view tokens, merges, pre;
};
inline constexpr VocabularyFields kGgufFields = {"tokenizer.ggml.tokens", "tokenizer.ggml.merges",
                                                 "tokenizer.ggml.pre"};

/// The raw tables of a tokenizer as a model file holds them; a file's reader fills it, make_tokenizer validates it.
struct Vocabulary {
  std::string source;  // file name for error messages
  const VocabularyFields* fields = &kGgufFields;
  std::string model;  // algorithm: "gpt2" (byte-level BPE), "llama" (SentencePiece BPE), "t5" (unigram), "bert"
  std::string pre;    // pre-tokenizer, where the file names one: "smollm", "qwen2", "llama-bpe", ...
  // [n_vocab], as stored in the file: byte-level BPE in the byte-to-unicode alphabet, SentencePiece with U+2581 for
  // space
  std::vector<std::string> tokens;
  std::vector<TokenType> types;     // [n_vocab], or empty: all normal
  std::vector<double> scores;       // [n_vocab], or empty
  std::vector<std::string> merges;  // "left right", in rank order
  std::optional<TokenId> bos, eos, eot, unk, pad;
  std::vector<TokenId> end_of_generation;  // further tokens that end an answer
  // Empty: the file does not say, and the family decides (llama and llama-bpe add BOS; no other here does).
  // Always set in Tokenizer::vocabulary(). Test with `== true`: an optional is true when it holds false.
  std::optional<bool> add_bos, add_eos;
  // Around a text where more than BOS and EOS stand there; else empty, and BOS and EOS count.
  std::vector<TokenId> leading, trailing;
  std::optional<Pipeline> pipeline;  // none: the one that `model` and `pre` mean
  // Tokens that are cut out of a text first; none: control, unknown and user-defined tokens, in the raw text.
  std::optional<std::vector<AddedToken>> added;
};

/// A field that make_tokenizer fills where the file leaves it open. Throws kRuntime if it is empty.
template <typename Value>
const Value& settled(const std::optional<Value>& field) {
  if (!field) throw Error(ErrorKind::kRuntime, "a vocabulary was used before make_tokenizer settled it");
  return *field;
}

struct EncodeOptions {
  bool add_special = false;    // add BOS / EOS as the model would
  bool parse_special = false;  // read the text of special tokens as those tokens
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// Token ids of a byte string, those that the makers' own pipeline (Hugging Face `tokenizers`) gives. User-defined
  /// tokens are read wherever their text stands, control tokens only with `parse_special`; the leftmost and longest
  /// wins. Invalid UTF-8 never throws: each maximal subpart is a word of its own, made of its bytes' tokens, so that
  /// decode(encode(x)) == x where nothing normalises; if the vocabulary lacks one of the bytes it is read as U+FFFD.
  /// Throws kUsage for a text of more than 1 GiB.
  virtual std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const = 0;
  /// The bytes a token stands for; may be a part of a UTF-8 character. Control, unknown and unused tokens give their
  /// text with kRender, nothing with kOmit. The view lives as long as the tokenizer. Throws kUsage for an id outside
  /// [0, size()).
  enum class Special { kOmit, kRender };
  virtual std::string_view bytes(TokenId token, Special special) const = 0;
  virtual std::string decode(std::span<const TokenId> tokens, Special special) const = 0;
  virtual int32_t size() const = 0;
  virtual TokenType type(TokenId token) const = 0;
  /// The token whose stored text is exactly this (special tokens included), if there is one.
  virtual std::optional<TokenId> find(std::string_view text) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
  /// True for EOS, EOT and every other token that ends an answer.
  virtual bool ends_generation(TokenId token) const = 0;
};

/// Builds the tokenizer that `vocabulary.model` and `.pre` name. Throws kInvalidModel with the field's name for an
/// unknown algorithm or pre-tokenizer (listing the known ones), a merge that names missing tokens, ids out of range,
/// duplicated tokens, or tables of different lengths. Control tokens by whose known names makers end an answer count as
/// ends of generation, named by the file or not.
std::unique_ptr<Tokenizer> make_tokenizer(Vocabulary vocabulary);

}  // namespace megalith
