#include "text/tokenizer_json.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "text/json_document.h"

namespace megalith {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

// The published regular expressions (Llama 3, Qwen 2), as their tokenizer.json files spell them.
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// A pipeline of byte-level BPE, and the row of the pre-tokenizers that means the same.
struct Pipeline {
  std::string_view normalizer;
  std::vector<std::string> steps;
  bool ignore_merges;
  std::string_view name;
};

const std::vector<Pipeline>& known_pipelines() {
  static const std::vector<Pipeline> kPipelines = {
      {"", {"ByteLevel with its expression"}, false, "gpt-2"},
      {"", {"Digits one by one", "ByteLevel with its expression"}, false, "smollm"},
      {"NFC", {"Split by " + std::string(kQwen2Pattern), "ByteLevel"}, false, "qwen2"},
      {"", {"Split by " + std::string(kLlama3Pattern), "ByteLevel"}, true, "llama-bpe"},
      {"", {"Split by " + std::string(kLlama3Pattern), "ByteLevel"}, false, "smaug-bpe"},
  };
  return kPipelines;
}

/// The steps of a Sequence, or the one step there is; `list` is the name of a Sequence's field.
std::vector<JsonField> steps_of(const std::optional<JsonField>& field, std::string_view list) {
  if (!field) return {};
  if (field->require("type").string() != "Sequence") return {*field};
  std::vector<JsonField> steps;
  const JsonField items = field->require(list);
  size_t index = 0;
  for (const simdjson::dom::element element : items.array()) {
    // Sequences inside of sequences: no maker has written one.
    steps.push_back(items.item(index++, element));
  }
  return steps;
}

std::string_view type_of(const JsonField& step) { return step.require("type").string(); }

[[noreturn]] void fail_step(const JsonField& step, std::string_view known) {
  step.fail("is of the type \"" + std::string(type_of(step)) +
            "\", which is not known here (known: " + std::string(known) + ")");
}

/// "Split by EXPRESSION"
std::string describe_split(const JsonField& step) {
  const JsonField pattern = step.require("pattern");
  const std::optional<JsonField> expression = pattern.find("Regex");
  if (!expression) pattern.fail("is no regular expression");
  const std::string_view behavior = step.require("behavior").string();
  const bool invert = step.boolean_or("invert", false);
  // Where the expression matches everything, removing what lies between its matches is isolating them.
  if (!(behavior == "Isolated" && !invert) && !(behavior == "Removed" && invert)) {
    step.fail("splits in the unknown way \"" + std::string(behavior) + '"');
  }
  return "Split by " + std::string(expression->string());
}

std::string describe_step(const JsonField& step) {
  const std::string_view type = type_of(step);
  if (type == "ByteLevel") {
    if (step.boolean_or("add_prefix_space", true)) step.fail("adds a space before texts, which is not supported here");
    return step.boolean_or("use_regex", true) ? "ByteLevel with its expression" : "ByteLevel";
  }
  if (type == "Digits") return step.boolean_or("individual_digits", false) ? "Digits one by one" : "Digits in runs";
  if (type == "Split") return describe_split(step);
  fail_step(step, "ByteLevel, Digits, Split");
}

bool has_byte_level_step(const JsonField& root) {
  for (const JsonField& step : steps_of(root.find("pre_tokenizer"), "pretokenizers")) {
    if (type_of(step) == "ByteLevel") return true;
  }
  return false;
}

/// The name of the pre-tokenizer's row.
std::string_view find_pipeline(const JsonField& root, bool ignore_merges) {
  std::string normalizer;
  for (const JsonField& step : steps_of(root.find("normalizer"), "normalizers")) {
    normalizer += (normalizer.empty() ? "" : ", ") + std::string(type_of(step));
  }
  std::vector<std::string> steps;
  for (const JsonField& step : steps_of(root.find("pre_tokenizer"), "pretokenizers")) {
    steps.push_back(describe_step(step));
  }
  std::string known;
  for (const Pipeline& pipeline : known_pipelines()) {
    if (pipeline.normalizer == normalizer && pipeline.steps == steps && pipeline.ignore_merges == ignore_merges) {
      return pipeline.name;
    }
    known += (known.empty() ? "" : ", ") + std::string(pipeline.name);
  }
  std::string found = "normalizer " + (normalizer.empty() ? "none" : normalizer) + "; ";
  for (const std::string& step : steps) found += step + "; ";
  root.require("pre_tokenizer")
      .fail("with the normalizer is none of the known ways to cut text into words (known: " + known + "): " + found +
            "ignore_merges " + (ignore_merges ? "true" : "false"));
}

/// What a SentencePiece-like normaliser and pre-tokenizer do with spaces.
struct Spaces {
  bool replaced = false;
  bool splits = false;
  SpacePrefix prefix = SpacePrefix::kNone;
};

void read_normalizer_step(const JsonField& step, Spaces& spaces) {
  const std::string_view type = type_of(step);
  if (type == "Prepend") {
    if (step.require("prepend").string() != kSpaceMark) step.fail("prepends something else than U+2581");
    spaces.prefix = SpacePrefix::kAlways;
  } else if (type == "Replace") {
    const std::optional<JsonField> pattern = step.require("pattern").find("String");
    if (!pattern || pattern->string() != " " || step.require("content").string() != kSpaceMark) {
      step.fail("replaces something else than a space by U+2581");
    }
    spaces.replaced = true;
  } else {
    fail_step(step, "Prepend, Replace");
  }
}

void read_metaspace(const JsonField& step, Spaces& spaces) {
  if (step.require("replacement").string() != kSpaceMark) step.fail("replaces spaces by something else than U+2581");
  const std::string_view old_scheme = step.boolean_or("add_prefix_space", true) ? "always" : "never";
  const std::string_view scheme = step.string_or("prepend_scheme", old_scheme);
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    step.fail("has the unknown prepend_scheme \"" + std::string(scheme) + "\" (known: always, first, never)");
  }
  if (scheme != "never" && spaces.prefix != SpacePrefix::kNone) step.fail("adds a second space before texts");
  if (scheme == "always") spaces.prefix = SpacePrefix::kUnlessThere;
  if (scheme == "first") spaces.prefix = SpacePrefix::kAtStartUnlessThere;
  spaces.replaced = true;
  spaces.splits = step.boolean_or("split", true);
}

Spaces read_spaces(const JsonField& root) {
  Spaces spaces;
  for (const JsonField& step : steps_of(root.find("normalizer"), "normalizers")) read_normalizer_step(step, spaces);
  for (const JsonField& step : steps_of(root.find("pre_tokenizer"), "pretokenizers")) {
    const std::string_view type = type_of(step);
    if (type == "Metaspace") {
      read_metaspace(step, spaces);
    } else if (type == "Split") {
      // Gemma's: at spaces, of which the normaliser has left none.
      const std::optional<JsonField> pattern = step.require("pattern").find("String");
      if (!pattern || pattern->string() != " " || !spaces.replaced) step.fail("splits at something else than spaces");
    } else {
      fail_step(step, "Metaspace, Split");
    }
  }
  if (!spaces.replaced) root.fail("has neither a normalizer nor a pre_tokenizer that replaces spaces by U+2581");
  return spaces;
}

/// Token texts with their ids, which come in any order: filled, then laid out by id.
class TokenList {
 public:
  struct Added {
    TokenId id = 0;
    bool special = false, normalized = false;
  };

  void add(const JsonField& owner, std::string_view text, int64_t id) {
    if (id < 0 || id > std::numeric_limits<TokenId>::max()) {
      owner.fail("gives the token \"" + std::string(text.substr(0, 60)) + "\" the id " + std::to_string(id));
    }
    entries_.push_back({static_cast<TokenId>(id), text});
  }

  /// [n_vocab]. Every id from 0 on has one text.
  std::vector<std::string> by_id(const JsonField& owner) const {
    TokenId greatest = -1;
    for (const Entry& entry : entries_) greatest = std::max(greatest, entry.id);
    // With that many entries at least, an absurd id makes no allocation.
    if (static_cast<size_t>(greatest) + 1 > entries_.size()) {
      owner.fail("and added_tokens hold " + std::to_string(entries_.size()) + " tokens, but ids up to " +
                 std::to_string(greatest) + ": some ids have no token");
    }
    std::vector<const Entry*> slots(static_cast<size_t>(greatest) + 1);
    for (const Entry& entry : entries_) {
      const Entry*& slot = slots[entry.id];
      if (slot != nullptr && slot->text != entry.text) {
        owner.fail("and added_tokens give the id " + std::to_string(entry.id) + " to \"" +
                   std::string(slot->text.substr(0, 60)) + "\" and to \"" + std::string(entry.text.substr(0, 60)) +
                   '"');
      }
      slot = &entry;
    }
    std::vector<std::string> texts;
    texts.reserve(slots.size());
    for (size_t id = 0; id < slots.size(); ++id) {
      if (slots[id] == nullptr) owner.fail("and added_tokens have no token of the id " + std::to_string(id));
      texts.emplace_back(slots[id]->text);
    }
    return texts;
  }

 private:
  struct Entry {
    TokenId id;
    std::string_view text;  // in the document
  };
  std::vector<Entry> entries_;
};

std::vector<TokenList::Added> read_added_tokens(const JsonField& root, TokenList& tokens) {
  std::vector<TokenList::Added> added;
  const std::optional<JsonField> list = root.find("added_tokens");
  if (!list) return added;
  size_t index = 0;
  for (const simdjson::dom::element element : list->array()) {
    const JsonField token = list->item(index++, element);
    const std::string_view text = token.require("content").string();
    if (text.empty()) token.fail("has an empty content");
    const int64_t id = token.require("id").integer();
    tokens.add(token, text, id);
    for (const char* flag : {"lstrip", "rstrip", "single_word"}) {
      if (token.boolean_or(flag, false)) token.fail("has " + std::string(flag) + ", which is not supported here");
    }
    const bool special = token.boolean_or("special", false);
    added.push_back({static_cast<TokenId>(id), special, token.boolean_or("normalized", !special)});
  }
  return added;
}

void read_tokens(const JsonField& root, bool is_sentence_piece, Vocabulary& vocabulary) {
  const JsonField vocab = root.require("model").require("vocab");
  TokenList tokens;
  for (const auto& [text, value] : vocab.object()) {
    int64_t id = 0;
    if (value.get(id) != simdjson::SUCCESS) {
      vocab.fail("gives the token \"" + std::string(text.substr(0, 60)) + "\" an id that is no whole number");
    }
    tokens.add(vocab, text, id);
  }
  const std::vector<TokenList::Added> added = read_added_tokens(root, tokens);
  vocabulary.tokens = tokens.by_id(vocab);
  if (vocabulary.tokens.empty()) vocab.fail("is empty");
  vocabulary.types.assign(vocabulary.tokens.size(), TokenType::kNormal);
  for (size_t i = 0; is_sentence_piece && i < vocabulary.tokens.size(); ++i) {
    const std::string& text = vocabulary.tokens[i];
    if (text.size() == 6 && text.starts_with("<0x") && text.ends_with('>') &&
        text.find_first_not_of("0123456789ABCDEF", 3) == 5) {
      vocabulary.types[i] = TokenType::kByte;
    }
  }
  for (const TokenList::Added& token : added) {
    vocabulary.types[token.id] = token.special ? TokenType::kControl : TokenType::kUserDefined;
    if (is_sentence_piece && token.normalized) vocabulary.found_in_normalised_text.push_back(token.id);
  }
  std::sort(vocabulary.found_in_normalised_text.begin(), vocabulary.found_in_normalised_text.end());
}

void read_merges(const JsonField& model, bool is_sentence_piece, Vocabulary& vocabulary) {
  const JsonField merges = model.require("merges");
  size_t index = 0;
  for (const simdjson::dom::element element : merges.array()) {
    const size_t position = index++;
    std::string_view whole;
    if (element.get(whole) == simdjson::SUCCESS) {
      vocabulary.merges.emplace_back(whole);
      continue;
    }
    simdjson::dom::array pair;
    std::string_view halves[2];
    size_t count = 0;
    bool good = element.get(pair) == simdjson::SUCCESS;
    if (good) {
      for (const simdjson::dom::element half : pair) {
        good = good && count < 2 && half.get(halves[count]) == simdjson::SUCCESS;
        if (!good) break;
        ++count;
      }
    }
    if (!good || count != 2) merges.item(position, element).fail("is neither \"left right\" nor a pair of texts");
    // A text to be merged holds no space: they are replaced before. Such a pair can never be met.
    const bool has_space =
        halves[0].find(' ') != std::string_view::npos || halves[1].find(' ') != std::string_view::npos;
    if (has_space && is_sentence_piece) continue;
    std::string& merge = vocabulary.merges.emplace_back();
    merge.reserve(halves[0].size() + 1 + halves[1].size());
    merge.append(halves[0]).append(" ").append(halves[1]);
  }
}

TokenId find_id(const Vocabulary& vocabulary, const JsonField& field, std::string_view text) {
  const auto found = std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), text);
  if (found == vocabulary.tokens.end()) field.fail("names \"" + std::string(text) + "\", which is no token");
  return static_cast<TokenId>(found - vocabulary.tokens.begin());
}

/// TemplateProcessing: at most one token before and one after the text.
void read_post_processor_step(const JsonField& step, Vocabulary& vocabulary) {
  const std::string_view type = type_of(step);
  if (type == "ByteLevel") return;  // moves offsets only
  if (type != "TemplateProcessing") fail_step(step, "TemplateProcessing, ByteLevel");
  const JsonField items = step.require("single");
  bool after_text = false;
  size_t index = 0;
  for (const simdjson::dom::element element : items.array()) {
    const JsonField item = items.item(index++, element);
    if (item.find("Sequence")) {
      after_text = true;
      continue;
    }
    const JsonField name = item.require("SpecialToken").require("id");
    std::optional<TokenId>& token = after_text ? vocabulary.eos : vocabulary.bos;
    std::optional<bool>& adds = after_text ? vocabulary.add_eos : vocabulary.add_bos;
    if (adds == true) item.fail("is a second token on one side of the text, which is not supported here");
    token = find_id(vocabulary, name, name.string());
    adds = true;
  }
}

void check_model_options(const JsonField& model) {
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::optional<JsonField> field = model.find(key);
    if (field && !field->string().empty()) field->fail("is set, which is not supported here");
  }
  const std::optional<JsonField> dropout = model.find("dropout");
  if (dropout) dropout->fail("is set: it would make tokens random");
}

}  // namespace

Vocabulary read_tokenizer_json(std::string_view text, const std::string& source) {
  const JsonDocument document(text, source);
  const JsonField root = document.root();
  const JsonField model = root.require("model");
  const std::string_view type = model.string_or("type", "BPE");
  if (type != "BPE")
    model.require("type").fail("is \"" + std::string(type) + "\", which is not known here (known: BPE)");
  check_model_options(model);
  Vocabulary vocabulary;
  vocabulary.source = source;
  vocabulary.fields = &kTokenizerJsonFields;
  const bool ignore_merges = model.boolean_or("ignore_merges", false);
  const bool is_sentence_piece = !has_byte_level_step(root);
  if (is_sentence_piece) {
    if (!model.boolean_or("byte_fallback", false)) {
      model.fail(
          "has neither byte_fallback nor a pre_tokenizer of the type ByteLevel: no tokenizer that is known here");
    }
    if (ignore_merges) model.require("ignore_merges").fail("is true, which is not supported with byte_fallback");
    const Spaces spaces = read_spaces(root);
    vocabulary.model = "llama";
    vocabulary.space_prefix = spaces.prefix;
    vocabulary.splits_at_spaces = spaces.splits;
  } else {
    vocabulary.model = "gpt2";
    vocabulary.pre = find_pipeline(root, ignore_merges);
  }
  read_tokens(root, is_sentence_piece, vocabulary);
  read_merges(model, is_sentence_piece, vocabulary);
  vocabulary.add_bos = vocabulary.add_eos = false;
  for (const JsonField& step : steps_of(root.find("post_processor"), "processors")) {
    read_post_processor_step(step, vocabulary);
  }
  if (const std::optional<JsonField> unknown = model.find("unk_token")) {
    vocabulary.unk = find_id(vocabulary, *unknown, unknown->string());
    if (vocabulary.types[*vocabulary.unk] == TokenType::kControl)
      vocabulary.types[*vocabulary.unk] = TokenType::kUnknown;
  }
  return vocabulary;
}

}  // namespace megalith
