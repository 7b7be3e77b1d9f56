#include "client/model_argument.h"

#include <filesystem>
#include <string_view>
#include <system_error>

namespace forge::client {

namespace {

namespace fs = std::filesystem;

bool IsPath(const std::string& model) {
  if (model.starts_with("./") || model.starts_with("../")) return true;
  std::error_code ignored;
  return model.ends_with(".gguf") && fs::exists(model, ignored);
}

}  // namespace

bool IsLocal(const std::string& address) {
  std::string_view host = address;
  for (const std::string_view scheme : {"dns:///", "dns:", "ipv4:", "ipv6:"})
    if (host.starts_with(scheme)) host.remove_prefix(scheme.size());
  return host.starts_with("unix:") || host.starts_with("unix-abstract:") ||
         host.starts_with("127.") || host.starts_with("localhost:") || host.starts_with("[::1]");
}

std::string ModelArgument(const std::string& model, const std::string& address) {
  if (!IsLocal(address) || model.starts_with('/') || !IsPath(model)) return model;
  std::error_code error;
  const fs::path path = fs::absolute(model, error);
  if (error) return model;
  // The daemon takes no "..", and knows its directories without links; a link at the end is its
  // own to follow.
  const fs::path folder = fs::weakly_canonical(path.parent_path(), error);
  return error ? path.lexically_normal().string() : (folder / path.filename()).string();
}

}  // namespace forge::client
