#include "text/tokenizer_json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "text/json_document.h"
#include "text/pipeline.h"
#include "text/token_tables.h"
#include "text/tokenizer_json_pipeline.h"

namespace megalith {
namespace {

/// Token texts with their ids, which come in any order: filled, then laid out by id.
class TokenList {
 public:
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

void read_added_tokens(const JsonField& root, TokenList& tokens, std::vector<AddedToken>& added) {
  const std::optional<JsonField> list = root.find("added_tokens");
  if (!list) return;
  size_t index = 0;
  for (const simdjson::dom::element element : list->array()) {
    const JsonField token = list->item(index++, element);
    const std::string_view text = token.require("content").string();
    if (text.empty()) token.fail("has an empty content");
    const int64_t id = token.require("id").integer();
    tokens.add(token, text, id);
    AddedToken& entry = added.emplace_back(read_added_token(token, static_cast<TokenId>(id)));
    const bool normalised = token.boolean_or("normalized", entry.read == AddedToken::Read::kAlways);
    if (normalised) entry.search = AddedToken::Search::kNormalisedText;
  }
}

[[noreturn]] void fail_id(const JsonField& vocab, std::string_view text) {
  vocab.fail("gives the token \"" + std::string(text.substr(0, 60)) + "\" an id that is no whole number");
}

/// {"text": id, ...}
void read_token_object(const JsonField& vocab, TokenList& tokens) {
  for (const auto& [text, value] : vocab.object()) {
    int64_t id = 0;
    if (value.get(id) != simdjson::SUCCESS) fail_id(vocab, text);
    tokens.add(vocab, text, id);
  }
}

/// [["text", score], ...] of a unigram model: the place is the id.
void read_token_list(const JsonField& vocab, TokenList& tokens, std::vector<double>& scores) {
  for (const simdjson::dom::element element : vocab.array()) {
    simdjson::dom::array pair;
    std::string_view text;
    double score = 0;
    const bool good = element.get(pair) == simdjson::SUCCESS && pair.size() == 2 &&
                      pair.at(0).get(text) == simdjson::SUCCESS && pair.at(1).get(score) == simdjson::SUCCESS;
    if (!good) vocab.item(scores.size(), element).fail("is no pair of a text and a score");
    tokens.add(vocab, text, static_cast<int64_t>(scores.size()));
    scores.push_back(score);
  }
}

void mark_byte_tokens(Vocabulary& vocabulary) {
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    if (byte_named_by(vocabulary.tokens[i]) >= 0) vocabulary.types[i] = TokenType::kByte;
  }
}

void read_tokens(const JsonField& root, Vocabulary& vocabulary) {
  const JsonField vocab = root.require("model").require("vocab");
  TokenList tokens;
  if (vocabulary.model == "t5") {
    read_token_list(vocab, tokens, vocabulary.scores);
  } else {
    read_token_object(vocab, tokens);
  }
  std::vector<AddedToken> added;
  read_added_tokens(root, tokens, added);
  vocabulary.tokens = tokens.by_id(vocab);
  if (vocabulary.tokens.empty()) vocab.fail("is empty");
  vocabulary.types.assign(vocabulary.tokens.size(), TokenType::kNormal);
  // Added tokens have no score; they are never chosen by it.
  if (!vocabulary.scores.empty()) vocabulary.scores.resize(vocabulary.tokens.size(), 0);
  const JsonField model = root.require("model");
  if (model.boolean_or("byte_fallback", false)) mark_byte_tokens(vocabulary);
  for (const AddedToken& token : added) {
    vocabulary.types[token.id] =
        token.read == AddedToken::Read::kAlways ? TokenType::kUserDefined : TokenType::kControl;
  }
  vocabulary.added = std::move(added);
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

/// The ids of a special token that TemplateProcessing names.
std::vector<TokenId> template_token(const JsonField& step, const JsonField& name, const Vocabulary& vocabulary) {
  const std::optional<JsonField> specials = step.find("special_tokens");
  const std::optional<JsonField> entry = specials ? specials->find(name.string()) : std::nullopt;
  if (!entry) return {find_id(vocabulary, name, name.string())};
  std::vector<TokenId> ids;
  const JsonField list = entry->require("ids");
  size_t index = 0;
  for (const simdjson::dom::element element : list.array()) {
    const JsonField field = list.item(index++, element);
    const int64_t id = field.integer();
    if (id < 0 || static_cast<uint64_t>(id) >= vocabulary.tokens.size()) {
      field.fail("is " + std::to_string(id) + ", but there are " + std::to_string(vocabulary.tokens.size()) +
                 " tokens");
    }
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

void read_template(const JsonField& step, Vocabulary& vocabulary) {
  const JsonField items = step.require("single");
  bool after_text = false;
  size_t index = 0;
  for (const simdjson::dom::element element : items.array()) {
    const JsonField item = items.item(index++, element);
    if (item.find("Sequence")) {
      if (after_text) item.fail("is a second place for the text, which is not supported here");
      after_text = true;
      continue;
    }
    const std::vector<TokenId> ids = template_token(step, item.require("SpecialToken").require("id"), vocabulary);
    std::vector<TokenId>& side = after_text ? vocabulary.trailing : vocabulary.leading;
    side.insert(side.end(), ids.begin(), ids.end());
  }
}

/// BertProcessing, RobertaProcessing: "cls" and "sep" are pairs of a text and an id.
void read_bert_processing(const JsonField& step, Vocabulary& vocabulary) {
  const std::pair<const char*, std::vector<TokenId>*> sides[] = {{"cls", &vocabulary.leading},
                                                                 {"sep", &vocabulary.trailing}};
  for (const auto& [key, side] : sides) {
    const JsonField pair = step.require(key);
    std::string_view text;
    if (pair.array().at(0).get(text) != simdjson::SUCCESS) pair.fail("is no pair of a text and an id");
    side->push_back(find_id(vocabulary, pair, text));
  }
}

void read_post_processor(const JsonField& root, Vocabulary& vocabulary) {
  for (const JsonField& step : steps_of(root.find("post_processor"), "processors")) {
    const std::string_view type = step_type(step);
    if (type == "TemplateProcessing") {
      read_template(step, vocabulary);
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      read_bert_processing(step, vocabulary);
    } else if (type != "ByteLevel") {  // which moves offsets only
      fail_step(step, "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel");
    }
  }
  vocabulary.add_bos = !vocabulary.leading.empty();
  vocabulary.add_eos = !vocabulary.trailing.empty();
  if (vocabulary.add_bos == true) vocabulary.bos = vocabulary.leading.front();
  if (vocabulary.add_eos == true) vocabulary.eos = vocabulary.trailing.back();
}

void refuse_option(const JsonField& model, const char* key) {
  const std::optional<JsonField> field = model.find(key);
  if (field && !field->string().empty()) field->fail("is set, which is not supported here");
}

void read_bpe(const JsonField& root, Vocabulary& vocabulary) {
  const JsonField model = root.require("model");
  refuse_option(model, "continuing_subword_prefix");
  refuse_option(model, "end_of_word_suffix");
  if (const std::optional<JsonField> dropout = model.find("dropout")) {
    dropout->fail("is set: it would make tokens random");
  }
  const bool ignore_merges = model.boolean_or("ignore_merges", false);
  const bool byte_level = is_byte_level(root);
  vocabulary.model = byte_level ? "gpt2" : "llama";
  if (!byte_level && !model.boolean_or("byte_fallback", false)) {
    model.fail("has neither byte_fallback nor a pre_tokenizer of the type ByteLevel: no tokenizer that is known here");
  }
  if (!byte_level && ignore_merges) {
    model.require("ignore_merges").fail("is true, which is not supported with byte_fallback");
  }
  if (ignore_merges && vocabulary.pipeline) vocabulary.pipeline->whole_words = Pipeline::WholeWords::kTakeIfKnown;
  read_tokens(root, vocabulary);
  read_merges(model, !byte_level, vocabulary);
  if (byte_level) vocabulary.pre = name_of_pipeline(settled(vocabulary.pipeline));
}

void read_unigram(const JsonField& root, Vocabulary& vocabulary) {
  vocabulary.model = "t5";
  read_tokens(root, vocabulary);
  const std::optional<JsonField> unknown = root.require("model").find("unk_id");
  if (!unknown) return;
  const int64_t id = unknown->integer();
  if (id < 0 || static_cast<uint64_t>(id) >= vocabulary.tokens.size()) {
    unknown->fail("is " + std::to_string(id) + ", but there are " + std::to_string(vocabulary.tokens.size()) +
                  " tokens");
  }
  vocabulary.unk = static_cast<TokenId>(id);
}

void read_word_piece(const JsonField& root, Vocabulary& vocabulary) {
  vocabulary.model = "bert";
  const JsonField model = root.require("model");
  if (const auto prefix = model.find("continuing_subword_prefix"); prefix && prefix->string() != "##") {
    prefix->fail("is another than \"##\", which is not supported here");
  }
  if (const auto most = model.find("max_input_chars_per_word"); most && most->integer() != 100) {
    most->fail("is another than 100, which is not supported here");
  }
  read_tokens(root, vocabulary);
}

struct ModelReader {
  std::string_view type;
  void (*read)(const JsonField& root, Vocabulary& vocabulary);
};

constexpr ModelReader kModels[] = {{"BPE", read_bpe}, {"Unigram", read_unigram}, {"WordPiece", read_word_piece}};

void read_model(const JsonField& root, Vocabulary& vocabulary) {
  const JsonField model = root.require("model");
  const std::string_view type = model.string_or("type", "BPE");
  for (const ModelReader& reader : kModels) {
    if (reader.type == type) return reader.read(root, vocabulary);
  }
  model.require("type").fail("is \"" + std::string(type) +
                             "\", which is not known here (known: BPE, Unigram, WordPiece)");
}

}  // namespace

AddedToken read_added_token(const JsonField& token, TokenId id) {
  AddedToken added;
  added.id = id;
  if (token.boolean_or("special", false)) added.read = AddedToken::Read::kWhenParsingSpecial;
  if (token.boolean_or("single_word", false)) added.words = AddedToken::Words::kWholeOnly;
  added.takes_space_before = token.boolean_or("lstrip", false);
  added.takes_space_after = token.boolean_or("rstrip", false);
  return added;
}

Vocabulary read_tokenizer_json(std::string_view text, const std::string& source) {
  const JsonDocument document(text, source);
  const JsonField root = document.root();
  Vocabulary vocabulary;
  vocabulary.source = source;
  vocabulary.fields = &kTokenizerJsonFields;
  vocabulary.pipeline = read_pipeline(root);
  read_model(root, vocabulary);
  read_post_processor(root, vocabulary);
  if (const std::optional<JsonField> unknown = root.require("model").find("unk_token")) {
    vocabulary.unk = find_id(vocabulary, *unknown, unknown->string());
  }
  if (vocabulary.unk && vocabulary.types[*vocabulary.unk] == TokenType::kControl) {
    vocabulary.types[*vocabulary.unk] = TokenType::kUnknown;
  }
  return vocabulary;
}

}  // namespace megalith
