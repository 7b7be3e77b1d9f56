#include "daemon/config/quantity.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <locale>
#include <sstream>

namespace forge {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// Largest first, so that formatting takes the first one that divides.
constexpr std::array<Unit, 5> kSizeUnits = {{{"TiB", uint64_t{1} << 40},
                                             {"GiB", uint64_t{1} << 30},
                                             {"MiB", uint64_t{1} << 20},
                                             {"KiB", uint64_t{1} << 10},
                                             {"B", 1}}};
constexpr std::array<Unit, 4> kTimeUnits = {
    {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr uint64_t kYearMs = uint64_t{365} * 24 * 3'600'000;

template <size_t N>
std::optional<uint64_t> ParseWithUnit(std::string_view text, const std::array<Unit, N>& units,
                                      bool needs_unit, uint64_t limit) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view suffix(rest, static_cast<size_t>(end - rest));
  uint64_t factor = 0;
  if (suffix.empty() && (!needs_unit || number == 0)) factor = 1;
  for (const Unit& unit : units) {
    if (suffix == unit.name) factor = unit.factor;
  }
  if (factor == 0 || number > limit / factor) return std::nullopt;
  return number * factor;
}

template <size_t N>
std::string FormatWithUnit(uint64_t value, const std::array<Unit, N>& units,
                           std::string_view unit_of_zero) {
  if (value == 0) return fmt::format("0{}", unit_of_zero);
  for (const Unit& unit : units) {
    if (value % unit.factor == 0) return fmt::format("{}{}", value / unit.factor, unit.name);
  }
  return {};  // not reached: the last factor is 1
}

}  // namespace

std::optional<uint64_t> ParseSize(std::string_view text) {
  return ParseWithUnit(text, kSizeUnits, /*needs_unit=*/false, std::numeric_limits<int64_t>::max());
}

std::optional<double> ParseFraction(const std::string& text) {
  // A stream of the classic locale: strtod would follow the environment's decimal comma.
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  double value = 0.0;
  if (!(stream >> value) || stream.peek() != std::istringstream::traits_type::eof())
    return std::nullopt;
  if (!std::isfinite(value) || value <= 0.0 || value > 1.0) return std::nullopt;
  return value;
}

std::string FormatSize(uint64_t bytes) { return FormatWithUnit(bytes, kSizeUnits, ""); }

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  const std::optional<uint64_t> ms = ParseWithUnit(text, kTimeUnits, /*needs_unit=*/true, kYearMs);
  if (!ms) return std::nullopt;
  return std::chrono::milliseconds(*ms);
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  return FormatWithUnit(static_cast<uint64_t>(duration.count()), kTimeUnits, "s");
}

}  // namespace forge
