#include "kernels/api/kv_append.h"

namespace forge {

Status Validate(const KvAppendArgs& args) {
  FORGE_TRY(Validate(args.batch).WithContext("kv_append"));
  if (args.batch.n_tokens == 0) return Status();
  FORGE_TRY(Validate(args.cache).WithContext("kv_append"));
  if (args.keys == nullptr || args.values == nullptr)
    return InvalidArgument("kv_append: keys or values is null");
  return Status();
}

}  // namespace forge
