#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace forge {

// The folders of the control groups that bind this process, in one hierarchy, innermost first.
struct CgroupFolders {
  bool is_v2 = false;
  std::vector<std::filesystem::path> folders;
};

// Finds the hierarchies that limit this process through `controller` ("memory", "cpu"): the one of
// version 1 that has the controller, and the one of version 2, where each is mounted. Whether the
// controller is enabled in a folder shows in its files. Reads <root>/proc/self/{cgroup,mountinfo};
// nothing is found where these are missing.
std::vector<CgroupFolders> FindCgroups(const std::filesystem::path& root,
                                       std::string_view controller);

}  // namespace forge
