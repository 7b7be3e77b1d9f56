#pragma once

#include <cstdint>
#include <string>

namespace forge {

// An amount of memory for people, with three significant digits: "12 B", "640 MiB", "1.50 GiB".
std::string ByteText(uint64_t bytes);

}  // namespace forge
