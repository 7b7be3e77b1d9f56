#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "tests/support/tiny_model.h"

namespace forge::testing {

// A small model of a family, as some real files have it.
struct FamilyVariant {
  std::string name;
  TinyModelOptions model;
  std::function<void(GgufBuilder&)> add = nullptr;  // keys of its own
  uint32_t context_length = 512;
};

void PrintTo(const FamilyVariant& variant, std::ostream* stream);

// Every family but the encoders, and the variants of it that real files have.
std::vector<FamilyVariant> FamilyVariants();

}  // namespace forge::testing
