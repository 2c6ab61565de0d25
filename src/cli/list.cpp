// megalith list: the models found on this machine.
#include <fmt/format.h>

#include <memory>

#include "base/ledger.h"
#include "cli/command.h"
#include "cli/json.h"
#include "hub/hub.h"

namespace megalith::cli {

namespace {

struct ListArguments {
  bool json = false;
};

void list(Console& console, const ListArguments& arguments) {
  const std::vector<LocalModel> models = list_local_models(console.environment);
  if (arguments.json) {
    Json document = Json::array();
    for (const LocalModel& model : models) {
      document.push_back(
          {{"name", model.name}, {"path", model.path}, {"source", model.source}, {"size_bytes", model.size_bytes}});
    }
    return write_json(console.out, document);
  }
  if (models.empty()) {
    console.note(
        "no models found. Give the path of a .gguf file or of a folder of safetensors as MODEL, or fetch the small "
        "default with "
        "'scripts/fetch_model smollm2'.");
    return;
  }
  Table table({{"NAME"}, {"SIZE", Table::Align::kRight}, {"SOURCE"}, {"PATH"}});
  for (const LocalModel& model : models) {
    table.add({printable_line(model.name), format_bytes(model.size_bytes), model.source, printable_line(model.path)});
  }
  console.out.write(table.text(console.out));
}

}  // namespace

Action define_list(CLI::App& app) {
  auto arguments = std::make_shared<ListArguments>();
  app.add_flag("--json", arguments->json, "Print one JSON document");
  return [arguments](Console& console) { list(console, *arguments); };
}

}  // namespace megalith::cli
