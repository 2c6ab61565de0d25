#pragma once
// Arguments that several commands share, and texts from arguments, files and standard input.
#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/environment.h"
#include "text/tokenizer.h"

namespace megalith::cli {

/// MODEL as a positional argument, or -m as llama.cpp has it; then what stood in MODEL's place is the next positional
/// argument.
struct ModelArgument {
  std::string positional;
  std::string flag;

  void add_to(CLI::App& app);
  /// The model named. `next`: the positional argument after MODEL, if the command has one. Throws kUsage if none is
  /// named.
  std::string take(std::string* next = nullptr) const;
  /// The same, resolved to a file.
  std::string take_path(const Environment& environment, std::string* next = nullptr) const;
};

/// Numbers in [low, high]; "nan" is none of them.
CLI::Validator in_range(double low, double high, const std::string& description);
/// Whole numbers in [low, high], in decimal. `what`: "a number of tokens"; the limits are added where it is refused. To
/// be given to transform(), not check(): it rewrites "010", which CLI11 would read as octal.
CLI::Validator whole_number(int64_t low, uint64_t high, const std::string& what);

/// --pre-tokenizer NAME: how text is cut into words, where the model's file does not say or names what is unknown.
void add_pre_tokenizer_option(CLI::App& app, std::string& name);

/// -n: `tokens` after which an answer ends.
void add_max_tokens_option(CLI::App& app, int32_t& tokens);
/// --stop, which may be repeated.
void add_stop_option(CLI::App& app, std::vector<std::string>& stop);
/// Throws kUsage if one is empty or not UTF-8.
void check_stop_strings(const std::vector<std::string>& stop);

/// "1 2 3", "1,2,3" or "[1, 2, 3]". Throws kUsage naming what is not a token id.
std::vector<TokenId> parse_token_ids(std::string_view text);

/// True if standard input is a pipe or a file, so that waiting for it makes sense without asking.
bool standard_input_is_redirected();
/// Everything on standard input. Throws kInterrupted on Ctrl-C, kRuntime if it cannot be read.
std::string read_standard_input();
/// A whole file. Throws kUsage, naming the option that asked for it.
std::string read_file(const std::string& path, std::string_view option);

/// Throws kUsage naming the first wrong byte and its offset if `text` is not valid UTF-8. `what`: "the prompt".
void require_utf8(std::string_view text, std::string_view what);

}  // namespace megalith::cli
