#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/expect_error.h"
#include "base/temporary_folder.h"
#include "hub/hub.h"

namespace megalith {
namespace {

const std::string kHex(64, 'a');

class Ollama : public testing::Test {
 protected:
  Ollama() { environment_.ollama_models = root_.path(); }

  std::string resolve(const std::string& model) const { return resolve_model(model, environment_); }

  std::string write_manifest(const std::string& content, const std::string& name = "library/tiny/latest") const {
    return root_.write("manifests/registry.ollama.ai/" + name, content);
  }
  std::string write_blob(const std::string& hex = kHex) const { return root_.write("blobs/sha256-" + hex, "GGUF"); }

  static std::string manifest(const std::string& digest) {
    return R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
           R"("config":{"mediaType":"x","digest":"sha256:00"},"layers":[)"
           R"({"mediaType":"application/vnd.ollama.image.template","digest":"sha256:11","size":3},)"
           R"({"mediaType":"application/vnd.ollama.image.model","digest":")" +
           digest + R"(","size":4}]})";
  }

  TemporaryFolder root_;
  Environment environment_;
};

TEST_F(Ollama, FindsTheModelLayer) {
  write_manifest(manifest("sha256:" + kHex));
  const std::string blob = write_blob();
  EXPECT_EQ(resolve("ollama:tiny"), blob);
  EXPECT_EQ(resolve("ollama:tiny:latest"), blob);
  EXPECT_EQ(resolve("ollama:library/tiny:latest"), blob);
  EXPECT_EQ(resolve("ollama:registry.ollama.ai/library/tiny"), blob);
  EXPECT_ERROR(resolve("ollama:tiny:1b"), ErrorKind::kModelNotFound, "'ollama:tiny:1b'");
  EXPECT_ERROR(resolve("ollama:tin"), ErrorKind::kModelNotFound, "'ollama:tin:latest'");
}

TEST_F(Ollama, FindsOtherNamespacesAndRegistries) {
  write_manifest(manifest("sha256:" + kHex), "someone/thing/7b");
  root_.write("manifests/hf.co/org/repo-GGUF/Q4_K_M", manifest("sha256:" + kHex));
  const std::string blob = write_blob();
  EXPECT_EQ(resolve("ollama:someone/thing:7b"), blob);
  EXPECT_EQ(resolve("ollama:hf.co/org/repo-GGUF:Q4_K_M"), blob);
}

TEST_F(Ollama, ListsWhatIsSound) {
  write_manifest(manifest("sha256:" + kHex));
  write_manifest(manifest("sha256:" + kHex), "someone/thing/7b");
  write_manifest("not json", "library/broken/latest");
  write_manifest(manifest("sha256:" + std::string(64, 'b')), "library/half-pulled/latest");
  root_.write("manifests/stray", "x");
  const std::string blob = write_blob();
  const std::vector<LocalModel> models = list_local_models(environment_);
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].name, "ollama:someone/thing:7b");
  EXPECT_EQ(models[1].name, "ollama:tiny:latest");
  EXPECT_EQ(models[1].source, "Ollama");
  EXPECT_EQ(models[1].size_bytes, 4u);
  for (const LocalModel& model : models) EXPECT_EQ(resolve(model.name), blob);
}

TEST_F(Ollama, AMissingBlobIsNamed) {
  write_manifest(manifest("sha256:" + kHex));
  EXPECT_ERROR(resolve("ollama:tiny"), ErrorKind::kModelNotFound, "blobs/sha256-" + kHex + " is missing");
}

TEST_F(Ollama, HostileDigestsAreNoPaths) {
  write_blob();
  root_.write("secret", "GGUF");
  for (const std::string& digest :
       {std::string("sha256:../../secret"), "../secret" + kHex, std::string("sha256:"), "sha256:" + kHex + "a",
        "sha256:" + kHex.substr(1), "sha256:" + kHex.substr(1) + "G", "sha256:" + std::string(64, 'A'),
        "sha512:" + kHex, "sha256-" + kHex, "sha256:" + kHex.substr(3) + "/..", std::string("sha256:\\u0000")}) {
    write_manifest(manifest(digest));
    EXPECT_ERROR(resolve("ollama:tiny"), ErrorKind::kInvalidModel, "digest is not sha256:<64 hex digits>");
    EXPECT_TRUE(list_local_models(environment_).empty()) << digest;
  }
}

TEST_F(Ollama, HostileManifestsAreRefused) {
  write_blob();
  const std::string layer = R"({"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" + kHex + R"("})";
  for (const auto& [content, part] : std::vector<std::pair<std::string, std::string>>{
           {"", "cannot be read or is empty"},
           {"{", "is not a JSON object"},
           {"[]", "is not a JSON object"},
           {"\xff\xfe", "is not a JSON object"},
           {std::string(500000, '['), "is not a JSON object"},
           {std::string(2 << 20, ' '), "larger than 1 MiB"},
           {"{}", "no list 'layers'"},
           {R"({"layers":{}})", "no list 'layers'"},
           {R"({"layers":[3]})", "a layer that is not an object"},
           {R"({"layers":[]})", "names no model file"},
           {R"({"layers":[{"mediaType":7,"digest":"x"}]})", "names no model file"},
           {R"({"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":7}]})", "digest is not"},
           {R"({"layers":[{"mediaType":"application/vnd.ollama.image.model"}]})", "digest is not"},
           {R"({"layers":[)" + layer + "," + layer + "]}", "several model files"}}) {
    write_manifest(content);
    EXPECT_ERROR(resolve("ollama:tiny"), ErrorKind::kInvalidModel, part);
  }
  write_manifest(R"({"layers":[)" + layer + "]}");
  EXPECT_EQ(resolve("ollama:tiny"), write_blob());
}

TEST_F(Ollama, HostileNamesAreRefused) {
  root_.write("secret", manifest("sha256:" + kHex));
  write_blob();
  for (const char* name :
       {"ollama:", "ollama::", "ollama:tiny:", "ollama:../../../secret", "ollama:../secret:x", "ollama:a/b/c/d",
        "ollama:a//b", "ollama:.:..", "ollama:tiny:../../../../secret", "ollama:ti ny", "ollama:/etc/passwd"}) {
    EXPECT_ERROR(resolve(name), ErrorKind::kUsage, "is not a name like ollama:llama3.2:1b");
  }
}

}  // namespace
}  // namespace megalith
