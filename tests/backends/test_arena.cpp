#include <gtest/gtest.h>

#include "backends/cpu/arena.h"
#include "base/error.h"
#include "base/expect_error.h"
#include "base/ledger.h"

namespace megalith::cpu {
namespace {

TEST(TensorArena, WhatDoesNotFitIsRefusedWithOptionsThatExist) {
  Ledger ledger(uint64_t{2} << 20);
  TensorArena arena(ledger);
  arena.begin_step();
  EXPECT_ERROR(arena.make(1024, 1024), ErrorKind::kDoesNotFit,
               "activation arena needs 4.00 MiB, but only 2.00 MiB of 2.00 MiB are free; lower --ctx or free memory");
}

}  // namespace
}  // namespace megalith::cpu
