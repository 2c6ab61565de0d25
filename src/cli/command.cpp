#include "cli/command.h"

#include <fmt/format.h>

namespace megalith::cli {

void Console::note(std::string_view text) { error.try_write(fmt::format("note: {}\n", printable(text))); }

}  // namespace megalith::cli
