#include "cli/conversation.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace megalith::cli {
namespace {

using Role = Message::Role;

Conversation some_conversation() {
  Conversation conversation;
  conversation.set_system("Be brief");
  conversation.add({Role::kUser, "Hi"});
  conversation.add({Role::kAssistant, "Hello", "They greet.", true});
  return conversation;
}

TEST(Conversation, SystemIsTheFirstMessage) {
  Conversation conversation = some_conversation();
  EXPECT_EQ(conversation.system(), "Be brief");
  conversation.set_system("Be kind");
  EXPECT_EQ(conversation.messages().size(), 3U);
  EXPECT_EQ(conversation.messages()[0].content, "Be kind");
  conversation.clear_turns();
  EXPECT_FALSE(conversation.has_turns());
  EXPECT_EQ(conversation.system(), "Be kind");
  conversation.set_system("");
  EXPECT_TRUE(conversation.messages().empty());
}

TEST(Conversation, ReasoningStandsInAFieldOfItsOwn) {
  EXPECT_EQ(some_conversation().to_json(),
            Json::parse(R"([{"role":"system","content":"Be brief"},{"role":"user","content":"Hi"},
                            {"role":"assistant","content":"Hello","reasoning_content":"They greet."}])"));
}

TEST(Conversation, IsReadAsItWasSaved) {
  const std::string path = testing::TempDir() + "megalith-conversation.json";
  std::filesystem::remove(path);
  save_conversation(some_conversation(), "model.gguf", path, Existing::kKeep);
  EXPECT_THROW(save_conversation(some_conversation(), "model.gguf", path, Existing::kKeep), Error);
  save_conversation(some_conversation(), "model.gguf", path, Existing::kReplace);
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const Conversation read = Conversation::from_json(text.str(), path);
  ASSERT_EQ(read.messages().size(), 3U);
  EXPECT_EQ(read.system(), "Be brief");
  EXPECT_EQ(read.messages()[2].reasoning, "They greet.");
  EXPECT_TRUE(read.messages()[2].cut_off);
  EXPECT_EQ(read.to_json(), some_conversation().to_json());
  std::filesystem::remove(path);
}

TEST(Conversation, WhatItCannotHoldIsRefusedByNumber) {
  for (const std::string text : {R"({"messages":3})", R"([{"role":"user","content":"a"},{"content":"b"}])",
                                 R"([{"role":"user","content":"a"},{"role":"user","content":3}])",
                                 R"([{"role":"user","content":"a"},{"role":"user","content":[{"type":3}]}])",
                                 R"([{"role":"user","content":"a"},{"role":"tool","content":"b"}])"}) {
    try {
      Conversation::from_json(text, "file.json");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_EQ(std::string(error.what()).rfind("file.json: ", 0), 0U) << error.what();
      if (text[0] == '[') {
        EXPECT_NE(std::string(error.what()).find("message 2"), std::string::npos) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace megalith::cli
