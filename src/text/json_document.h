#pragma once
// A JSON file of foreign origin as a tree, with errors that name the file and the field. For this room's own .cpp
// files: the parser's header is large.
#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace megalith {

/// A value inside a document, with what to call it: "tokenizer.json: model.merges".
class JsonField {
 public:
  JsonField(const std::string& source, std::string path, simdjson::dom::element element)
      : source_(&source), path_(std::move(path)), element_(element) {}

  const std::string& path() const { return path_; }
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::kInvalidModel, *source_ + ": " + (path_.empty() ? "the document" : path_) + ' ' + what);
  }
  bool is_string() const { return element_.is_string(); }
  bool is_array() const { return element_.is_array(); }
  bool is_object() const { return element_.is_object(); }

  std::string_view string() const { return get<std::string_view>("a string"); }
  bool boolean() const { return get<bool>("true or false"); }
  simdjson::dom::object object() const { return get<simdjson::dom::object>("an object"); }
  simdjson::dom::array array() const { return get<simdjson::dom::array>("a list"); }
  int64_t integer() const { return get<int64_t>("a whole number"); }

  /// The value of a key; none if it is missing or null.
  std::optional<JsonField> find(std::string_view key) const {
    simdjson::dom::element value;
    if (object().at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
    return JsonField(*source_, (path_.empty() ? "" : path_ + '.') + std::string(key), value);
  }
  JsonField require(std::string_view key) const {
    std::optional<JsonField> field = find(key);
    if (!field) fail("has no \"" + std::string(key) + '"');
    return *std::move(field);
  }
  JsonField item(size_t index, simdjson::dom::element value) const {
    return {*source_, path_ + '[' + std::to_string(index) + ']', value};
  }
  bool boolean_or(std::string_view key, bool otherwise) const {
    const std::optional<JsonField> field = find(key);
    return field ? field->boolean() : otherwise;
  }
  std::string_view string_or(std::string_view key, std::string_view otherwise) const {
    const std::optional<JsonField> field = find(key);
    return field ? field->string() : otherwise;
  }

 private:
  template <typename Value>
  Value get(const char* expected) const {
    Value value;
    if (element_.get(value) != simdjson::SUCCESS) fail(std::string("is not ") + expected);
    return value;
  }

  const std::string* source_;
  std::string path_;
  simdjson::dom::element element_;
};

/// A copy of a JSON text in which each integer of more than 18 digits is a number with an exponent: the parser knows
/// none beyond 64 bits, and transformers writes 10^30 for "no limit" into tokenizer_config.json.
inline std::string with_large_integers_as_numbers(std::string_view text) {
  constexpr size_t kSafeDigits = 18;
  const auto is_digit = [&](size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  std::string result;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    if (in_string && text[i] == '\\' && i + 1 < text.size()) {
      result += text[++i];
    } else if (text[i] == '"') {
      in_string = !in_string;
    } else if (!in_string && is_digit(i)) {
      const size_t begin = i;
      while (is_digit(i + 1)) result += text[++i];
      const bool whole = i + 1 == text.size() || std::string_view(".eE").find(text[i + 1]) == std::string_view::npos;
      const bool fraction = begin > 0 && std::string_view(".eE+").find(text[begin - 1]) != std::string_view::npos;
      if (whole && !fraction && i + 1 - begin > kSafeDigits) result += "e0";
    }
  }
  return result;
}

class JsonDocument {
 public:
  /// Throws kInvalidModel, naming `source`, for what is no JSON, is nested too deeply, or is larger than 256 MiB: the
  /// tree takes several times the text's bytes.
  JsonDocument(std::string_view text, std::string source) : source_(std::move(source)) {
    constexpr size_t kMaxBytes = size_t{256} << 20;
    constexpr size_t kMaxDepth = 64;
    if (text.size() > kMaxBytes) fail("is larger than 256 MiB, which no tokenizer's file is");
    simdjson::error_code error = parser_.allocate(std::max<size_t>(text.size(), 1), kMaxDepth);
    if (error == simdjson::SUCCESS) error = parser_.parse(text.data(), text.size()).get(root_);
    if (error == simdjson::NUMBER_ERROR) {
      const std::string readable = with_large_integers_as_numbers(text);
      error = parser_.parse(readable.data(), readable.size()).get(root_);
    }
    if (error != simdjson::SUCCESS) fail(std::string("is no JSON that can be read: ") + simdjson::error_message(error));
  }
  JsonDocument(const JsonDocument&) = delete;  // fields point to source_
  JsonDocument& operator=(const JsonDocument&) = delete;
  JsonField root() const { return {source_, "", root_}; }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error(ErrorKind::kInvalidModel, source_ + ' ' + what); }
  std::string source_;
  simdjson::dom::parser parser_;
  simdjson::dom::element root_;
};

}  // namespace megalith
