#include "gateway/translate/token_ids.h"

#include <limits>

namespace forge::gateway {

Status ReadTokenIds(const Json& array, const std::string& name, v1::TokenIds& tokens) {
  for (const Json& item : array) {
    const bool is_id =
        item.is_number_unsigned() && item.get<uint64_t>() <= std::numeric_limits<int32_t>::max();
    if (!is_id) return BadField(name, "must be a string or an array of token ids");
    tokens.add_ids(item.get<int32_t>());
  }
  if (tokens.ids().empty()) return BadField(name, "is empty");
  return Status();
}

}  // namespace forge::gateway
