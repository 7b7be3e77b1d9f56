#include "engine/arch/config_parts.h"

namespace forge {
namespace {

// Far beyond every published model, and near enough to 1 that no float32 overflows.
constexpr double kLeastScale = 1e-4, kMostScale = 1e4;

}  // namespace

Result<double> ReadScale(const KeyReader& keys, std::string_view name, double fallback) {
  FORGE_ASSIGN_OR_RETURN(const double scale, keys.PositiveUnlessZeroOr(name, fallback));
  if (scale >= kLeastScale && scale <= kMostScale) return scale;
  return InvalidField("a scale is from 0.0001 to 10000", keys.Field(name));
}

}  // namespace forge
