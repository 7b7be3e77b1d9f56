#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/limits.h"
#include "kernels/base/result.h"

namespace forge::jinja {

struct Token {
  enum class Kind : uint8_t {
    kData,           // text between tags, after white space control
    kVariableBegin,  // {{
    kVariableEnd,
    kBlockBegin,  // {%
    kBlockEnd,
    kName,
    kString,  // its value
    kInteger,
    kFloat,
    kOperator,
    kEnd,  // of the template; always the last token
  };
  Kind kind = Kind::kEnd;
  uint32_t line = 1;
  std::string text;
};

// Cuts a template into tokens as Jinja2 does with trim_blocks and lstrip_blocks: comments are gone,
// raw blocks are data, and white space around tags is stripped. kFailedPrecondition naming the line
// for what is no template: a tag, string or comment without end, a character that means nothing.
Result<std::vector<Token>> Tokenize(std::string_view source, const Limits& limits);

// What a message calls a token.
std::string Describe(const Token& token);

// The error of a template at a line: "line 3: unexpected '}'".
Status TemplateError(uint32_t line, std::string_view problem);

}  // namespace forge::jinja
