#pragma once

#include <string>
#include <vector>

namespace forge {

// Formats rows as a table that is readable in a terminal and valid Markdown.
class TableWriter {
 public:
  explicit TableWriter(std::vector<std::string> header) : rows_{std::move(header)} {}

  // REQUIRES: as many cells as the header has.
  void Add(std::vector<std::string> cells);
  std::string Text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "12.3", "0.0": with `digits` after the point.
std::string Fixed(double value, int digits);
// "97 %"; "-" if `whole` is 0.
std::string Percent(double part, double whole);

}  // namespace forge
