#include "kernels/hip/launch_group.h"

#include <algorithm>
#include <string>

namespace forge {

Status CheckThreads(const char* name, const LaunchShape& shape) {
  const auto fits = [](uint64_t blocks, uint64_t threads) {
    return blocks * threads <= UINT32_MAX;
  };
  const dim3 &grid = shape.grid, &block = shape.block;
  if (fits(grid.x, block.x) && fits(grid.y, block.y) && fits(grid.z, block.z)) return Status();
  return InvalidArgument(std::string("kernel ") + name +
                         " has more threads than one launch may; use a smaller prefill_chunk: " +
                         std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " +
                         std::to_string(grid.z) + " blocks of " + std::to_string(block.x));
}

void LaunchGroup::Clear() {
  launches_.clear();
  bytes_.clear();
  offsets_.clear();
}

std::byte* LaunchGroup::AddArgument(size_t bytes) {
  const size_t offset = bytes_.size();
  offsets_.push_back(offset);
  bytes_.resize(offset + (bytes + kAlignment - 1) / kAlignment * kAlignment);
  return bytes_.data() + offset;
}

void** LaunchGroup::Arguments(size_t i) const {
  const Launch& launch = launches_[i];
  pointers_.clear();
  for (size_t k = 0; k < launch.n_arguments; ++k)  // the runtime only reads them
    pointers_.push_back(const_cast<std::byte*>(bytes_.data() + offsets_[launch.first_offset + k]));
  return pointers_.data();
}

bool LaunchGroup::HasKernelsOf(const LaunchGroup& other) const {
  return std::ranges::equal(launches_, other.launches_, {}, &Launch::kernel, &Launch::kernel);
}

std::span<const std::byte> LaunchGroup::BytesOf(size_t i) const {
  const size_t end = i + 1 < launches_.size() ? launches_[i + 1].first_byte : bytes_.size();
  return std::span(bytes_).subspan(launches_[i].first_byte, end - launches_[i].first_byte);
}

bool LaunchGroup::IsSameLaunch(size_t i, const LaunchGroup& other) const {
  const auto same = [](const dim3& a, const dim3& b) {
    return a.x == b.x && a.y == b.y && a.z == b.z;
  };
  const LaunchShape& a = launches_[i].shape;
  const LaunchShape& b = other.launches_[i].shape;
  return launches_[i].kernel == other.launches_[i].kernel && same(a.grid, b.grid) &&
         same(a.block, b.block) && a.shared_bytes == b.shared_bytes &&
         std::ranges::equal(BytesOf(i), other.BytesOf(i));
}

}  // namespace forge
