#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/environment.h"
#include "base/expect_error.h"
#include "base/temporary_folder.h"

namespace megalith {
namespace {

Environment read(const std::map<std::string, std::string>& variables) {
  return read_environment([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(Environment, HasDefaultsBelowHome) {
  const Environment environment = read({{"HOME", "/hda"}});
  EXPECT_EQ(environment.home, "/hda");
  EXPECT_EQ(environment.state_dir, "/hda/.local/state/megalith");
  EXPECT_EQ(read({{"HOME", "/hda"}, {"XDG_STATE_HOME", "~/s"}}).state_dir, "/hda/s/megalith");
  EXPECT_EQ(environment.cache_dir, "/hda/.cache/megalith");
  EXPECT_EQ(environment.hugging_face_cache, "/hda/.cache/huggingface/hub");
  EXPECT_EQ(environment.lm_studio_models, "/hda/.lmstudio/models");
  EXPECT_FALSE(environment.instruction_set || environment.threads || environment.context_tokens);
  EXPECT_FALSE(environment.offline || environment.no_color);
}

TEST(Environment, MoreSpecificFoldersWin) {
  std::map<std::string, std::string> variables = {{"HOME", "/hda"}, {"XDG_CACHE_HOME", "/x"}};
  EXPECT_EQ(read(variables).cache_dir, "/x/megalith");
  EXPECT_EQ(read(variables).hugging_face_cache, "/x/huggingface/hub");
  variables["HF_HOME"] = "/hf";
  EXPECT_EQ(read(variables).hugging_face_cache, "/hf/hub");
  variables["HF_HUB_CACHE"] = "~/hub";
  EXPECT_EQ(read(variables).hugging_face_cache, "/hda/hub");
  variables["MEGALITH_CACHE"] = "/m";
  EXPECT_EQ(read(variables).cache_dir, "/m");
  variables["OLLAMA_MODELS"] = "/o";
  EXPECT_EQ(read(variables).ollama_models, "/o");
}

TEST(Environment, OllamaFolderOfTheUserIsTakenWhereItExists) {
  const TemporaryFolder home;
  home.write(".ollama/models/manifests/x", "");
  EXPECT_EQ(read({{"HOME", home.path()}}).ollama_models, home.path() + "/.ollama/models");
}

TEST(Environment, NumbersComeFromTheFirstVariableThatIsSet) {
  EXPECT_EQ(read({{"MEGALITH_THREADS", "4"}, {"LLAMA_ARG_THREADS", "8"}}).threads, 4);
  EXPECT_EQ(read({{"LLAMA_ARG_THREADS", "8"}}).threads, 8);
  EXPECT_EQ(read({{"LLAMA_ARG_THREADS", "-1"}}).threads, std::nullopt);
  EXPECT_EQ(read({{"OLLAMA_CONTEXT_LENGTH", "4096"}}).context_tokens, 4096);
  EXPECT_EQ(read({{"LLAMA_ARG_CTX_SIZE", "0"}, {"OLLAMA_CONTEXT_LENGTH", "4096"}}).context_tokens, 4096);
  EXPECT_EQ(read({{"MEGALITH_CTX", ""}, {"LLAMA_ARG_CTX_SIZE", "512"}}).context_tokens, 512);
}

TEST(Environment, NamesTheVariableThatIsNoNumber) {
  for (const char* text : {"four", "4x", " 4", "0", "-2", "99999999999", "1.5"}) {
    EXPECT_ERROR(read({{"MEGALITH_THREADS", text}}), ErrorKind::kUsage, std::string("MEGALITH_THREADS=") + text);
  }
  EXPECT_ERROR(read({{"LLAMA_ARG_CTX_SIZE", "much"}}), ErrorKind::kUsage, "LLAMA_ARG_CTX_SIZE=much");
}

TEST(Environment, Switches) {
  EXPECT_TRUE(read({{"HF_HUB_OFFLINE", "1"}}).offline);
  EXPECT_TRUE(read({{"HF_HUB_OFFLINE", "True"}}).offline);
  EXPECT_FALSE(read({{"HF_HUB_OFFLINE", "0"}}).offline);
  EXPECT_TRUE(read({{"NO_COLOR", "0"}}).no_color);  // no-color.org: any value but the empty one
  EXPECT_FALSE(read({{"NO_COLOR", ""}}).no_color);
  EXPECT_TRUE(read({{"TERM", "dumb"}}).no_color);
  EXPECT_FALSE(read({{"TERM", "xterm"}}).no_color);
  EXPECT_EQ(read({{"MEGALITH_ISA", "avx2"}}).instruction_set, "avx2");
}

}  // namespace
}  // namespace megalith
