#pragma once
// "did you mean": the nearest of several names.
#include <string>
#include <string_view>
#include <vector>

namespace megalith::cli {

/// "; did you mean 'run'?" if one of `names` is near enough to `typed`, else "; there are: a, b, c" for a short list of
/// words, else nothing.
std::string did_you_mean(std::string_view typed, const std::vector<std::string>& names);

}  // namespace megalith::cli
