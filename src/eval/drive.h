#pragma once
// Requests in, finished events out: the loop around Engine that whoever waits for answers needs.
#include <functional>
#include <vector>

#include "engine/engine.h"

namespace megalith {

/// What happens while requests run. Both may be empty.
struct DriveHooks {
  std::function<void(const Event&)> on_token;  // each token event
  std::function<bool()> stop_requested;        // asked often (about every 20 ms); true cancels what still runs
};

/// Submits the requests in their order and waits until all are finished; returns their finished events in the same
/// order. Events of requests submitted elsewhere must not be under way. A request that ends with an error is returned,
/// not thrown; if a hook or a later submit throws, everything in flight is cancelled and waited for first.
std::vector<Event> drive(Engine& engine, std::vector<Request> requests, const DriveHooks& hooks = {});

/// The same for one request. Throws the Error that the request ended with, if it did.
Event drive_one(Engine& engine, Request request, const DriveHooks& hooks = {});

/// Throws the Error that a finished event carries, if it does.
void throw_if_failed(const Event& finished);

}  // namespace megalith
