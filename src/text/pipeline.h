#pragma once
// How a text becomes the words that a tokenizer's model sees, and what the model does with a word; a file spells it out
// (tokenizer.json) or names it (GGUF's tokenizer.ggml.pre).
#include <optional>
#include <string>
#include <vector>

#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/word_splitter.h"

namespace megalith {

/// Hugging Face's Metaspace: spaces become U+2581, one is put before a piece that does not begin with it.
struct SpaceMarks {
  enum class Prefix { kNever, kAlways, kFirst };  // kFirst: only where the text begins
  Prefix prefix = Prefix::kAlways;
  enum class Words { kWhole, kCutAtMarks } words = Words::kCutAtMarks;
  bool operator==(const SpaceMarks&) const = default;
};

struct Pipeline {
  std::vector<NormalizerStep> normalizer;
  std::vector<SplitStage> stages;
  std::optional<SpaceMarks> space_marks;  // after the stages
  // Byte-level BPE: a word that is a token is that token, without merging.
  enum class WholeWords { kMerge, kTakeIfKnown } whole_words = WholeWords::kMerge;
  // Of a decoded text, the one that encoding put before it.
  enum class LeadingSpace { kKeep, kDrop } leading_space = LeadingSpace::kKeep;
};

/// The pipeline that a row of the pre-tokenizers means, with byte-level BPE.
Pipeline pipeline_of(const PreTokenizer& row);
/// The name of the row that means this pipeline; empty if there is none.
std::string name_of_pipeline(const Pipeline& pipeline);

/// SentencePiece's spaces: U+2581 for each, one more before a stretch of text or not.
enum class SpacePrefix { kOmitted, kAdded };
Pipeline sentence_piece_pipeline(SpacePrefix prefix);

/// BERT's, for lower-cased text: cleaned, without accents, cut at white space, punctuation alone.
Pipeline bert_pipeline();

}  // namespace megalith
