#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/expect_error.h"
#include "base/temporary_folder.h"
#include "hub/hub.h"

namespace megalith {
namespace {

namespace fs = std::filesystem;

class Hub : public testing::Test {
 protected:
  Hub() {
    environment_.cache_dir = root_.path() + "/cache";
    environment_.hugging_face_cache = root_.path() + "/hf";
    environment_.ollama_models = root_.path() + "/ollama";
    environment_.lm_studio_models = root_.path() + "/lm";
  }

  std::string resolve(const std::string& model) const { return resolve_model(model, environment_); }

  /// A file of the Hugging Face cache as its client lays it out: a link into blobs. Returns its path in the snapshot.
  std::string write_hugging_face(const std::string& repository, const std::string& revision, const std::string& file,
                                 const std::string& content = "GGUF") {
    std::string folder = "hf/models--" + repository;
    folder.replace(folder.find('/', 3), 1, "--");
    const std::string blob = root_.write(folder + "/blobs/" + std::to_string(n_blobs_++), content);
    const fs::path link = fs::path(root_.path()) / folder / "snapshots" / revision / file;
    fs::create_directories(link.parent_path());
    fs::create_symlink(blob, link);
    root_.write(folder + "/refs/main", revision);
    return link.string();
  }

  std::vector<std::string> listed_names() const {
    std::vector<std::string> names;
    for (const LocalModel& model : list_local_models(environment_)) names.push_back(model.name);
    return names;
  }

  TemporaryFolder root_;
  Environment environment_;
  int n_blobs_ = 0;
};

TEST_F(Hub, APathIsAPath) {
  const std::string path = root_.write("some/model.gguf", "GGUF");
  EXPECT_EQ(resolve(path), path);
  const std::string odd = root_.write("some/model.bin", "x");
  EXPECT_EQ(resolve(odd), odd) << "what it is, is seen when it is opened";
  EXPECT_ERROR(resolve(root_.path() + "/some/none.gguf"), ErrorKind::kModelNotFound, "there is no file");
  EXPECT_ERROR(resolve("./none.gguf"), ErrorKind::kModelNotFound, "there is no file './none.gguf'");
}

TEST_F(Hub, AFolderWithOneModelIsThatModel) {
  const std::string path = root_.write("one/model.gguf", "GGUF");
  root_.write("one/mmproj-model.gguf", "GGUF");
  root_.write("one/README.md", "text");
  EXPECT_EQ(resolve(root_.path() + "/one"), path);
  const std::string first = root_.write("split/m-00001-of-00002.gguf", "GGUF");
  root_.write("split/m-00002-of-00002.gguf", "GGUF");
  EXPECT_EQ(resolve(root_.path() + "/split"), first);
}

TEST_F(Hub, AFolderWithoutOrWithSeveralModelsSaysWhatItHolds) {
  root_.write("none/README.md", "x");
  root_.write("none/weights.bin", "x");
  EXPECT_ERROR(resolve(root_.path() + "/none"), ErrorKind::kModelNotFound,
               "is a folder without a .gguf file or safetensors; it holds 'README.md', 'weights.bin'");
  fs::create_directories(root_.path() + "/empty");
  EXPECT_ERROR(resolve(root_.path() + "/empty"), ErrorKind::kModelNotFound, "holds nothing");
  root_.write("two/a.gguf", "GGUF");
  root_.write("two/b.gguf", "GGUF");
  EXPECT_ERROR(resolve(root_.path() + "/two"), ErrorKind::kUsage, "/two/a.gguf\n");
  EXPECT_ERROR(resolve(root_.path() + "/two"), ErrorKind::kUsage, "/two/b.gguf");
}

TEST_F(Hub, ShortNamesAreFilesOfOurCache) {
  for (const auto& [name, file] : std::vector<std::pair<std::string, std::string>>{
           {"smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"},
           {"qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"},
           {"qwen2.5-coder-1.5b", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"},
           {"gemma3-270m", "gemma-3-270m-q4_k_m.gguf"}}) {
    EXPECT_ERROR(resolve(name), ErrorKind::kModelNotFound, "run `scripts/fetch_model " + name + "`");
    const std::string path = root_.write("cache/models/" + file, "GGUF");
    EXPECT_EQ(resolve(name), path);
    EXPECT_EQ(resolve(file), path);
    const std::vector<std::string> names = listed_names();
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1);
  }
  EXPECT_EQ(resolve("SmolLM2"), resolve("smollm2"));
}

TEST_F(Hub, OtherFilesOfOurCacheGoByTheirStem) {
  const std::string path = root_.write("cache/models/My-Model.Q8_0.gguf", "GGUF");
  const std::string split = root_.write("cache/models/big-00001-of-00002.gguf", "12345");
  root_.write("cache/models/big-00002-of-00002.gguf", "123");
  root_.write("cache/models/unfinished.gguf.part", "x");
  EXPECT_EQ(resolve("My-Model.Q8_0"), path);
  EXPECT_EQ(resolve("my-model.q8_0"), path);
  EXPECT_EQ(resolve("big"), split);
  const auto models = list_local_models(environment_);
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].name, "My-Model.Q8_0");
  EXPECT_EQ(models[1].name, "big");
  EXPECT_EQ(models[1].size_bytes, 8u);
  EXPECT_EQ(models[1].source, "megalith cache");
}

TEST_F(Hub, FindsAQuantisationInTheHuggingFaceCache) {
  const std::string repository = "Org/My-Model-GGUF";
  const std::string q4 = write_hugging_face(repository, "abc123", "my-model-q4_k_m.gguf");
  const std::string q4s = write_hugging_face(repository, "abc123", "my-model-q4_k_s.gguf");
  const std::string q8 = write_hugging_face(repository, "abc123", "my-model-q8_0.gguf", "GGUF12");
  write_hugging_face(repository, "abc123", "mmproj-model-f16.gguf");
  const std::string deep = write_hugging_face(repository, "abc123", "BF16/my-model-BF16-00001-of-00002.gguf");
  write_hugging_face(repository, "abc123", "BF16/my-model-BF16-00002-of-00002.gguf");
  EXPECT_EQ(resolve(repository + ":Q4_K_M"), q4);
  EXPECT_EQ(resolve(repository + ":q4_k_s"), q4s);
  EXPECT_EQ(resolve(repository + ":Q8_0"), q8);
  EXPECT_EQ(resolve(repository + ":BF16"), deep);
  EXPECT_EQ(resolve(repository + ":my-model-q8_0.gguf"), q8);
  EXPECT_EQ(resolve(repository), q4) << "Q4_K_M is the default";
  EXPECT_ERROR(resolve(repository + ":Q6_K"), ErrorKind::kModelNotFound, "has no 'Q6_K' in the Hugging Face cache");
  EXPECT_ERROR(resolve(repository + ":Q6_K"), ErrorKind::kModelNotFound, "my-model-q8_0.gguf");
  EXPECT_ERROR(resolve(repository + ":Q4_K"), ErrorKind::kModelNotFound, "'Q4_K'");  // neither of the two
  EXPECT_ERROR(resolve("Org/Other"), ErrorKind::kModelNotFound, "no model 'Org/Other' on this machine");
}

TEST_F(Hub, SeveralCandidatesAreListed) {
  write_hugging_face("org/repo", "r", "a-v1-q8_0.gguf");
  write_hugging_face("org/repo", "r", "a-v2-q8_0.gguf");
  EXPECT_ERROR(resolve("org/repo:Q8_0"), ErrorKind::kUsage, "a-v2-q8_0.gguf");
  EXPECT_ERROR(resolve("org/repo"), ErrorKind::kUsage, "name one as org/repo:FILE");
}

TEST_F(Hub, TheRevisionOfMainCounts) {
  write_hugging_face("org/repo", "old", "m-q8_0.gguf");
  const std::string path = write_hugging_face("org/repo", "new", "m-q8_0.gguf");
  EXPECT_EQ(resolve("org/repo"), path);
  // Pinned by its commit only: no refs/main.
  fs::remove(root_.path() + "/hf/models--org--repo/refs/main");
  fs::remove_all(root_.path() + "/hf/models--org--repo/snapshots/old");
  EXPECT_EQ(resolve("org/repo"), path);
}

TEST_F(Hub, AHostileRevisionLeadsNowhereElse) {
  root_.write("secret/m-q8_0.gguf", "GGUF");
  const std::string path = write_hugging_face("org/repo", "good", "m-q8_0.gguf");
  for (const char* revision : {"../../../../secret", "..", "", "/etc", "a/b"}) {
    root_.write("hf/models--org--repo/refs/main", revision);
    EXPECT_EQ(resolve("org/repo"), path) << revision;
  }
}

TEST_F(Hub, ARepositoryWithoutWeightsSaysSo) {
  write_hugging_face("org/repo", "r", "pytorch_model.bin");
  write_hugging_face("org/repo", "r", "config.json", "{}");
  EXPECT_ERROR(resolve("org/repo"), ErrorKind::kModelNotFound, "org/repo is in the Hugging Face cache");
  EXPECT_TRUE(list_local_models(environment_).empty());
}

TEST_F(Hub, AFolderOfSafetensorsIsAModel) {
  const std::string folder = root_.path() + "/some/model";
  root_.write("some/model/config.json", "{}");
  EXPECT_EQ(resolve(folder), folder) << "that its weights are missing is said when it is opened";
  root_.write("some/model/model.safetensors", "x");
  EXPECT_EQ(resolve(folder), folder);
  EXPECT_EQ(resolve(folder + "/model.safetensors"), folder + "/model.safetensors");
  fs::remove(folder + "/config.json");
  EXPECT_EQ(resolve(folder), folder) << "so is that config.json is missing";
  root_.write("some/model/config.json", "{}");
  const std::string gguf = root_.write("some/model/model-q8_0.gguf", "GGUF");
  EXPECT_ERROR(resolve(folder), ErrorKind::kUsage, gguf);
  EXPECT_ERROR(resolve(folder), ErrorKind::kUsage, folder + "/model.safetensors");
  root_.write("some/model/model.safetensors.index.json", "{}");
  EXPECT_ERROR(resolve(folder), ErrorKind::kUsage, folder + "/model.safetensors.index.json");
}

TEST_F(Hub, FindsSafetensorsInEveryPlace) {
  const std::string config = write_hugging_face("org/dense", "r", "config.json", "{}");
  write_hugging_face("org/dense", "r", "model-00001-of-00002.safetensors", "12345");
  write_hugging_face("org/dense", "r", "model-00002-of-00002.safetensors", "123");
  write_hugging_face("org/dense", "r", "model.safetensors.index.json", "{}");
  write_hugging_face("org/both", "r", "config.json", "{}");
  const std::string both = write_hugging_face("org/both", "r", "model.safetensors", "12");
  const std::string gguf = write_hugging_face("org/both", "r", "both-q4_k_m.gguf");
  root_.write("lm/mlx-community/tiny-4bit/config.json", "{}");
  root_.write("lm/mlx-community/tiny-4bit/model.safetensors", "1");
  root_.write("lm/mlx-community/broken/model.safetensors", "1");
  root_.write("cache/models/own/config.json", "{}");
  root_.write("cache/models/own/model.safetensors", "1");
  EXPECT_EQ(resolve("org/dense"), fs::path(config).parent_path().string());
  EXPECT_EQ(resolve("org/both"), gguf);
  EXPECT_EQ(resolve("org/both:safetensors"), fs::path(both).parent_path().string());
  EXPECT_EQ(resolve("mlx-community/tiny-4bit"), root_.path() + "/lm/mlx-community/tiny-4bit");
  EXPECT_EQ(resolve("own"), root_.path() + "/cache/models/own");
  EXPECT_EQ(listed_names(), (std::vector<std::string>{"org/both:Q4_K_M", "org/both:safetensors", "org/dense",
                                                      "mlx-community/tiny-4bit", "own"}));
  const std::vector<LocalModel> models = list_local_models(environment_);
  EXPECT_EQ(models[2].size_bytes, 8u);
  for (const LocalModel& model : models) EXPECT_EQ(resolve(model.name), model.path) << model.name;
}

TEST_F(Hub, BrokenLinksAndUnfinishedFilesAreNoModels) {
  const std::string path = write_hugging_face("org/repo", "r", "m-q8_0.gguf");
  fs::create_symlink(root_.path() + "/gone", root_.path() + "/hf/models--org--repo/snapshots/r/m-q4_k_m.gguf");
  EXPECT_EQ(resolve("org/repo"), path);
  EXPECT_EQ(listed_names(), std::vector<std::string>{"org/repo:Q8_0"});
}

TEST_F(Hub, FindsModelsOfLmStudio) {
  const std::string path = root_.write("lm/publisher/model-GGUF/model-Q4_K_M.gguf", "GGUF1");
  EXPECT_EQ(resolve("publisher/model-GGUF"), path);
  EXPECT_EQ(resolve("publisher/model-GGUF:q4_k_m"), path);
  // The Hugging Face cache is asked first, but only has another quantisation.
  const std::string q8 = write_hugging_face("publisher/model-GGUF", "r", "model-Q8_0.gguf");
  EXPECT_EQ(resolve("publisher/model-GGUF:Q8_0"), q8);
  EXPECT_EQ(resolve("publisher/model-GGUF:Q4_K_M"), path);
}

TEST_F(Hub, EveryListedNameResolvesToItsFile) {
  root_.write("cache/models/SmolLM2-135M-Instruct.Q4_1.gguf", "GGUF");
  root_.write("cache/models/other.gguf", "GGUF");
  write_hugging_face("org/a", "r", "a-q4_k_m.gguf");
  write_hugging_face("org/a", "r", "a-UD-Q4_K_XL.gguf");
  write_hugging_face("org/a", "r", "a-plain.gguf");
  write_hugging_face("org/b", "r", "b-v1-f16.gguf");
  write_hugging_face("org/b", "r", "b-v2-f16.gguf");
  root_.write("lm/pub/c/c-IQ3_XXS.gguf", "GGUF");
  root_.write("lm/pub/c/c-MXFP4-00001-of-00002.gguf", "GGUF");
  root_.write("lm/pub/c/c-MXFP4-00002-of-00002.gguf", "GGUF");
  const std::vector<LocalModel> models = list_local_models(environment_);
  EXPECT_EQ(listed_names(),
            (std::vector<std::string>{"org/a:Q4_K_M", "org/a:Q4_K_XL", "org/a:a-plain", "org/b:b-v1-f16",
                                      "org/b:b-v2-f16", "pub/c:IQ3_XXS", "pub/c:MXFP4", "other", "smollm2"}));
  for (const LocalModel& model : models) EXPECT_EQ(resolve(model.name), model.path) << model.name;
}

TEST_F(Hub, UnknownNamesSayWhereItLookedAndWhatIsNear) {
  root_.write("cache/models/tinyllama.gguf", "GGUF");
  EXPECT_ERROR(resolve("smolm2"), ErrorKind::kModelNotFound, "did you mean smollm2?");
  EXPECT_ERROR(resolve("tinylama"), ErrorKind::kModelNotFound, "did you mean tinyllama?");
  EXPECT_ERROR(resolve("gemma3"), ErrorKind::kModelNotFound, "gemma3-270m");
  for (const std::string& part : {environment_.cache_dir, environment_.hugging_face_cache, environment_.ollama_models,
                                  environment_.lm_studio_models, std::string("scripts/fetch_model smollm2")}) {
    EXPECT_ERROR(resolve("zzzzzzzzzz"), ErrorKind::kModelNotFound, part);
  }
}

TEST_F(Hub, SenselessNamesAreRefused) {
  EXPECT_ERROR(resolve(""), ErrorKind::kUsage, "no model is named");
  EXPECT_ERROR(resolve(std::string("a\0b", 3)), ErrorKind::kUsage, "is not a name");
  for (const char* name : {"../../etc/passwd-none", "org/..", "../x/y", "a/b/c", "org/repo/../../x", "\x1b[31mred"}) {
    EXPECT_ERROR(resolve(name), ErrorKind::kModelNotFound, "'");
  }
  EXPECT_ERROR(resolve(std::string(100000, 'a')), ErrorKind::kModelNotFound, "'...");
}

TEST_F(Hub, MissingFoldersHoldNothing) {
  environment_.cache_dir = environment_.hugging_face_cache = environment_.ollama_models =
      environment_.lm_studio_models = root_.path() + "/none";
  EXPECT_TRUE(list_local_models(environment_).empty());
}

}  // namespace
}  // namespace megalith
