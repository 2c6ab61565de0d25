#include "cli/chat_input.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "cli/input_history.h"

namespace megalith::cli {
namespace {

TEST(ChatInput, Messages) {
  for (const std::string text : {"Hi", " /help", "a /b", "", "\n"}) {
    const ChatInput input = parse_chat_input(text);
    EXPECT_FALSE(input.command) << text;
    EXPECT_EQ(input.text, text);
  }
  EXPECT_EQ(parse_chat_input("//usr/bin").text, "/usr/bin");
  EXPECT_FALSE(parse_chat_input("//quit").command);
}

TEST(ChatInput, EveryCommandOfTheTable) {
  std::set<ChatCommand> commands;
  for (const ChatCommandRow& row : chat_commands()) {
    const ChatInput plain = parse_chat_input(row.name);
    EXPECT_EQ(plain.command, row.command);
    EXPECT_EQ(plain.text, "");
    EXPECT_FALSE(plain.insists);
    EXPECT_TRUE(parse_chat_input(std::string(row.name) + "! ").insists);
    EXPECT_TRUE(commands.insert(row.command).second) << row.name;
    EXPECT_FALSE(row.help.empty());
    const std::string with_argument = std::string(row.name) + "  a  b \n";
    if (row.argument.empty()) {
      EXPECT_THROW(parse_chat_input(with_argument), Error);
    } else {
      EXPECT_EQ(parse_chat_input(with_argument).text, "a  b");
    }
  }
}

TEST(ChatInput, UnknownCommandsNameTheNearest) {
  try {
    parse_chat_input("/sav\x1b x");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(std::string(error.what()).find("'/sav\\x1b'"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("/save"), std::string::npos) << error.what();
  }
  for (const std::string text : {"/", "/!", "/ help", "/HELP"}) EXPECT_THROW(parse_chat_input(text), Error) << text;
}

TEST(TextAssembler, JoinsLines) {
  TextAssembler assembler;
  EXPECT_EQ(assembler.take_line("one"), "one");
  EXPECT_FALSE(assembler.take_line("a\\"));
  EXPECT_TRUE(assembler.is_open());
  EXPECT_FALSE(assembler.take_line("\"\"\"\\"));
  EXPECT_EQ(assembler.take_line("b"), "a\n\"\"\"\nb");
  EXPECT_FALSE(assembler.is_open());
  EXPECT_FALSE(assembler.take_line(" \"\"\" "));
  EXPECT_TRUE(assembler.in_block());
  EXPECT_FALSE(assembler.take_line("/quit\\"));
  EXPECT_FALSE(assembler.take_line(""));
  EXPECT_EQ(assembler.take_line("\"\"\""), "/quit\\\n");
  EXPECT_FALSE(assembler.take_line("\"\"\""));
  EXPECT_EQ(assembler.take_line("\"\"\""), "");
  EXPECT_FALSE(assembler.take_line("x\\"));
  assembler.discard();
  EXPECT_EQ(assembler.take_line("y"), "y");
}

class InputHistoryTest : public testing::Test {
 protected:
  InputHistoryTest() {
    std::string name = testing::TempDir() + "megalith-history-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ / "state" / "history";
  }
  ~InputHistoryTest() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_, path_;
};

TEST_F(InputHistoryTest, IsKeptForTheNext) {
  const std::vector<std::string> texts{"one", "two\nlines", "日本 \x1b", "one"};
  {
    InputHistory history(path_);
    EXPECT_TRUE(history.entries().empty());
    for (const std::string& text : texts) EXPECT_TRUE(history.add(text));
    EXPECT_FALSE(history.add("one"));  // again
    EXPECT_FALSE(history.add(""));
  }
  EXPECT_EQ(InputHistory(path_).entries(), texts);
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat(path_.parent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
}

TEST_F(InputHistoryTest, IsCutToTheNewest) {
  {
    InputHistory history(path_);
    for (size_t i = 0; i < InputHistory::kMostEntries + 3; ++i) history.add("entry " + std::to_string(i));
  }
  const InputHistory cut(path_);
  EXPECT_EQ(cut.entries().size(), InputHistory::kMostEntries / 2);
  EXPECT_EQ(cut.entries().back(), "entry " + std::to_string(InputHistory::kMostEntries + 2));
  EXPECT_EQ(InputHistory(path_).entries(), cut.entries());
  {
    InputHistory history(path_);
    for (int i = 0; i < 6; ++i) history.add(std::to_string(i) + std::string(InputHistory::kMostBytes / 5, 'x'));
  }
  InputHistory small(path_);
  EXPECT_EQ(small.entries().size(), 2U);
  EXPECT_LT(std::filesystem::file_size(path_), InputHistory::kMostBytes);
  EXPECT_FALSE(small.add(std::string(InputHistory::kMostBytes, 'x')));
}

TEST_F(InputHistoryTest, DamagedFilesAndFoldersAreNone) {
  std::filesystem::create_directories(path_.parent_path());
  std::ofstream(path_) << "\"good\"\nbad\n3\n\"torn";
  EXPECT_EQ(InputHistory(path_).entries(), std::vector<std::string>{"good"});
  InputHistory nowhere("/proc/no/such/history");
  EXPECT_TRUE(nowhere.add("kept in memory"));
  EXPECT_EQ(nowhere.entries().size(), 1U);
  EXPECT_TRUE(InputHistory("").add("x"));
}

}  // namespace
}  // namespace megalith::cli
