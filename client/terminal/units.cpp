#include "client/terminal/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <span>

namespace forge::client {

namespace {

// `value` with three significant digits, and no fraction from 100 on.
std::string ThreeDigits(double value) {
  std::array<char, 32> text;
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

std::string Scaled(double value, double step, std::span<const char* const> units) {
  size_t unit = 0;
  while (value >= step - 0.5 && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  const bool whole = unit == 0;
  const std::string number =
      whole ? std::to_string(static_cast<int64_t>(value)) : ThreeDigits(value);
  const std::string name = units[unit];
  return name.empty() ? number : number + " " + name;
}

}  // namespace

std::optional<int64_t> ParseDuration(std::string_view text) {
  constexpr int64_t kMost = int64_t{365} * 86'400'000;
  constexpr std::pair<std::string_view, int64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  int64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || count < 0) return std::nullopt;
  const std::string_view unit(rest, static_cast<size_t>(end - rest));
  for (const auto& [name, milliseconds] : kUnits)
    if (unit == name && count <= kMost / milliseconds) return count * milliseconds;
  return std::nullopt;
}

std::string FormatBytes(int64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  return Scaled(static_cast<double>(bytes), 1024.0, kUnits);
}

std::string FormatCount(int64_t count) {
  static constexpr const char* kUnits[] = {"", "K", "M", "B", "T"};
  return Scaled(static_cast<double>(count), 1000.0, kUnits);
}

double Seconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) + 1e-9 * duration.nanos();
}

std::string FormatDuration(const google::protobuf::Duration& duration) {
  const double seconds = Seconds(duration);
  if (seconds >= 0.9995) return ThreeDigits(seconds) + " s";
  if (seconds >= 0.9995e-3) return ThreeDigits(seconds * 1e3) + " ms";
  return std::to_string(std::lround(seconds * 1e6)) + " us";
}

std::string FormatSpan(int64_t seconds) {
  constexpr std::pair<const char*, int64_t> kUnits[] = {
      {"d", 86'400}, {"h", 3600}, {"m", 60}, {"s", 1}};
  std::string text;
  int n_units = 0;
  for (const auto& [name, length] : kUnits) {
    const int64_t count = seconds / length;
    seconds %= length;
    n_units += count > 0 || n_units > 0 ? 1 : 0;
    if (count > 0) text += (text.empty() ? "" : " ") + std::to_string(count) + name;
    if (n_units == 2) break;
  }
  return text.empty() ? "0s" : text;
}

std::string FormatFixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

namespace {

std::string FormatLocal(const google::protobuf::Timestamp& time, const char* format) {
  const std::time_t seconds = time.seconds();
  std::tm local{};
  localtime_r(&seconds, &local);
  std::array<char, 32> text;
  std::strftime(text.data(), text.size(), format, &local);
  return text.data();
}

}  // namespace

std::string FormatTime(const google::protobuf::Timestamp& time) {
  return FormatLocal(time, "%Y-%m-%d %H:%M");
}

std::string FormatTimeToSeconds(const google::protobuf::Timestamp& time) {
  return FormatLocal(time, "%Y-%m-%d %H:%M:%S");
}

}  // namespace forge::client
