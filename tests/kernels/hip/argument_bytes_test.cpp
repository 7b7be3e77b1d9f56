#include "kernels/hip/argument_bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <new>

namespace forge::testing {
namespace {

struct Inner {
  float scale;
  bool halves;  // three bytes of padding behind it
};
struct Outer {
  int8_t first;  // seven bytes of padding
  double second;
  Inner inner;
  const void* pointer;
  int8_t last;
};
using Bytes = std::array<std::byte, sizeof(Outer)>;

// An argument in memory that held `garbage` before, with its bytes as a launch keeps them.
Bytes Kept(int garbage, float scale) {
  alignas(Outer) Bytes memory;
  std::memset(memory.data(), garbage, memory.size());
  auto* const outer = new (memory.data()) Outer;
  outer->first = 1;
  outer->second = 2.5;
  outer->inner.scale = scale;
  outer->inner.halves = true;
  outer->pointer = nullptr;
  outer->last = 7;
  Bytes kept = {};
  CopyFields(*outer, kept.data());
  return kept;
}

TEST(ArgumentBytesTest, WhatLiesBetweenFieldsDoesNotCount) {
  EXPECT_EQ(Kept(0x00, 1.5f), Kept(0xff, 1.5f));
  EXPECT_NE(Kept(0x00, 1.5f), Kept(0x00, 1.25f));
}

TEST(ArgumentBytesTest, EveryFieldArrivesAtItsPlace) {
  Outer copy;
  const Bytes kept = Kept(0xff, 1.5f);
  std::memcpy(&copy, kept.data(), sizeof(copy));
  EXPECT_EQ(copy.first, 1);
  EXPECT_EQ(copy.second, 2.5);
  EXPECT_EQ(copy.inner.scale, 1.5f);
  EXPECT_TRUE(copy.inner.halves);
  EXPECT_EQ(copy.pointer, nullptr);
  EXPECT_EQ(copy.last, 7);
}

}  // namespace
}  // namespace forge::testing
