#pragma once

#include <forge/v1/forge.pb.h>

#include <string>

namespace forge::client {

// What takes a device's memory, as a bar of `width` characters between brackets: of each model the
// weights '#', the KV cache '=' and the scratch '-'; '+' what is promised but not allocated yet,
// 'o' what others use, 'r' what is kept in reserve for them, blanks what is free. Every part that
// is not empty takes its share, rounded, so that the whole is as wide as the device is large.
std::string RenderMemoryBar(const v1::DeviceMemory& device, int width);

// What the characters of the bar mean, on one line.
std::string MemoryBarLegend();

}  // namespace forge::client
