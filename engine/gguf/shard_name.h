#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace forge {

// The most files that one model may be split into.
constexpr uint32_t kMaxShards = 256;

// The name of one file of a split model, as llama.cpp's gguf-split gives it:
// PREFIX-00001-of-00003.gguf.
struct ShardName {
  std::string prefix;
  uint32_t number = 0;  // from 1 on
  uint32_t count = 0;   // at most kMaxShards

  std::string FileName() const {
    const auto digits = [](uint32_t value) {
      const std::string text = std::to_string(value);
      return std::string(5 - text.size(), '0') + text;
    };
    return prefix + "-" + digits(number) + "-of-" + digits(count) + ".gguf";
  }
};

// nullopt if a file of this name, without folders, is no shard.
inline std::optional<ShardName> ParseShardName(std::string_view file_name) {
  constexpr std::string_view kPattern = "-00000-of-00000.gguf";
  if (file_name.size() <= kPattern.size()) return std::nullopt;
  const size_t start = file_name.size() - kPattern.size();
  const std::string_view tail = file_name.substr(start);
  for (size_t i = 0; i < kPattern.size(); ++i) {
    const bool is_digit = tail[i] >= '0' && tail[i] <= '9';
    if (kPattern[i] == '0' ? !is_digit : tail[i] != kPattern[i]) return std::nullopt;
  }
  const auto number_at = [tail](size_t at) {
    uint32_t value = 0;
    std::from_chars(tail.data() + at, tail.data() + at + 5, value);
    return value;
  };
  const ShardName name = {std::string(file_name.substr(0, start)), number_at(1), number_at(10)};
  if (name.number == 0 || name.number > name.count || name.count > kMaxShards) return std::nullopt;
  return name;
}

}  // namespace forge
