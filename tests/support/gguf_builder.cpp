#include "tests/support/gguf_builder.h"

#include <bit>
#include <cstring>
#include <utility>

namespace forge::testing {
namespace {

// GGUF's numbers for the types of metadata values.
constexpr uint32_t kUint32 = 4, kInt32 = 5, kFloat32 = 6, kBool = 7, kString = 8, kArray = 9,
                   kUint64 = 10;
constexpr uint32_t kTensorF32 = 0;

std::string LittleEndian(uint64_t value, int n_bytes) {
  std::string bytes;
  for (int i = 0; i < n_bytes; ++i) bytes.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  return bytes;
}

std::string ArrayHeader(uint32_t element_type, size_t size) {
  return LittleEndian32(element_type) + LittleEndian64(size);
}

void PadTo(std::string& bytes, uint64_t alignment) {
  if (alignment == 0) return;
  while (bytes.size() % alignment != 0) bytes.push_back('\0');
}

}  // namespace

std::string LittleEndian32(uint32_t value) { return LittleEndian(value, 4); }
std::string LittleEndian64(uint64_t value) { return LittleEndian(value, 8); }

std::string FloatBytes(std::span<const float> values) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(values.size_bytes(), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::string GgufString(std::string_view text) {
  return LittleEndian64(text.size()) + std::string(text);
}

GgufBuilder& GgufBuilder::AddUint32(std::string_view key, uint32_t value) {
  return AddRaw(key, kUint32, LittleEndian32(value));
}

GgufBuilder& GgufBuilder::AddInt32(std::string_view key, int32_t value) {
  return AddRaw(key, kInt32, LittleEndian32(std::bit_cast<uint32_t>(value)));
}

GgufBuilder& GgufBuilder::AddUint64(std::string_view key, uint64_t value) {
  return AddRaw(key, kUint64, LittleEndian64(value));
}

GgufBuilder& GgufBuilder::AddFloat32(std::string_view key, float value) {
  return AddRaw(key, kFloat32, FloatBytes({&value, 1}));
}

GgufBuilder& GgufBuilder::AddBool(std::string_view key, bool value) {
  return AddRaw(key, kBool, std::string(1, value ? '\1' : '\0'));
}

GgufBuilder& GgufBuilder::AddString(std::string_view key, std::string_view value) {
  return AddRaw(key, kString, GgufString(value));
}

GgufBuilder& GgufBuilder::AddUint32Array(std::string_view key, std::span<const uint32_t> values) {
  std::string bytes = ArrayHeader(kUint32, values.size());
  for (const uint32_t value : values) bytes += LittleEndian32(value);
  return AddRaw(key, kArray, bytes);
}

GgufBuilder& GgufBuilder::AddInt32Array(std::string_view key, std::span<const int32_t> values) {
  std::string bytes = ArrayHeader(kInt32, values.size());
  for (const int32_t value : values) bytes += LittleEndian32(std::bit_cast<uint32_t>(value));
  return AddRaw(key, kArray, bytes);
}

GgufBuilder& GgufBuilder::AddFloat32Array(std::string_view key, std::span<const float> values) {
  return AddRaw(key, kArray, ArrayHeader(kFloat32, values.size()) + FloatBytes(values));
}

GgufBuilder& GgufBuilder::AddStringArray(std::string_view key,
                                         std::span<const std::string> values) {
  std::string bytes = ArrayHeader(kString, values.size());
  for (const std::string& value : values) bytes += GgufString(value);
  return AddRaw(key, kArray, bytes);
}

GgufBuilder& GgufBuilder::AddRaw(std::string_view key, uint32_t type,
                                 std::string_view value_bytes) {
  return AddRawPair(GgufString(key) + LittleEndian32(type) + std::string(value_bytes));
}

GgufBuilder& GgufBuilder::AddRawPair(std::string_view bytes) {
  metadata_ += bytes;
  ++n_keys_;
  return *this;
}

GgufBuilder& GgufBuilder::AddTensor(std::string_view name, std::span<const uint64_t> shape,
                                    uint32_t type, std::string data) {
  tensors_.push_back({std::string(name),
                      static_cast<uint32_t>(shape.size()),
                      {shape.begin(), shape.end()},
                      type,
                      std::nullopt,
                      std::move(data)});
  return *this;
}

GgufBuilder& GgufBuilder::AddF32Tensor(std::string_view name, std::span<const uint64_t> shape,
                                       std::span<const float> values) {
  return AddTensor(name, shape, kTensorF32, FloatBytes(values));
}

GgufBuilder& GgufBuilder::AddTensorInfo(std::string_view name, uint32_t n_dims,
                                        std::span<const uint64_t> shape, uint32_t type,
                                        uint64_t offset) {
  tensors_.push_back(
      {std::string(name), n_dims, {shape.begin(), shape.end()}, type, offset, std::string()});
  return *this;
}

GgufBuilder& GgufBuilder::SetMagic(std::string_view magic) {
  magic_ = magic;
  return *this;
}

GgufBuilder& GgufBuilder::SetVersion(uint32_t version) {
  version_ = version;
  return *this;
}

GgufBuilder& GgufBuilder::SetTensorCount(uint64_t count) {
  tensor_count_ = count;
  return *this;
}

GgufBuilder& GgufBuilder::SetKeyCount(uint64_t count) {
  key_count_ = count;
  return *this;
}

GgufBuilder& GgufBuilder::SetAlignment(uint64_t alignment) {
  alignment_ = alignment;
  return *this;
}

std::string GgufBuilder::Build() const {
  std::string file = magic_ + LittleEndian32(version_) +
                     LittleEndian64(tensor_count_.value_or(tensors_.size())) +
                     LittleEndian64(key_count_.value_or(n_keys_)) + metadata_;
  std::string data;
  for (const Tensor& tensor : tensors_) {
    PadTo(data, alignment_);
    file += GgufString(tensor.name) + LittleEndian32(tensor.n_dims);
    for (const uint64_t extent : tensor.shape) file += LittleEndian64(extent);
    file += LittleEndian32(tensor.type) + LittleEndian64(tensor.offset.value_or(data.size()));
    data += tensor.data;
  }
  PadTo(file, alignment_);
  PadTo(data, alignment_);
  return file + data;
}

}  // namespace forge::testing
