#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace forge::client {

// Draws one line on standard error that shows how far something is; draws nothing where that is no
// terminal. Not thread-safe.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar() { Clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `fraction` in [0, 1]; `label` before the bar, `detail` after it.
  void Show(const std::string& label, double fraction, const std::string& detail);
  // Removes the line.
  void Clear();

 private:
  const bool is_terminal_;
  bool shown_ = false;
};

// The first `width` characters of UTF-8 text.
std::string CutToWidth(const std::string& text, int width);

// The bar alone: "[#####-----]", `width` characters inside.
std::string RenderBar(double fraction, int width);

}  // namespace forge::client
