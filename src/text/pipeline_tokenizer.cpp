#include "text/pipeline_tokenizer.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "text/space_mark.h"
#include "text/unicode.h"

namespace megalith {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 30;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Positions inside a word are 32 bits.
void check_text_size(std::string_view text) {
  if (text.size() <= kMaxTextBytes) return;
  throw Error(ErrorKind::kUsage, "a text of " + std::to_string(text.size()) +
                                     " bytes cannot be tokenised at once; the most is 1 GiB: split it");
}

}  // namespace

PipelineTokenizer::PipelineTokenizer(std::unique_ptr<const TokenTable> table, std::unique_ptr<const TokenModel> model,
                                     std::vector<bool> ends_generation)
    : table_(std::move(table)),
      model_(std::move(model)),
      ends_generation_(std::move(ends_generation)),
      normalizer_(pipeline().normalizer, table_->vocabulary().source),
      splitter_(pipeline().stages, table_->vocabulary().source + ": ") {
  index_added_tokens();
  index_bytes();
}

void PipelineTokenizer::index_added_tokens() {
  for (const AddedToken& token : settled(vocabulary().added)) {
    const std::string& text = table_->text(token.id);
    if (token.search == AddedToken::Search::kRawText) {
      added_tokens_.insert(text, token);
      continue;
    }
    const PlaceInStretch place =
        token.search == AddedToken::Search::kNormalisedText ? PlaceInStretch::kBeginning : PlaceInStretch::kLater;
    std::string buffer;
    normalised_added_tokens_.insert(normalizer_.apply(text, place, buffer), token);
  }
}

void PipelineTokenizer::index_bytes() {
  // A token that is found in normalised text stands for that text.
  std::unordered_map<TokenId, std::string> normalised;
  for (const AddedToken& token : settled(vocabulary().added)) {
    if (token.search != AddedToken::Search::kNormalisedText) continue;
    std::string buffer;
    normalised[token.id] = normalizer_.apply(table_->text(token.id), PlaceInStretch::kBeginning, buffer);
  }
  bytes_begin_.reserve(table_->size() + 1);
  for (size_t i = 0; i < table_->size(); ++i) {
    const TokenId token = static_cast<TokenId>(i);
    bytes_begin_.push_back(static_cast<uint32_t>(token_bytes_.size()));
    const TokenType type = table_->type(token);
    if (type == TokenType::kNormal || type == TokenType::kByte || type == TokenType::kUnused) {
      model_->append_bytes(token_bytes_, token);
      continue;
    }
    const auto found = normalised.find(token);
    model_->append_added(token_bytes_, found == normalised.end() ? table_->text(token) : found->second);
  }
  bytes_begin_.push_back(static_cast<uint32_t>(token_bytes_.size()));
}

/// One call of encode().
class PipelineTokenizer::Encoding {
 public:
  Encoding(const PipelineTokenizer& tokenizer, EncodeOptions options)
      : tokenizer_(tokenizer), parse_special_(options.parse_special) {}

  std::vector<TokenId>& output() { return scratch_.output; }

  void encode(std::string_view text) {
    text_begin_ = text.data();
    tokenizer_.added_tokens_.cut(
        text, parse_special_, [&](std::string_view stretch) { encode_stretch(stretch); },
        [&](TokenId token) { output().push_back(token); });
  }

 private:
  /// What is between two tokens that were found in the raw text: pieces of valid UTF-8, and maximal subparts of invalid
  /// UTF-8 between them.
  void encode_stretch(std::string_view text) {
    is_first_stretch_ = text.data() == text_begin_;
    follows_invalid_ = false;
    place_ = PlaceInStretch::kBeginning;
    for (size_t position = 0; position < text.size();) {
      const size_t invalid = find_invalid_utf8(text, position);
      encode_valid(text.substr(position, invalid - position));
      if (invalid == text.size()) return;
      place_ = PlaceInStretch::kLater;
      follows_invalid_ = true;
      const size_t length = decode_utf8(text, invalid).length_bytes;
      if (!tokenizer_.model_->encode_bytes(text.substr(invalid, length), scratch_)) encode_valid(kReplacement);
      position = invalid + length;
    }
  }

  void encode_valid(std::string_view text) {
    const std::string_view normalised = tokenizer_.normalizer_.apply(text, place_, normalised_);
    if (tokenizer_.normalised_added_tokens_.empty()) return encode_normalised(normalised);
    tokenizer_.normalised_added_tokens_.cut(
        normalised, parse_special_,
        [&](std::string_view part) {
          encode_normalised(part);
          place_ = PlaceInStretch::kLater;
        },
        [&](TokenId token) {
          output().push_back(token);
          place_ = PlaceInStretch::kLater;
        });
  }

  void encode_normalised(std::string_view text) {
    tokenizer_.splitter_.split(text, splitting_, [&](std::string_view word) { encode_word(word); });
  }

  void encode_word(std::string_view word) {
    const std::optional<SpaceMarks>& marks = tokenizer_.pipeline().space_marks;
    if (!marks) {
      tokenizer_.model_->encode(word, scratch_);
      return;
    }
    marked_.clear();
    append_replaced(marked_, word, " ", kSpaceMark);
    const bool is_first = is_first_stretch_ && place_ == PlaceInStretch::kBeginning;
    const bool wants_prefix =
        marks->prefix == SpaceMarks::Prefix::kAlways || (marks->prefix == SpaceMarks::Prefix::kFirst && is_first);
    if (wants_prefix && !follows_invalid_ && !marked_.starts_with(kSpaceMark)) marked_.insert(0, kSpaceMark);
    place_ = PlaceInStretch::kLater;
    follows_invalid_ = false;
    std::string_view rest = marked_;
    if (marks->words == SpaceMarks::Words::kCutAtMarks) {
      for (size_t mark = rest.find(kSpaceMark, 1); mark != std::string_view::npos; mark = rest.find(kSpaceMark, 1)) {
        tokenizer_.model_->encode(rest.substr(0, mark), scratch_);
        rest.remove_prefix(mark);
      }
    }
    if (!rest.empty()) tokenizer_.model_->encode(rest, scratch_);
  }

  const PipelineTokenizer& tokenizer_;
  bool parse_special_;
  const char* text_begin_ = nullptr;
  bool is_first_stretch_ = true;
  bool follows_invalid_ = false;  // the next word goes on after invalid bytes: no space belongs between them
  PlaceInStretch place_ = PlaceInStretch::kBeginning;
  std::string normalised_, marked_;
  WordSplitter::Scratch splitting_;
  TokenModel::Scratch scratch_;
};

std::vector<TokenId> PipelineTokenizer::encode(std::string_view text, EncodeOptions options) const {
  check_text_size(text);
  Encoding encoding(*this, options);
  std::vector<TokenId>& output = encoding.output();
  const auto append = [&](const std::vector<TokenId>& tokens) {
    if (options.add_special) output.insert(output.end(), tokens.begin(), tokens.end());
  };
  append(vocabulary().leading);
  encoding.encode(text);
  append(vocabulary().trailing);
  return std::move(output);
}

TokenType PipelineTokenizer::type(TokenId token) const {
  table_->check_id(token);
  return table_->type(token);
}

std::string_view PipelineTokenizer::bytes(TokenId token, Special special) const {
  const TokenType kind = type(token);
  const bool is_special = kind == TokenType::kControl || kind == TokenType::kUnknown || kind == TokenType::kUnused;
  if (is_special && special == Special::kOmit) return {};
  return std::string_view(token_bytes_).substr(bytes_begin_[token], bytes_begin_[token + 1] - bytes_begin_[token]);
}

std::string PipelineTokenizer::decode(std::span<const TokenId> tokens, Special special) const {
  std::string text;
  for (TokenId token : tokens) text += bytes(token, special);
  if (pipeline().leading_space == Pipeline::LeadingSpace::kDrop && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

std::optional<TokenId> PipelineTokenizer::find(std::string_view text) const {
  const TokenId token = table_->find(text);
  return token < 0 ? std::nullopt : std::optional(token);
}

bool PipelineTokenizer::ends_generation(TokenId token) const {
  table_->check_id(token);
  return ends_generation_[token];
}

}  // namespace megalith
