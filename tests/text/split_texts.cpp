// Words of many texts, for tests/oracle/compare_pre_tokenizers.py, which compares them with the reference's.
//   split_texts < requests
// A request is a letter and its fields (a text is a 32-bit length and its bytes; numbers are little-endian):
//   R name           the stages of a row of the pre-tokenizers from now on
//   S number stages  these stages: expression (text), then a byte each for behavior, inverted, leading space, text
//   T text           a text to split
// The answer to R and S is a text, empty or what is wrong; to T a count and so many texts.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/pre_tokenizer.h"
#include "text/word_splitter.h"

namespace {

using namespace megalith;

uint32_t read_number() {
  uint32_t number = 0;
  if (std::fread(&number, sizeof(number), 1, stdin) != 1) throw Error(ErrorKind::kUsage, "the requests end early");
  return number;
}

std::string read_text() {
  std::string text(read_number(), '\0');
  if (std::fread(text.data(), 1, text.size(), stdin) != text.size()) {
    throw Error(ErrorKind::kUsage, "the requests end early");
  }
  return text;
}

void write_text(std::string_view text) {
  const auto length = static_cast<uint32_t>(text.size());
  std::fwrite(&length, sizeof(length), 1, stdout);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

std::vector<SplitStage> read_stages() {
  std::vector<SplitStage> stages(read_number());
  for (SplitStage& stage : stages) {
    stage.expression = read_text();
    stage.behavior = static_cast<SplitStage::Behavior>(std::getchar());
    stage.matches = static_cast<SplitStage::Matches>(std::getchar());
    stage.leading_space = static_cast<SplitStage::LeadingSpace>(std::getchar());
    stage.text = static_cast<SplitStage::Text>(std::getchar());
  }
  return stages;
}

std::vector<SplitStage> stages_of_row(const std::string& name) {
  const PreTokenizer* row = find_pre_tokenizer(name);
  if (row == nullptr) throw Error(ErrorKind::kUsage, "no pre-tokenizer is called " + name);
  return row->stages;
}

void answer_requests() {
  std::unique_ptr<WordSplitter> splitter;
  WordSplitter::Scratch scratch;
  for (int request = std::getchar(); request != EOF; request = std::getchar()) {
    if (request == 'T') {
      const std::string text = read_text();
      std::vector<std::string> words;
      if (splitter) splitter->split(text, scratch, [&](std::string_view word) { words.emplace_back(word); });
      const auto count = static_cast<uint32_t>(words.size());
      std::fwrite(&count, sizeof(count), 1, stdout);
      for (const std::string& word : words) write_text(word);
      continue;
    }
    const std::string name = request == 'R' ? read_text() : "";
    const std::vector<SplitStage> stages = request == 'R' ? stages_of_row(name) : read_stages();
    splitter.reset();
    try {
      splitter = std::make_unique<WordSplitter>(stages, "");
      write_text("");
    } catch (const Error& error) {
      write_text(error.what());
    }
  }
}

}  // namespace

int main() {
  try {
    answer_requests();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "split_texts: %s\n", error.what());
    return 1;
  }
  return 0;
}
