#pragma once

#include <string_view>

#include "kernels/base/status.h"

namespace forge::jinja {

// Reasons of the errors of a rendering.
inline constexpr std::string_view kRefusedReason = "CHAT_TEMPLATE_REFUSED";
inline constexpr std::string_view kFailedReason = "CHAT_TEMPLATE_FAILED";

// kInvalidArgument, reason CHAT_TEMPLATE_REFUSED: the template called raise_exception, as it does
// for conversations that its model was not trained on.
Status RefusedByTemplate(std::string_view message);

}  // namespace forge::jinja
