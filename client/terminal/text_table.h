#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace forge::client {

// Prints rows in aligned columns, two spaces apart. Widths count UTF-8 characters.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) : rows_{std::move(header)} {}

  // REQUIRES: as many cells as the header has.
  void AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void Print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace forge::client
