#include "client/nearest.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

namespace forge::client {

namespace {

// The least number of insertions, deletions and substitutions that turn `a` into `b`.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string Nearest(const std::string& name, const std::vector<std::string>& candidates) {
  // Cut short, or with more behind it: of several such none is nearer than the others.
  std::vector<std::string> kin;
  for (const std::string& candidate : candidates)
    if (name.size() > 3 && (candidate.starts_with(name) || name.starts_with(candidate)))
      kin.push_back(candidate);
  if (!kin.empty()) return kin.size() == 1 ? kin.front() : std::string();
  std::string nearest;
  // Farther away is no typing error; of short words not even two letters are.
  size_t distance = name.size() > 3 ? 3 : 2;
  for (const std::string& candidate : candidates) {
    const size_t its = EditDistance(name, candidate);
    if (its >= distance) continue;
    distance = its;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace forge::client
