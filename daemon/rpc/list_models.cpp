#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "daemon/rpc/handlers.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/unary_call.h"
#include "daemon/text/utf8.h"

namespace forge {
namespace {

constexpr int32_t kDefaultPageSize = 100;
constexpr int32_t kMaxPageSize = 1000;

// A page token is the last name of the page before, in hexadecimal: opaque to clients, and stable
// when models come and go between two pages.
std::string EncodePageToken(std::string_view last_name) {
  std::string token;
  for (const char c : last_name) token += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return token;
}

Result<std::string> DecodePageToken(std::string_view token) {
  std::string name;
  bool is_hex = token.size() % 2 == 0;
  for (size_t i = 0; is_hex && i < token.size(); i += 2) {
    unsigned value = 0;
    const char* const begin = token.data() + i;
    const auto [rest, error] = std::from_chars(begin, begin + 2, value, 16);
    is_hex = error == std::errc() && rest == begin + 2;
    name += static_cast<char>(value);
  }
  if (is_hex) return name;
  return InvalidArgument("page_token is none that ListModels gave; leave it empty to start over")
      .WithReason("INVALID_PAGE_TOKEN")
      .WithDetail("field", "page_token");
}

Result<size_t> PageSize(int32_t asked) {
  if (asked < 0) {
    return InvalidArgument(fmt::format("page_size is {}; use 0 for {}, or up to {}", asked,
                                       kDefaultPageSize, kMaxPageSize))
        .WithReason("INVALID_REQUEST")
        .WithDetail("field", "page_size")
        .WithDetail("value", std::to_string(asked));
  }
  return static_cast<size_t>(asked == 0 ? kDefaultPageSize : std::min(asked, kMaxPageSize));
}

// One row of the list: a file, and what residency knows of it.
struct Row {
  ModelFile file;
  std::optional<ModelSnapshot> snapshot;
};

// All rows by name; `listing` becomes what is left out. A resident model stays in the list when its
// file is gone.
std::map<std::string, Row> Rows(ServiceContext& service, bool resident_only,
                                Catalogue::Listing& listing) {
  std::map<std::string, Row> rows;
  if (!resident_only) {
    listing = service.residency.catalogue().List();
    if (listing.truncated) {
      service.log.warn(
          "the model directories hold more than {} models or too many files; the "
          "list is cut",
          Catalogue::kMaxModels);
    }
    for (ModelFile& file : listing.models) rows[file.name].file = std::move(file);
  }
  for (ModelSnapshot& snapshot : service.residency.List()) {
    if (resident_only && snapshot.state == ModelState::kFailed) continue;
    // A load that failed is a row, which says why by itself.
    listing.n_left_out -= std::erase_if(listing.left_out, [&](const Catalogue::LeftOut& file) {
      return file.path == snapshot.file.path;
    });
    Row& row = rows[snapshot.file.name];
    row.file = snapshot.file;
    row.snapshot = std::move(snapshot);
  }
  return rows;
}

void AddLeftOut(const Catalogue::Listing& listing, v1::ListModelsResponse& response) {
  response.set_left_out_count(static_cast<uint32_t>(listing.n_left_out));
  for (const Catalogue::LeftOut& left_out : listing.left_out) {
    v1::LeftOutFile& file = *response.add_left_out_files();
    file.set_path(SanitizeUtf8(left_out.path));
    file.set_reason(SanitizeUtf8(left_out.reason));
  }
}

Status ListModels(ServiceContext& service, const v1::ListModelsRequest& request,
                  v1::ListModelsResponse& response) {
  FORGE_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  FORGE_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(request.page_token()));
  Catalogue::Listing listing;
  const std::map<std::string, Row> rows = Rows(service, request.resident_only(), listing);
  if (after.empty()) AddLeftOut(listing, response);
  auto row = after.empty() ? rows.begin() : rows.upper_bound(after);
  for (; row != rows.end(); ++row) {
    if (static_cast<size_t>(response.models_size()) == page_size) {
      response.set_next_page_token(
          EncodePageToken(response.models(response.models_size() - 1).name()));
      break;
    }
    const auto& [name, item] = *row;
    if (!item.snapshot) {
      *response.add_models() = ModelToProto(item.file);
      continue;
    }
    std::optional<ModelStatus> status;
    if (item.snapshot->state == ModelState::kReady) {
      // It may have been unloaded since; then it is shown without what the engine knows.
      Result<ModelStatus> current = service.engine.GetModel(item.snapshot->id);
      if (current.ok()) status = *std::move(current);
    }
    *response.add_models() = ModelToProto(*item.snapshot, status);
  }
  return Status();
}

}  // namespace

grpc::ServerUnaryReactor* HandleListModels(ServiceContext& service,
                                           grpc::CallbackServerContext* context,
                                           const v1::ListModelsRequest* request,
                                           v1::ListModelsResponse* response) {
  return RunOnWorker(service, context, [&service, request, response] {
    return ListModels(service, *request, *response);
  });
}

}  // namespace forge
