#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace forge {

// Reads a size: digits and one of B, KiB, MiB, GiB, TiB; plain digits are bytes. nullopt for
// anything else, or past 2^63 - 1.
std::optional<uint64_t> ParseSize(std::string_view text);
// The shortest text that ParseSize reads back: "2GiB", "1537".
std::string FormatSize(uint64_t bytes);

// Reads a number above 0, at most 1. nullopt for anything else.
std::optional<double> ParseFraction(const std::string& text);

// Reads a duration: digits and one of ms, s, m, h. nullopt for anything else, or past a year.
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);
// The shortest text that ParseDuration reads back: "15m", "90s".
std::string FormatDuration(std::chrono::milliseconds duration);

}  // namespace forge
