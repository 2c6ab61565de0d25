// Tokens of many texts, for tests/oracle/compare_tokenizers.py, which compares them with a reference's.
//   encode_texts MODEL.gguf|FOLDER [--parse-special] [--special] < texts
// Each text is a 32-bit length and its bytes; the answer to each is a count and the ids, then a length and the bytes
// that they decode to; little-endian.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "files/checkpoint.h"
#include "text/folder_vocabulary.h"
#include "text/gguf_vocabulary.h"
#include "text/tokenizer.h"

namespace {

using namespace megalith;

bool read_text(std::string& text) {
  uint32_t length = 0;
  if (std::fread(&length, sizeof(length), 1, stdin) != 1) return false;
  text.resize(length);
  return std::fread(text.data(), 1, length, stdin) == length;
}

void write_number(size_t number) {
  const auto value = static_cast<uint32_t>(number);
  std::fwrite(&value, sizeof(value), 1, stdout);
}

void run(const std::string& model, EncodeOptions options) {
  const bool is_folder = std::filesystem::is_directory(model);
  const auto tokenizer =
      make_tokenizer(is_folder ? read_vocabulary_from_folder(model) : read_vocabulary(*open_checkpoint(model)));
  for (std::string text; read_text(text);) {
    const std::vector<TokenId> tokens = tokenizer->encode(text, options);
    write_number(tokens.size());
    std::fwrite(tokens.data(), sizeof(TokenId), tokens.size(), stdout);
    const std::string decoded = tokenizer->decode(tokens, Tokenizer::Special::kRender);
    write_number(decoded.size());
    std::fwrite(decoded.data(), 1, decoded.size(), stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  EncodeOptions options;
  for (int i = 2; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--parse-special") options.parse_special = true;
    if (std::string_view(argv[i]) == "--special") options.add_special = true;
  }
  if (argc < 2) {
    std::fprintf(stderr, "usage: encode_texts MODEL.gguf|FOLDER [--parse-special] [--special] < texts\n");
    return 2;
  }
  try {
    run(argv[1], options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
