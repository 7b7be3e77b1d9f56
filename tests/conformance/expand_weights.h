#pragma once

#include <filesystem>
#include <string>

namespace forge::testing {

// The model file at `path` with every weight as the float32 it stands for, so that a reference that
// computes exactly can be met exactly. Aborts on metadata of a type that model tools do not write.
std::string ExpandWeights(const std::filesystem::path& path);

}  // namespace forge::testing
