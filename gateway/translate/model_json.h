#pragma once

#include <forge/v1/forge.pb.h>

#include "gateway/json_fields.h"

namespace forge::gateway {

// An object "model".
inline Json ModelJson(const v1::Model& model) {
  return {{"id", model.name()},
          {"object", "model"},
          {"created", model.modify_time().seconds()},
          {"owned_by", "forge"}};
}

}  // namespace forge::gateway
