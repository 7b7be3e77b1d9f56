#include <string>

#include "engine/arch/config_parts.h"

namespace forge {
namespace {

// As StateSpaceArgs and CausalConvArgs have them.
constexpr KeyReader::Range kHeads = {1, 4096};
constexpr KeyReader::Range kStateDim = {1, 256};
constexpr KeyReader::Range kTaps = {2, 8};
constexpr uint32_t kMostHeadElements = 128;

}  // namespace

Status ReadStateSpace(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kInner = "ssm.inner_size", kGroups = "ssm.group_count";
  StateSpaceConfig& space = config.state_space;
  FORGE_ASSIGN_OR_RETURN(space.n_heads, keys.Required("ssm.time_step_rank", kHeads));
  FORGE_ASSIGN_OR_RETURN(space.n_groups, keys.OptionalOr(kGroups, 1, kHeads));
  FORGE_ASSIGN_OR_RETURN(space.state_dim, keys.Required("ssm.state_size", kStateDim));
  FORGE_ASSIGN_OR_RETURN(space.n_taps, keys.Required("ssm.conv_kernel", kTaps));
  if (space.n_heads % space.n_groups != 0)
    return InvalidField(
        "the groups divide the " + std::to_string(space.n_heads) + " heads of ssm.time_step_rank",
        keys.Field(kGroups));
  FORGE_ASSIGN_OR_RETURN(const uint32_t n_rows,
                         keys.Required(kInner, {1, kHeads.max * kMostHeadElements}));
  space.head_dim = n_rows / space.n_heads;
  if (space.head_dim * space.n_heads == n_rows && space.head_dim >= 1 &&
      space.head_dim <= kMostHeadElements)
    return Status();
  return UnsupportedField(
      "the " + std::to_string(space.n_heads) + " heads have equally many elements, 128 at most",
      keys.Field(kInner));
}

}  // namespace forge
