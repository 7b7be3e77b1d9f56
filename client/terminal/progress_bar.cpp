#include "client/terminal/progress_bar.h"

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

ProgressBar::ProgressBar() : is_terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressBar::Show(const std::string& label, double fraction, const std::string& detail) {
  if (!is_terminal_) return;
  std::fprintf(stderr, "%s%s %s %3d%%  %s", kEraseLine, label.c_str(),
               RenderBar(fraction, kBarWidth).c_str(),
               static_cast<int>(std::clamp(fraction, 0.0, 1.0) * 100.0), detail.c_str());
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
