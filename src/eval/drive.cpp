#include "eval/drive.h"

#include <unordered_map>
#include <utility>

namespace megalith {

namespace {

// How long Ctrl-C may go unseen while a step runs.
constexpr std::chrono::milliseconds kPollInterval{20};

/// Cancels what is still in flight when it dies, and takes its last events off the queue.
class InFlight {
 public:
  explicit InFlight(Engine& engine) : engine_(engine) {}
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() {
    cancel();
    while (!positions_.empty()) {
      if (const auto event = engine_.next_event(kPollInterval); event && event->kind == Event::Kind::kFinished)
        positions_.erase(event->request);
    }
  }

  void submit(Request request, size_t position) {
    const uint64_t id = request.id;
    engine_.submit(std::move(request));
    positions_.emplace(id, position);
  }
  bool empty() const { return positions_.empty(); }
  /// The request's position in the caller's list; it is no longer in flight.
  size_t take(uint64_t id) {
    const size_t position = positions_.at(id);
    positions_.erase(id);
    return position;
  }
  void cancel() {
    for (const auto& [id, position] : positions_) engine_.cancel(id);
  }

 private:
  Engine& engine_;
  std::unordered_map<uint64_t, size_t> positions_;
};

}  // namespace

std::vector<Event> drive(Engine& engine, std::vector<Request> requests, const DriveHooks& hooks) {
  std::vector<Event> finished(requests.size());
  InFlight in_flight(engine);
  for (size_t position = 0; position < requests.size(); ++position)
    in_flight.submit(std::move(requests[position]), position);
  bool cancelled = false;
  while (!in_flight.empty()) {
    if (!cancelled && hooks.stop_requested && hooks.stop_requested()) {
      in_flight.cancel();
      cancelled = true;
    }
    std::optional<Event> event = engine.next_event(kPollInterval);
    if (!event) continue;
    if (event->kind == Event::Kind::kFinished) {
      finished[in_flight.take(event->request)] = std::move(*event);
    } else if (hooks.on_token && !cancelled) {
      hooks.on_token(*event);
    }
  }
  return finished;
}

void throw_if_failed(const Event& finished) {
  if (finished.reason == FinishReason::kError) throw Error(finished.error_kind, finished.error);
}

Event drive_one(Engine& engine, Request request, const DriveHooks& hooks) {
  std::vector<Request> requests;
  requests.push_back(std::move(request));
  Event finished = std::move(drive(engine, std::move(requests), hooks).front());
  throw_if_failed(finished);
  return finished;
}

}  // namespace megalith
