#pragma once

#include <string>

namespace forge {

// What an answer must look like; docs/constrained-output.md.
struct OutputConstraint {
  enum class Kind {
    kGrammar,     // llama.cpp's notation, GBNF
    kJsonSchema,  // draft 2020-12; the answer is JSON that validates
    kToolCalls,   // of MakeCallConstraint; a part of the answer
  };
  Kind kind = Kind::kGrammar;
  std::string text;

  friend bool operator==(const OutputConstraint&, const OutputConstraint&) = default;
};

}  // namespace forge
