#pragma once
// One loader for each family's file, and what its folders of Hugging Face's kind are like; registry.cpp is the table of
// them.
#include <memory>

#include "models/model.h"

namespace megalith {

std::unique_ptr<Model> load_deepseek2(const Checkpoint& checkpoint, Ops& ops);
std::unique_ptr<Model> load_gpt_oss(const Checkpoint& checkpoint, Ops& ops);
std::unique_ptr<Model> load_llama(const Checkpoint& checkpoint, Ops& ops);
std::unique_ptr<Model> load_qwen2(const Checkpoint& checkpoint, Ops& ops);
std::unique_ptr<Model> load_qwen3(const Checkpoint& checkpoint, Ops& ops);
std::unique_ptr<Model> load_gemma3(const Checkpoint& checkpoint, Ops& ops);
std::unique_ptr<Model> load_qwen35moe(const Checkpoint& checkpoint, Ops& ops);
std::unique_ptr<Model> load_qwen3moe(const Checkpoint& checkpoint, Ops& ops);

extern const HuggingFaceFamily kLlamaFolders;
extern const HuggingFaceFamily kQwen2Folders;
extern const HuggingFaceFamily kQwen3Folders;
extern const HuggingFaceFamily kGemma3Folders;
extern const HuggingFaceFamily kQwen3MoeFolders;

}  // namespace megalith
