#pragma once
// EXPECT_ERROR(statement, kind, part): the statement throws megalith::Error of that kind, and its message holds `part`.
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

#define EXPECT_ERROR(statement, expected_kind, part)                                        \
  do {                                                                                      \
    try {                                                                                   \
      statement;                                                                            \
      ADD_FAILURE() << "no error from " #statement;                                         \
    } catch (const megalith::Error& caught) {                                               \
      EXPECT_EQ(caught.kind(), expected_kind) << caught.what();                             \
      EXPECT_NE(std::string(caught.what()).find(part), std::string::npos) << caught.what(); \
    }                                                                                       \
  } while (false)
