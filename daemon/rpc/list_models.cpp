#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/rpc/handlers.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/unary_call.h"
#include "daemon/text/utf8.h"

namespace forge {
namespace {

constexpr int32_t kDefaultPageSize = 100;
constexpr int32_t kMaxPageSize = 1000;

// A page token is the last name of the page before, in hexadecimal, and the number of the listing:
// opaque to clients, and good for a new listing where that one is not kept any more.
struct PageToken {
  std::string after;  // empty: the first page
  ListingCache::Id listing = 0;
};

std::string EncodePageToken(const PageToken& token) {
  std::string text;
  for (const char c : token.after) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text + fmt::format("-{}", token.listing);
}

Result<PageToken> DecodePageToken(std::string_view text) {
  if (text.empty()) return PageToken();
  PageToken token;
  const size_t dash = std::min(text.find('-'), text.size());
  const std::string_view name = text.substr(0, dash);
  const std::string_view number = text.substr(std::min(dash + 1, text.size()));
  bool is_ours = !name.empty() && name.size() % 2 == 0;
  for (size_t i = 0; is_ours && i < name.size(); i += 2) {
    unsigned value = 0;
    const char* const begin = name.data() + i;
    const auto [rest, error] = std::from_chars(begin, begin + 2, value, 16);
    is_ours = error == std::errc() && rest == begin + 2;
    token.after += static_cast<char>(value);
  }
  const char* const end = number.data() + number.size();
  const auto [rest, error] = std::from_chars(number.data(), end, token.listing);
  if (is_ours && error == std::errc() && rest == end) return token;
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

// What is on disk, sorted by name: as the pages before had it, where that is kept.
ListingCache::ListingPtr FilesOf(ServiceContext& service, const v1::ListModelsRequest& request,
                                 PageToken& token) {
  if (request.resident_only()) return std::make_shared<const Catalogue::Listing>();
  ListingCache::ListingPtr listing = service.listings.Find(token.listing);
  if (listing != nullptr) return listing;
  token.listing = 0;
  listing = std::make_shared<const Catalogue::Listing>(service.residency.catalogue().List());
  if (listing->truncated) {
    service.log.warn(
        "the model directories hold more than {} models or too many files; the "
        "list is cut",
        Catalogue::kMaxModels);
  }
  return listing;
}

// A resident model stays in the list when its file is gone.
using Residents = std::map<std::string, ModelSnapshot>;

Residents ResidentsOf(ServiceContext& service, const v1::ListModelsRequest& request) {
  Residents residents;
  for (ModelSnapshot& snapshot : service.residency.List()) {
    if (request.resident_only() && snapshot.state == ModelState::kFailed) continue;
    std::string name = snapshot.file.name;
    residents.insert_or_assign(std::move(name), std::move(snapshot));
  }
  return residents;
}

void AddLeftOut(const Catalogue::Listing& listing, const Residents& residents,
                v1::ListModelsResponse& response) {
  // A load that failed is a row, which says why by itself.
  const auto is_row = [&](const Catalogue::LeftOut& file) {
    return std::ranges::any_of(
        residents, [&](const auto& entry) { return entry.second.file.path == file.path; });
  };
  size_t n_left_out = listing.n_left_out;
  for (const Catalogue::LeftOut& left_out : listing.left_out) {
    if (is_row(left_out)) {
      --n_left_out;
      continue;
    }
    v1::LeftOutFile& file = *response.add_left_out_files();
    file.set_path(SanitizeUtf8(left_out.path));
    file.set_reason(SanitizeUtf8(left_out.reason));
  }
  response.set_left_out_count(static_cast<uint32_t>(n_left_out));
}

v1::Model ResidentToProto(ServiceContext& service, const ModelSnapshot& snapshot) {
  std::optional<ModelStatus> status;
  if (snapshot.state == ModelState::kReady) {
    // It may have been unloaded since; then it is shown without what the engine knows.
    Result<ModelStatus> current = service.engine.GetModel(snapshot.id);
    if (current.ok()) status = *std::move(current);
  }
  return ModelToProto(snapshot, status);
}

// Adds up to `page_size` models behind the name `after`, which becomes that of the last one. False:
// there are no more.
bool AddPage(ServiceContext& service, const std::vector<ModelFile>& files,
             const Residents& residents, size_t page_size, std::string& after,
             v1::ListModelsResponse& response) {
  auto file = std::ranges::upper_bound(files, after, {}, &ModelFile::name);
  auto resident = residents.upper_bound(after);
  for (size_t n = 0; file != files.end() || resident != residents.end(); ++n) {
    if (n == page_size) return true;
    const bool has_resident =
        resident != residents.end() && (file == files.end() || resident->first <= file->name);
    after = has_resident ? resident->first : file->name;
    *response.add_models() =
        has_resident ? ResidentToProto(service, resident->second) : ModelToProto(*file);
    if (file != files.end() && file->name == after) ++file;
    if (has_resident) ++resident;
  }
  return false;
}

Status ListModels(ServiceContext& service, const v1::ListModelsRequest& request,
                  v1::ListModelsResponse& response) {
  FORGE_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  FORGE_ASSIGN_OR_RETURN(PageToken token, DecodePageToken(request.page_token()));
  const ListingCache::ListingPtr listing = FilesOf(service, request, token);
  const Residents residents = ResidentsOf(service, request);
  if (token.after.empty()) AddLeftOut(*listing, residents, response);
  if (!AddPage(service, listing->models, residents, page_size, token.after, response)) {
    service.listings.Drop(token.listing);
    return Status();
  }
  if (token.listing == 0 && !request.resident_only())
    token.listing = service.listings.Keep(listing);
  response.set_next_page_token(EncodePageToken(token));
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
