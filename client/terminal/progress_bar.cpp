#include "client/terminal/progress_bar.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace forge::client {

namespace {

constexpr int kBarWidth = 30;
constexpr char kEraseLine[] = "\r\033[K";

}  // namespace

std::string RenderBar(double fraction, int width) {
  const int filled = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * width));
  std::string bar(static_cast<size_t>(width) + 2, '-');
  bar.front() = '[';
  bar.back() = ']';
  std::fill_n(bar.begin() + 1, filled, '#');
  return bar;
}

std::string CutToWidth(const std::string& text, int width) {
  size_t end = 0;
  for (int n = 0; end < text.size(); ++end) {
    const bool starts_character = (static_cast<unsigned char>(text[end]) & 0xc0) != 0x80;
    if (starts_character && ++n > width) break;
  }
  return text.substr(0, end);
}

ProgressBar::ProgressBar() : is_terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressBar::Show(const std::string& label, double fraction, const std::string& detail) {
  if (!is_terminal_) return;
  char percent[8];
  std::snprintf(percent, sizeof(percent), "%3d%%",
                static_cast<int>(std::clamp(fraction, 0.0, 1.0) * 100.0));
  Draw(label + " " + RenderBar(fraction, kBarWidth) + " " + percent + "  " + detail);
}

void ProgressBar::Say(const std::string& text) {
  if (is_terminal_) return Draw(text);
  if (text != said_) std::fprintf(stderr, "%s\n", text.c_str());
  said_ = text;
}

void ProgressBar::Draw(const std::string& line) {
  winsize size = {};
  const bool has_width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  std::fprintf(stderr, "%s%s", kEraseLine,
               has_width ? CutToWidth(line, size.ws_col - 1).c_str() : line.c_str());
  std::fflush(stderr);
  shown_ = true;
}

void ProgressBar::Clear() {
  if (!shown_) return;
  std::fputs(kEraseLine, stderr);
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace forge::client
