// The small parsers of text/: vocabularies in tiktoken's form, SentencePiece's character maps, base64. Any bytes: no
// crash, errors only as megalith::Error of the kind for damaged files.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/base64.h"
#include "text/character_map.h"
#include "text/tiktoken_file.h"
#include "text/tokenizer.h"

namespace {

using namespace megalith;

template <typename Work>
void check(Work work) {
  try {
    work();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidModel) std::abort();
  }
}

void check_tiktoken(std::string_view bytes) {
  is_tiktoken_file(bytes);
  check([&] {
    Vocabulary vocabulary = read_tiktoken_file(bytes, "fuzz");
    vocabulary.pre = "llama-bpe";
    const auto tokenizer = make_tokenizer(std::move(vocabulary));
    tokenizer->decode(tokenizer->encode("one 1 \xF0\x9F\x99\x82", {}), Tokenizer::Special::kRender);
  });
}

void check_character_map(std::string_view bytes) {
  check([&] {
    const CharacterMap map(bytes, "fuzz");
    std::string out;
    map.append(out, "a\xCC\x81 \xEF\xAC\x81 \xE3\x80\x80 \xF0\x9F\x99\x82 0123456789");
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      check_tiktoken(bytes);
      break;
    case 1:
      check_character_map(bytes);
      break;
    default:
      decode_base64(bytes);
      break;
  }
  return 0;
}
