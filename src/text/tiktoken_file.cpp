#include "text/tiktoken_file.h"

#include <charconv>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "text/base64.h"
#include "text/byte_alphabet.h"

namespace megalith {
namespace {

constexpr VocabularyFields kFields = {"the list of tokens", "the list of tokens", "the pre-tokenizer"};

struct Entry {
  std::string bytes;
  size_t rank = 0;
};

std::optional<Entry> read_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0) return std::nullopt;
  std::optional<std::string> bytes = decode_base64(line.substr(0, space));
  const std::string_view number = line.substr(space + 1);
  Entry entry;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), entry.rank);
  if (!bytes || bytes->empty() || error != std::errc() || end != number.data() + number.size()) return std::nullopt;
  entry.bytes = *std::move(bytes);
  return entry;
}

std::string_view take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return line;
}

}  // namespace

bool is_tiktoken_file(std::string_view text) { return read_line(take_line(text)).has_value(); }

Vocabulary read_tiktoken_file(std::string_view text, const std::string& source) {
  Vocabulary vocabulary;
  vocabulary.source = source;
  vocabulary.fields = &kFields;
  vocabulary.model = "tiktoken";
  const auto problem = [&](size_t line, const std::string& what) {
    return Error(ErrorKind::kInvalidModel, source + ": line " + std::to_string(line) + what);
  };
  // No rank can exceed the number of lines, so an absurd one makes no allocation.
  const size_t most = text.size() / 4 + 1;
  size_t count = 0;
  for (size_t line_number = 1; !text.empty(); ++line_number) {
    const std::string_view line = take_line(text);
    if (line.empty()) continue;
    const std::optional<Entry> entry = read_line(line);
    if (!entry) throw problem(line_number, ", " + in_quotes(line) + ", is not a token in base64 and its rank");
    if (entry->rank >= most) throw problem(line_number, " has the absurd rank " + std::to_string(entry->rank));
    if (entry->rank >= vocabulary.tokens.size()) vocabulary.tokens.resize(entry->rank + 1);
    std::string& token = vocabulary.tokens[entry->rank];
    if (!token.empty()) throw problem(line_number, " has the rank " + std::to_string(entry->rank) + ", which is taken");
    append_in_byte_alphabet(token, entry->bytes);
    ++count;
  }
  if (count != vocabulary.tokens.size()) {
    throw Error(ErrorKind::kInvalidModel, source + ": " + std::to_string(count) + " tokens have ranks up to " +
                                              std::to_string(vocabulary.tokens.size() - 1) + ": some are missing");
  }
  vocabulary.types.assign(count, TokenType::kNormal);
  return vocabulary;
}

}  // namespace megalith
