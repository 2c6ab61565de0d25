#include "cli/model_facts.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "ops/counting.h"
#include "text/gguf_vocabulary.h"
#include "text/jinja/chat_template.h"

namespace megalith::cli {

namespace {

uint64_t weights_of(const NamedWeight& weight) {
  return static_cast<uint64_t>(weight.view.rows) * static_cast<uint64_t>(weight.view.columns);
}

std::vector<FormatShare> share_by_format(const Checkpoint& checkpoint) {
  std::vector<FormatShare> shares;
  for (const NamedWeight& weight : checkpoint.weights()) {
    auto share = std::find_if(shares.begin(), shares.end(),
                              [&](const FormatShare& known) { return known.format == weight.view.format; });
    if (share == shares.end()) share = shares.insert(share, FormatShare{.format = weight.view.format});
    ++share->tensors;
    share->weights += weights_of(weight);
    share->bytes += weight.view.bytes();
  }
  std::sort(shares.begin(), shares.end(), [](const FormatShare& a, const FormatShare& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.format < b.format;
  });
  return shares;
}

/// What the metadata say the model is, under either naming. A key of another type is no name.
void name_model(ModelFacts& facts) {
  const Checkpoint& checkpoint = *facts.checkpoint;
  const Metadata& metadata = checkpoint.metadata();
  if (checkpoint.naming() == Naming::kGguf) {
    facts.name = metadata.find_string("general.name").value_or("");
    facts.architecture = metadata.find_string("general.architecture").value_or("");
    return;
  }
  std::error_code error;
  // A snapshot of the Hugging Face cache is named by its commit: models--org--repo/snapshots/<commit>.
  std::filesystem::path folder = std::filesystem::absolute(checkpoint.path(), error).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  facts.name = folder.filename().string();
  constexpr std::string_view kCachePrefix = "models--";
  const std::string repository = folder.parent_path().parent_path().filename().string();
  if (folder.parent_path().filename() == "snapshots" && repository.starts_with(kCachePrefix)) {
    facts.name = repository.substr(kCachePrefix.size());
    const size_t separator = facts.name.find("--");
    if (separator != std::string::npos) facts.name.replace(separator, 2, "/");
  }
  const std::vector<std::string_view> architectures = metadata.strings("config.architectures");
  if (!architectures.empty()) facts.architecture = architectures.front();
}

Cost count_step_of(const Model& model, Ops& ops, const StepShape& shape) {
  Batch batch;
  batch.tokens.assign(static_cast<size_t>(shape.tokens), 0);
  batch.positions.resize(static_cast<size_t>(shape.tokens));
  std::iota(batch.positions.begin(), batch.positions.end(), shape.earlier_tokens);
  SequenceSlice slice;
  slice.n_tokens = shape.tokens;
  slice.first_position = shape.earlier_tokens;
  slice.pages.resize(static_cast<size_t>((shape.earlier_tokens + shape.tokens - 1) / kPageTokens) + 1);
  std::iota(slice.pages.begin(), slice.pages.end(), 0);
  ops.allocate_state(model.properties().state, static_cast<int64_t>(slice.pages.size()));
  batch.sequences.push_back(std::move(slice));
  batch.output_rows = {shape.tokens - 1};
  CostMeter meter;
  ops.begin_step(batch, &meter);
  model.forward(ops, batch);
  ops.end_step();
  return meter.total();
}

}  // namespace

uint64_t ModelFacts::kv_bytes(int64_t context_tokens) const {
  if (!properties) return 0;
  const int64_t pages = (context_tokens + kPageTokens - 1) / kPageTokens;
  return static_cast<uint64_t>(pages) * properties->state.page_bytes();
}

ModelFacts read_model_facts(const std::string& path) {
  ModelFacts facts;
  facts.checkpoint = open_checkpoint(path);
  facts.formats = share_by_format(*facts.checkpoint);
  for (const FormatShare& share : facts.formats) facts.weights += share.weights;
  name_model(facts);
  try {
    const std::unique_ptr<Ops> ops = make_counting_ops();
    const std::unique_ptr<Model> model = load_model(*facts.checkpoint, *ops);
    facts.properties = model->properties();
    facts.token_cost = count_step_of(*model, *ops, {});
    facts.kv_bytes_per_token = facts.properties->state.page_bytes() / kPageTokens;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidModel) throw;
    facts.why_not = error.what();
  }
  try {
    facts.tokenizer = make_tokenizer(read_vocabulary(*facts.checkpoint));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidModel) throw;
    facts.why_no_tokenizer = error.what();
  }
  try {
    facts.chat_template = read_chat_template(*facts.checkpoint);
    if (facts.chat_template) ChatTemplate parsed(*facts.chat_template);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidModel) throw;
    facts.why_no_template = error.what();
  }
  return facts;
}

Cost count_step(const Checkpoint& checkpoint, const StepShape& shape) {
  const std::unique_ptr<Ops> ops = make_counting_ops();
  return count_step_of(*load_model(checkpoint, *ops), *ops, shape);
}

}  // namespace megalith::cli
