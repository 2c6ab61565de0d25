// How fast a tokenizer loads and encodes, one thread. Timed by the thread's CPU time, so that neighbours on a shared
// machine count less; best of the rounds.
//   text_bench MODEL.gguf|FOLDER TEXT_FILE [ROUNDS]
// FOLDER needs a tokenizer.json, no weights. bench/compare/tokenizer_speed.py runs it beside the package `tokenizers`.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "base/mapped_file.h"
#include "files/checkpoint.h"
#include "text/folder_vocabulary.h"
#include "text/gguf_vocabulary.h"
#include "text/tokenizer.h"

namespace megalith {
namespace {

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

template <typename Work>
double best_seconds(int rounds, Work work) {
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < rounds; ++round) {
    const double begin = cpu_seconds();
    work();
    best = std::min(best, cpu_seconds() - begin);
  }
  return best;
}

std::unique_ptr<Tokenizer> load(const std::string& path) {
  if (std::filesystem::is_directory(path)) return make_tokenizer(read_vocabulary_from_folder(path));
  return make_tokenizer(read_vocabulary(*open_checkpoint(path)));
}

void run(const std::string& model, const std::string& text_path, int rounds) {
  const MappedFile file(text_path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  std::unique_ptr<Tokenizer> tokenizer;
  const double load_seconds = best_seconds(rounds, [&] { tokenizer = load(model); });
  size_t tokens = 0;
  const double encode_seconds = best_seconds(rounds, [&] { tokens = tokenizer->encode(text, {}).size(); });
  std::printf("{\"vocabulary\": %d, \"load_ms\": %.1f, \"bytes\": %zu, \"tokens\": %zu, \"encode_mb_per_s\": %.2f}\n",
              tokenizer->size(), load_seconds * 1e3, text.size(), tokens,
              static_cast<double>(text.size()) / encode_seconds * 1e-6);
}

}  // namespace
}  // namespace megalith

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: text_bench MODEL.gguf|FOLDER TEXT_FILE [ROUNDS]\n");
    return 2;
  }
  try {
    megalith::run(argv[1], argv[2], argc > 3 ? std::max(1, std::atoi(argv[3])) : 3);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
