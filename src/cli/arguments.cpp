#include "cli/arguments.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "hub/hub.h"
#include "text/unicode.h"

namespace megalith::cli {

namespace {

constexpr uint64_t kMostTokens = 1 << 30;

}  // namespace

void ModelArgument::add_to(CLI::App& app) {
  app.add_option(
         "MODEL", positional,
         "A .gguf file, a folder of safetensors, org/repo[:quant], ollama:name[:tag], or a name that 'list' shows")
      ->type_name("");
  app.add_option("-m,--model", flag, "The same as MODEL, for those used to llama.cpp")->type_name("MODEL");
}

std::string ModelArgument::take(std::string* next) const {
  if (flag.empty() && positional.empty())
    throw Error(ErrorKind::kUsage, "no MODEL given; 'megalith list' shows those on this machine");
  if (flag.empty()) return positional;
  if (!positional.empty()) {
    if (next == nullptr || !next->empty())
      throw Error(ErrorKind::kUsage,
                  fmt::format("both MODEL ({}) and -m ({}) are given; leave one out", positional, flag));
    *next = positional;
  }
  return flag;
}

std::string ModelArgument::take_path(const Environment& environment, std::string* next) const {
  return resolve_model(take(next), environment);
}

CLI::Validator in_range(double low, double high, const std::string& description) {
  return CLI::Validator(
      [low, high, description](std::string& input) {
        double value = 0;
        const bool is_number = CLI::detail::lexical_cast(input, value);
        if (is_number && value >= low && value <= high) return std::string();
        return fmt::format("'{}' is not {}", input, description);
      },
      "");
}

CLI::Validator whole_number(int64_t low, uint64_t high, const std::string& what) {
  return CLI::Validator(
      [low, high, what](std::string& input) {
        const bool negative = input.starts_with('-');
        const char* const end = input.data() + input.size();
        uint64_t magnitude = 0;
        const auto [parsed_to, error] = std::from_chars(input.data() + (negative ? 1 : 0), end, magnitude);
        const bool parsed = error == std::errc() && parsed_to == end;
        const uint64_t lowest_magnitude = low < 0 ? uint64_t{0} - static_cast<uint64_t>(low) : 0;
        const bool fits = negative && magnitude > 0
                              ? magnitude <= lowest_magnitude
                              : magnitude <= high && (low <= 0 || magnitude >= static_cast<uint64_t>(low));
        if (parsed && fits) {
          input = (negative && magnitude > 0 ? "-" : "") + std::to_string(magnitude);
          return std::string();
        }
        double fraction = 0;
        const bool is_fraction = error != std::errc::result_out_of_range && !parsed &&
                                 CLI::detail::lexical_cast(input, fraction) && std::isfinite(fraction);
        return fmt::format("'{}' is not {}{} from {} to {}", printable_line(input),
                           is_fraction ? "a whole number; give " : "", what, low, high);
      },
      "");
}

void add_pre_tokenizer_option(CLI::App& app, std::string& name) {
  app.add_option("--pre-tokenizer", name,
                 "How the model's makers cut text into words, such as llama-bpe [as its file says]")
      ->type_name("NAME");
}

void add_max_tokens_option(CLI::App& app, int32_t& tokens) {
  app.add_option("-n,--max-tokens", tokens, "End after N tokens; -1: when the model ends or the context is full")
      ->type_name("N")
      ->transform(whole_number(-1, kMostTokens, "a number of tokens"));
}

void add_stop_option(CLI::App& app, std::vector<std::string>& stop) {
  app.add_option("--stop", stop, "End before this text; may be repeated")->type_name("TEXT")->allow_extra_args(false);
}

void check_stop_strings(const std::vector<std::string>& stop) {
  for (const std::string& text : stop) {
    if (text.empty()) throw Error(ErrorKind::kUsage, "--stop is empty; give the text that ends the answer");
    require_utf8(text, "the text of --stop");
  }
}

std::vector<TokenId> parse_token_ids(std::string_view text) {
  std::vector<TokenId> ids;
  constexpr std::string_view kSeparators = " \t\r\n,[]";
  while (true) {
    const size_t begin = text.find_first_not_of(kSeparators);
    if (begin == std::string_view::npos) return ids;
    text.remove_prefix(begin);
    const std::string_view word = text.substr(0, text.find_first_of(kSeparators));
    TokenId id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size() || id < 0)
      throw Error(ErrorKind::kUsage, fmt::format("'{}' is not a token id; write whole numbers, as in \"1 2 3\"",
                                                 printable_line(word.substr(0, 40))));
    ids.push_back(id);
    text.remove_prefix(word.size());
  }
}

bool standard_input_is_redirected() { return isatty(STDIN_FILENO) == 0; }

std::string read_standard_input() {
  std::string all;
  std::array<char, 1 << 16> buffer;
  while (true) {
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    throw_if_interrupted();
    if (got == 0) return all;
    if (got > 0) {
      all.append(buffer.data(), static_cast<size_t>(got));
    } else if (errno != EINTR) {
      throw Error(ErrorKind::kRuntime, fmt::format("cannot read standard input: {}", std::strerror(errno)));
    }
  }
}

std::string read_file(const std::string& path, std::string_view option) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    throw Error(ErrorKind::kUsage, fmt::format("{} {}: is a directory; give a file", option, path));
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  // An empty file sets failbit on `text` only.
  if (!file || file.bad())
    throw Error(ErrorKind::kUsage, fmt::format("{} {}: cannot read the file: {}", option, path, std::strerror(errno)));
  return text.str();
}

void require_utf8(std::string_view text, std::string_view what) {
  const size_t wrong = find_invalid_utf8(text, 0);
  if (wrong >= text.size()) return;
  throw Error(ErrorKind::kUsage, fmt::format("{} is not valid UTF-8: byte 0x{:02x} at offset {}; convert it first, for "
                                             "example with 'iconv -t UTF-8'",
                                             what, static_cast<unsigned char>(text[wrong]), wrong));
}

}  // namespace megalith::cli
