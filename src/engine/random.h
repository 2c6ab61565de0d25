#pragma once
// Counter-based random numbers: the value at (seed, choice, position) is a function of just these, so a token does not
// depend on what else runs or in which order.
#include <array>
#include <cstdint>

namespace megalith {

/// Philox 4x32 with 10 rounds (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC11).
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// What a random number is for: uses at the same position are independent of each other.
enum class RandomUse : uint32_t { kDraw = 0, kExcludeTopChoices = 1 };

struct RandomKey {
  uint64_t seed;
  int32_t choice;
  int32_t position;
  RandomUse use;
};

/// A uniform number in [0, 1) with 53 random bits.
double uniform(const RandomKey& key);

}  // namespace megalith
