#include "engine/text/jinja/errors.h"

#include <string>

#include "engine/gguf/gguf_fault.h"

namespace forge::jinja {
namespace {

constexpr size_t kMaxMessageBytes = 500;

}  // namespace

Status RefusedByTemplate(std::string_view message) {
  return InvalidArgument("the model's chat template refuses this conversation: " +
                         SanitizeText(message, kMaxMessageBytes))
      .WithReason(kRefusedReason);
}

}  // namespace forge::jinja
