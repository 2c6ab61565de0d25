#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "base/expect_error.h"
#include "base/mapped_file.h"
#include "base/temporary_folder.h"

namespace megalith {
namespace {

constexpr size_t kPage = 4096;

uint64_t sum_of(std::span<const std::byte> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), uint64_t{0},
                         [](uint64_t sum, std::byte byte) { return sum + static_cast<uint64_t>(byte); });
}

TEST(MappedFile, ShowsTheFile) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model", "hello");
  const MappedFile file(path);
  EXPECT_EQ(file.path(), path);
  ASSERT_EQ(file.bytes().size(), 5u);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(file.bytes().data()), 5), "hello");
  EXPECT_FALSE(file.damaged());
}

TEST(MappedFile, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  EXPECT_ERROR(MappedFile(folder.path() + "/none"), ErrorKind::kModelNotFound, "/none");
  EXPECT_ERROR(MappedFile(folder.write("plain", "x") + "/below"), ErrorKind::kModelNotFound, "/below");
  EXPECT_ERROR(MappedFile(folder.path()), ErrorKind::kInvalidModel, "is a directory");
  EXPECT_ERROR(MappedFile(folder.write("empty", "")), ErrorKind::kInvalidModel, "is empty");
  const std::string pipe = folder.path() + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_ERROR(MappedFile{pipe}, ErrorKind::kInvalidModel, "not a regular file");
  if (geteuid() != 0) {  // root reads everything
    const std::string locked = folder.write("locked", "x");
    std::filesystem::permissions(locked, std::filesystem::perms::none);
    EXPECT_ERROR(MappedFile{locked}, ErrorKind::kInvalidModel, "Permission denied");
  }
}

TEST(MappedFile, SurvivesTruncation) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model", std::string(8 * kPage + 100, '\1'));
  const MappedFile file(path);
  EXPECT_EQ(sum_of(file.bytes()), 8 * kPage + 100);
  std::filesystem::resize_file(path, 3 * kPage);
  EXPECT_EQ(sum_of(file.bytes().first(3 * kPage)), 3 * kPage);
  EXPECT_EQ(sum_of(file.bytes().subspan(5 * kPage)), 0u);
  EXPECT_TRUE(file.damaged());
  // A page before the one that was met first is found later.
  EXPECT_EQ(sum_of(file.bytes()), 3 * kPage);
  EXPECT_TRUE(file.damaged());
}

TEST(MappedFile, ACutWithinTheLastPageIsDamage) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model", std::string(kPage + 100, '\1'));
  const MappedFile file(path);
  EXPECT_FALSE(file.damaged());
  std::filesystem::resize_file(path, kPage + 99);
  EXPECT_EQ(sum_of(file.bytes()), kPage + 99) << "zeros, and no signal";
  EXPECT_TRUE(file.damaged());
  std::filesystem::resize_file(path, kPage + 100);
  EXPECT_TRUE(file.damaged()) << "the byte is still lost";
}

TEST(MappedFile, APageThatWasLostStaysDamageWhenTheFileGrowsAgain) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model", std::string(2 * kPage, '\1'));
  const MappedFile file(path);
  std::filesystem::resize_file(path, kPage);
  EXPECT_EQ(sum_of(file.bytes()), kPage);
  std::filesystem::resize_file(path, 2 * kPage);
  EXPECT_TRUE(file.damaged()) << "the signal handler saw it";
}

TEST(MappedFile, AFileThatGrowsOrIsDeletedIsSound) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model", std::string(100, '\1'));
  const MappedFile file(path);
  std::filesystem::resize_file(path, 200);
  EXPECT_FALSE(file.damaged());
  std::filesystem::remove(path);
  EXPECT_FALSE(file.damaged());
  EXPECT_EQ(sum_of(file.bytes()), 100u);
}

TEST(MappedFile, OnlyTheTruncatedFileIsDamaged) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", std::string(2 * kPage, '\1'));
  const MappedFile before(folder.write("b", std::string(2 * kPage, '\1')));
  const auto file = std::make_unique<MappedFile>(path);
  const MappedFile after(folder.write("c", std::string(2 * kPage, '\1')));
  std::filesystem::resize_file(path, 0);
  EXPECT_EQ(sum_of(file->bytes()) + sum_of(before.bytes()) + sum_of(after.bytes()), 4 * kPage);
  EXPECT_TRUE(file->damaged());
  EXPECT_FALSE(before.damaged());
  EXPECT_FALSE(after.damaged());
}

TEST(MappedFile, ASlotUsedAgainIsSound) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", std::string(2 * kPage, '\1'));
  for (int i = 0; i < 20; ++i) {
    std::filesystem::resize_file(path, 2 * kPage);
    const MappedFile file(path);
    EXPECT_FALSE(file.damaged());
    std::filesystem::resize_file(path, kPage);
    EXPECT_EQ(static_cast<int>(file.bytes()[kPage]), 0);
    EXPECT_TRUE(file.damaged());
  }
}

TEST(MappedFile, SurvivesTruncationUnderManyThreads) {
  constexpr size_t kPages = 512;
  const TemporaryFolder folder;
  for (int round = 0; round < 5; ++round) {
    const std::string path = folder.write("model" + std::to_string(round), std::string(kPages * kPage, '\1'));
    const MappedFile file(path);
    std::atomic<bool> truncated{false};
    std::atomic<int> saw_zeros_but_no_damage{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 4; ++t) {
      readers.emplace_back([&] {
        for (bool last = false; !last;) {
          last = truncated.load();  // one more pass after the cut
          const uint64_t sum = sum_of(file.bytes());
          if (sum != kPages * kPage && !file.damaged()) ++saw_zeros_but_no_damage;
        }
      });
    }
    std::filesystem::resize_file(path, 100 * kPage);
    truncated = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(saw_zeros_but_no_damage, 0);
    EXPECT_TRUE(file.damaged());
    EXPECT_EQ(sum_of(file.bytes()), 100 * kPage);
  }
}

TEST(MappedFile, FilesComeAndGoWhileOthersAreRead) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model", std::string(4 * kPage, '\1'));
  std::vector<std::thread> threads;
  std::atomic<uint64_t> sum{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const MappedFile file(path);
        sum += sum_of(file.bytes());
        EXPECT_FALSE(file.damaged());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, 4u * 200 * 4 * kPage);
}

TEST(MappedFileDeathTest, ABusErrorOfSomeoneElseKillsAsBefore) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        std::signal(SIGBUS, SIG_DFL);  // a sanitizer may have put its own there
        const TemporaryFolder folder;
        const MappedFile ours(folder.write("ours", "x"));
        raise(SIGBUS);
      },
      testing::KilledBySignal(SIGBUS), "");
}

TEST(MappedFileDeathTest, ThePreviousHandlerIsCalledForOtherMappings) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        std::signal(SIGBUS, [](int) { _exit(42); });
        const TemporaryFolder folder;
        const MappedFile ours(folder.write("ours", "x"));
        const std::string path = folder.write("theirs", std::string(2 * kPage, '\1'));
        FILE* theirs = fopen(path.c_str(), "r");
        void* data = mmap(nullptr, 2 * kPage, PROT_READ, MAP_PRIVATE, fileno(theirs), 0);
        std::filesystem::resize_file(path, 0);
        const volatile char lost = static_cast<const char*>(data)[kPage];
        _exit(lost == 0 ? 1 : 2);
      },
      testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace megalith
