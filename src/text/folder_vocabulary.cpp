#include "text/folder_vocabulary.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "text/json_document.h"
#include "text/tiktoken_file.h"
#include "text/tokenizer_json.h"

namespace megalith {
namespace {

namespace fs = std::filesystem;

class FolderFile {
 public:
  FolderFile(const std::string& folder, const char* name) : path_((fs::path(folder) / name).string()) {
    if (fs::exists(path_)) file_.emplace(path_);
  }
  bool exists() const { return file_.has_value(); }
  const std::string& path() const { return path_; }
  std::string_view text() const {
    if (!file_) return {};
    const auto bytes = file_->bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::string path_;
  std::optional<MappedFile> file_;
};

/// A token as tokenizer_config.json names it: its text, or an object with its text as `content`.
std::optional<TokenId> find_named_token(const JsonField& root, const char* key, const Vocabulary& vocabulary) {
  const std::optional<JsonField> field = root.find(key);
  if (!field) return std::nullopt;
  const std::string_view text = field->is_object() ? field->require("content").string() : field->string();
  const auto found = std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), text);
  if (found == vocabulary.tokens.end()) {
    field->fail("is \"" + std::string(text.substr(0, 60)) + "\", which is no token of tokenizer.json");
  }
  return static_cast<TokenId>(found - vocabulary.tokens.begin());
}

void apply_tokenizer_config(const JsonField& root, Vocabulary& vocabulary) {
  const auto apply_token = [&](const char* key, std::optional<TokenId>& token) {
    if (const std::optional<TokenId> named = find_named_token(root, key, vocabulary)) token = named;
  };
  apply_token("bos_token", vocabulary.bos);
  apply_token("eos_token", vocabulary.eos);
  apply_token("unk_token", vocabulary.unk);
  apply_token("pad_token", vocabulary.pad);
  const auto apply_choice = [&](const char* key, std::optional<bool>& choice, std::optional<TokenId> token) {
    const std::optional<JsonField> field = root.find(key);
    if (!field) return;
    choice = field->boolean();
    if (*choice && !token) field->fail("is true, but no file names that token");
  };
  apply_choice("add_bos_token", vocabulary.add_bos, vocabulary.bos);
  apply_choice("add_eos_token", vocabulary.add_eos, vocabulary.eos);
  if (vocabulary.add_bos == false) vocabulary.leading.clear();
  if (vocabulary.add_eos == false) vocabulary.trailing.clear();
}

void apply_generation_config(const JsonField& root, Vocabulary& vocabulary) {
  const std::optional<JsonField> ends = root.find("eos_token_id");
  if (!ends) return;
  const auto add = [&](const JsonField& field) {
    const int64_t id = field.integer();
    if (id < 0 || static_cast<uint64_t>(id) >= vocabulary.tokens.size()) {
      field.fail("is " + std::to_string(id) + ", but tokenizer.json has " + std::to_string(vocabulary.tokens.size()) +
                 " tokens");
    }
    vocabulary.end_of_generation.push_back(static_cast<TokenId>(id));
  };
  if (!ends->is_array()) return add(*ends);
  size_t index = 0;
  for (const simdjson::dom::element element : ends->array()) add(ends->item(index++, element));
}

std::optional<std::string> template_of(const JsonField& root) {
  const std::optional<JsonField> field = root.find("chat_template");
  if (!field) return std::nullopt;
  if (!field->is_array()) return std::string(field->string());
  size_t index = 0;
  for (const simdjson::dom::element element : field->array()) {
    const JsonField named = field->item(index++, element);
    if (named.require("name").string() == "default") return std::string(named.require("template").string());
  }
  field->fail("lists templates, but none named \"default\"");
}

/// Tokens beside those of a tiktoken file: {"added_tokens_decoder": {"128000": {"content": "<|begin_of_text|>", ...}}}.
void add_special_tokens(const JsonField& root, Vocabulary& vocabulary) {
  const std::optional<JsonField> list = root.find("added_tokens_decoder");
  if (!list) return;
  constexpr size_t kMostAdded = 1 << 20;
  std::vector<AddedToken>& added = vocabulary.added.emplace();
  for (const auto& [key, element] : list->object()) {
    const JsonField token = list->require(key);
    TokenId parsed = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), parsed);
    const size_t id = static_cast<size_t>(parsed);
    if (error != std::errc() || end != key.data() + key.size() || parsed < 0 ||
        id > vocabulary.tokens.size() + kMostAdded) {
      token.fail("has a key that is no token id");
    }
    const AddedToken& entry = added.emplace_back(read_added_token(token, parsed));
    for (size_t next = vocabulary.tokens.size(); next <= id; ++next) {
      vocabulary.tokens.push_back("<unnamed " + std::to_string(next) + '>');
      vocabulary.types.push_back(TokenType::kUnused);
    }
    vocabulary.tokens[id] = token.require("content").string();
    vocabulary.types[id] = entry.read == AddedToken::Read::kAlways ? TokenType::kUserDefined : TokenType::kControl;
  }
}

/// How the makers of a kind of model cut text into words; a tiktoken file does not say.
std::string pre_tokenizer_of_kind(const std::string& folder) {
  constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"llama", "llama-bpe"}, {"mllama", "llama-bpe"}, {"llama4", "llama4"},       {"qwen", "qwen2"},
      {"gpt_oss", "gpt-4o"},  {"kimi_k2", "kimi-k2"},  {"kimi_linear", "kimi-k2"}, {"chatglm", "chatglm-bpe"},
  };
  const FolderFile config(folder, "config.json");
  if (!config.exists()) return "";
  const JsonDocument document(config.text(), config.path());
  const std::string_view kind = document.root().string_or("model_type", "");
  for (const auto& [known, pre] : kKinds) {
    if (kind == known) return std::string(pre);
  }
  return "";
}

std::optional<Vocabulary> read_tiktoken_from_folder(const std::string& folder) {
  for (const char* name : {"tokenizer.model", "tiktoken.model", "qwen.tiktoken"}) {
    const FolderFile file(folder, name);
    if (!file.exists() || !is_tiktoken_file(file.text())) continue;
    Vocabulary vocabulary = read_tiktoken_file(file.text(), file.path());
    vocabulary.pre = pre_tokenizer_of_kind(folder);
    if (const FolderFile config(folder, "tokenizer_config.json"); config.exists()) {
      const JsonDocument document(config.text(), config.path());
      add_special_tokens(document.root(), vocabulary);
    }
    return vocabulary;
  }
  return std::nullopt;
}

}  // namespace

Vocabulary read_vocabulary_from_folder(const std::string& folder) {
  std::optional<Vocabulary> found;
  if (const FolderFile tokenizer(folder, "tokenizer.json"); tokenizer.exists()) {
    found = read_tokenizer_json(tokenizer.text(), tokenizer.path());
  } else {
    found = read_tiktoken_from_folder(folder);
  }
  if (!found) {
    throw Error(
        ErrorKind::kInvalidModel,
        folder +
            ": the folder has no tokenizer.json and no vocabulary of tiktoken's form, so text cannot be turned "
            "into tokens; put the model's tokenizer.json there (a tokenizer.model of SentencePiece is not read)");
  }
  Vocabulary& vocabulary = *found;
  if (const FolderFile config(folder, "tokenizer_config.json"); config.exists()) {
    const JsonDocument document(config.text(), config.path());
    apply_tokenizer_config(document.root(), vocabulary);
  }
  if (const FolderFile config(folder, "generation_config.json"); config.exists()) {
    const JsonDocument document(config.text(), config.path());
    apply_generation_config(document.root(), vocabulary);
  }
  return std::move(vocabulary);
}

std::optional<std::string> read_chat_template_from_folder(const std::string& folder) {
  if (const FolderFile jinja(folder, "chat_template.jinja"); jinja.exists()) return std::string(jinja.text());
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    const FolderFile file(folder, name);
    if (!file.exists()) continue;
    const JsonDocument document(file.text(), file.path());
    if (std::optional<std::string> found = template_of(document.root())) return found;
  }
  return std::nullopt;
}

}  // namespace megalith
