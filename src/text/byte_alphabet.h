#pragma once
// The alphabet of byte-level token texts: each byte as one printable character, its own where Latin-1 prints it, else
// one from U+0100 on (GPT-2, Radford et al. 2019).
#include <string>
#include <string_view>

namespace megalith {

/// Appends each byte as the character that stands for it.
void append_in_byte_alphabet(std::string& out, std::string_view bytes);

/// Appends the bytes that `stored` means; if it has a character outside the alphabet, `stored` itself, as the
/// reference's decoder does.
void append_from_byte_alphabet(std::string& out, std::string_view stored);

}  // namespace megalith
