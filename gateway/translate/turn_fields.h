#pragma once

#include <forge/v1/forge.pb.h>

#include "gateway/json_fields.h"
#include "kernels/base/status.h"

namespace forge::gateway {

// How the answer of a request is sent.
struct Delivery {
  bool stream = false;
  bool include_usage = false;  // in a last event of the stream
};

// Reads what chat completions and completions have in common into `turn`: the model, sampling,
// stops and limits. Refuses by name what would change the answer and cannot be had; other unknown
// fields are left alone. What is unset has the daemon's defaults.
Status ReadTurnFields(const Fields& body, v1::GenerateRequest::Turn& turn);

Result<Delivery> ReadDelivery(const Fields& body);

}  // namespace forge::gateway
