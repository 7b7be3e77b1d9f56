#include "client/commands/model_pages.h"

#include <algorithm>
#include <utility>

#include "client/terminal/units.h"

namespace forge::client {

grpc::Status FetchModels(const Connection& connection, bool resident_only,
                         v1::ListModelsResponse& all) {
  v1::ListModelsRequest request;
  request.set_resident_only(resident_only);
  request.set_page_size(1000);  // the most: the daemon looks at the disk for each page
  for (;;) {
    grpc::ClientContext call;
    v1::ListModelsResponse response;
    const grpc::Status status = connection.stub().ListModels(&call, request, &response);
    if (!status.ok()) return status;
    all.MergeFrom(response);
    if (response.next_page_token().empty()) return status;
    request.set_page_token(response.next_page_token());
  }
}

std::string StateName(v1::ModelState state) {
  switch (state) {
    case v1::MODEL_STATE_ON_DISK:
      return "on disk";
    case v1::MODEL_STATE_LOADING:
      return "loading";
    case v1::MODEL_STATE_READY:
      return "ready";
    case v1::MODEL_STATE_UNLOADING:
      return "unloading";
    case v1::MODEL_STATE_FAILED:
      return "failed";
    default:
      return "unknown";
  }
}

std::string UntilText(const v1::Residency& residency, int64_t now_seconds) {
  // The daemon takes at most 365 days, which is what `--keep-alive forever` asks for.
  constexpr int64_t kForever = int64_t{365} * 86'400;
  if (residency.pinned()) return "pinned";
  if (!residency.has_keep_alive() || residency.keep_alive().seconds() >= kForever) return "forever";
  if (!residency.has_expire_time())
    return FormatSpan(residency.keep_alive().seconds()) + " after use";
  return "in " + FormatSpan(std::max<int64_t>(residency.expire_time().seconds() - now_seconds, 0));
}

}  // namespace forge::client
