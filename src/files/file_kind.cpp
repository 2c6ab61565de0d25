#include "files/file_kind.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <string_view>

#include "files/safetensors.h"

namespace megalith {

namespace {

struct Signature {
  std::string_view prefix;
  std::string_view meaning;
};

// Compared without regard to case; longer prefixes before shorter ones.
constexpr std::array kSignatures = {
    Signature{"version https://git-lfs", "a Git LFS pointer, not the file itself: run `git lfs pull`"},
    Signature{"<!doctype", "an HTML page: the download failed or needs a log-in"},
    Signature{"<html", "an HTML page: the download failed or needs a log-in"},
    Signature{"<?xml", "an XML page: the download failed or needs a log-in"},
    Signature{"pk\x03\x04",
              "a zip archive, as PyTorch saves checkpoints (.pt, .bin); convert it to safetensors or get a .gguf of "
              "this model"},
    Signature{
        "\x80\x02",
        "a Python pickle, as older PyTorch saves checkpoints; convert it to safetensors or get a .gguf of this model"},
    Signature{"lmgg", "a GGML file from before GGUF; get a newer .gguf of this model"},
    Signature{"fmgg", "a GGML file from before GGUF; get a newer .gguf of this model"},
    Signature{"tjgg", "a GGML file from before GGUF; get a newer .gguf of this model"},
    Signature{"algg", "a GGML adapter from before GGUF"},
    Signature{"\x1f\x8b", "a gzip archive: unpack it first"},
    Signature{"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"},
    Signature{"{", "a JSON file"},
};

}  // namespace

std::string describe_foreign_file(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.empty()) return "empty";
  if (looks_like_safetensors(bytes)) {
    return "a safetensors file without that ending; give the folder in which it lies with its config.json";
  }
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == static_cast<unsigned char>(b);
  };
  for (const auto& [prefix, meaning] : kSignatures) {
    if (text.size() >= prefix.size() &&
        std::equal(prefix.begin(), prefix.end(), text.begin(), [&](char p, char t) { return same(t, p); })) {
      return std::string(meaning);
    }
  }
  const std::string_view head = text.substr(0, 64);
  if (std::all_of(head.begin(), head.end(), [](char c) { return c == '\0'; })) {
    return "zeros at its beginning: the download is not complete";
  }
  std::string hex;
  for (const char c : text.substr(0, 4)) hex += fmt::format(" {:02x}", static_cast<uint8_t>(c));
  return "a file of another kind, beginning with the bytes" + hex;
}

}  // namespace megalith
