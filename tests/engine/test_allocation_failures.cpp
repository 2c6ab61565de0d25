// Loading while memory runs out: whichever allocation fails, what was begun is undone, and a later load succeeds. Under
// the address sanitizer, its leak check sees what these counts cannot.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <thread>

#include "backends/registry.h"
#include "base/error.h"
#include "base/machine.h"
#include "engine/engine.h"
#include "engine/failing_allocator.h"
#include "models/model.h"
#include "text/gguf_vocabulary.h"
#include "text/jinja/chat_template.h"

namespace megalith {
namespace {

const std::string kModel = std::string(MEGALITH_TEST_DATA) + "/models/data/llama-q4_0.gguf";

size_t entries(const char* folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

/// What a load could leave behind, as the system sees it.
struct Held {
  size_t files = 0;  // open descriptors
  size_t threads = 0;
  size_t mappings = 0;  // of the model's file

  static Held now() {
    Held held{.files = entries("/proc/self/fd"), .threads = entries("/proc/self/task"), .mappings = 0};
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) held.mappings += line.ends_with("llama-q4_0.gguf") ? 1 : 0;
    return held;
  }
  bool operator==(const Held&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Held& held) {
  return out << held.files << " files, " << held.threads << " threads, " << held.mappings << " mappings";
}

/// Before anything is loaded. A joined thread's entry may stay for a moment.
Held at_rest() {
  Held held = Held::now();
  for (int i = 0; i < 1000 && held.threads > 1; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    held = Held::now();
  }
  return held;
}

Held settled(const Held& wanted) {
  Held held = Held::now();
  for (int i = 0; i < 1000 && held.threads > wanted.threads; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    held = Held::now();
  }
  return held;
}

enum class Outcome { kDone, kNoMemory, kOtherError };

Outcome attempt(const std::function<void()>& load) {
  try {
    load();
    return Outcome::kDone;
  } catch (const std::bad_alloc&) {
    return Outcome::kNoMemory;
  } catch (const Error& error) {
    return error.kind() == ErrorKind::kDoesNotFit ? Outcome::kNoMemory : Outcome::kOtherError;
  }
}

/// Runs `load` with its k-th allocation failing, and with all from the k-th on, for each k up to 60 and then ever more
/// thinly; `check` sees that nothing is left after each.
void fail_everywhere(const std::function<void()>& load, const std::function<void(const std::string&)>& check) {
  if (!FailingAllocator::is_in_use())
    GTEST_SKIP() << "the sanitizer's operator new is in use, none can be made to fail";
  load();  // what is made once and kept: tables, handlers
  FailingAllocator::fail(0, 0);
  load();
  FailingAllocator::stop();
  const uint64_t allocations = FailingAllocator::count();
  ASSERT_GT(allocations, 100U);
  uint64_t refused = 0;
  uint64_t tried = 0;
  for (uint64_t k = 1; k <= allocations; k += 1 + k / 60) {
    for (const uint64_t last : {k, UINT64_MAX}) {
      FailingAllocator::fail(k, last);
      const Outcome outcome = attempt(load);
      FailingAllocator::stop();
      const std::string where = "allocation " + std::to_string(k) + (last == k ? "" : " and all after it");
      EXPECT_NE(outcome, Outcome::kOtherError) << where;
      check(where);
      refused += outcome == Outcome::kNoMemory ? 1 : 0;
      ++tried;
      if (testing::Test::HasFailure()) return;
    }
  }
  // Some are made by the standard library for its own comfort (a sort's buffer) and do without.
  EXPECT_GT(refused * 10, tried * 9);
  load();
  check("the load afterwards");
}

TEST(AllocationFailure, PartsOfALoadLeaveTheLedgerAtZero) {
  const Machine machine = probe_machine();
  Ledger ledger(uint64_t{1} << 32);
  const auto load = [&] {
    const auto checkpoint = open_checkpoint(kModel);
    const auto tokenizer = make_tokenizer(read_vocabulary(*checkpoint));
    if (const auto source = read_chat_template(*checkpoint)) (void)ChatTemplate(*source);
    const auto ops = make_cpu_ops(ledger, machine, {.threads = 3, .instruction_set = {}});
    const auto model = load_model(*checkpoint, *ops);
    ops->allocate_state(model->properties().state, 4);
  };
  load();
  const Held before = at_rest();
  fail_everywhere(load, [&](const std::string& where) {
    EXPECT_EQ(ledger.reserved_bytes(), 0U) << where;
    EXPECT_TRUE(ledger.report().empty()) << where;
    EXPECT_EQ(settled(before), before) << where;
  });
}

TEST(AllocationFailure, AnEngineThatCannotOpenLeavesNothing) {
  EngineOptions options;
  options.model_path = kModel;
  options.threads = 3;
  options.context_tokens = 128;
  const auto load = [&] { (void)open_engine(options); };
  load();
  const Held before = at_rest();
  fail_everywhere(load, [&](const std::string& where) { EXPECT_EQ(settled(before), before) << where; });
}

// Of the caller's allocations, those of the engine's thread and those of its events: an answer comes whole, or the
// request or its submission is refused for want of memory; nobody waits for ever, and the process goes on.
TEST(AllocationFailure, AnAnswerComesWholeOrIsRefused) {
  if (!FailingAllocator::is_in_use())
    GTEST_SKIP() << "the sanitizer's operator new is in use, none can be made to fail";
  EngineOptions options;
  options.model_path = kModel;
  options.threads = 1;
  options.context_tokens = 128;
  const auto answer_with_failing = [&](uint64_t k) {
    const auto engine = open_engine(options);
    Request request;
    request.prompt = {5, 6, 7, 8};
    request.sampling.temperature = 0;
    request.max_tokens = 6;
    std::vector<TokenId> tokens;
    tokens.reserve(16);
    FailingAllocator::fail(k, k);
    engine->submit(std::move(request));
    while (true) {
      std::optional<Event> event = engine->next_event(std::chrono::milliseconds(60'000));
      if (!event) throw std::runtime_error("no event for a minute");
      if (event->kind == Event::Kind::kToken) tokens.push_back(event->token);
      if (event->kind != Event::Kind::kFinished) continue;
      FailingAllocator::stop();
      EXPECT_EQ(engine->in_flight(), 0) << k;
      if (event->reason == FinishReason::kError) throw Error(event->error_kind, event->error);
      return tokens;
    }
  };
  const std::vector<TokenId> expected = answer_with_failing(0);
  const uint64_t allocations = FailingAllocator::count();
  ASSERT_GT(allocations, 50U);
  uint64_t refused = 0;
  for (uint64_t k = 1; k <= allocations; ++k) {
    const Outcome outcome = attempt([&] { EXPECT_EQ(answer_with_failing(k), expected) << k; });
    FailingAllocator::stop();
    EXPECT_NE(outcome, Outcome::kOtherError) << k;
    refused += outcome == Outcome::kNoMemory ? 1 : 0;
    if (HasFailure()) return;
  }
  EXPECT_GT(refused, allocations / 4);  // the others are events, which wait for memory
}

}  // namespace
}  // namespace megalith
