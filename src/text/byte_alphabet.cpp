#include "text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "text/unicode.h"

namespace megalith {
namespace {

/// The alphabet of GPT-2: each byte as one printable character, its own where Latin-1 prints it, else from U+0100 on.
constexpr bool prints_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct ByteAlphabet {
  std::array<char16_t, 256> character_of_byte{};
  std::array<int16_t, 0x144> byte_of_character{};  // -1: not of the alphabet
};

constexpr ByteAlphabet make_byte_alphabet() {
  ByteAlphabet alphabet;
  alphabet.byte_of_character.fill(-1);
  char16_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const char16_t character = prints_itself(byte) ? static_cast<char16_t>(byte) : next++;
    alphabet.character_of_byte[byte] = character;
    alphabet.byte_of_character[character] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr ByteAlphabet kByteAlphabet = make_byte_alphabet();

}  // namespace

void append_in_byte_alphabet(std::string& out, std::string_view bytes) {
  for (char byte : bytes) append_utf8(out, kByteAlphabet.character_of_byte[static_cast<uint8_t>(byte)]);
}

void append_from_byte_alphabet(std::string& out, std::string_view stored) {
  const size_t size_before = out.size();
  for (size_t position = 0; position < stored.size();) {
    const Utf8Step step = decode_utf8(stored, position);
    const bool known = step.kind == Utf8Step::Kind::kCharacter &&
                       step.code_point < kByteAlphabet.byte_of_character.size() &&
                       kByteAlphabet.byte_of_character[step.code_point] >= 0;
    if (!known) {
      out.resize(size_before);
      out += stored;
      return;
    }
    out.push_back(static_cast<char>(kByteAlphabet.byte_of_character[step.code_point]));
    position += step.length_bytes;
  }
}

}  // namespace megalith
