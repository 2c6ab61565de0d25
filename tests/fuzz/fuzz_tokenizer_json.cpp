// Any bytes as a tokenizer.json: a tokenizer that works, or an error of the kind kInvalidModel.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace megalith;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = make_tokenizer(read_tokenizer_json(text, "fuzz"));
    for (TokenId token = 0; token < tokenizer->size(); ++token) {
      const std::string& stored = tokenizer->vocabulary().tokens[token];
      const auto tokens = tokenizer->encode(stored + " " + stored, {.add_special = true, .parse_special = true});
      tokenizer->decode(tokens, Tokenizer::Special::kRender);
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidModel) std::abort();
  }
  return 0;
}
