#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <string_view>

#include "engine/text/jinja/limits.h"
#include "engine/text/jinja/text.h"
#include "engine/text/jinja/value.h"
#include "kernels/base/result.h"

namespace forge::jinja {

class Runtime;
struct ParsedTemplate;

// A Jinja2 template of a model file, parsed once and rendered any number of times, with the
// settings that Hugging Face's apply_chat_template uses: trim_blocks, lstrip_blocks, loop controls,
// the immutable sandbox. It reads nothing but the names that it is given, and every rendering is
// bounded by Limits. docs/chat-templates.md lists what is understood.
//
// Thread-safe: immutable.
class Template {
 public:
  // kFailedPrecondition naming the line: "line 3: unexpected '}', expected a value".
  static Result<Template> Parse(std::string_view source, const Limits& limits = Limits());

  // Defines the names that the template sees. An error ends the rendering.
  using Define = std::function<Status(Runtime&)>;
  // `now`: the local time that strftime_now tells. kInvalidArgument (reason CHAT_TEMPLATE_REFUSED)
  // with the template's own message where it raised; kFailedPrecondition (reason
  // CHAT_TEMPLATE_FAILED) naming the line and what is wrong there, also for a limit that is passed.
  Result<Text> Render(const Define& define, const std::tm& now) const;

  // Whether the source names `name` anywhere, as "tools" or "enable_thinking".
  bool Mentions(std::string_view name) const;

 private:
  explicit Template(std::shared_ptr<const ParsedTemplate> parsed) : parsed_(std::move(parsed)) {}

  std::shared_ptr<const ParsedTemplate> parsed_;
};

}  // namespace forge::jinja
