#include "bench/table_writer.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "kernels/base/check.h"

namespace forge {
namespace {

// Characters of UTF-8 text, which "±" makes fewer than its bytes.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

void TableWriter::Add(std::vector<std::string> cells) {
  FORGE_CHECK(cells.size() == rows_[0].size(), std::to_string(cells.size()));
  rows_.push_back(std::move(cells));
}

std::string TableWriter::Text() const {
  std::vector<size_t> widths(rows_[0].size(), 3);  // Markdown's rule needs three dashes
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  std::string text;
  for (size_t r = 0; r < rows_.size(); ++r) {
    for (size_t i = 0; i < widths.size(); ++i) {
      const std::string& cell = rows_[r][i];
      const std::string padding(widths[i] - Width(cell), ' ');
      // The first column is a name, the others are mostly numbers.
      text += "| " + (i == 0 ? cell + padding : padding + cell) + " ";
    }
    text += "|\n";
    if (r > 0) continue;
    for (size_t i = 0; i < widths.size(); ++i)
      text += "| " + std::string(widths[i] - 1, '-') + (i == 0 ? "-" : ":") + " ";
    text += "|\n";
  }
  return text;
}

std::string Fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%.*f", digits, value);
  return buffer;
}

std::string Percent(double part, double whole) {
  return whole > 0 ? Fixed(100 * part / whole, 0) + " %" : "-";
}

}  // namespace forge
