#include "kernels/api/embed.h"

#include <cmath>
#include <string>

namespace forge {

Status Validate(const EmbedArgs& args) {
  if (args.n_tokens < 0)
    return InvalidArgument("embed: n_tokens is negative: " + std::to_string(args.n_tokens));
  if (!std::isfinite(args.scale))
    return InvalidArgument("embed: scale is not finite: " + std::to_string(args.scale));
  if (args.n_tokens == 0) return Status();
  FORGE_TRY(Validate(args.table).WithContext("embed"));
  if (args.tokens == nullptr || args.y == nullptr)
    return InvalidArgument("embed: tokens or y is null");
  return Status();
}

}  // namespace forge
