#pragma once
// What a file that is not GGUF looks like, for the sentence that refuses it.
#include <cstddef>
#include <span>
#include <string>

namespace megalith {

/// "an HTML page: the download failed or needs a log-in"; never empty.
std::string describe_foreign_file(std::span<const std::byte> bytes);

}  // namespace megalith
