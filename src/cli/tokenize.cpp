// megalith tokenize: text to token ids, and back.
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/json.h"
#include "files/checkpoint.h"
#include "text/gguf_vocabulary.h"
#include "text/tokenizer.h"

namespace megalith::cli {

namespace {

struct TokenizeArguments {
  ModelArgument model;
  std::string text;
  std::string pre_tokenizer;
  bool text_given = false;
  bool special = false;
  bool parse_special = false;
  bool decode = false;
  bool json = false;
};

// Ids, and the text of each token for people on a terminal.
std::string describe(const Tokenizer& tokenizer, const std::vector<TokenId>& tokens, const Output& out) {
  if (!out.is_terminal()) {
    std::string line;
    for (const TokenId token : tokens) line += (line.empty() ? "" : " ") + std::to_string(token);
    return line + "\n";
  }
  std::string shown;
  for (const TokenId token : tokens) {
    const std::string bytes(tokenizer.bytes(token, Tokenizer::Special::kRender));
    shown += fmt::format("{:>8}  {}\n", token, printable_line(bytes));
  }
  return shown + out.dim(fmt::format("{} tokens", tokens.size())) + "\n";
}

void tokenize(Console& console, const TokenizeArguments& arguments) {
  std::string text = arguments.text;
  const std::string path = arguments.model.take_path(console.environment, &text);
  const bool text_given = arguments.text_given || !text.empty();
  if (!text_given && !standard_input_is_redirected())
    throw Error(ErrorKind::kUsage, "no text given; write it as the second argument, or pipe it in");
  if (!text_given || text == "-") text = read_standard_input();
  const auto checkpoint = open_checkpoint(path);
  const auto tokenizer = make_tokenizer(read_vocabulary(*checkpoint, arguments.pre_tokenizer));
  if (arguments.decode) {
    const std::vector<TokenId> tokens = parse_token_ids(text);
    const std::string decoded = tokenizer->decode(tokens, Tokenizer::Special::kRender);
    if (arguments.json) return write_json(console.out, {{"text", decoded}});
    return console.out.write(console.out.is_terminal() ? printable(decoded) + "\n" : decoded);
  }
  const std::vector<TokenId> tokens =
      tokenizer->encode(text, {.add_special = arguments.special, .parse_special = arguments.parse_special});
  if (arguments.json) return console.out.write(json_line({{"tokens", tokens}}) + "\n");
  console.out.write(describe(*tokenizer, tokens, console.out));
}

}  // namespace

Action define_tokenize(CLI::App& app) {
  auto arguments = std::make_shared<TokenizeArguments>();
  arguments->model.add_to(app);
  CLI::Option* text =
      app.add_option("TEXT", arguments->text, "Text, or token ids with --decode; '-' or none: standard input")
          ->type_name("");
  CLI::Option* special =
      app.add_flag("--special", arguments->special, "Add the tokens that the model wants around a text (BOS, EOS)");
  CLI::Option* parse_special = app.add_flag("--parse-special", arguments->parse_special,
                                            "Read the text of special tokens, such as <|im_start|>, as those tokens");
  add_pre_tokenizer_option(app, arguments->pre_tokenizer);
  app.add_flag("--decode", arguments->decode, "Ids to text: \"1 2 3\", \"1,2,3\" or \"[1,2,3]\"")
      ->excludes(special)
      ->excludes(parse_special);
  app.add_flag("--json", arguments->json,
               "Print one JSON document: {\"tokens\":[...]}, with --decode {\"text\":\"...\"}");
  return [arguments, text](Console& console) {
    arguments->text_given = text->count() > 0;
    tokenize(console, *arguments);
  };
}

}  // namespace megalith::cli
