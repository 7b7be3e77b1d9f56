#include "tests/conformance/copy_model.h"

#include <span>
#include <string>
#include <string_view>

#include "kernels/base/check.h"

namespace forge::testing {
namespace {

void CopyArray(std::string_view key, const GgufArray& array, GgufBuilder& builder) {
  if (const auto* strings = std::get_if<GgufStrings>(&array.values)) {
    std::vector<std::string> copies;
    for (size_t i = 0; i < strings->size(); ++i) copies.emplace_back((*strings)[i]);
    builder.AddStringArray(key, copies);
  } else if (const auto* signed_values = std::get_if<std::vector<int32_t>>(&array.values)) {
    builder.AddInt32Array(key, *signed_values);
  } else if (const auto* unsigned_values = std::get_if<std::vector<uint32_t>>(&array.values)) {
    builder.AddUint32Array(key, *unsigned_values);
  } else if (const auto* floats = std::get_if<std::vector<float>>(&array.values)) {
    builder.AddFloat32Array(key, *floats);
  } else {
    FORGE_CHECK(false, key);
  }
}

void CopyValue(std::string_view key, const GgufValue& value, GgufBuilder& builder) {
  switch (value.type) {
    case GgufType::kString:
      builder.AddString(key, std::get<std::string>(value.value));
      return;
    case GgufType::kBool:
      builder.AddBool(key, std::get<bool>(value.value));
      return;
    case GgufType::kUint32:
      builder.AddUint32(key, static_cast<uint32_t>(std::get<uint64_t>(value.value)));
      return;
    case GgufType::kFloat32:
      builder.AddFloat32(key, static_cast<float>(std::get<double>(value.value)));
      return;
    case GgufType::kArray:
      CopyArray(key, std::get<GgufArray>(value.value), builder);
      return;
    default:
      FORGE_CHECK(false, std::string(key) + " is of type " + std::string(GgufTypeName(value.type)));
  }
}

}  // namespace

void CopyMetadata(const GgufFile& file, GgufBuilder& builder) {
  for (const std::string_view key : file.metadata().keys())
    CopyValue(key, *file.metadata().Find(key), builder);
}

std::vector<std::byte> ReadTensor(const GgufFile& file, const GgufTensor& tensor) {
  std::vector<std::byte> bytes(tensor.size_bytes);
  const Status read = file.ReadAt(tensor.offset_bytes, bytes);
  FORGE_CHECK(read.ok(), read.message());
  return bytes;
}

void AddTensorLike(const GgufTensor& tensor, DType dtype, const std::vector<std::byte>& bytes,
                   GgufBuilder& builder) {
  builder.AddTensor(tensor.name, std::span(tensor.shape).first(static_cast<size_t>(tensor.n_dims)),
                    static_cast<uint32_t>(dtype),
                    std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace forge::testing
