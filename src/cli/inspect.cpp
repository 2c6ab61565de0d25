// megalith inspect: what a model file holds and what it costs to run.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <type_traits>

#include "base/error.h"
#include "base/ledger.h"
#include "base/machine.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/model_facts.h"
#include "cli/verify.h"

namespace megalith::cli {

namespace {

struct InspectArguments {
  ModelArgument model;
  bool tensors = false;
  bool metadata = false;
  bool verify = false;
  bool json = false;
};

// Lists in metadata can hold a whole vocabulary; this much of them is shown.
constexpr size_t kShownElements = 8;
constexpr size_t kShownCharacters = 200;

double bits_per_weight(uint64_t bytes, uint64_t weights) {
  return weights == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
}

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("{}", fmt::join(shape, " x ")); }

std::string shorten(std::string_view text) {
  if (text.size() <= kShownCharacters) return printable_line(text);
  size_t end = kShownCharacters;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return fmt::format("{}... ({} bytes)", printable_line(text.substr(0, end)), text.size());
}

std::string value_text(const MetadataValue& value) {
  return std::visit(
      [](const auto& held) -> std::string {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          return shorten(held);
        } else if constexpr (std::is_arithmetic_v<T>) {
          return fmt::format("{}", held);
        } else {
          std::string list;
          for (size_t i = 0; i < held.size() && i < kShownElements; ++i) {
            if constexpr (std::is_same_v<T, std::vector<std::string_view>>) {
              list += (i > 0 ? ", \"" : "\"") + shorten(held[i]) + "\"";
            } else {
              list += fmt::format("{}{}", i > 0 ? ", " : "", static_cast<typename T::value_type>(held[i]));
            }
          }
          return fmt::format("[{}{}] ({} values)", list, held.size() > kShownElements ? ", ..." : "", held.size());
        }
      },
      value);
}

// Scalars as they are, lists by their length: a vocabulary of 150,000 strings is no fact about a model.
Json value_json(const MetadataValue& value) {
  return std::visit(
      [](const auto& held) -> Json {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          return std::string(held);
        } else if constexpr (std::is_arithmetic_v<T>) {
          return held;
        } else {
          return {{"length", held.size()}};
        }
      },
      value);
}

Json tokenizer_json(const ModelFacts& facts) {
  if (!facts.tokenizer) return {{"supported", false}, {"reason", facts.why_no_tokenizer}};
  const Vocabulary& vocabulary = facts.tokenizer->vocabulary();
  Json special = Json::object();
  const auto add = [&](const char* key, const std::optional<TokenId>& token) {
    if (!token) return;
    const std::string text(facts.tokenizer->bytes(*token, Tokenizer::Special::kRender));
    special[key] = Json{{"id", *token}, {"text", text}};
  };
  add("bos", vocabulary.bos);
  add("eos", vocabulary.eos);
  add("eot", vocabulary.eot);
  add("unk", vocabulary.unk);
  add("pad", vocabulary.pad);
  Json document{{"supported", true}, {"model", vocabulary.model}, {"pre", vocabulary.pre}};
  document["size"] = facts.tokenizer->size();
  // As it is done, whether the file says so or the tokenizer's kind does.
  const std::vector<TokenId> around = facts.tokenizer->encode("", {.add_special = true});
  const bool adds_bos = vocabulary.bos && !around.empty() && around.front() == *vocabulary.bos;
  document["adds_bos"] = adds_bos;
  document["adds_eos"] = vocabulary.eos && around.size() > (adds_bos ? 1U : 0U) && around.back() == *vocabulary.eos;
  document["special"] = std::move(special);
  return document;
}

Json template_json(const ModelFacts& facts) {
  Json document{{"present", facts.chat_template.has_value()}};
  if (facts.chat_template) document["length_bytes"] = facts.chat_template->size();
  if (facts.chat_template) document["usable"] = facts.why_no_template.empty();
  if (!facts.why_no_template.empty()) document["reason"] = facts.why_no_template;
  return document;
}

Json faults_json(const std::vector<Fault>& faults) {
  Json list = Json::array();
  for (const Fault& fault : faults) {
    list.push_back({{"tensor", fault.tensor},
                    {"row", fault.row},
                    {"column", fault.column},
                    {"value", fmt::format("{}", fault.value)},
                    {"bad_rows", fault.bad_rows}});
  }
  return list;
}

Json facts_json(const ModelFacts& facts, const InspectArguments& arguments) {
  const Checkpoint& checkpoint = *facts.checkpoint;
  Json document{{"path", checkpoint.path()}, {"supported", facts.runs()}};
  if (!facts.runs()) document["reason"] = facts.properties ? facts.why_no_tokenizer : facts.why_not;
  document["name"] = facts.name;
  document["architecture"] = facts.architecture;
  document["parameters"] = facts.properties ? facts.properties->parameters : facts.weights;
  document["file_bytes"] = checkpoint.file_bytes();
  document["weight_bytes"] = checkpoint.weight_bytes();
  document["bits_per_weight"] = bits_per_weight(checkpoint.weight_bytes(), facts.weights);
  document["formats"] = Json::array();
  for (const FormatShare& share : facts.formats) {
    document["formats"].push_back({{"format", format_info(share.format).name},
                                   {"tensors", share.tensors},
                                   {"weights", share.weights},
                                   {"bytes", share.bytes}});
  }
  document["skipped_tensors"] = Json::array();
  for (const SkippedTensor& tensor : checkpoint.skipped()) {
    document["skipped_tensors"].push_back({{"name", tensor.name}, {"reason", tensor.why}});
  }
  if (facts.properties) {
    const ModelProperties& model = *facts.properties;
    document["layers"] = model.layers;
    document["hidden_width"] = model.hidden_width;
    document["vocabulary_size"] = model.vocabulary_size;
    document["context_tokens"] = model.context_tokens;
    document["bytes_read_per_token"] = facts.token_cost.weight_bytes;
    document["multiply_adds_per_token"] = facts.token_cost.multiply_adds;
    document["kv_bytes_per_token"] = facts.kv_bytes_per_token;
    document["kv_bytes_full_context"] = facts.kv_bytes(model.context_tokens);
  }
  document["tokenizer"] = tokenizer_json(facts);
  document["chat_template"] = template_json(facts);
  if (arguments.metadata) {
    document["metadata"] = Json::object();
    for (const Metadata::Entry& entry : checkpoint.metadata().entries())
      document["metadata"][entry.key] = value_json(entry.value);
  }
  if (arguments.tensors) {
    document["tensors"] = Json::array();
    for (const NamedWeight& weight : checkpoint.weights()) {
      document["tensors"].push_back({{"name", weight.name},
                                     {"shape", weight.shape},
                                     {"format", format_info(weight.view.format).name},
                                     {"bytes", weight.view.bytes()}});
    }
  }
  return document;
}

/// "label   value" lines.
class Listing {
 public:
  explicit Listing(const Output& out) : out_(out) {}
  void line(std::string_view label, std::string_view value) {
    text_ += out_.bold(fmt::format("{:<20}", label)) + printable_line(value) + "\n";
  }
  void block(const std::string& text) { text_ += "\n" + text; }
  const std::string& text() const { return text_; }

 private:
  const Output& out_;
  std::string text_;
};

std::string special_tokens_text(const Tokenizer& tokenizer) {
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  std::vector<std::string> parts;
  const auto add = [&](const char* label, const std::optional<TokenId>& token) {
    if (!token) return;
    parts.push_back(fmt::format("{} {} {}", label, *token, tokenizer.bytes(*token, Tokenizer::Special::kRender)));
  };
  add("BOS", vocabulary.bos);
  add("EOS", vocabulary.eos);
  add("EOT", vocabulary.eot);
  add("PAD", vocabulary.pad);
  return fmt::format("{}", fmt::join(parts, ", "));
}

void list_costs(Listing& listing, const ModelFacts& facts) {
  if (!facts.properties) return;
  const ModelProperties& model = *facts.properties;
  listing.line("layers", fmt::format("{}, hidden width {}", model.layers, model.hidden_width));
  listing.line("context", fmt::format("{} tokens", model.context_tokens));
  listing.line("read per token",
               fmt::format("{} of weights, {} multiply-adds", format_bytes(facts.token_cost.weight_bytes),
                           format_count(facts.token_cost.multiply_adds)));
  listing.line("KV cache", fmt::format("{} a token, {} for the whole context", format_bytes(facts.kv_bytes_per_token),
                                       format_bytes(facts.kv_bytes(model.context_tokens))));
}

void list_texts(Listing& listing, const ModelFacts& facts) {
  if (facts.tokenizer) {
    const Vocabulary& vocabulary = facts.tokenizer->vocabulary();
    listing.line("tokenizer", fmt::format("{}{}, {} tokens", vocabulary.model,
                                          vocabulary.pre.empty() ? "" : fmt::format(" ({})", vocabulary.pre),
                                          facts.tokenizer->size()));
    listing.line("special tokens", special_tokens_text(*facts.tokenizer));
  } else {
    listing.line("tokenizer", "not supported: " + facts.why_no_tokenizer);
  }
  if (!facts.why_no_template.empty()) {
    listing.line("chat template", "not usable: " + facts.why_no_template);
  } else if (facts.chat_template) {
    listing.line("chat template", fmt::format("yes, {} bytes", facts.chat_template->size()));
  } else {
    listing.line("chat template", "none: 'run' completes plain text");
  }
}

std::string facts_text(const ModelFacts& facts, const InspectArguments& arguments, const Output& out) {
  const Checkpoint& checkpoint = *facts.checkpoint;
  Listing listing(out);
  listing.line("file", checkpoint.path());
  listing.line("name", facts.name.empty() ? "-" : facts.name);
  listing.line("architecture", fmt::format("{}{}", facts.architecture.empty() ? "-" : facts.architecture,
                                           facts.properties ? "" : " (not supported)"));
  listing.line("parameters", format_count(facts.properties ? facts.properties->parameters : facts.weights));
  listing.line("size", fmt::format("{}, {:.2f} bits a weight", format_bytes(checkpoint.file_bytes()),
                                   bits_per_weight(checkpoint.weight_bytes(), facts.weights)));
  if (!checkpoint.skipped().empty()) {
    const SkippedTensor& first = checkpoint.skipped().front();
    listing.line("skipped tensors",
                 fmt::format("{}, the first: {} {}", checkpoint.skipped().size(), first.name, first.why));
  }
  list_costs(listing, facts);
  list_texts(listing, facts);
  using Align = Table::Align;
  Table formats({{"FORMAT"}, {"TENSORS", Align::kRight}, {"WEIGHTS", Align::kRight}, {"BYTES", Align::kRight}});
  for (const FormatShare& share : facts.formats) {
    formats.add({std::string(format_info(share.format).name), std::to_string(share.tensors),
                 format_count(share.weights), format_bytes(share.bytes)});
  }
  listing.block(formats.text(out));
  if (arguments.metadata) {
    Table metadata({{"KEY"}, {"VALUE"}});
    for (const Metadata::Entry& entry : checkpoint.metadata().entries())
      metadata.add({printable_line(entry.key), value_text(entry.value)});
    listing.block(metadata.text(out));
  }
  if (arguments.tensors) {
    Table tensors({{"TENSOR"}, {"SHAPE (out x in)"}, {"FORMAT"}, {"BYTES", Align::kRight}});
    for (const NamedWeight& weight : checkpoint.weights()) {
      tensors.add({printable_line(weight.name), shape_text(weight.shape),
                   std::string(format_info(weight.view.format).name), format_bytes(weight.view.bytes())});
    }
    listing.block(tensors.text(out));
  }
  return listing.text();
}

std::vector<Fault> verify(Console& console, const Checkpoint& checkpoint) {
  Progress progress(console.error, "reading every weight");
  const int threads = console.environment.threads.value_or(probe_machine().physical_cores);
  return find_faults(
      checkpoint, threads,
      {.progress = [&](double fraction) { progress.update(fraction); }, .check_interrupt = throw_if_interrupted});
}

void throw_faults(const std::string& path, const std::vector<Fault>& faults) {
  std::string message = fmt::format("{}: {} damaged tensor{}; download the file again", path, faults.size(),
                                    faults.size() == 1 ? "" : "s");
  for (const Fault& fault : faults) {
    message += fmt::format("\n  {}: {} at row {}, column {}{}", fault.tensor, fault.value, fault.row, fault.column,
                           fault.bad_rows > 1 ? fmt::format(" (and in {} more rows)", fault.bad_rows - 1) : "");
  }
  throw Error(ErrorKind::kInvalidModel, message);
}

void inspect(Console& console, const InspectArguments& arguments) {
  const ModelFacts facts = read_model_facts(arguments.model.take_path(console.environment));
  std::vector<Fault> faults;
  if (arguments.verify) faults = verify(console, *facts.checkpoint);
  if (arguments.json) {
    Json document = facts_json(facts, arguments);
    if (arguments.verify) document["verify"] = {{"intact", faults.empty()}, {"faults", faults_json(faults)}};
    write_json(console.out, document);
  } else {
    std::string text = facts_text(facts, arguments, console.out);
    if (arguments.verify && faults.empty()) text += "\nEvery weight was read: all are finite.\n";
    console.out.write(text);
  }
  if (!faults.empty()) throw_faults(facts.checkpoint->path(), faults);
  if (!facts.properties) throw Error(ErrorKind::kInvalidModel, facts.why_not);
  if (!facts.tokenizer) throw Error(ErrorKind::kInvalidModel, facts.why_no_tokenizer);
}

}  // namespace

Action define_inspect(CLI::App& app) {
  auto arguments = std::make_shared<InspectArguments>();
  arguments->model.add_to(app);
  app.add_flag("--tensors", arguments->tensors, "List every tensor: shape, format, bytes");
  app.add_flag("--metadata", arguments->metadata, "List the file's metadata; long lists are shortened");
  app.add_flag("--verify", arguments->verify, "Read and decode every weight; report those that are not numbers");
  app.add_flag("--json", arguments->json, "Print one JSON document");
  return [arguments](Console& console) { inspect(console, *arguments); };
}

}  // namespace megalith::cli
