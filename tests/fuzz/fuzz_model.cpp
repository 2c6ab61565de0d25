// Any GGUF file as a model: tokenizer, chat template, hyperparameters and shapes, and adoption into the counting
// backend (which computes nothing). An Error, or a model whose figures make sense.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/cost_meter.h"
#include "base/error.h"
#include "files/checkpoint.h"
#include "models/model.h"
#include "ops/counting.h"
#include "text/gguf_vocabulary.h"
#include "text/jinja/chat_template.h"
#include "text/tokenizer.h"

namespace {

using namespace megalith;

void require(bool condition) {
  if (!condition) std::abort();
}

/// The bytes as a file that open_checkpoint can open, without a disk.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const uint8_t> bytes) : descriptor_(memfd_create("fuzz.gguf", 0)) {
    require(descriptor_ >= 0);
    for (size_t written = 0; written < bytes.size();) {
      const ssize_t some = write(descriptor_, bytes.data() + written, bytes.size() - written);
      require(some > 0);
      written += static_cast<size_t>(some);
    }
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

void count_one_step(const Model& model, Ops& ops) {
  Batch batch;
  batch.tokens = {0, 0};
  batch.positions = {0, 1};
  SequenceSlice slice;
  slice.n_tokens = 2;
  slice.pages = {0};
  batch.sequences.push_back(slice);
  batch.output_rows = {1};
  ops.allocate_state(model.properties().state, 1);
  CostMeter meter;
  ops.begin_step(batch, &meter);
  const Tensor logits = model.forward(ops, batch);
  ops.end_step();
  require(logits.columns == model.properties().vocabulary_size);
}

void check_model(const Checkpoint& checkpoint) {
  const auto ops = make_counting_ops();
  const auto model = load_model(checkpoint, *ops);
  const ModelProperties& properties = model->properties();
  require(properties.layers >= 1 && properties.hidden_width >= 1 && properties.vocabulary_size >= 1);
  require(properties.context_tokens >= 1 && properties.state.page_bytes() >= 1);
  count_one_step(*model, *ops);
}

void check_text(const Checkpoint& checkpoint) {
  const auto tokenizer = make_tokenizer(read_vocabulary(checkpoint));
  const std::vector<TokenId> tokens = tokenizer->encode("Hi <s> there\n", {.add_special = true, .parse_special = true});
  for (const TokenId token : tokens) require(token >= 0 && token < tokenizer->size());
}

/// An Error of the file, if any.
template <typename Check>
void allow_refusal(const Check& check) {
  try {
    check();
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kInvalidModel);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const MemoryFile file(std::span(data, size));
  std::shared_ptr<const Checkpoint> checkpoint;
  try {
    checkpoint = open_checkpoint(file.path());
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kInvalidModel || error.kind() == ErrorKind::kModelNotFound);
    return 0;
  }
  allow_refusal([&] { check_model(*checkpoint); });
  allow_refusal([&] { check_text(*checkpoint); });
  allow_refusal([&] {
    if (const auto source = read_chat_template(*checkpoint)) ChatTemplate parsed(*source);
  });
  return 0;
}
