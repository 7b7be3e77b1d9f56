#include "engine/text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "engine/text/utf8.h"

namespace forge {
namespace {

constexpr char32_t kAlphabetEnd = 0x100 + 68;
constexpr int16_t kNoByte = -1;

constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

constexpr std::array<int16_t, kAlphabetEnd> MakeByteOfCharacter() {
  std::array<int16_t, kAlphabetEnd> byte_of{};
  byte_of.fill(kNoByte);
  size_t next_free = 0x100;
  for (int byte = 0; byte < 256; ++byte)
    byte_of[StandsForItself(byte) ? static_cast<size_t>(byte) : next_free++] =
        static_cast<int16_t>(byte);
  return byte_of;
}

constexpr std::array<int16_t, kAlphabetEnd> kByteOfCharacter = MakeByteOfCharacter();

}  // namespace

std::string BytesOfByteLevelToken(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (size_t i = 0; i < token.size();) {
    const Utf8Step step = DecodeUtf8(token, i);
    const int16_t byte =
        step.code_point < kAlphabetEnd ? kByteOfCharacter[step.code_point] : kNoByte;
    if (byte != kNoByte) {
      bytes.push_back(static_cast<char>(byte));
    } else {
      bytes += token.substr(i, step.size);
    }
    i += step.size;
  }
  return bytes;
}

}  // namespace forge
