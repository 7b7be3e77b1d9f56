#include "kernels/cpu/cgroup.h"

#include <fstream>
#include <optional>
#include <sstream>
#include <string>

namespace forge {
namespace {

// One line of /proc/self/mountinfo, see proc(5).
struct Mount {
  std::string root;  // the folder of the hierarchy that is mounted
  std::string point;
  std::string type;
  std::string options;
};

std::optional<Mount> ParseMount(const std::string& line) {
  std::istringstream fields(line);
  std::string skipped, source;
  Mount mount;
  if (!(fields >> skipped >> skipped >> skipped >> mount.root >> mount.point)) return std::nullopt;
  while (fields >> skipped && skipped != "-") {
  }
  if (!(fields >> mount.type >> source >> mount.options)) return std::nullopt;
  return mount;
}

// Whether a list separated by commas has `item`.
bool Lists(std::string_view list, std::string_view item) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    if (list.substr(0, comma) == item) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

// The process's path in the hierarchy of version 2 (`controller` empty) or in that of version 1
// which has the controller; see cgroups(7) for the lines "number:controllers:path".
std::optional<std::string> FindPath(const std::filesystem::path& root,
                                    std::string_view controller) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers =
        std::string_view(line).substr(first + 1, second - first - 1);
    const bool found = controller.empty() ? controllers.empty() : Lists(controllers, controller);
    if (found) return line.substr(second + 1);
  }
  return std::nullopt;
}

// The path below the mount point: a container may see only part of the hierarchy. A path outside of
// what is mounted ("/..") leaves the mount point itself.
std::filesystem::path BelowMount(const std::string& path, const std::string& mounted_root) {
  const std::filesystem::path relative =
      std::filesystem::path(path).lexically_normal().lexically_relative(mounted_root);
  if (relative.empty() || *relative.begin() == "..") return {};
  return relative;
}

CgroupFolders FoldersUp(const std::filesystem::path& mount_point,
                        const std::filesystem::path& below, bool is_v2) {
  CgroupFolders found = {.is_v2 = is_v2, .folders = {}};
  std::filesystem::path folder = mount_point;
  found.folders.push_back(folder);
  for (const std::filesystem::path& name : below) {
    if (name.empty() || name == ".") continue;
    folder /= name;
    found.folders.insert(found.folders.begin(), folder);
  }
  return found;
}

}  // namespace

std::vector<CgroupFolders> FindCgroups(const std::filesystem::path& root,
                                       std::string_view controller) {
  std::vector<CgroupFolders> found;
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    const std::optional<Mount> mount = ParseMount(line);
    if (!mount) continue;
    const bool is_v2 = mount->type == "cgroup2";
    if (!is_v2 && !(mount->type == "cgroup" && Lists(mount->options, controller))) continue;
    const std::optional<std::string> path = FindPath(root, is_v2 ? "" : controller);
    if (!path) continue;
    const std::filesystem::path point = root / std::filesystem::path(mount->point).relative_path();
    found.push_back(FoldersUp(point, BelowMount(*path, mount->root), is_v2));
  }
  return found;
}

}  // namespace forge
