#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace forge::client {

// Draws one line on standard error that shows how far something is. Where that is no terminal it
// draws nothing, and says only what Say is given. Not thread-safe.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar() { Clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `fraction` in [0, 1]; `label` before the bar, `detail` after it.
  void Show(const std::string& label, double fraction, const std::string& detail);
  // `text` in place of the bar: what is waited for. Where standard error is no terminal, one line
  // each time that it is another.
  void Say(const std::string& text);
  // Removes the line.
  void Clear();

 private:
  const bool is_terminal_;
  void Draw(const std::string& line);

  bool shown_ = false;
  std::string said_;
};

// The first `width` characters of UTF-8 text.
std::string CutToWidth(const std::string& text, int width);

// The bar alone: "[#####-----]", `width` characters inside.
std::string RenderBar(double fraction, int width);

}  // namespace forge::client
