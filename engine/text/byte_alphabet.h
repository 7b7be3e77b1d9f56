#pragma once

#include <string>
#include <string_view>

namespace forge {

// The bytes that a token of a byte-level vocabulary stands for. Such vocabularies write every byte
// as one printable character: those of Latin-1 that are printable as themselves, the other 68 as
// U+0100 and up in order ("Ġ" is a space). Characters outside this alphabet stay as they are.
std::string BytesOfByteLevelToken(std::string_view token);

}  // namespace forge
