#pragma once

#include <string_view>

namespace forge::gateway {

// What a model that reads nothing but text is told in place of a part of a tool's result, by the
// part's type in any of the APIs; empty for other types. Who calls a tool does not choose what it
// gives, and a refusal would be repeated with each request of the conversation.
inline std::string_view PartInWords(std::string_view type) {
  if (type == "image" || type == "image_url" || type == "input_image")
    return "[an image, which this model cannot see]";
  if (type == "document" || type == "file" || type == "input_file")
    return "[a file, which this model cannot read]";
  if (type == "audio" || type == "input_audio") return "[sound, which this model cannot hear]";
  return {};
}

}  // namespace forge::gateway
